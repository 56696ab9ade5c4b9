"""The command, run in this process, and OpenSLR as a server on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Run, in_process

from .openslr import OpenSlr


@pytest.fixture
def auricle(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process."""
    return in_process(monkeypatch, capfd)


@pytest.fixture
def openslr(tmp_path: Path) -> Iterator[OpenSlr]:
    """A server of its resources, with the two archives of Mini LibriSpeech made of this repository's clips."""
    server = OpenSlr(tmp_path / "openslr")
    with server.running():
        yield server
