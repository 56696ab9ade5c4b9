"""What a reader of one kind of file hands on: mono samples in pieces, and what is known of them before they end."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple, TypeAlias

import numpy as np

from auricle.audio.waveform import SourceInfo, Waveform

Pieces: TypeAlias = Generator[np.ndarray, None, SourceInfo]
"""Mono float32 samples in order, of any lengths; what the recording was is only sure, and returned, at the end."""

_PIECE_SECONDS = 10


class Track(NamedTuple):
    """A recording opened for decoding: `pieces` at `rate` Hz, and the seconds of them that its header promises.

    `promised` is None where there is no promise. It serves for showing progress and for nothing else.
    """

    rate: int
    promised: float | None
    pieces: Pieces


def track_of(waveform: Waveform) -> Track:
    """Return what is in memory already as if it were decoded."""
    return Track(waveform.rate, waveform.duration, _slices(waveform))


def _slices(waveform: Waveform) -> Pieces:
    step = _PIECE_SECONDS * waveform.rate
    for start in range(0, len(waveform.samples), step):
        yield waveform.samples[start : start + step]
    return waveform.source
