"""Windows short enough for the network, cut where nobody speaks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from auricle.features import Array

if TYPE_CHECKING:
    from auricle.segmentation.detector import Detector
    from auricle.segmentation.spectral import Flags

LONGEST_SECONDS = 25.0
"""Longer than nearly all training clips, and short enough that a window's memory stays small."""
_SEARCH_SECONDS = 15.0
_SHORTEST_SECONDS = 1.0  # what a cut leaves at least; a word cut off from its sentence is hard to recognise
_PAD_SECONDS = 0.5  # a detector may need that long to be sure that somebody speaks
_GAP_SECONDS = 2.0
_HOP_SECONDS = 0.01
_PAUSES_SECONDS = (1.0, 0.6, 0.4, 0.2)
_SILENCE_POWER = 1e-7  # 70 dB below full scale: below it, no pause is quieter than another


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A stretch of a recording that is to be recognised: its samples, and the place of the first of them.

    `goes_on` where it was cut because it was long enough, and not because nobody spoke; `is_whole` where it is all of
    the recording.
    """

    start: int
    samples: Array
    goes_on: bool = False
    is_whole: bool = False

    @property
    def end(self) -> int:
        """The place after the last sample."""
        return self.start + len(self.samples)


def plan_windows(blocks: Iterable[Array], rate: int, detector: Detector | None = None) -> Iterator[Window]:
    """Yield the windows of a recording that comes in blocks, in order and without an overlap.

    A recording of at most 25 s is one window, whatever it holds: short clips were cut by somebody who knew why, and no
    detector can then lose a word of them. Of a longer one, stretches of more than 2 s in which the `detector` hears no
    speech are left out, but for 0.5 s on both sides of speech; one in which it hears none anywhere has no windows.
    Without a detector nothing is left out. Windows are at most 25 s long. Where speech goes on for longer, it is cut in
    the middle of the longest pause of the last 15 s that the window may have, or where it is quietest if there is none.

    No more of the recording is held than a window and a block.
    """
    plan = Plan(rate, detector)
    for block in blocks:
        yield from plan.hear(block)
    yield from plan.end()


@dataclass(slots=True)
class _Stretch:
    """Speech, with its padding from `start` on, heard up to `last`; in samples of the recording."""

    start: int
    last: int


class Plan:
    """What has been heard of a recording at `rate` Hz and is not yet a window: `plan_windows`, step by step.

    With `at_pauses` it is for sound that is still being spoken: a pause of 2 s ends a window from the beginning on, not
    only once 25 s are heard, and nothing of the first 2 s is left out.
    """

    def __init__(self, rate: int, detector: Detector | None, *, at_pauses: bool = False) -> None:
        self._rate, self._at_pauses = rate, at_pauses
        self._listener = detector.listen(rate) if detector else None
        self._longest, self._shortest = round(LONGEST_SECONDS * rate), round(_SHORTEST_SECONDS * rate)
        self._pad, self._gap = round(_PAD_SECONDS * rate), round(_GAP_SECONDS * rate)
        self._held = np.zeros(0, np.float32)
        self._origin = 0  # the place of the first sample held
        self._unjudged: list[Array] = []  # blocks that the detector has yet to hear
        self._judged = 0  # up to here it is known where speech is
        self._stretches: list[_Stretch] = []

    def hear(self, block: Array) -> Iterator[Window]:
        """Take the next samples and yield the windows that are complete with them."""
        self._held = np.concatenate([self._held, block])
        self._unjudged.append(block)
        if self._heard <= self._longest and not self._at_pauses:
            return  # a recording that ends here is one window: most are short, and nobody asks where speech is in them
        for waiting in self._unjudged:
            self._judge(waiting, last=False)
        self._unjudged = []
        if self._heard > self._longest or self._is_complete:
            yield from self._windows(ended=False)

    def growing(self) -> Window | None:
        """Return what has been heard of the window that is not complete yet, and nothing where nobody speaks."""
        if not self._stretches:
            return None
        return self._window(self._stretches[0].start, self._heard)

    def end(self) -> Iterator[Window]:
        """Yield what is left when the recording ends."""
        if self._heard <= self._longest and not self._origin:
            yield Window(0, self._held, is_whole=True)
            return
        self._judge(np.zeros(0, np.float32), last=True)
        yield from self._windows(ended=True)

    @property
    def held_samples(self) -> int:
        """How much of the recording is in memory."""
        return len(self._held)

    @property
    def _heard(self) -> int:
        return self._origin + len(self._held)

    @property
    def _is_complete(self) -> bool:
        """Whether the first stretch of speech ends in a pause, as far as is heard."""
        if not self._stretches:
            return False
        return len(self._stretches) > 1 or self._judged - self._stretches[0].last > self._gap

    def _judge(self, block: Array, *, last: bool) -> None:
        """Ask the detector, and add what it hears to the stretches of speech."""
        if self._listener is None:
            self._stretches = self._stretches or [_Stretch(0, 0)]
            self._stretches[0].last = self._judged = self._heard
            return
        flags, hop = self._listener.hear(block, last=last), self._listener.hop_samples
        for first, end in _runs(flags):
            begin, stop = self._judged + first * hop, min(self._judged + end * hop, self._heard)
            if self._stretches and begin - self._stretches[-1].last <= self._gap:
                self._stretches[-1].last = stop
            else:
                is_early = self._at_pauses and begin <= self._gap  # the detector does not know the noise yet
                self._stretches.append(_Stretch(0 if is_early else max(0, begin - self._pad), stop))
        self._judged += len(flags) * hop

    def _windows(self, *, ended: bool) -> Iterator[Window]:
        """Yield the windows that nothing heard later can change, and let go of what came before."""
        while self._stretches:
            stretch = self._stretches[0]
            end = min(stretch.last + self._pad, self._heard)
            complete = ended or self._is_complete
            if end - stretch.start <= self._longest and complete:
                yield self._window(stretch.start, end)
                del self._stretches[0]
            elif complete or stretch.last - stretch.start >= self._longest + self._shortest:
                cut = self._cut(stretch)
                yield self._window(stretch.start, cut, goes_on=True)
                stretch.start = cut
            else:
                break
        needed = self._stretches[0].start if self._stretches else self._judged - self._pad
        if needed > self._origin:
            self._held, self._origin = self._held[needed - self._origin :].copy(), needed

    def _window(self, start: int, end: int, *, goes_on: bool = False) -> Window:
        return Window(start, self._held[start - self._origin : end - self._origin].copy(), goes_on)

    def _cut(self, stretch: _Stretch) -> int:
        latest = min(stretch.start + self._longest, stretch.last - self._shortest)
        earliest = stretch.start + self._longest - round(_SEARCH_SECONDS * self._rate)
        return earliest + _quietest(self._held[earliest - self._origin : latest - self._origin], self._rate)


def _runs(flags: Flags) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each run of True."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _quietest(samples: Array, rate: int) -> int:
    """Return the middle of the longest pause: the longest stretch that is nearly as quiet as the quietest 0.2 s."""
    hop = max(1, int(_HOP_SECONDS * rate))
    frames = len(samples) // hop
    energy = np.square(samples[: frames * hop], dtype=np.float64).reshape(frames, hop).mean(axis=1)
    sums = np.concatenate([[0.0], np.cumsum(energy)])
    quiet = 0.0
    for seconds in reversed(_PAUSES_SECONDS):
        width = round(seconds / _HOP_SECONDS)
        powers = (sums[width:] - sums[:-width]) / width
        best = int(powers.argmin())
        if not quiet:
            quiet = max(2 * float(powers[best]), _SILENCE_POWER)
        elif powers[best] > quiet:
            break
        middle = (best + width / 2) * hop
    return int(middle)
