"""The wheel, alone in a fresh virtual environment: what a user gets from `pip install auricle`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CLIPS = ROOT / "tests" / "clips"
MOST_MEGABYTES = 160


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel and what it asks for, without pip."""
    folder = tmp_path_factory.mktemp("package")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")], check=True)
    (wheel,) = folder.glob("auricle-*.whl")
    python = folder / "env" / "bin" / "python"
    subprocess.run([*pip, "--python", str(python), "install", str(wheel)], check=True)
    return folder / "env"


def run(installed: Path, *command: str) -> subprocess.CompletedProcess[str]:
    # Nothing of the checkout or of the calling environment may help.
    environment = {"PATH": os.defpath, "HOME": str(installed)}
    return subprocess.run(
        [str(installed / "bin" / command[0]), *command[1:]],
        cwd=installed,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_base_install_is_small_and_has_no_torch(installed: Path) -> None:
    (packages,) = installed.glob("lib/python*/site-packages")
    sizes = {path: path.stat().st_size for path in packages.rglob("*") if path.is_file()}
    megabytes = sum(size for path, size in sizes.items() if path.suffix != ".auricle") / 1e6
    assert megabytes < MOST_MEGABYTES
    assert not (packages / "torch").exists()


@pytest.mark.needs_embedded_model
def test_the_wheel_alone_transcribes(installed: Path) -> None:
    done = run(installed, "auricle", "transcribe", str(CLIPS / "austen-0880.flac"), "--format", "json")
    assert done.returncode == 0, done.stderr
    transcript = json.loads(done.stdout)
    assert transcript["model"] == "english"
    assert len(transcript["text"].split()) >= 4


@pytest.mark.needs_embedded_model
def test_the_embedded_model_is_small_and_has_a_card(installed: Path) -> None:
    done = run(installed, "auricle", "model", "show", "--json")
    assert done.returncode == 0, done.stderr
    card = json.loads(done.stdout)["card"]
    assert {"data", "licences", "recipe", "training_hours", "known_failures"} <= set(card)
    (model,) = installed.glob("lib/python*/site-packages/auricle/models/english.auricle")
    assert model.stat().st_size < 35e6


def test_without_the_extra_training_says_what_to_install(installed: Path) -> None:
    done = run(installed, "auricle", "train", "recipe.toml", "--train", "train.jsonl")
    assert done.returncode == 1
    assert "pip install 'auricle[train]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
