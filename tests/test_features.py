"""The features stage against a slow float64 reading of its definition, and against what physics says about sound."""

import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle import audio
from auricle.features import _BLOCK_FRAMES, FeatureConfig, Normalization, band_edges, log_mel

CONFIG = FeatureConfig()
CLIPS = sorted((Path(__file__).parent / "clips").glob("*.flac"))


def speech(clip: Path = CLIPS[0]) -> np.ndarray:
    return audio.read(clip).samples


def slaney_hertz(mel: float) -> float:
    """Auditory Toolbox: 200/3 Hz a mel up to 1 kHz, 27 steps for each factor of 6.4 above."""
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def slaney_mel(hertz: float) -> float:
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * float(np.log(hertz / 1000) / np.log(6.4))


def by_definition(samples: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Log-mel in float64, one frame and one filter at a time."""
    corners = np.linspace(slaney_mel(config.f_min), slaney_mel(config.f_max), config.mel + 2)
    edges = [slaney_hertz(float(corner)) for corner in corners]
    bins = [k * config.sample_rate / config.fft for k in range(config.fft // 2 + 1)]
    filters = np.zeros((config.mel, len(bins)))
    for band in range(config.mel):
        low, centre, high = edges[band : band + 3]
        for k, hertz in enumerate(bins):
            if low < hertz <= centre:
                filters[band, k] = (hertz - low) / (centre - low)
            elif centre < hertz < high:
                filters[band, k] = (high - hertz) / (high - centre)
        filters[band] *= 2 / (high - low) * config.sample_rate / config.fft
    hann = [0.5 - 0.5 * np.cos(2 * np.pi * n / config.window) for n in range(config.window)]
    rows = []
    for frame in range(1 + (len(samples) - 1) // config.hop):
        first = frame * config.hop - config.window // 2
        piece = [float(samples[i]) if 0 <= i < len(samples) else 0.0 for i in range(first, first + config.window)]
        spectrum = np.fft.fft(np.multiply(piece, hann) / (sum(hann) / 2), config.fft)[: len(bins)]
        rows.append(np.log(filters @ np.abs(spectrum) ** 2 + config.floor))
    return np.array(rows)


def tone(hertz: float, amplitude: float = 0.5, seconds: float = 0.5) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(int(16_000 * seconds)) / 16_000)).astype(np.float32)


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.stem)
def test_features_of_speech_are_those_of_the_definition(clip: Path) -> None:
    samples = speech(clip)[:16_000]
    np.testing.assert_allclose(log_mel(samples, CONFIG), by_definition(samples, CONFIG), atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 1700), st.integers(1, 400), st.sampled_from([1, 8, 24]), st.integers(0, 99))
def test_features_of_any_length_and_hop_are_those_of_the_definition(n: int, hop: int, mel: int, seed: int) -> None:
    config = FeatureConfig(hop=max(hop, 20), mel=mel, f_min=0.0, f_max=8000.0)
    samples = np.random.default_rng(seed).normal(0, 0.1, n).astype(np.float32)
    np.testing.assert_allclose(log_mel(samples, config), by_definition(samples, config), atol=1e-3)


@settings(deadline=None)
@given(st.integers(1, 50_000), st.integers(40, 400))
def test_a_frame_begins_with_every_hop_that_holds_a_sample(n: int, hop: int) -> None:
    config = FeatureConfig(hop=hop)
    features = log_mel(np.zeros(n, np.float32), config)
    assert features.shape == (1 + (n - 1) // hop, config.mel) == (config.frames(n), config.mel)
    assert features.dtype == np.float32


def test_blocks_leave_no_seam_in_long_recordings() -> None:
    samples = np.tile(speech(), 7)
    whole = log_mel(samples, CONFIG)
    assert len(whole) > 2 * _BLOCK_FRAMES
    hop, reach = CONFIG.hop, 2  # frames whose windows look past the piece's ends
    for seam in (_BLOCK_FRAMES, 2 * _BLOCK_FRAMES):
        piece = log_mel(samples[(seam - 20) * hop : (seam + 20) * hop], CONFIG)
        np.testing.assert_allclose(whole[seam - 20 + reach : seam + 20 - reach], piece[reach:-reach], atol=1e-5)


def test_silence_is_the_floor() -> None:
    features = log_mel(np.zeros(16_000, np.float32), CONFIG)
    np.testing.assert_allclose(features, np.log(CONFIG.floor), rtol=1e-6)


def test_no_bit_depends_on_the_threads_of_blas() -> None:
    # OpenBLAS's code for Haswell adds up in another order with two threads than with one; a batch's children have one.
    code = f"""import sys
from auricle import audio
from auricle.features import FeatureConfig, log_mel
samples = audio.read({str(CLIPS[0])!r}).samples
sys.stdout.buffer.write(log_mel(samples, FeatureConfig()).tobytes())"""
    one, two = (
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    )
    assert len(one) > 100_000
    assert one == two


@pytest.mark.parametrize("mel", [80, 128])
def test_every_filter_of_the_default_edges_holds_a_bin(mel: int) -> None:
    config = FeatureConfig(mel=mel, fft=512, floor=1e-12)
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    assert (log_mel(noise, config).min(axis=0) > np.log(config.floor) + 1).all()


def test_filters_without_a_bin_are_refused_and_counted() -> None:
    # The course project had four of them among its 128, and never saw it.
    with pytest.raises(ValueError, match=r"^4 of 160 mel filters hold no frequency bin: raise fft \(400\) [^.]*\.$"):
        FeatureConfig(mel=160, fft=400, f_min=0.0, f_max=8000.0)


@pytest.mark.parametrize(
    "values",
    [
        {"hop": 0},
        {"hop": 401},
        {"window": 513},
        {"f_max": 8_001.0},
        {"f_min": 7_600.0},
        {"f_min": -1.0},
        {"mel": 0},
        {"floor": 0.0},
        {"floor": float("nan")},
        {"floor": float("inf")},
    ],
)
def test_a_configuration_that_cannot_be_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="features need"):
        FeatureConfig(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros((2, 9), np.float32)])
def test_what_is_not_mono_samples_is_refused(samples: np.ndarray) -> None:
    with pytest.raises(ValueError, match="shape"):
        log_mel(samples, CONFIG)


@pytest.mark.parametrize("hertz", [300.0, 1000.0, 3000.0, 6500.0])
def test_a_tone_peaks_in_the_band_whose_centre_is_nearest(hertz: float) -> None:
    centres = band_edges(CONFIG)[1:-1]
    peak = log_mel(tone(hertz), CONFIG)[10:-10].mean(axis=0).argmax()
    assert peak == np.abs(centres - hertz).argmin()


def test_band_edges_are_equally_spaced_in_mel_and_meet_the_limits() -> None:
    edges = band_edges(CONFIG)
    np.testing.assert_allclose(edges[[0, -1]], [CONFIG.f_min, CONFIG.f_max])
    steps = [slaney_mel(high) - slaney_mel(low) for low, high in pairwise(edges)]
    np.testing.assert_allclose(steps, steps[0])


def test_a_shift_of_one_hop_shifts_the_frames_by_one() -> None:
    samples = speech()
    np.testing.assert_allclose(log_mel(samples[CONFIG.hop :], CONFIG)[2:-2], log_mel(samples, CONFIG)[3:-2], atol=1e-5)


def test_twice_the_amplitude_is_the_log_of_four_more_well_above_the_floor() -> None:
    config = FeatureConfig(floor=1e-10)
    soft, loud = log_mel(speech(), config), log_mel(2 * speech(), config)
    audible = soft > np.log(config.floor) + 9
    assert audible.sum() > 1000
    np.testing.assert_allclose((loud - soft)[audible], np.log(4), atol=1e-3)


def test_a_sine_of_full_scale_has_a_power_of_about_one_in_any_window() -> None:
    for window in (320, 400, 512):
        config = FeatureConfig(window=window)
        assert abs(log_mel(tone(1000, amplitude=1.0), config)[10:-10].max()) < np.log(2)


def test_normalization_is_per_band() -> None:
    features = log_mel(speech(), FeatureConfig(f_max=5_000.0))  # the clips come from MP3s with little above that
    normalized = Normalization(features.mean(0), features.std(0))(features)
    assert normalized.dtype == np.float32
    np.testing.assert_allclose(normalized.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(normalized.std(0), 1, atol=1e-4)


def test_features_take_less_than_a_three_hundredth_of_the_recordings_time() -> None:
    samples = np.tile(speech(), 4)
    log_mel(samples, CONFIG)

    def once() -> float:
        # The time of this thread alone: whoever else is on the machine does not count, nor would further threads help.
        start = time.thread_time()
        log_mel(samples, CONFIG)
        return time.thread_time() - start

    assert min(once() for _ in range(5)) < len(samples) / 16_000 / 300


@pytest.mark.parametrize("seconds", [0.5, 7.0])
def test_a_clips_own_mean_is_taken_away_as_far_as_it_is_known(seconds: float) -> None:
    samples = audio.read(CLIPS[0]).samples[: int(16_000 * seconds)]
    features = log_mel(samples, CONFIG)
    mean, std = np.full(CONFIG.mel, -8, np.float32), np.full(CONFIG.mel, 3, np.float32)
    left = Normalization(mean, std)(features)
    microphone = np.linspace(-2, 2, CONFIG.mel, dtype=np.float32)  # what a filter does to the logarithm of power
    normalization = Normalization(mean, std, prior=700)
    once, filtered = normalization(features), normalization(features + microphone)
    known = len(features) / (len(features) + 700)
    np.testing.assert_allclose(once, left - known * left.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(filtered - once, np.broadcast_to((1 - known) * microphone / 3, once.shape), atol=1e-5)
    assert once.dtype == np.float32
