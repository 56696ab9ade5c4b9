"""The values that travel between the stages of a batch: all can be pickled, and none holds a whole recording."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from auricle.audio import SourceInfo
from auricle.features import Array
from auricle.grouping import SECONDS_AHEAD, WINDOWS_AHEAD
from auricle.transcript import Segment

TASK_RECORDINGS = 16
"""How many recordings are read for one another's company: their windows are recognised in common batches."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Where a recording is: `id` is how the user knows it, `uri` an absolute path or a URL of fsspec's.

    `offset` and `duration` choose a part of it, in seconds. `begin` and `size` are the bytes of a member of a TAR file.
    """

    id: str
    uri: str
    offset: float = 0.0
    duration: float | None = None
    begin: int | None = None
    size: int | None = None

    def to_json(self) -> str:
        """Return it as one line in ASCII; a file name that is not UTF-8 comes back unharmed."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @staticmethod
    def from_json(line: str) -> Recording:
        """Return what `to_json` wrote."""
        return Recording(**json.loads(line))


@dataclass(frozen=True, slots=True)
class Task:
    """Recordings that stand beside each other in one shard; `first` is the number of the first of them."""

    first: int
    recordings: tuple[Recording, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Window `index` of recording `number`, called `name`: see `segmentation.Window`."""

    number: int
    name: str
    index: int
    start: int
    samples: Array
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """All that there is of recording `number`: so many windows and what it was, or an error in their place."""

    number: int
    windows: int = 0
    source: SourceInfo | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """What one worker recognises at a time; `ends` are the recordings that ended while it was gathered."""

    pieces: tuple[Piece, ...]
    ends: tuple[End, ...]


@dataclass(frozen=True, slots=True)
class Busy:
    """When which worker was at work, by the clock on the wall, and the seconds of audio that it recognised."""

    worker: str
    begun: float
    ended: float
    audio_seconds: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What was recognised of a unit: the segment of each piece by recording and index, the ends, and when it was."""

    segments: tuple[tuple[int, int, Segment], ...]
    ends: tuple[End, ...]
    busy: Busy


def units(items: Iterator[Piece | End], rate: int) -> Iterator[Unit]:
    """Gather pieces, in their order, into units: no more in one than recognition looks ahead.

    The same items always make the same units.
    """
    pieces: list[Piece] = []
    ends: list[End] = []
    seconds = 0.0
    for item in items:
        if isinstance(item, End):
            ends.append(item)
            continue
        length = len(item.samples) / rate
        if pieces and (len(pieces) >= WINDOWS_AHEAD or seconds + length > SECONDS_AHEAD):
            yield Unit(tuple(pieces), tuple(ends))
            pieces, ends, seconds = [], [], 0.0
        pieces.append(item)
        seconds += length
    if pieces or ends:
        yield Unit(tuple(pieces), tuple(ends))


def alone(unit: Unit) -> Sequence[Unit]:
    """Return the pieces of each recording as a unit of its own, without the ends."""
    numbers = dict.fromkeys(piece.number for piece in unit.pieces)
    return [Unit(tuple(piece for piece in unit.pieces if piece.number == number), ()) for number in numbers]
