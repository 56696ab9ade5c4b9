"""A corpus of real clips, and how a finished batch is looked at."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import soundfile

from auricle.cli.app import main

pytest.importorskip("pyarrow", reason="the extra ray is not installed")
pytest.importorskip("fsspec", reason="the extra ray is not installed")

SCRIPT = Path(sys.executable).with_name("auricle")
Command: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]

POISON = """
import os, sys
if "auricle.batch.child" in " ".join(sys.orig_argv):
    from auricle import audio
    def poisoned(read):
        def reading(source, **options):
            if str(options.get("name") or source).endswith("poison.flac"):
                os.kill(os.getpid(), 9)
            return read(source, **options)
        return reading
    audio.open_blocks, audio.read = poisoned(audio.open_blocks), poisoned(audio.read)
"""
"""A sitecustomize.py: recordings of that name end the process that opens them, as hostile bytes end a decoder."""


@pytest.fixture
def corpus(clips: Path, tmp_path: Path) -> Path:
    """Ten short clips in two folders, real speech."""
    folder = tmp_path / "corpus"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for clip in sorted(clips.glob("*.flac")):
            shutil.copy(clip, folder / name)
    return folder


@pytest.fixture
def poison(tmp_path: Path) -> dict[str, str]:
    """The environment in which a recording called poison is one."""
    return {**os.environ, "PYTHONPATH": str(poisoning(tmp_path / "site"))}


def poisoning(folder: Path) -> Path:
    """Make a folder that poisons the processes of which PYTHONPATH has it."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(POISON)
    return folder


@pytest.fixture
def command(shell: Command, toy_bundle: Path) -> Command:
    """Run `auricle batch` with the small model."""
    return lambda *arguments, env=None: shell("batch", *arguments, "--model", toy_bundle, env=env)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run `auricle`: in this process, or as users do where it gets its own environment."""

    def run(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        words = [*map(str, arguments)]
        if env is not None:
            return subprocess.run(
                [SCRIPT, *words], cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=900
            )
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["auricle", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        code = ended.value.code
        return subprocess.CompletedProcess(words, code if isinstance(code, int) else 0, captured.out, captured.err)

    return run


@contextmanager
def started(*arguments: object, cwd: Path, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Start `auricle batch` to be disturbed, and see that it has ended."""
    with subprocess.Popen(
        [SCRIPT, "batch", *map(str, arguments)],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def manifest_of_damage(clips: Path, folder: Path) -> Path:
    """Make a manifest of real clips and of one of each damage; the recording called poison is in order by itself."""
    folder.mkdir()
    whole = (clips / "austen-0880.flac").read_bytes()
    for name in ("whole", "poison"):
        (folder / f"{name}.flac").write_bytes(whole)
    (folder / "cut.flac").write_bytes(whole[:20_000])
    (folder / "empty.wav").touch()
    loud, rate = soundfile.read(clips / "austen-0890.flac")
    soundfile.write(folder / "loud.wav", np.clip(100 * loud, -1, 1), rate)
    soundfile.write(folder / "silent.wav", 1e-5 * loud, rate)
    lines = [json.loads(line) for line in (clips / "clips.jsonl").read_text().splitlines()]
    lines = [line | {"audio_filepath": str(clips / line["audio_filepath"]), "age": 41} for line in lines]
    right = {"text": "he was not an ill disposed young man"}
    lines[2:2] = [
        right | {"audio_filepath": name}
        for name in ("cut.flac", "empty.wav", "gone.wav", "loud.wav", "silent.wav", "poison.flac")
    ]
    lines += [
        right | {"id": "late", "audio_filepath": "whole.flac", "offset": 3.5},
        right | {"id": "part", "audio_filepath": "whole.flac", "offset": 0.1, "duration": 2.0},
        right | {"id": "long", "audio_filepath": "loud.wav", "duration": 9.0},
        {"id": "much", "audio_filepath": "whole.flac", "text": "word " * 40},
        {"id": "euros", "audio_filepath": "whole.flac", "text": "12 euros"},
        {"id": "mute", "audio_filepath": "whole.flac", "text": " ?! "},
        right | {"id": lines[0]["id"], "audio_filepath": "whole.flac"},
    ]
    path = folder / "m.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + "{oh\n")
    return path


def rows(output: Path) -> list[dict[str, Any]]:
    """The rows of all tables, in the order of the shards."""
    from pyarrow import parquet

    return [
        row
        for path in sorted((output / "shards").glob("*.parquet"))
        for row in parquet.ParquetFile(path).read().to_pylist()
    ]


def contents(output: Path) -> dict[str, bytes]:
    """Every file of a finished batch, by name."""
    return {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*") if path.is_file()}


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = entry.read_text()
        except OSError:
            continue
        if int(text.rpartition(")")[2].split()[1]) == pid:
            found.append(int(entry.parent.name))
    return found


def doing(pid: int, role: str) -> list[int]:
    """The children of a process of which the command line has this in it."""

    def line(child: int) -> str:
        try:
            return Path(f"/proc/{child}/cmdline").read_text()
        except OSError:
            return ""

    return [child for child in children(pid) if role in line(child)]
