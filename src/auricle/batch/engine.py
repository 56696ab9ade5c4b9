"""Which engine does the work: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from auricle.batch.recognising import Settings
from auricle.batch.work import Heard, Task


@dataclass(frozen=True, slots=True)
class Engine:
    """`local` or `ray`, the `address` of a cluster, and how many recognisers there are to be: one for each core."""

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
        if self.name == "ray":
            from auricle.batch.on_ray import run_ray

            yield from run_ray(
                tasks, rate=rate, settings=settings, processes=self.processes, address=self.address, counted=counted
            )
            return
        from auricle.batch.local import run_local

        processes = self.processes or os.cpu_count() or 1
        counted(processes)
        yield from run_local(tasks, rate=rate, settings=settings, processes=processes)
