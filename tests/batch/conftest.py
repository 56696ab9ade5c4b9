"""A corpus of real clips, and how a finished batch is looked at."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from auricle.cli.app import main

pytest.importorskip("pyarrow", reason="the extra ray is not installed")
pytest.importorskip("fsspec", reason="the extra ray is not installed")

SCRIPT = Path(sys.executable).with_name("auricle")
Command: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]

POISON = """
import os, sys
if "auricle.batch.child" in " ".join(sys.orig_argv):
    from auricle import audio
    open_blocks = audio.open_blocks
    def poisoned(source, **options):
        if options["name"].endswith("poison.flac"):
            os.kill(os.getpid(), 9)
        return open_blocks(source, **options)
    audio.open_blocks = poisoned
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
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(POISON)
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.fixture
def command(
    toy_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """Run `auricle batch` with the small model: in this process, or as users do where it gets its own environment."""

    def run(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        words = ["batch", *map(str, arguments), "--model", str(toy_bundle)]
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
