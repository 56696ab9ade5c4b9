"""Noise beside speech, as loud as one says."""

from __future__ import annotations

import numpy as np

from auricle.features import Array


def add_noise(samples: Array, noise: Array, decibels: float) -> Array:
    """Add noise at a signal-to-noise ratio over the whole clip; noise that is too short is repeated.

    Both are samples [n] in [-1, 1]. Where either is silent there is no ratio, and nothing is added.
    """
    noise = np.resize(noise, len(samples))
    signal_power, noise_power = np.mean(np.square(samples)), np.mean(np.square(noise))
    if not signal_power or not noise_power:
        return samples
    mixed = samples + noise * np.sqrt(signal_power / noise_power * 10 ** (-decibels / 10))
    return np.asarray(mixed, np.float32)
