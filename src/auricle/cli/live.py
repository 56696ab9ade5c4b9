"""What `auricle transcribe` shows of a long recording while it is recognised: its text, and how far it is."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from auricle.cli.terminal import Bar


class Line:
    """The text of one recording on standard output, in the pieces in which it comes.

    It is one line, with the recording's name before it when there is one. On a terminal each piece has a line, as the
    progress bar takes the one below.
    """

    def __init__(self, name: str | None) -> None:
        self._before = f"{name}: " if name else ""
        self._begun = False
        self._is_shown = sys.stdout.isatty()

    def add(self, text: str) -> None:
        """Print a piece, at once. An empty one is nothing."""
        if text:
            piece = self._before + text
            # First, as Ctrl-C may come while it is printed, and the line has to have its end all the same.
            self._begun, self._before = True, "" if self._is_shown else " "
            typer.echo(piece, nl=self._is_shown)

    def end(self, *, complete: bool) -> None:
        """Print the end of the line; of a recording without text an empty line if it is `complete`, and else none."""
        if not self._begun and complete:
            typer.echo(self._before)
        elif self._begun and not self._is_shown:
            typer.echo()


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a progress bar that is one recording's: the one at `index` of `count`."""

    bar: Bar
    name: str
    index: int
    count: int

    def tell(self, now: float, end: float | None) -> None:
        """Show that a recording of `end` seconds, if that is known, is done up to `now`."""
        part = min(1.0, now / end) if end else 0.0
        of = f" of {_clock(end)}" if end else ""
        self.bar.tell((self.index + part) / self.count, f"{_clock(now)}{of} {Path(self.name).name}")


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
