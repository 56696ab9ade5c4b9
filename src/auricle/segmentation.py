"""Where to cut a long recording: windows short enough for the network, cut where it is quietest."""

from __future__ import annotations

import numpy as np

from auricle.features import Array

LONGEST_SECONDS = 25.0
"""Longer than nearly all training clips, and short enough that a window's memory stays small."""
_SEARCH_SECONDS = 10.0
_HOP_SECONDS = 0.01
_PAUSE_SECONDS = 0.2


def plan_windows(samples: Array, rate: int) -> list[tuple[int, int]]:
    """Return (start, end) in samples: windows of at most 25 s that follow one another without a gap or an overlap.

    A recording that fits is one window. Otherwise each cut lies in the last 10 s that it may, in the middle of the
    quietest stretch of 0.2 s.
    """
    longest, start = int(LONGEST_SECONDS * rate), 0
    windows = []
    while len(samples) - start > longest:
        search = start + longest - int(_SEARCH_SECONDS * rate)
        cut = search + _quietest(samples[search : start + longest], rate)
        windows.append((start, cut))
        start = cut
    return [*windows, (start, len(samples))]


def _quietest(samples: Array, rate: int) -> int:
    hop = max(1, int(_HOP_SECONDS * rate))
    frames = len(samples) // hop
    energy = np.square(samples[: frames * hop], dtype=np.float64).reshape(frames, hop).sum(axis=1)
    width = min(frames, round(_PAUSE_SECONDS / _HOP_SECONDS))
    smooth = np.convolve(energy, np.ones(width), mode="valid")
    return int((smooth.argmin() + width / 2) * hop)
