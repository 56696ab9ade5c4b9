"""Augmentation, on the features of real clips."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle import audio
from auricle.features import FeatureConfig, band_edges, log_mel
from auricle.training.augment import augment_log_mel, change_level, cut_above, equaliser, mask, stretch, warp
from auricle.training.distort import change_speed
from auricle.training.recipe import AugmentConfig

MEL = FeatureConfig()
SAMPLES = audio.read(Path(__file__).parents[1] / "clips" / "austen-0880.flac").samples
FEATURES = log_mel(SAMPLES, MEL)
NOTHING = AugmentConfig(frequency_masks=0, time_masks=0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ones(frames: int = 300, bands: int = 80) -> np.ndarray:
    return np.ones((frames, bands), np.float32)


def widths(emptied: np.ndarray) -> list[int]:
    """Lengths of the runs of True."""
    edges = np.flatnonzero(np.diff(emptied.astype(int), prepend=0, append=0))
    return [int(width) for width in edges[1::2] - edges[::2]]


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40), st.integers(0, 80))
def test_one_mask_of_each_kind_is_one_stripe_no_wider_than_it_may_be(seed: int, bands: int, frames: int) -> None:
    config = AugmentConfig(frequency_width=bands, time_width=frames)
    masked = mask(ones(), config, rng(seed))
    assert sum(widths((masked == 0).all(axis=0))) <= bands
    assert sum(widths((masked == 0).all(axis=1))) <= frames
    # Nothing but whole stripes, filled with the mean of the training set.
    expected = ~((masked == 0).all(axis=0)[None, :] | (masked == 0).all(axis=1)[:, None])
    np.testing.assert_array_equal(masked, expected.astype(np.float32))


def test_masks_take_every_width_up_to_the_widest_and_lie_everywhere() -> None:
    config = AugmentConfig(frequency_width=5, time_masks=0)
    stripes = [(mask(ones(), config, rng(seed)) == 0).all(axis=0) for seed in range(400)]
    assert {sum(widths(stripe)) for stripe in stripes} == {0, 1, 2, 3, 4, 5}
    assert np.any(stripes, axis=0).all()


def test_as_many_masks_as_the_recipe_says() -> None:
    config = AugmentConfig(frequency_masks=3, frequency_width=4, time_masks=2, time_width=6)
    drawn = [mask(ones(), config, rng(seed)) for seed in range(200)]
    assert max(len(widths((masked == 0).all(axis=0))) for masked in drawn) == 3
    assert max(len(widths((masked == 0).all(axis=1))) for masked in drawn) == 2


@settings(deadline=None)
@given(st.integers(1, 60), st.floats(0.01, 1.0), st.integers(0, 1000))
def test_no_time_mask_is_longer_than_its_part_of_the_clip(frames: int, fraction: float, seed: int) -> None:
    config = AugmentConfig(frequency_masks=0, time_width=100, time_fraction=fraction)
    masked = mask(ones(frames), config, rng(seed))
    assert (masked == 0).all(axis=1).sum() <= frames * fraction


def test_masks_wider_than_the_clip_are_no_error() -> None:
    mask(ones(3, 2), AugmentConfig(frequency_width=30, time_width=100), rng())


def test_masking_leaves_the_features_it_was_given() -> None:
    features = ones()
    mask(features, AugmentConfig(), rng(1))
    assert features.all()


@settings(deadline=None)
@given(st.integers(1, 700))
def test_a_stretched_clip_has_the_frames_asked_for_and_the_same_ends(frames: int) -> None:
    stretched = stretch(FEATURES, frames)
    assert stretched.shape == (frames, MEL.mel)
    assert stretched.dtype == np.float32
    np.testing.assert_allclose(stretched[0], FEATURES[0], atol=1e-4)
    if frames > 1:
        np.testing.assert_allclose(stretched[-1], FEATURES[-1], atol=1e-3)
    assert stretched.min() >= FEATURES.min()
    assert stretched.max() <= FEATURES.max()


def test_stretching_to_the_same_length_changes_nothing() -> None:
    np.testing.assert_array_equal(stretch(FEATURES, len(FEATURES)), FEATURES)


def test_stretching_is_linear_in_time() -> None:
    ramp = np.arange(11, dtype=np.float32)[:, None]
    np.testing.assert_allclose(stretch(ramp, 21)[:, 0], np.arange(21) / 2, atol=1e-5)
    np.testing.assert_allclose(stretch(ramp, 6)[:, 0], np.arange(6) * 2, atol=1e-5)


@pytest.mark.parametrize("factor", [0.88, 0.95, 1.07, 1.12])
def test_warped_features_are_those_of_speech_whose_frequencies_were_moved(factor: float) -> None:
    # Played `factor` times as fast, and stretched back in time: only the frequencies are left moved.
    moved = log_mel(change_speed(SAMPLES, factor, 16_000), MEL)
    wanted = stretch(moved, len(FEATURES))
    below = band_edges(MEL)[1:-1] < 6_500  # the recording has nothing above 8 kHz that could come down
    loud = wanted.max(axis=1) > np.quantile(wanted.max(axis=1), 0.3)

    def distance(features: np.ndarray) -> float:
        return float(np.abs(features - wanted)[loud][:, below].mean())

    assert distance(warp(FEATURES, factor, MEL)) < 0.5 * distance(FEATURES)
    assert distance(warp(FEATURES, factor, MEL)) < distance(warp(FEATURES, 1 / factor, MEL)) / 3


def test_a_warp_of_one_changes_nothing() -> None:
    np.testing.assert_allclose(warp(FEATURES, 1.0, MEL), FEATURES, atol=1e-5)


@pytest.mark.parametrize("decibels", [-6.0, 0.0, 3.0, 6.0])
def test_a_change_of_level_gives_the_features_of_the_louder_recording(decibels: float) -> None:
    louder = log_mel(SAMPLES * np.float32(10 ** (decibels / 20)), MEL)
    np.testing.assert_allclose(change_level(FEATURES, decibels, MEL.floor), louder, atol=5e-3)
    # As a store keeps them: float16 has steps of 0.008 here, which weigh most beside the floor.
    stored = change_level(FEATURES.astype(np.float16).astype(np.float32), decibels, MEL.floor)
    np.testing.assert_allclose(stored, louder, atol=0.05)


def test_an_equalised_clip_looks_like_one_that_was_filtered() -> None:
    curve = equaliser(MEL.mel, 6.0, rng(4))
    spectrum, hertz = np.fft.rfft(SAMPLES), np.fft.rfftfreq(len(SAMPLES), 1 / 16_000)
    spectrum *= 10 ** (np.interp(hertz, band_edges(MEL)[1:-1], curve) / 20)
    filtered = log_mel(np.fft.irfft(spectrum, len(SAMPLES)).astype(np.float32), MEL)
    equalised = change_level(FEATURES, curve, MEL.floor)
    assert np.abs(equalised - FEATURES).mean() > 0.2
    assert np.abs(equalised - filtered).mean() < 0.02


def test_an_equaliser_reaches_what_the_recipe_says_and_no_further() -> None:
    curves = np.array([equaliser(80, 6.0, rng(seed)) for seed in range(300)])
    assert 5.5 < np.abs(curves).max() <= 6.0
    assert (np.abs(curves.mean(axis=0)) < 1.0).all()  # as often louder as softer, in each band
    assert (curves.std(axis=0) > 1.5).all()
    # One curve for the whole clip: no frame is changed otherwise than the next.
    changed = augment_log_mel(FEATURES, AugmentConfig(equaliser=6.0), MEL, rng()) - FEATURES
    loud = FEATURES.min(axis=0) > np.log(MEL.floor) + 3
    assert loud.any()
    np.testing.assert_allclose(changed[:, loud], changed[:1, loud].repeat(len(changed), axis=0), atol=0.3)


def test_silence_does_not_become_louder() -> None:
    silence = log_mel(np.zeros(1600, np.float32), MEL)
    np.testing.assert_allclose(change_level(silence, 20.0, MEL.floor), silence, atol=1e-4)


def test_cutting_empties_the_bands_above_and_leaves_those_below() -> None:
    cut = cut_above(FEATURES, 3_400, MEL)
    above = band_edges(MEL)[1:-1] > 3_400
    assert 0 < above.sum() < MEL.mel
    np.testing.assert_allclose(cut[:, above], np.log(MEL.floor), rtol=1e-6)
    np.testing.assert_array_equal(cut[:, ~above], FEATURES[:, ~above])


def test_a_cut_clip_looks_like_one_that_was_filtered() -> None:
    # Above the ripple of the filter that it is compared with, which a lower floor would show.
    mel = replace(MEL, floor=1e-6)
    spectrum = np.fft.rfft(SAMPLES)
    spectrum[np.fft.rfftfreq(len(SAMPLES), 1 / 16_000) > 4_000] = 0
    filtered = log_mel(np.fft.irfft(spectrum, len(SAMPLES)).astype(np.float32), mel)
    clear = np.abs(band_edges(mel)[1:-1] - 4_000) > 300  # not the bands that the edge goes through
    cut = cut_above(log_mel(SAMPLES, mel), 4_000, mel)
    np.testing.assert_allclose(cut[:, clear], filtered[:, clear], atol=0.02)


def test_a_recipe_without_augmentation_changes_nothing() -> None:
    augmented = mask(augment_log_mel(FEATURES, NOTHING, MEL, rng()), NOTHING, rng())
    np.testing.assert_array_equal(augmented, FEATURES)


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_a_stretched_clip_stays_within_the_recipes_factor_and_keeps_room_for_its_text(seed: int) -> None:
    config = AugmentConfig(stretch=0.2)
    n = len(FEATURES)
    assert round(0.8 * n) <= len(augment_log_mel(FEATURES, config, MEL, rng(seed))) <= round(1.2 * n)
    assert len(augment_log_mel(FEATURES, config, MEL, rng(seed), least_frames=n)) >= n


def test_the_same_draw_gives_the_same_features_and_another_draw_others() -> None:
    config = AugmentConfig(stretch=0.1, equaliser=6.0, gain=6.0, low_pass=0.5)
    first, again, other = (augment_log_mel(FEATURES, config, MEL, rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_the_low_pass_comes_as_often_as_the_recipe_says() -> None:
    config = AugmentConfig(low_pass=0.25)
    cut = [(augment_log_mel(FEATURES, config, MEL, rng(seed)) != FEATURES).any() for seed in range(400)]
    assert np.mean(cut) == pytest.approx(0.25, abs=0.08)


def test_augmenting_leaves_the_features_it_was_given() -> None:
    before = FEATURES.copy()
    augment_log_mel(FEATURES, AugmentConfig(stretch=0.1, equaliser=6.0, gain=6.0, low_pass=1.0), MEL, rng(3))
    np.testing.assert_array_equal(FEATURES, before)
