"""The command, run in this process: quicker than as users do, and what C libraries print is seen as well."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import pytest

from auricle.cli.app import main


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it printed."""

    code: int | str | None
    out: str
    err: str


Run: TypeAlias = Callable[..., Result]


def in_process(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Return what runs `auricle` with some arguments."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["auricle", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        return Result(ended.value.code, captured.out, captured.err)

    return run
