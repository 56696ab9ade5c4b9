"""`auricle data listen`: files that a person can play, named by what was done to them."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from auricle import audio
from auricle.cli import data_listen  # noqa: F401 - registers the command
from auricle.cli.app import app

ROOT = Path(__file__).parents[2]
CLIPS = ROOT / "tests" / "clips"

pytest.importorskip("torch")


def listen(*options: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["data", "listen", str(CLIPS / "clips.jsonl"), *map(str, options)])
    return done.exit_code, done.output


def recipe(folder: Path, waveform: str) -> Path:
    path = folder / "loud.toml"
    path.write_text((ROOT / "recipes" / "tiny.toml").read_text() + f"\n[waveform]\n{waveform}\n")
    return path


def test_ten_clips_are_written_each_changed_as_its_name_says(tmp_path: Path) -> None:
    code, said = listen("--recipe", recipe(tmp_path, "codec = 0.5\nnoise = 0.5"), "-o", tmp_path / "out")
    assert code == 0, said
    files = sorted((tmp_path / "out").iterdir())
    assert len(files) == 10
    assert {path.name.split("-austen")[0][3:] for path in files} == {"codec", "noise", "noise-codec"}
    for path in files:
        original = audio.read(CLIPS / f"austen-{path.stem[-4:]}.flac").samples
        heard = audio.read(path).samples
        assert len(heard) == len(original)
        assert 0.3 < np.corrcoef(heard, original)[0, 1] < 0.99999
        assert str(path) in said


def test_a_recipe_that_distorts_nothing_is_refused_with_what_to_write(tmp_path: Path) -> None:
    code, said = listen("--recipe", ROOT / "recipes" / "tiny.toml", "-o", tmp_path / "out")
    assert code == 1
    assert "distorts no waveforms: give its [waveform] a probability" in said
    assert not (tmp_path / "out").exists()
