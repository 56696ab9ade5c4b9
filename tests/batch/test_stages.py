"""The stages beside children that die when they are told to."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auricle.audio import SourceInfo
from auricle.batch.cell import Cell, CellDied
from auricle.batch.recognising import Settings
from auricle.batch.stages import Checker, Reader, Recogniser
from auricle.batch.work import End, Piece, Recording, Task, Unit, units
from auricle.errors import AuricleError
from auricle.manifest import Utterance
from auricle.transcript import Segment

INFO = SourceInfo("wav/pcm_s16", 16_000, 1, 60.0)
SECOND = np.zeros(16_000, np.float32)


class Script:
    """In the place of a child: what it answers to a call, or that it dies, each once."""

    def __init__(self, *calls: list[object]) -> None:
        self.calls = list(calls)
        self.heard: list[Any] = []

    def call(self, value: object) -> Iterator[Any]:
        self.heard.append(value)
        for answer in self.calls.pop(0):
            if answer is CellDied:
                raise CellDied
            yield answer

    def close(self) -> None: ...


def read(*calls: list[object]) -> list[tuple[list[tuple[int, int]], tuple[End, ...]]]:
    task = Task(7, (Recording("a.wav", "/a.wav"), Recording("b.wav", "/b.wav")))
    made = list(Reader(16_000, Script(*calls))(task))
    return [([(piece.number, piece.index) for piece in unit.pieces], unit.ends) for unit in made]


def test_a_child_that_dies_once_while_reading_changes_nothing() -> None:
    whole = [(0, SECOND), (16_000, SECOND), INFO]
    undisturbed = read(whole, whole)
    assert undisturbed == [([(7, 0), (7, 1), (8, 0), (8, 1)], (End(7, 2, INFO), End(8, 2, INFO)))]
    assert read([(0, SECOND), CellDied], whole, whole) == undisturbed
    assert read([CellDied], whole, whole) == undisturbed


def test_a_recording_that_kills_twice_is_set_aside_by_name_and_the_next_is_read() -> None:
    (((pieces), (first, second)),) = read([CellDied], [CellDied], [(0, SECOND), INFO])
    assert pieces == [(8, 0)]
    assert first.error == "a.wav ended the process that read it, more than once: it is set aside."
    assert second == End(8, 1, INFO)


def pieces(*numbers: int) -> tuple[Piece, ...]:
    return tuple(Piece(number, f"{number}.wav", 0, 0, SECOND) for number in numbers)


def heard(count: int) -> list[object]:
    return [tuple(Segment(0.0, 1.0, ()) for _ in range(count))]


def test_a_unit_that_kills_once_is_tried_again_whole() -> None:
    script = Script([CellDied], heard(3))
    result = Recogniser(Settings(), script)(Unit(pieces(1, 2, 3), (End(1, 1, INFO),)))
    assert [number for number, _, _ in result.segments] == [1, 2, 3]
    assert result.ends == (End(1, 1, INFO),)
    assert len(script.heard) == 2


def test_the_one_of_a_unit_that_kills_is_set_aside_and_the_others_are_heard() -> None:
    script = Script([CellDied], [CellDied], heard(1), [CellDied], heard(1))
    result = Recogniser(Settings(), script)(Unit(pieces(1, 2, 3), ()))
    assert [number for number, _, _ in result.segments] == [1, 3]
    (end,) = result.ends
    assert (end.number, end.error) == (
        2,
        "2.wav ended the process that recognised it, more than once: it is set aside.",
    )


def test_an_utterance_that_kills_once_is_answered_for_and_one_that_kills_twice_is_set_aside() -> None:
    script = Script([CellDied], [0.5], [CellDied], [CellDied], [0.7])
    checker = Checker(16_000, Settings(), script)
    answers = [checker((number, Utterance("a", Path(f"/{number}.wav")))) for number in (4, 5, 6)]
    assert answers == [
        (4, 0.5),
        (5, "/5.wav ended the process that aligned it, more than once: it is set aside."),
        (6, 0.7),
    ]


def test_units_are_small_and_the_same_for_the_same_pieces() -> None:
    long = [Piece(0, "a", index, 400_000 * index, np.zeros(25 * 16_000, np.float32)) for index in range(20)]
    made = list(units(iter([*long, End(0, 20, INFO)]), 16_000))
    assert [len(unit.pieces) for unit in made] == [6, 6, 6, 2]
    assert [len(unit.ends) for unit in made] == [0, 0, 0, 1]
    short = [Piece(number, "a", 0, 0, SECOND) for number in range(40)]
    assert [len(unit.pieces) for unit in units(iter(short), 16_000)] == [16, 16, 8]


def test_a_real_child_that_is_killed_is_replaced(clips: Path) -> None:
    cell = Cell("read", rate=16_000)
    recording = Recording("clip", str(clips / "austen-0880.flac"))
    (_, samples, _), info = cell.call(recording)
    assert cell.pid
    os.kill(cell.pid, signal.SIGKILL)
    with suppress(CellDied):  # unless it was noticed before the call
        list(cell.call(recording))
    (_, again, _), info_again = cell.call(recording)
    assert np.array_equal(samples, again)
    assert info == info_again
    cell.close()
    with pytest.raises(CellDied):
        next(cell.call(recording))


def test_a_caller_that_wants_no_more_leaves_nothing_for_the_next_call(clips: Path) -> None:
    cell = Cell("read", rate=16_000)
    first = cell.call(Recording("clip", str(clips / "austen-0880.flac")))
    next(first)
    first.close()  # type: ignore[attr-defined]
    (error,) = cell.call(Recording("none", "/no/such/file.wav"))
    assert error == "none does not exist: check the path." or "does not exist" in error
    cell.close()


def test_a_model_that_cannot_be_loaded_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "bad.auricle").write_bytes(b"no bundle")
    cell = Cell("recognise", settings=Settings(str(tmp_path / "bad.auricle")))
    with pytest.raises(AuricleError, match=r"bad\.auricle: not a model bundle"):
        next(cell.call(()))
    cell.close()
