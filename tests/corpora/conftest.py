"""The command, run in this process, and OpenSLR as a server on this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest

from auricle.cli.app import main

from .openslr import OpenSlr


@dataclass(frozen=True)
class Result:
    code: int | str | None
    out: str
    err: str


Run: TypeAlias = Callable[..., Result]


@pytest.fixture
def auricle(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["auricle", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        return Result(ended.value.code, captured.out, captured.err)

    return run


@pytest.fixture
def openslr(tmp_path: Path) -> Iterator[OpenSlr]:
    """A server of its resources, with the two archives of Mini LibriSpeech made of this repository's clips."""
    server = OpenSlr(tmp_path / "openslr")
    with server.running():
        yield server
