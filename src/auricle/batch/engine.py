"""Which engine does the work: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import cast

from auricle.batch.recognising import Settings
from auricle.batch.work import Heard, Task


@dataclass(frozen=True, slots=True)
class Engine:
    """`local` or `ray`, the `address` of a cluster, and how many recognisers there are to be: one for each core."""

    name: str = "local"
    address: str | None = None
    processes: int | None = None

    @property
    def workers(self) -> int:
        """How many recognisers are asked for; of a cluster that is still to be counted, as many as there are here."""
        return self.processes or os.cpu_count() or 1

    def run(self, tasks: Iterator[Task], *, rate: int, settings: Settings) -> Generator[Heard, None, None]:
        """Yield what is heard of the tasks, in any order and possibly more than once. To be closed."""
        if self.name == "ray":
            from auricle.batch.on_ray import run_ray

            found = run_ray(tasks, rate=rate, settings=settings, processes=self.processes, address=self.address)
        else:
            from auricle.batch.local import run_local

            found = run_local(tasks, rate=rate, settings=settings, processes=self.workers)
        return cast("Generator[Heard, None, None]", found)
