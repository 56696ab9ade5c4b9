"""The stages that both engines run, each beside a child that may die.

They are two for a batch, recordings to units and units to segments, and one for a check, utterances to answers.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from auricle.audio import SourceInfo
from auricle.batch.cell import Cell, CellDied
from auricle.batch.recognising import Settings
from auricle.batch.work import Busy, End, Heard, Piece, Recording, Task, Unit, alone, units
from auricle.manifest import Utterance
from auricle.transcript import Segment

_TRIES = 2


class Calls(Protocol):
    """What a stage needs of a `Cell`."""

    def call(self, value: object) -> Iterator[Any]:
        """Yield the answers. Raises CellDied."""
        ...

    def close(self) -> None:
        """End the child."""
        ...


class Stage(Protocol):
    """What an engine needs of a stage. It is called by one thread, and may be closed by another."""

    def __call__(self, value: Any, /) -> Any:
        """Return what becomes of a value; the first of two stages returns an iterator of what goes to the second."""
        ...

    def close(self) -> None:
        """End the child."""
        ...


class Reader:
    """Reads tasks. A recording during which the child dies is read again, and the second time set aside by its name."""

    def __init__(self, rate: int, cell: Calls | None = None) -> None:
        self._rate, self._cell = rate, cell or Cell("read", rate=rate)

    def __call__(self, task: Task) -> Iterator[Unit]:
        """Yield what is to be recognised, while it is read. The same task always gives the same units."""
        yield from units(self._items(task), self._rate)

    def close(self) -> None:
        """End the child."""
        self._cell.close()

    def _items(self, task: Task) -> Iterator[Piece | End]:
        for number, recording in enumerate(task.recordings, start=task.first):
            yield from self._windows(number, recording)

    def _windows(self, number: int, recording: Recording) -> Iterator[Piece | End]:
        given = 0  # to the caller: another child starts at the beginning, and cuts in the same places
        for _ in range(_TRIES):
            index = 0
            try:
                for answer in self._cell.call(recording):
                    if isinstance(answer, SourceInfo):
                        yield End(number, index, answer)
                    elif isinstance(answer, str):
                        yield End(number, index, error=answer)
                    elif isinstance(answer, tuple):
                        if index == given:
                            yield Piece(number, recording.id, index, *answer)
                            given += 1
                        index += 1
            except CellDied:
                continue
            return
        yield End(number, error=_set_aside(recording.id, "read"))


class Recogniser:
    """Recognises units. One during which the child dies is tried again whole, which an innocent one survives.

    If it dies again, the recordings of the unit are tried alone, and the one that kills it once more is set aside by
    its name.
    """

    def __init__(
        self,
        settings: Settings,
        cell: Calls | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cell, self._clock = cell or Cell("recognise", settings=settings), clock
        self._name = f"{platform.node()}/{os.getpid()}/{id(self):x}"

    def __call__(self, unit: Unit) -> Heard:
        """Return the segments. Raises AuricleError when the model cannot be loaded."""
        begun = self._clock()
        segments, failed = self._segments(unit)
        seconds = sum(segment.end - segment.start for _, _, segment in segments)
        return Heard(tuple(segments), unit.ends + tuple(failed), Busy(self._name, begun, self._clock(), seconds))

    def close(self) -> None:
        """End the child."""
        self._cell.close()

    def _segments(self, unit: Unit) -> tuple[list[tuple[int, int, Segment]], list[End]]:
        for _ in range(_TRIES):
            if (found := self._try(unit)) is not None:
                return found, []
        heard: list[tuple[int, int, Segment]] = []
        failed: list[End] = []
        for one in alone(unit):
            if (found := self._try(one)) is None:
                failed.append(End(one.pieces[0].number, error=_set_aside(one.pieces[0].name, "recognised")))
            else:
                heard += found
        return heard, failed

    def _try(self, unit: Unit) -> list[tuple[int, int, Segment]] | None:
        """Return the segments, or nothing when the child died."""
        if not unit.pieces:
            return []
        try:
            (segments,) = self._cell.call(unit.pieces)
        except CellDied:
            return None
        return [(piece.number, piece.index, found) for piece, found in zip(unit.pieces, segments, strict=True)]


class Checker:
    """Has utterances answered for. One during which the child dies is tried again, and then set aside by its file."""

    def __init__(self, rate: int, settings: Settings | None, cell: Calls | None = None) -> None:
        self._cell = cell or Cell("check", rate=rate, settings=settings)
        self._what = "aligned" if settings else "read"

    def __call__(self, numbered: tuple[int, Utterance]) -> tuple[int, Any]:
        """Return the number and the answer. Raises AuricleError when the model cannot be loaded."""
        number, utterance = numbered
        for _ in range(_TRIES):
            try:
                (answer,) = self._cell.call(utterance)
            except CellDied:
                continue
            return number, answer
        return number, _set_aside(str(utterance.audio_filepath), self._what)

    def close(self) -> None:
        """End the child."""
        self._cell.close()


def _set_aside(name: str, what: str) -> str:
    return f"{name} ended the process that {what} it, more than once: it is set aside."
