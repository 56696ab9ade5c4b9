"""Which engine does the work: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from auricle.batch.recognising import Settings
from auricle.batch.stages import Checker
from auricle.batch.work import Heard, Task
from auricle.manifest import Utterance


@dataclass(frozen=True, slots=True)
class Engine:
    """`local` or `ray`, the `address` of a cluster, and how many workers there are to be: one for each core."""

    name: str = "local"
    address: str | None = None
    processes: int | None = None

    def run(
        self,
        tasks: Iterator[Task],
        *,
        rate: int,
        settings: Settings,
        counted: Callable[[int], None] = lambda recognisers: None,
    ) -> Generator[Heard, None, None]:
        """Yield what is heard of the tasks, in any order and possibly more than once. To be closed.

        `counted` is told how many recognisers there are, when it is known.
        """
        yield from self._spread(tasks, counted, rate=rate, settings=settings)

    def check(
        self, utterances: Collection[Utterance], rate: int, settings: Settings | None = None
    ) -> Generator[Any, None, None]:
        """Yield for each utterance, in their order, what `auricle.batch.checking` answers. To be closed."""
        if not utterances:
            return
        found = self._spread(
            enumerate(utterances), lambda workers: None, rate=None, settings=settings, worker=partial(Checker, rate)
        )
        with closing(found):
            yield from _in_order(found)

    def _spread(
        self, tasks: Iterator[Any], counted: Callable[[int], None], **options: Any
    ) -> Generator[Any, None, None]:
        if self.name == "ray":
            from auricle.batch.on_ray import run_ray

            yield from run_ray(tasks, processes=self.processes, address=self.address, counted=counted, **options)
            return
        from auricle.batch.local import run_local

        processes = self.processes or os.cpu_count() or 1
        counted(processes)
        yield from run_local(tasks, processes=processes, **options)


def _in_order(found: Iterator[tuple[int, Any]]) -> Iterator[Any]:
    """Yield numbered values in their order, each once however often it comes."""
    waiting: dict[int, Any] = {}
    given = 0
    for number, value in found:
        if number >= given:
            waiting[number] = value
        while given in waiting:
            yield waiting.pop(given)
            given += 1
