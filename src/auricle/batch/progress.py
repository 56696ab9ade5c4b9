"""How far a batch is, how fast, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from auricle.batch.work import Busy


@dataclass(slots=True)
class Progress:
    """Counts of this run alone: what was finished before is in `skipped`. `price` is that of a core for an hour."""

    total: int
    skipped: int = 0
    workers: int = 1
    price: float | None = None
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    errors: int = 0
    audio_seconds: float = 0.0
    _begun: float = field(init=False)
    _busy: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._begun = self.clock()

    def count_workers(self, workers: int) -> None:
        """Take note of how many cores are paid for."""
        self.workers = workers

    def hear(self, busy: Busy) -> None:
        """Take note of a worker's time."""
        self.audio_seconds += busy.audio_seconds
        begun, _, spent = self._busy.get(busy.worker, (busy.begun, busy.ended, 0.0))
        self._busy[busy.worker] = [min(begun, busy.begun), busy.ended, spent + busy.ended - busy.begun]

    @property
    def seconds(self) -> float:
        """How long this run has lasted."""
        return self.clock() - self._begun

    @property
    def busy_seconds(self) -> float:
        """How long all workers together were at work."""
        return sum(spent for _, _, spent in self._busy.values())

    @property
    def hours_an_hour(self) -> float:
        """Hours of audio for each hour of the run."""
        return self.audio_seconds / self.seconds if self.seconds else 0.0

    @property
    def cost(self) -> float | None:
        """What the cores have cost until now."""
        return None if self.price is None else self.price * self.workers * self.seconds / 3600

    @property
    def seconds_left(self) -> float | None:
        """How long it will last, if what is left is like what is done."""
        left = self.total - self.skipped - self.done
        return self.seconds * left / self.done if self.done else None

    @property
    def busy_share(self) -> float | None:
        """The share of its time, since its first unit, that the least busy worker was at work."""
        if not self._busy:
            return None
        return min(
            min(1.0, spent / (ended - begun)) if ended > begun else 1.0 for begun, ended, spent in self._busy.values()
        )

    def line(self) -> str:
        """Return all of it on one line."""
        parts = [
            f"{self.skipped + self.done:,} of {self.total:,} recordings",
            f"{self.audio_seconds / 3600:.2f} h",
            f"{self.hours_an_hour:.0f} h/h",
        ]
        if self.errors:
            parts.append(f"{self.errors:,} with an error")
        if self.cost is not None:
            parts.append(f"cost {self.cost:.2f}")
        if self.seconds_left:
            parts.append(f"{_duration(self.seconds_left)} left")
        return ", ".join(parts)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
