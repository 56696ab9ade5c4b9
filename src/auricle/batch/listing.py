"""The list of what is to be transcribed: on disk, in one order, each recording once, and cut into shards."""

from __future__ import annotations

import hashlib
import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from auricle.batch.work import TASK_RECORDINGS, Recording, Task
from auricle.errors import CorpusError

_TOLD_EVERY = 10_000
_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE found (source INTEGER, name BLOB, position INTEGER, id BLOB UNIQUE, recording TEXT);
CREATE TABLE listed (number INTEGER PRIMARY KEY, recording TEXT);
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A recording as its source lists it. Those of one source are put in the order of `name`, then as they came."""

    recording: Recording
    name: str = ""


@dataclass(frozen=True, slots=True)
class Shard:
    """Recordings `first` to `last`, counted from 0, `last` not included; `index` counts the shards."""

    index: int
    first: int
    last: int

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"shard-{self.index:06d}"


class Listing:
    """A list in a file, so that no more than a task of it is in memory. Numbers count from 0."""

    def __init__(self, path: Path) -> None:
        # Tasks are read by the engine's threads, one at a time.
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript(_TABLES)
        self.count = 0
        self.shards: Sequence[Shard] = ()

    def fill(
        self,
        sources: Iterable[Iterable[Found]],
        *,
        shards: int | None,
        shard_recordings: int,
        progress: Callable[[int], None] = lambda count: None,
    ) -> None:
        """List the sources, one after another, and cut the list into shards.

        They are `shards` of like size, or else as many as there are, of `shard_recordings` each: then recordings that
        are added at the end change the last of them alone. A recording that is listed twice counts once. Raises
        CorpusError for two of one id.
        """
        self._db.execute("BEGIN")
        for index, source in enumerate(sources):
            for position, found in enumerate(source):
                self._add(index, position, found)
                self.count += 1
                if self.count % _TOLD_EVERY == 0:
                    progress(self.count)
        self._db.execute(
            "INSERT INTO listed SELECT NULL, recording FROM found ORDER BY source, name, position"
        )  # in SQLite's own sorter, which spills to disk
        self._db.execute("DROP TABLE found")
        self._db.execute("COMMIT")
        (self.count,) = self._db.execute("SELECT count(*) FROM listed").fetchone()
        progress(self.count)
        self.shards = _cut(self.count, shards, shard_recordings)

    def shard_of(self, number: int) -> Shard:
        """Return the shard that a recording belongs to."""
        return self.shards[bisect_right(self.shards, number, key=lambda shard: shard.first) - 1]

    def recordings(self, shard: Shard) -> Iterator[Recording]:
        """Yield the recordings of a shard in their order."""
        return map(Recording.from_json, self._lines(shard.first, shard.last))

    def fingerprint(self, shard: Shard) -> str:
        """Return what changes when any recording of the shard does, its order included."""
        digest = hashlib.blake2b(digest_size=16)
        for line in self._lines(shard.first, shard.last):
            digest.update(line.encode() + b"\n")
        return digest.hexdigest()

    def tasks(self, shards: Iterable[Shard]) -> Iterator[Task]:
        """Yield the tasks of shards: each has up to 16 recordings, and none of two shards."""
        for shard in shards:
            for first in range(shard.first, shard.last, TASK_RECORDINGS):
                lines = self._lines(first, min(first + TASK_RECORDINGS, shard.last))
                yield Task(first, tuple(map(Recording.from_json, lines)))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _lines(self, first: int, last: int) -> Iterator[str]:
        query = "SELECT recording FROM listed WHERE number > ? AND number <= ? ORDER BY number"  # SQLite counts from 1
        yield from (line for (line,) in self._db.execute(query, (first, last)))

    def _add(self, source: int, position: int, found: Found) -> None:
        key, line = _key(found.recording.id), found.recording.to_json()
        row = (source, _key(found.name), position, key, line)
        if self._db.execute("INSERT INTO found VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", row).rowcount:
            return
        (other,) = self._db.execute("SELECT recording FROM found WHERE id = ?", (key,)).fetchone()
        if other != line:
            first = Recording.from_json(other)
            raise CorpusError(
                f"{first.uri} and {found.recording.uri} have both the id {found.recording.id!r}: "
                'give each recording an "id" of its own.'
            )


def _key(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _cut(count: int, shards: int | None, size: int) -> Sequence[Shard]:
    if shards is None:
        bounds = [*range(0, count, size), count]
    else:
        shards = min(shards, count)
        bounds = [index * count // shards for index in range(shards + 1)] if shards else [0]
    return [Shard(index, *pair) for index, pair in enumerate(pairwise(bounds))]
