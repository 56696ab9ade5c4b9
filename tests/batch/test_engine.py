"""The engine of this machine with workers that only count: how it spreads work, waits, fails and ends."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from auricle.batch.engine import Engine
from auricle.batch.local import run_local
from auricle.batch.progress import Progress
from auricle.batch.recognising import Settings
from auricle.batch.stages import Reader, Recogniser
from auricle.batch.work import Busy, End, Heard, Piece, Recording, Task, Unit
from auricle.errors import AuricleError

NOTHING = np.zeros(1, np.float32)


class Long(Reader):
    """Reads each task as a recording of twenty units."""

    def __init__(self, rate: int) -> None:
        self.closed = False

    def __call__(self, task: Task) -> Iterator[Unit]:
        for index in range(20):
            yield Unit((Piece(task.first, "a", index, 0, NOTHING),), ())

    def close(self) -> None:
        self.closed = True


class Counting(Recogniser):
    """Takes a hundredth of a second for each unit."""

    def __init__(self, settings: Settings) -> None:
        self.closed = False

    def __call__(self, unit: Unit) -> Heard:
        time.sleep(0.01)
        begun = time.time()
        ends = tuple(End(piece.number, 1) for piece in unit.pieces)
        return Heard((), ends, Busy(threading.current_thread().name, begun, begun, 0.0))

    def close(self) -> None:
        self.closed = True


class Broken(Counting):
    def __call__(self, unit: Unit) -> Heard:
        raise AuricleError("the model cannot be loaded.")


def tasks(count: int, taken: list[int] | None = None) -> Iterator[Task]:
    for first in range(count):
        if taken is not None:
            taken.append(first)
        yield Task(first, (Recording("a", "/a"),))


def run(given: Iterator[Task], recogniser: type[Recogniser] = Counting) -> Iterator[Heard]:
    return run_local(given, rate=16_000, settings=Settings(), processes=4, reader=Long, worker=recogniser)


def test_one_long_recording_occupies_every_worker() -> None:
    shares = Counter(heard.busy.worker for heard in run(tasks(1)))
    assert len(shares) == 4
    assert sum(shares.values()) == 20
    assert min(shares.values()) >= 3


def test_everything_is_recognised_once() -> None:
    numbers = Counter(end.number for heard in run(tasks(10)) for end in heard.ends)
    assert numbers == dict.fromkeys(range(10), 20)
    assert not list(run(tasks(0)))


def test_without_a_rate_each_task_goes_to_a_worker_as_it_is() -> None:
    given = (Unit((Piece(number, "a", 0, 0, NOTHING),), ()) for number in range(10))
    found = run_local(given, rate=None, settings=None, processes=3, reader=Long, worker=Counting)
    assert sorted(end.number for heard in found for end in heard.ends) == list(range(10))


def test_no_more_is_read_than_the_workers_can_take() -> None:
    taken: list[int] = []
    results = run(tasks(1000, taken))
    next(results)
    time.sleep(0.3)  # in which all could be read, if nothing held it back
    assert len(taken) <= 3
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("after", [0, 1, 30])
def test_it_ends_with_the_caller(after: int) -> None:
    before = threading.active_count()
    results = run(tasks(1000))
    for _ in range(after):
        next(results)
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_what_no_worker_can_do_ends_the_run() -> None:
    before = threading.active_count()
    with pytest.raises(AuricleError, match="cannot be loaded"):
        list(run(tasks(1000), Broken))
    assert threading.active_count() == before


def test_a_source_that_fails_ends_the_run() -> None:
    def failing() -> Iterator[Task]:
        yield from tasks(2)
        raise AuricleError("the list is gone.")

    with pytest.raises(AuricleError, match="the list is gone"):
        list(run(failing()))


def test_what_is_paid_for_are_the_cores_of_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="the extra ray is not installed")

    def of_a_thousand_cores(given: Iterator[Task], counted: Callable[[int], None], **_: object) -> Iterator[Heard]:
        counted(1000)
        yield from ()

    monkeypatch.setattr("auricle.batch.on_ray.run_ray", of_a_thousand_cores)
    now = [0.0]
    progress = Progress(10, price=0.04, clock=lambda: now[0])
    engine = Engine("ray")
    assert not list(engine.run(tasks(1), rate=16_000, settings=Settings(), counted=progress.count_workers))
    now[0] = 3600.0
    assert progress.cost == pytest.approx(40.0)
