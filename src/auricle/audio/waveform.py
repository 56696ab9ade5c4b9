"""The value that audio hands on: mono float samples, and what the recording was before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auricle.errors import AudioError

RATES = range(1_000, 768_001)
"""Sample rates in Hz that a recording may have; anything else is a damaged or hostile header."""
MAX_CHANNELS = 64


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a recording was before auricle touched it.

    `codec` is a short lower-case name: "wav/pcm_s16", "wav/mulaw", "flac", "ogg/opus", "mp3", "m4a/aac", "webm/opus",
    or "array" for samples that came from memory. `rate` is in Hz, `duration` in seconds of the whole recording, also
    when only a part of it was read.
    """

    codec: str
    rate: int
    channels: int
    duration: float


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """Mono speech: `samples` float32 [n], finite, n > 0, nominally in [-1, 1], `rate` of them a second."""

    samples: np.ndarray
    rate: int
    source: SourceInfo

    @property
    def duration(self) -> float:
        """Seconds of sound in `samples`."""
        return len(self.samples) / self.rate


def from_array(samples: np.ndarray, sample_rate: int, *, rate: int = 16_000) -> Waveform:
    """Take samples that are already in memory: [n], or [n, channels] with the channels last.

    Floats are taken as they are, nominally in [-1, 1]. Integers are divided by their full range (int16 by 32768);
    unsigned ones are offset binary, with silence in the middle (uint8 at 128). `sample_rate` is in Hz.

    Raises AudioError for other types and shapes, for no samples, NaN or infinity, and for an absurd sample rate.
    """
    name = "the array"
    array = np.asarray(samples)
    if array.ndim not in {1, 2}:
        raise AudioError(f"{name} has {array.ndim} dimensions: pass samples as [n] or [n, channels].")
    table = array[:, None] if array.ndim == 1 else array
    check_header(sample_rate, table.shape[1], name, hint=" with the channels last, [n, channels]")
    scaled = _to_float(table, name)
    info = SourceInfo("array", int(sample_rate), table.shape[1], len(table) / sample_rate)
    return waveform_of(mix_down(scaled), info, rate, name)


def waveform_of(mono: np.ndarray, info: SourceInfo, rate: int, name: str) -> Waveform:
    """Return mono samples resampled to `rate`; `name` is what messages call them. Raises AudioError as `read` does."""
    if not len(mono):
        raise AudioError(f"{name} holds no samples: choose a recording with sound in it.")
    check_finite(mono, name)
    if info.rate != rate:
        import soxr

        check_wanted_rate(rate, name)
        mono = check_finite(soxr.resample(mono, info.rate, rate, quality="HQ"), name)
    if not len(mono):
        raise AudioError(f"{name} is shorter than one sample at {rate} Hz: choose a longer recording.")
    return Waveform(np.ascontiguousarray(mono, dtype=np.float32), rate, info)


def mix_down(table: np.ndarray) -> np.ndarray:
    """Return the mean of the channels of samples [n, channels]."""
    if table.shape[1] == 1:
        return table[:, 0]
    with np.errstate(all="ignore"):  # NaN and infinity survive the mean and are refused later
        mean: np.ndarray = table.mean(axis=1, dtype=np.float32)
    return mean


def check_header(rate: int, channels: int, name: str, hint: str = "") -> None:
    """Raise AudioError for a rate or a number of channels that no recording has."""
    if rate not in RATES:
        raise AudioError(f"{name} claims {rate} samples a second: use a recording with 1000 to 768000.")
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(f"{name} claims {channels} channels: use a recording with 1 to {MAX_CHANNELS}{hint}.")


def check_wanted_rate(rate: int, name: str) -> None:
    """Raise AudioError for a rate that nothing can be resampled to."""
    if rate not in RATES:
        raise AudioError(f"{name} cannot be resampled to {rate} Hz: choose a rate from 1000 to 768000.")


def check_finite(mono: np.ndarray, name: str) -> np.ndarray:
    """Return the samples. Raises AudioError for NaN and infinity."""
    if not np.isfinite(mono).all():
        raise AudioError(f"{name} holds samples that are not numbers (NaN or infinity): export the recording again.")
    return mono


def _to_float(table: np.ndarray, name: str) -> np.ndarray:
    if table.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what does not fit float32 becomes infinity, which is refused later
            return table.astype(np.float32)
    if table.dtype.kind not in "iu":
        raise AudioError(f"{name} holds {table.dtype}: pass float samples in [-1, 1], or integers.")
    half = 2.0 ** (8 * table.dtype.itemsize - 1)
    middle = half if table.dtype.kind == "u" else 0.0
    return ((table.astype(np.float64) - middle) / half).astype(np.float32)
