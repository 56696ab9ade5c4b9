"""Two ways to run the command: in this process, which is quick, and as users do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest

from auricle.cli.app import main

SCRIPT = Path(sys.executable).with_name("auricle")


@dataclass(frozen=True)
class Result:
    code: int | str | None
    out: str
    err: str


Run: TypeAlias = Callable[..., Result]


@pytest.fixture
def auricle(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process; what C libraries print is seen as well."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["auricle", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        return Result(ended.value.code, captured.out, captured.err)

    return run


@pytest.fixture
def shell() -> Run:
    """Run the command that pip installed, with the bytes `given` on its standard input."""

    def run(*arguments: object, given: bytes = b"") -> Result:
        done = subprocess.run(
            [SCRIPT, *map(str, arguments)], input=given, capture_output=True, check=False, timeout=120
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run
