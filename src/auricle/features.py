"""Log-mel features in NumPy: training and serving call this very function.

The mel scale is Slaney's (Auditory Toolbox, 1998): linear below 1 kHz, logarithmic above, triangles of equal area.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

_BLOCK_FRAMES = 256  # 2.56 s at a 10 ms hop: their spectra stay in the processor's cache


@dataclass(frozen=True, slots=True)
class FeatureConfig:
    """How samples become frames. Sizes in samples, frequencies in Hz.

    `floor` is added to the power before the logarithm, so that digital silence and very quiet rooms look alike; a
    full-scale sine has a power of about one, and the default lies 60 dB below it. Raises ValueError for sizes that
    leave a mel filter without a bin.
    """

    sample_rate: int = 16_000
    mel: int = 80
    hop: int = 160
    window: int = 400
    fft: int = 512
    f_min: float = 20.0
    f_max: float = 7_600.0
    floor: float = 1e-8

    def __post_init__(self) -> None:
        if not 0 < self.hop <= self.window <= self.fft:
            raise ValueError(f"features need 0 < hop <= window <= fft, not {self.hop}, {self.window}, {self.fft}.")
        if not 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            raise ValueError(f"features need 0 <= f_min < f_max <= {self.sample_rate / 2:g} Hz.")
        if self.mel < 1 or not 0 < self.floor < np.inf:
            raise ValueError("features need at least one mel band and a floor above zero.")
        empty = np.flatnonzero(_filters(self).sum(axis=0) == 0)
        if len(empty):
            raise ValueError(
                f"{len(empty)} of {self.mel} mel filters hold no frequency bin: raise fft ({self.fft}) or lower mel."
            )

    @property
    def hop_seconds(self) -> float:
        """Seconds from one frame to the next."""
        return self.hop / self.sample_rate

    def frames(self, samples: int) -> int:
        """Return the number of frames that `samples` samples give."""
        return 1 + (samples - 1) // self.hop


@dataclass(frozen=True, slots=True)
class Normalization:
    """Per-band constants of the training set: `(x - mean) / std`, each of shape [mel].

    A clip's own mean, which is its microphone and its room and little of what is said, is taken away as far as it is
    known: as if `prior` frames of average speech were heard with it. An infinite prior leaves it as it is.
    """

    mean: Array = field(repr=False)
    std: Array = field(repr=False)
    prior: float = math.inf

    def __call__(self, features: Array) -> Array:
        """Normalise features [frames, mel] of one clip."""
        normalized = np.asarray((features - self.mean) / self.std, dtype=np.float32)
        if self.prior < math.inf:
            normalized -= normalized.sum(axis=0) / np.float32(len(features) + self.prior)
        return normalized


def log_mel(samples: Array, config: FeatureConfig) -> Array:
    """Return the natural log of mel power, float32 [frames, mel], of mono samples in [-1, 1].

    Frame i is centred on sample i * hop; the signal is continued with zeros on both sides, so that
    `frames = 1 + (n - 1) // hop` for n samples. Raises ValueError for an empty or non-mono array.
    """
    if samples.ndim != 1 or len(samples) == 0:
        raise ValueError(f"log_mel takes samples of shape [n] with n > 0, not {list(samples.shape)}.")
    frames = config.frames(len(samples))
    padded = np.zeros((frames - 1) * config.hop + config.window, dtype=np.float32)
    left = config.window // 2
    inside = samples[: len(padded) - left]
    padded[left : left + len(inside)] = inside
    windows = np.lib.stride_tricks.sliding_window_view(padded, config.window)[:: config.hop]
    out = np.empty((frames, config.mel), dtype=np.float32)
    window, filters = _window(config.window), _filters(config)
    for start in range(0, frames, _BLOCK_FRAMES):
        block = windows[start : start + _BLOCK_FRAMES] * window
        spectrum = np.fft.rfft(block, n=config.fft)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        # In float64: how a BLAS adds up depends on its number of threads, and that would be seen in float32.
        mel_power = (power.astype(np.float64, copy=False) @ filters).astype(np.float32)
        np.log(mel_power + np.float32(config.floor), out=out[start : start + len(block)])
    return out


def band_edges(config: FeatureConfig) -> npt.NDArray[np.float64]:
    """Return the corners of the mel triangles in Hz, [mel + 2]: band i rises from corner i to i + 1, falls to i + 2."""
    return _to_hertz(np.linspace(_to_mel(config.f_min), _to_mel(config.f_max), config.mel + 2))


@lru_cache(maxsize=8)
def _window(length: int) -> Array:
    """Periodic Hann, scaled so that a full-scale sine has a power of about one whatever the length."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    return np.asarray(window / (window.sum() / 2), dtype=np.float32)


@lru_cache(maxsize=8)
def _filters(config: FeatureConfig) -> npt.NDArray[np.float64]:
    """Triangular filters [fft // 2 + 1, mel]: bands equally spaced on Slaney's scale, each summing to about one."""
    bins = np.fft.rfftfreq(config.fft, 1 / config.sample_rate)
    edges = band_edges(config)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - low) / (centre - low)
    falling = (high - bins[:, None]) / (high - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    bin_width = config.sample_rate / config.fft
    return np.ascontiguousarray(triangles * (2 * bin_width / (high - low)))


_LINEAR_HERTZ_PER_MEL = 200.0 / 3
_LOG_FROM_HERTZ = 1000.0
_LOG_FROM_MEL = _LOG_FROM_HERTZ / _LINEAR_HERTZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27


def _to_mel(hertz: float) -> float:
    if hertz < _LOG_FROM_HERTZ:
        return hertz / _LINEAR_HERTZ_PER_MEL
    return float(_LOG_FROM_MEL + np.log(hertz / _LOG_FROM_HERTZ) / _LOG_STEP)


def _to_hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    logarithmic = _LOG_FROM_HERTZ * np.exp(_LOG_STEP * (mel - _LOG_FROM_MEL))
    return np.where(mel < _LOG_FROM_MEL, mel * _LINEAR_HERTZ_PER_MEL, logarithmic)
