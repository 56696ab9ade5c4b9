"""Which windows are recognised together: those that lie near each other, in batches of like length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from auricle.errors import AudioError
from auricle.features import Array

_BATCH_SECONDS = 60.0
WINDOWS_AHEAD = 16
SECONDS_AHEAD = 160.0
"""How far recognition looks ahead for windows of like length. Nothing later is read before these are done."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A stretch of one of the recordings at hand: times in seconds, its normalised features, and if it is all of it."""

    clip: int
    start: float
    end: float
    features: Array
    is_whole: bool = False


def ahead(windows: Iterable[Prepared]) -> Iterator[list[Prepared]]:
    """Gather as many windows as are recognised before anything after them is read, or before it turns out damaged."""
    gathered: list[Prepared] = []
    seconds = 0.0
    damage: AudioError | None = None
    try:
        for window in windows:
            gathered.append(window)
            seconds += window.end - window.start
            if len(gathered) >= WINDOWS_AHEAD or seconds >= SECONDS_AHEAD:
                yield gathered
                gathered, seconds = [], 0.0
    except AudioError as error:
        damage = error
    if gathered:
        yield gathered
    if damage:
        raise damage


def batches_of(windows: Iterable[Prepared], hop_seconds: float, most: int) -> Iterator[list[Prepared]]:
    """Group windows of like length, at most so many, so that little of a batch is padding."""
    batch: list[Prepared] = []
    for window in sorted(windows, key=lambda window: len(window.features)):
        seconds = (len(batch) + 1) * len(window.features) * hop_seconds
        if batch and (len(batch) == most or seconds > _BATCH_SECONDS):
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch
