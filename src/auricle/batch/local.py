"""The engine without Ray: children on this machine, and beside each of them a thread that only waits for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeAlias

from auricle.batch.recognising import Settings
from auricle.batch.stages import Reader, Recogniser
from auricle.batch.work import Heard, Task, Unit

_RECOGNISERS_A_READER = 8
_WAITING_UNITS = 2  # for each recogniser: 10 MB each, so that none waits for the next
_Units: TypeAlias = "queue.Queue[Unit | None]"
_Results: TypeAlias = "queue.Queue[Heard | BaseException | None]"


def run_local(
    tasks: Iterator[Task],
    *,
    rate: int,
    settings: Settings,
    processes: int,
    reader: Callable[[int], Reader] = Reader,
    recogniser: Callable[[Settings], Recogniser] = Recogniser,
) -> Iterator[Heard]:
    """Yield what `processes` children recognise of the tasks, in any order.

    No more tasks are begun than the workers can take: memory does not grow with their number. The children end with
    the iterator, and when this process is killed. Raises AuricleError when no child can begin its work.
    """
    readers = [reader(rate) for _ in range(-(-processes // _RECOGNISERS_A_READER))]
    recognisers = [recogniser(settings) for _ in range(processes)]
    units: _Units = queue.Queue(_WAITING_UNITS * processes)
    results: _Results = queue.Queue(_WAITING_UNITS * processes)
    reading = _Reading(tasks, units, readers=len(readers), recognisers=processes)

    def recognise(one: Recogniser) -> None:
        while (unit := units.get()) is not None:
            results.put(one(unit))
        results.put(None)

    reading_threads = [_started(reading.read, one, results) for one in readers]
    recognising_threads = [_started(recognise, one, results) for one in recognisers]
    try:
        ended = 0
        while ended < processes:
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            if result is None:
                ended += 1
            else:
                yield result
    finally:
        reading.stop.set()
        workers: list[Reader | Recogniser] = [*readers, *recognisers]
        for cell in workers:
            cell.close()
        _end(reading_threads, recognising_threads, units, results)


class _Reading:
    """What the reading threads share: the tasks, and how many of them are still reading."""

    def __init__(self, tasks: Iterator[Task], units: _Units, *, readers: int, recognisers: int) -> None:
        self.stop = threading.Event()
        self._tasks, self._units, self._left, self._recognisers = tasks, units, readers, recognisers
        self._lock = threading.Lock()

    def read(self, reader: Reader) -> None:
        """Read tasks until there are none; the last reader tells every recogniser that nothing more comes."""
        while (task := self._next()) is not None:
            for unit in reader(task):
                self._units.put(unit)
                if self.stop.is_set():
                    return
        with self._lock:
            self._left -= 1
            is_last = not self._left
        for _ in range(self._recognisers if is_last else 0):
            self._units.put(None)

    def _next(self) -> Task | None:
        with self._lock:
            return None if self.stop.is_set() else next(self._tasks, None)


def _started(work: Callable[[Any], None], one: Reader | Recogniser, results: _Results) -> threading.Thread:
    def run() -> None:
        try:
            work(one)
        except BaseException as error:  # the main thread raises it
            results.put(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _end(
    readers: list[threading.Thread], recognisers: list[threading.Thread], units: _Units, results: _Results
) -> None:
    """Let each thread that waits for room, or for something to do, come to its end.

    The readers first, while nothing is put where they wait for room: what fills it again at once, they never get.
    """
    while any(thread.is_alive() for thread in readers):
        _empty(units)
        _empty(results)
        for thread in readers:
            thread.join(0.01)
    while any(thread.is_alive() for thread in recognisers):
        _empty(results)
        with suppress(queue.Full):
            units.put_nowait(None)
        for thread in recognisers:
            thread.join(0.01)


def _empty(waiting: queue.Queue[Any]) -> None:
    with suppress(queue.Empty):
        while True:
            waiting.get_nowait()
