"""Puts together what the workers return in any order: windows to recordings, recordings to shards."""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from auricle.batch.listing import Listing, Shard
from auricle.batch.table import Row
from auricle.batch.work import End, Heard, Recording
from auricle.transcript import Segment, Transcript


@dataclass(slots=True)
class _Open:
    """What is there of a recording."""

    segments: dict[int, Segment] = field(default_factory=dict)
    end: End | None = None

    @property
    def is_complete(self) -> bool:
        return self.end is not None and (self.end.error is not None or len(self.segments) == self.end.windows)


@dataclass(frozen=True, slots=True)
class Finished:
    """A shard of which every recording is there; `rows` are read from disk."""

    shard: Shard
    rows: Iterator[Row]


class Collector:
    """Takes what was heard, each recording once however often it comes, and gives out shards as they are complete.

    Recordings that are complete wait for their shard in the file at `path`: in memory are only those of which windows
    are still missing. `readable` is what makes the words of a whole recording a text.
    """

    def __init__(
        self,
        path: Path,
        listing: Listing,
        shards: Sequence[Shard],
        *,
        model: str,
        readable: Callable[[Transcript], Transcript],
    ) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        self._db.execute("CREATE TABLE done (number INTEGER PRIMARY KEY, content BLOB)")
        self._listing, self._model, self._readable = listing, model, readable
        self._missing: dict[int, set[int]] = {}
        self._wanted = {shard.index for shard in shards}
        self._open: dict[int, _Open] = {}
        self.recordings = self.errors = 0  # that are complete

    def add(self, heard: Heard) -> Iterator[Finished]:
        """Take what was heard of a unit, and yield the shards that are complete with it, each to be written at once."""
        for number, index, segment in heard.segments:
            if recording := self._of(number):
                recording.segments[index] = segment
        for end in heard.ends:
            if (recording := self._of(end.number)) and (recording.end is None or end.error):
                recording.end = end
        touched = dict.fromkeys([*(number for number, _, _ in heard.segments), *(end.number for end in heard.ends)])
        for number in touched:
            if (recording := self._open.get(number)) and recording.is_complete:
                yield from self._complete(number, recording)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _of(self, number: int) -> _Open | None:
        """Return where to put what comes of a recording, or nothing when that is there already."""
        shard = self._listing.shard_of(number)
        if shard.index not in self._wanted:
            return None
        missing = self._missing.setdefault(shard.index, set(range(shard.first, shard.last)))
        return self._open.setdefault(number, _Open()) if number in missing else None

    def _complete(self, number: int, recording: _Open) -> Iterator[Finished]:
        del self._open[number]
        outcome = self._outcome(recording)
        self.recordings += 1
        self.errors += isinstance(outcome, str)
        self._db.execute("INSERT INTO done VALUES (?, ?)", (number, pickle.dumps(outcome)))
        shard = self._listing.shard_of(number)
        missing = self._missing[shard.index]
        missing.discard(number)
        if not missing:
            yield Finished(shard, self._rows(shard))
            self._db.execute("DELETE FROM done WHERE number >= ? AND number < ?", (shard.first, shard.last))
            self._wanted.discard(shard.index)
            del self._missing[shard.index]

    def _outcome(self, recording: _Open) -> Transcript | str:
        end = cast("End", recording.end)
        if end.error is not None or end.source is None:
            return end.error or "nothing is known of it."
        segments = tuple(recording.segments[index] for index in range(end.windows))
        return self._readable(Transcript(segments, end.source, self._model))

    def _rows(self, shard: Shard) -> Iterator[Row]:
        query = "SELECT content FROM done WHERE number >= ? AND number < ? ORDER BY number"
        done = self._db.execute(query, (shard.first, shard.last))
        for recording, (content,) in zip(self._listing.recordings(shard), done, strict=True):
            yield _row(recording, pickle.loads(content))


def _row(recording: Recording, outcome: Transcript | str) -> Row:
    return Row(recording, error=outcome) if isinstance(outcome, str) else Row(recording, outcome)
