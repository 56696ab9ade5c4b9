"""Two ways to run the command: in this process, which is quick, and as users do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command import Result, Run, in_process

SCRIPT = Path(sys.executable).with_name("auricle")


@pytest.fixture
def auricle(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process."""
    return in_process(monkeypatch, capfd)


@pytest.fixture
def shell() -> Run:
    """Run the command that pip installed, with the bytes `given` on its standard input."""

    def run(*arguments: object, given: bytes = b"") -> Result:
        done = subprocess.run(
            [SCRIPT, *map(str, arguments)], input=given, capture_output=True, check=False, timeout=120
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run
