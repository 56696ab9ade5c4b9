"""The wanted part of a recording."""

from __future__ import annotations

from typing import NamedTuple


class Span(NamedTuple):
    """The wanted part of a recording, in seconds."""

    offset: float
    duration: float | None

    def frames(self, rate: int) -> tuple[int, int | None]:
        """Return the first frame and the one after the last, None where the recording's end is meant."""
        stop = None if self.duration is None else round((self.offset + self.duration) * rate)
        return round(self.offset * rate), stop

    def past_end(self, name: str, seconds: float) -> str:
        """Say that the part begins after the end of a recording of so many seconds."""
        return f"{name} is {seconds:g} seconds long and has nothing at {self.offset:g}: choose an earlier offset."
