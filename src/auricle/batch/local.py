"""The engine without Ray: children on this machine, and beside each of them a thread that only waits for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeAlias

from auricle.batch.recognising import Settings
from auricle.batch.stages import Reader, Recogniser, Stage

_WORKERS_A_READER = 8
_WAITING_UNITS = 2  # for each worker: 10 MB each, so that none waits for the next
_Waiting: TypeAlias = "queue.Queue[Any]"  # units or results, and None after the last


def run_local(
    tasks: Iterator[Any],
    *,
    rate: int | None,
    settings: Settings | None,
    processes: int,
    reader: Callable[[int], Stage] = Reader,
    worker: Callable[[Any], Stage] = Recogniser,
) -> Iterator[Any]:
    """Yield what `processes` workers, each with a child, make of the tasks, in any order: `Heard` by recognisers.

    Readers cut recordings at the `rate`; without one there are none, and a task goes to a worker as it is.
    No more tasks are begun than the workers can take: memory does not grow with their number. The children end with
    the iterator, and when this process is killed. Raises AuricleError when no child can begin its work.
    """
    count = -(-processes // _WORKERS_A_READER)
    readers = [reader(rate) if rate else _Passing() for _ in range(count)]
    workers = [worker(settings) for _ in range(processes)]
    units: _Waiting = queue.Queue(_WAITING_UNITS * processes)
    results: _Waiting = queue.Queue(_WAITING_UNITS * processes)
    reading = _Reading(tasks, units, readers=len(readers), workers=processes)

    def work(one: Stage) -> None:
        while (unit := units.get()) is not None:
            results.put(one(unit))
        results.put(None)

    reading_threads = [_started(reading.read, one, results) for one in readers]
    working_threads = [_started(work, one, results) for one in workers]
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
        for stage in [*readers, *workers]:
            stage.close()
        _end(reading_threads, working_threads, units, results)


class _Passing:
    """In the place of a reader: a task is a unit."""

    def __call__(self, task: Any) -> Iterator[Any]:
        yield task

    def close(self) -> None: ...


class _Reading:
    """What the reading threads share: the tasks, and how many of them are still reading."""

    def __init__(self, tasks: Iterator[Any], units: _Waiting, *, readers: int, workers: int) -> None:
        self.stop = threading.Event()
        self._tasks, self._units, self._left, self._workers = tasks, units, readers, workers
        self._lock = threading.Lock()

    def read(self, reader: Stage) -> None:
        """Read tasks until there are none; the last reader tells every worker that nothing more comes."""
        while (task := self._next()) is not None:
            for unit in reader(task):
                self._units.put(unit)
                if self.stop.is_set():
                    return
        with self._lock:
            self._left -= 1
            is_last = not self._left
        for _ in range(self._workers if is_last else 0):
            self._units.put(None)

    def _next(self) -> Any:
        with self._lock:
            return None if self.stop.is_set() else next(self._tasks, None)


def _started(work: Callable[[Any], None], one: Stage, results: _Waiting) -> threading.Thread:
    def run() -> None:
        try:
            work(one)
        except BaseException as error:  # the main thread raises it
            results.put(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _end(readers: list[threading.Thread], workers: list[threading.Thread], units: _Waiting, results: _Waiting) -> None:
    """Let each thread that waits for room, or for something to do, come to its end.

    The readers first, while nothing is put where they wait for room: what fills it again at once, they never get.
    """
    while any(thread.is_alive() for thread in readers):
        _empty(units)
        _empty(results)
        for thread in readers:
            thread.join(0.01)
    while any(thread.is_alive() for thread in workers):
        _empty(results)
        with suppress(queue.Full):
            units.put_nowait(None)
        for thread in workers:
            thread.join(0.01)


def _empty(waiting: _Waiting) -> None:
    with suppress(queue.Empty):
        while True:
            waiting.get_nowait()
