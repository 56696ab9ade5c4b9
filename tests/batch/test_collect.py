"""Putting together what comes in any order, twice, or not at all."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from auricle.audio import SourceInfo
from auricle.batch.collect import Collector, Finished
from auricle.batch.listing import Found, Listing
from auricle.batch.progress import Progress
from auricle.batch.table import Row, write_table
from auricle.batch.work import Busy, End, Heard, Recording
from auricle.transcript import Segment, Word

INFO = SourceInfo("flac", 16_000, 1, 50.0)
BUSY = Busy("one", 0.0, 1.0, 25.0)


@pytest.fixture
def listing(tmp_path: Path) -> Iterator[Listing]:
    listing = Listing(tmp_path / "listing.db")
    found = [Found(Recording(f"{index}.wav", f"/{index}.wav")) for index in range(10)]
    listing.fill([found], shards=None, shard_recordings=4)
    yield listing
    listing.close()


def heard() -> list[Heard]:
    """What comes of ten recordings of three windows, of which one is damaged after two."""
    units = []
    for number in range(10):
        for index in range(3):
            word = Word(f"n{number}w{index}", 25.0 * index, 25.0 * index + 1, 0.5)
            units.append(Heard(((number, index, Segment(25.0 * index, 25.0 * index + 25, (word,))),), (), BUSY))
        units.append(Heard((), (End(number, 2, error="cut off") if number == 5 else End(number, 3, INFO),), BUSY))
    return units


def collected(listing: Listing, path: Path, units: list[Heard]) -> dict[int, list[tuple[str, str | None, str | None]]]:
    path.unlink(missing_ok=True)
    collector = Collector(path, listing, list(listing.shards), model="none", readable=lambda transcript: transcript)
    shards: dict[int, list[tuple[str, str | None, str | None]]] = {}
    for unit in units:
        for finished in collector.add(unit):
            assert finished.shard.index not in shards
            shards[finished.shard.index] = [_seen(row) for row in finished.rows]
    assert (collector.recordings, collector.errors) == (10, 1)
    collector.close()
    return shards


def _seen(row: Row) -> tuple[str, str | None, str | None]:
    return row.recording.id, row.transcript.text if row.transcript else None, row.error


def test_any_order_and_any_repetition_give_the_same_shards(listing: Listing, tmp_path: Path) -> None:
    expected = collected(listing, tmp_path / "done.db", heard())
    assert [name for shard in sorted(expected) for name, _, _ in expected[shard]] == [f"{n}.wav" for n in range(10)]
    assert expected[0][1] == ("1.wav", "n1w0 n1w1 n1w2", None)
    assert expected[1][1] == ("5.wav", None, "cut off")
    for seed in range(20):
        units = heard() + heard()
        random.Random(seed).shuffle(units)
        assert collected(listing, tmp_path / "done.db", units) == expected


def test_a_shard_is_given_out_as_soon_as_it_is_complete(listing: Listing, tmp_path: Path) -> None:
    collector = Collector(tmp_path / "done.db", listing, list(listing.shards), model="", readable=lambda found: found)
    given: list[int] = []
    for index, unit in enumerate(heard()):
        given += [index for _ in map(_read, collector.add(unit))]
    assert given == [15, 31, 39]
    collector.close()


def _read(finished: Finished) -> list[Row]:
    return list(finished.rows)


def test_the_same_rows_are_the_same_bytes(listing: Listing, tmp_path: Path) -> None:
    def table(name: str) -> bytes:
        collector = Collector(
            tmp_path / f"{name}.db", listing, list(listing.shards), model="", readable=lambda found: found
        )
        finished = itertools.chain.from_iterable(map(collector.add, heard()))
        write_table(next(finished).rows, tmp_path / name)
        collector.close()
        return (tmp_path / name).read_bytes()

    assert table("one") == table("two")


def test_progress_counts_hours_cost_and_the_idle() -> None:
    now = [0.0]
    progress = Progress(100, skipped=50, workers=4, price=0.5, clock=lambda: now[0])
    now[0] = 3600.0
    progress.hear(Busy("a", 0.0, 10.0, 7200.0))
    progress.hear(Busy("a", 10.0, 20.0, 0.0))
    progress.hear(Busy("b", 0.0, 5.0, 0.0))
    progress.hear(Busy("b", 15.0, 20.0, 0.0))
    progress.done = 25
    assert progress.line() == "75 of 100 recordings, 2.00 h, 2 h/h, cost 2.00, 1:00:00 left"
    assert progress.busy_share == 0.5
