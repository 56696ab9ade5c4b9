"""Augmentation of log-mel features. All of it is cheap enough to be drawn anew each time a clip is seen.

SpecAugment is Park et al., 2019; adaptive time masks are Park et al., 2020; stretching is speed perturbation (Ko et
al., 2015) without the change of pitch; warping the bands is vocal tract length perturbation (Jaitly & Hinton, 2013);
equalising is FilterAugment (Nam et al., 2022), its linear kind.
"""

from __future__ import annotations

import numpy as np

from auricle.features import Array, FeatureConfig, band_edges
from auricle.training.recipe import AugmentConfig

_DECIBELS_TO_LOG_POWER = np.log(10) / 10
_KNOTS = range(3, 7)  # places where the curve of an equaliser is drawn, its ends included


def augment_log_mel(
    features: Array, config: AugmentConfig, mel: FeatureConfig, rng: np.random.Generator, least_frames: int = 1
) -> Array:
    """Stretch, warp, change the level and cut the upper bands of log-mel features [frames, mel], before normalisation.

    `least_frames` bounds how short a clip may become: CTC needs room for its text.
    """
    return recolour(retime(features, config, rng, least_frames), config, mel, rng)


def retime(features: Array, config: AugmentConfig, rng: np.random.Generator, least_frames: int = 1) -> Array:
    """Stretch log-mel features [frames, mel] to another number of frames, at least `least_frames`."""
    if not config.stretch:
        return features
    factor = rng.uniform(1 - config.stretch, 1 + config.stretch)
    return stretch(features, max(round(len(features) * factor), least_frames))


def recolour(features: Array, config: AugmentConfig, mel: FeatureConfig, rng: np.random.Generator) -> Array:
    """Change log-mel features [frames, mel] as another throat, distance, microphone and line would; not their time."""
    if config.warp:
        features = warp(features, rng.uniform(1 - config.warp, 1 + config.warp), mel)
    if config.gain or config.equaliser:
        level = rng.uniform(-config.gain, config.gain)
        curve = equaliser(features.shape[1], config.equaliser, rng) if config.equaliser else 0.0
        features = change_level(features, level + curve, mel.floor)
    if config.low_pass and rng.random() < config.low_pass:
        features = cut_above(features, rng.uniform(3_000, 7_000), mel)
    return features


def mask(features: Array, config: AugmentConfig, rng: np.random.Generator) -> Array:
    """SpecAugment on normalised features [frames, mel]: masks are filled with zero, the mean of the training set."""
    frames, bands = features.shape
    features = features.copy()
    for _ in range(config.frequency_masks):
        start, end = _span(bands, min(config.frequency_width, bands), rng)
        features[:, start:end] = 0
    longest = min(config.time_width, int(frames * config.time_fraction))
    for _ in range(config.time_masks):
        start, end = _span(frames, longest, rng)
        features[start:end] = 0
    return features


def stretch(features: Array, frames: int) -> Array:
    """Return features [frames, mel], interpolated linearly in time."""
    if frames == len(features):
        return features
    position = np.linspace(0, len(features) - 1, frames, dtype=np.float32)
    low = position.astype(np.intp)
    high = np.minimum(low + 1, len(features) - 1)
    part = (position - low)[:, None]
    return np.asarray(features[low] * (1 - part) + features[high] * part, dtype=np.float32)


def warp(features: Array, factor: float, config: FeatureConfig) -> Array:
    """Return features [frames, mel] whose frequencies are `factor` times as high: a shorter throat, or a longer one."""
    centres = band_edges(config)[1:-1]
    position = np.interp(centres / factor, centres, np.arange(len(centres))).astype(np.float32)
    low = position.astype(np.intp)
    high = np.minimum(low + 1, len(centres) - 1)
    part = position - low
    return np.asarray(features[:, low] * (1 - part) + features[:, high] * part, dtype=np.float32)


def equaliser(bands: int, most: float, rng: np.random.Generator) -> Array:
    """Return decibels [bands], from -`most` to `most`: straight lines between a few bands where they are drawn."""
    knots = int(rng.integers(_KNOTS.start, _KNOTS.stop))
    places = np.concatenate(([0, bands - 1], rng.uniform(0, bands - 1, knots - 2)))
    curve = np.interp(np.arange(bands), np.sort(places), rng.uniform(-most, most, knots))
    return np.asarray(curve, np.float32)


def change_level(features: Array, decibels: float | Array, floor: float) -> Array:
    """Return what the features would have been had the recording been louder by `decibels`; the floor stays put.

    `decibels` may be given for each band [mel].
    """
    power = np.maximum(np.exp(features) - floor, 0) * np.exp(decibels * _DECIBELS_TO_LOG_POWER).astype(np.float32)
    return np.asarray(np.log(power + np.float32(floor)), dtype=np.float32)


def cut_above(features: Array, hertz: float, config: FeatureConfig) -> Array:
    """Return features whose bands above `hertz` are at the floor, as if a low-pass filter had been there."""
    features = features.copy()
    features[:, band_edges(config)[1:-1] > hertz] = np.log(config.floor)
    return features


def _span(length: int, longest: int, rng: np.random.Generator) -> tuple[int, int]:
    width = int(rng.integers(0, longest + 1))
    start = int(rng.integers(0, length - width + 1))
    return start, start + width
