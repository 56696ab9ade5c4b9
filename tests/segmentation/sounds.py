"""Sounds that are no speech, and real speech among them."""

from pathlib import Path

import numpy as np

from auricle import audio
from auricle.features import Array

RATE = 16_000
CLIPS = sorted((Path(__file__).parent.parent / "clips").glob("*.flac"))


def speech(rate: int = RATE) -> Array:
    """The clips one after another: 24.7 seconds."""
    return np.concatenate([audio.read(clip, rate=rate).samples for clip in CLIPS])


def noise(seconds: float, slope: float = 0.0, level: float = 0.05, seed: int = 0) -> Array:
    """Noise with a power that falls by `slope` (pink: 1) with frequency."""
    count = int(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(0, 1, 1 << 18))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (slope / 2)
    sound = np.resize(np.fft.irfft(spectrum), count)
    return np.asarray(level * sound / sound.std(), np.float32)


def chords(seconds: float, level: float = 0.05, seed: int = 0) -> Array:
    """Chords of harmonic tones that are struck, held and fade, over a little noise."""
    random = np.random.default_rng(seed)
    scale = 110.0 * 2 ** (np.array([0, 3, 5, 7, 10, 12, 15, 17, 19, 24]) / 12)
    parts, left = [], int(seconds * RATE)
    while left > 0:
        time = np.arange(min(left, int(random.uniform(0.4, 2.0) * RATE))) / RATE
        tones = [
            np.sin(2 * np.pi * harmonic * pitch * time + random.uniform(0, 6)) / harmonic
            for pitch in random.choice(scale, 3, replace=False)
            for harmonic in range(1, 7)
        ]
        parts.append(np.sum(tones, axis=0) * np.minimum(time / 0.02, 1) * np.exp(-random.uniform(0.3, 3) * time))
        left -= len(time)
    sound = np.concatenate(parts)
    return np.asarray(level * sound / sound.std(), np.float32) + noise(seconds, 1.0, level / 20, seed)[: len(sound)]


def in_blocks(samples: Array, seconds: float = 10.0, rate: int = RATE) -> list[Array]:
    step = round(seconds * rate)
    return [samples[start : start + step] for start in range(0, len(samples), step)]
