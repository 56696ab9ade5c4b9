"""Our own speech detector: what rises above the noise floor and keeps changing, as syllables do.

Noise that stays as it is disappears in the floor, which is followed in each band of the spectrum. Music rises above it,
but a chord is held: the median change of its bands over 80 ms is small beside their level, where in speech nearly every
80 ms bring another sound. Either a large change or one that is large for its level is taken for speech, so that speech
in noise, of which only the peaks can be seen, passes as well.

The limits were set on LibriSpeech's training speech mixed with noise and music made for the purpose. Nothing was lost
of speech 10 dB above white or pink noise, 0.1 % at 5 dB, 0.2 % at 10 dB above music. Singing, drums, barking and the
like are taken for speech.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from auricle.features import Array, FeatureConfig, log_mel

Flags: TypeAlias = npt.NDArray[np.bool_]

_BANDS = 24
_LOWEST_HZ, _HIGHEST_HZ = 100.0, 5_000.0
_SILENCE_POWER = 1e-10  # 100 dB below a full-scale sine: no floor lies lower
_HOPS_A_SECOND = 100
_SMOOTH_HOPS = 3
_CHANGE_HOPS = 8
_REACH_HOPS = 60  # what is heard half a second before and after has a say
_STEP_HOPS = 20
_LEAST_ACTIVE_HOPS = 8  # a click is shorter
_FLOOR_SECONDS = 30
_FLOOR_PERCENTILE = 10
_MARGIN_DECIBELS = 2.0
_ACTIVE_DECIBELS = 1.5
_CHANGE_DECIBELS = 2.6
_CHANGE_SHARE = 0.45
_LEAD_HOPS = 3  # around each hop: half an analysis window, and the smoothing
_DECIBELS = 10 / np.log(10)


class SpectralDetector:
    """Tells speech by how its spectrum changes. It needs NumPy alone, and about 0.002 s for each second of sound."""

    def listen(self, rate: int) -> _Spectrum:
        """Begin with a recording at `rate` Hz, of 8,000 or more."""
        return _Spectrum(rate)


class _Spectrum:
    """Follows the spectrum of one recording, its noise floor over the last half minute, and how both change."""

    def __init__(self, rate: int) -> None:
        self.hop_samples = rate // _HOPS_A_SECOND
        window = rate // 40
        self._config = FeatureConfig(
            sample_rate=rate,
            mel=_BANDS,
            hop=self.hop_samples,
            window=window,
            fft=1 << (window - 1).bit_length(),
            f_min=_LOWEST_HZ,
            f_max=min(_HIGHEST_HZ, 0.475 * rate),
            floor=_SILENCE_POWER,
        )
        self._samples = np.zeros(_LEAD_HOPS * self.hop_samples, np.float32)
        self._levels = np.zeros((0, _BANDS), np.float32)
        self._answered = 0  # of the hops in _levels

    def hear(self, block: Array, *, last: bool = False) -> Flags:
        self._levels = np.concatenate([self._levels, self._measured(block, last)])
        until = len(self._levels) if last else max(self._answered, len(self._levels) - _REACH_HOPS)
        flags = self._speech(self._answered, until)
        forgotten = max(0, until - _FLOOR_SECONDS * _HOPS_A_SECOND)
        self._levels, self._answered = self._levels[forgotten:], until - forgotten
        return flags

    def _measured(self, block: Array, last: bool) -> Array:
        """Return the level of each band, decibels [hops, bands], for the hops of which all is heard."""
        end = np.zeros(_LEAD_HOPS * self.hop_samples if last else 0, np.float32)
        samples = np.concatenate([self._samples, block, end])
        hops = self._config.frames(len(samples)) - 2 * _LEAD_HOPS
        if hops <= 0:
            self._samples = samples
            return np.zeros((0, _BANDS), np.float32)
        self._samples = samples[hops * self.hop_samples :]
        power = np.exp(log_mel(samples, self._config))
        sums = np.cumsum(power, axis=0, dtype=np.float64)
        first = _LEAD_HOPS + _SMOOTH_HOPS // 2
        smooth = sums[first : first + hops] - sums[first - _SMOOTH_HOPS : first - _SMOOTH_HOPS + hops]
        return np.asarray(_DECIBELS * np.log(smooth / _SMOOTH_HOPS), np.float32)

    def _speech(self, start: int, stop: int) -> Flags:
        floor = np.percentile(self._levels, _FLOOR_PERCENTILE, axis=0) if stop > start else 0.0
        begin = max(0, start - _REACH_HOPS - _CHANGE_HOPS)
        excess = np.maximum(self._levels[begin : stop + _REACH_HOPS] - floor - _MARGIN_DECIBELS, 0.0)
        level = excess.mean(axis=1)
        change = np.zeros_like(level)
        change[_CHANGE_HOPS:] = np.abs(excess[_CHANGE_HOPS:] - excess[:-_CHANGE_HOPS]).mean(axis=1)
        active = level > _ACTIVE_DECIBELS
        flags = np.zeros(stop - start, np.bool_)
        for step in range(start, stop, _STEP_HOPS):
            middle = step - begin + _STEP_HOPS // 2
            around = slice(max(0, middle - _REACH_HOPS), middle + _REACH_HOPS)
            if _sounds_like_speech(level[around][active[around]], change[around][active[around]]):
                end = min(step + _STEP_HOPS, stop)
                flags[step - start : end - start] = active[step - begin : end - begin]
        return flags


def _sounds_like_speech(level: Array, change: Array) -> bool:
    """Judge by the hops, about a second's, that rise above the floor: how far, and how much they change."""
    if len(level) < _LEAST_ACTIVE_HOPS:
        return False
    needed = min(_CHANGE_DECIBELS, _CHANGE_SHARE * float(np.median(level)))
    return float(np.median(change)) > needed
