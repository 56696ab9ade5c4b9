"""Distortions of waveforms: each must do to real speech what it says, measured on the result."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle import audio
from auricle.alphabet import ENGLISH
from auricle.corpora.noise import add_noise
from auricle.features import Array, FeatureConfig, log_mel
from auricle.manifest import read_manifest
from auricle.training import distort
from auricle.training.data import Clips, distorter_of, examples_of, normalization_of
from auricle.training.recipe import Recipe, WaveformConfig, read_recipe
from auricle.training.store import FeatureStore

ROOT = Path(__file__).parents[2]
CLIPS = ROOT / "tests" / "clips"
RATE = 16_000
SPEECH = audio.read(CLIPS / "austen-0870.flac").samples
ALWAYS = {"speed": 1.0, "noise": 1.0, "babble": 1.0, "reverb": 1.0, "codec": 1.0, "low_pass": 1.0}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def decibels(power: float) -> float:
    return float(10 * np.log10(power))


def power(samples: Array) -> float:
    return float(np.mean(np.square(samples.astype(np.float64))))


def band_power(samples: Array, low: float, high: float) -> float:
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    frequency = np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(spectrum[(frequency >= low) & (frequency < high)].sum())


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_speed_changes_length_and_pitch_by_the_factor(factor: float) -> None:
    changed = distort.change_speed(SPEECH, factor, RATE)
    assert len(changed) == pytest.approx(len(SPEECH) / factor, abs=2)
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(distort.change_speed(tone, factor, RATE)[: round(RATE / 1.2)]))
    assert spectrum.argmax() * 1.2 == pytest.approx(1000 * factor, abs=2)


@settings(max_examples=25, deadline=None)
@given(st.floats(-5, 40), st.integers(0, 1000), st.integers(100, 300_000))
def test_noise_stands_at_the_ratio_that_was_asked_for(ratio: float, seed: int, length: int) -> None:
    noise = distort.coloured_noise(length, 1.0, rng(seed))
    noisy = add_noise(SPEECH, noise, ratio)
    assert len(noisy) == len(SPEECH)
    assert decibels(power(SPEECH) / power(noisy - SPEECH)) == pytest.approx(ratio, abs=0.5)


@pytest.mark.parametrize("nothing", [np.zeros(100, np.float32), np.zeros_like(SPEECH)])
def test_silence_neither_makes_noise_nor_takes_any(nothing: Array) -> None:
    np.testing.assert_array_equal(add_noise(SPEECH, nothing, 10), SPEECH)
    np.testing.assert_array_equal(add_noise(nothing, SPEECH, 10), nothing)
    np.testing.assert_array_equal(distort.reverberate(nothing, distort.room(0.3, 1.0, RATE, rng())), nothing)


@pytest.mark.parametrize(("exponent", "fall"), [(0, 0.0), (1, 3.0), (2, 6.0)])
def test_noise_has_the_colour_that_it_is_called_by(exponent: float, fall: float) -> None:
    noise = distort.coloured_noise(10 * RATE, exponent, rng())
    octaves = [decibels(band_power(noise, low, 2 * low) / low) for low in (250, 500, 1000, 2000)]
    assert np.diff(octaves) == pytest.approx(-fall, abs=0.6)


def test_babble_holds_all_voices_at_one_level() -> None:
    voices = [audio.read(path).samples for path in sorted(CLIPS.glob("*.flac"))[:3]]
    mixed = distort.babble([voices[0], np.float32(0.01) * voices[1], voices[2]], 3 * RATE)
    assert len(mixed) == 3 * RATE
    for voice in voices:
        part = np.resize(voice, 3 * RATE)
        assert np.dot(mixed, part) / np.linalg.norm(part) / np.sqrt(3 * RATE) > 0.7  # the others share nothing with it


@pytest.mark.parametrize("seconds", [0.2, 0.6])
def test_a_room_rings_as_long_as_it_is_said_to(seconds: float) -> None:
    impulse = distort.room(seconds, 1.0, RATE, rng()).astype(np.float64)[1:]
    # Schroeder, 1965: the energy still to come; from 5 to 25 dB below its beginning, times three.
    left = 10 * np.log10(np.cumsum(np.square(impulse)[::-1])[::-1] / np.sum(np.square(impulse)))
    fall = (np.argmax(left < -25) - np.argmax(left < -5)) / RATE
    assert 3 * fall == pytest.approx(seconds, rel=0.15)


def test_a_room_fills_the_pause_after_speech_and_keeps_level_and_length() -> None:
    clip = np.concatenate((SPEECH[: 2 * RATE], np.zeros(RATE, np.float32)))
    wet = distort.reverberate(clip, distort.room(0.6, 2.0, RATE, rng()))
    assert len(wet) == len(clip)
    assert decibels(power(wet) / power(clip)) == pytest.approx(0, abs=0.1)
    tail = wet[2 * RATE : 2 * RATE + RATE // 10]
    assert power(tail) > 1e-3 * power(wet)
    assert power(wet[-RATE // 10 :]) < 1e-4 * power(tail)  # and has died away when the room says so


@pytest.mark.parametrize("edge", [3000.0, 5500.0])
def test_a_low_pass_takes_what_is_above_and_leaves_what_is_below(edge: float) -> None:
    cut = distort.low_pass(SPEECH, edge, RATE)
    assert len(cut) == len(SPEECH)
    assert band_power(cut, 1.1 * edge, 8000) < 1e-4 * band_power(SPEECH, 1.1 * edge, 8000)
    assert decibels(band_power(cut, 0, 0.85 * edge) / band_power(SPEECH, 0, 0.85 * edge)) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("codec", distort.CODECS)
def test_a_codec_changes_the_samples_and_not_the_speech(codec: distort.Codec) -> None:
    coded = distort.through_codec(SPEECH, codec, RATE)
    assert len(coded) == len(SPEECH)
    assert not np.array_equal(coded, SPEECH)
    if codec in {"gsm", "mu-law"}:
        assert band_power(coded, 4200, 8000) < 1e-3 * band_power(SPEECH, 4200, 8000)
    ours, theirs = (log_mel(samples, FeatureConfig(f_max=3500.0)) for samples in (coded, SPEECH))
    assert np.corrcoef(ours[:-2].ravel(), theirs[:-2].ravel())[0, 1] > 0.85


@pytest.mark.parametrize("codec", ["mp3", "opus"])
def test_fewer_bits_do_more_harm(codec: distort.Codec) -> None:
    errors = [power(distort.through_codec(SPEECH, codec, RATE, quality) - SPEECH) for quality in (0.2, 0.95)]
    assert errors[1] > errors[0]


def recipe_with(**waveform: float) -> Recipe:
    tiny = read_recipe(ROOT / "recipes" / "tiny.toml")
    return replace(tiny, waveform=WaveformConfig(**waveform))


@pytest.mark.parametrize("name", sorted(ALWAYS))
def test_each_distortion_has_a_probability_of_its_own(name: str) -> None:
    utterances = read_manifest(CLIPS / "clips.jsonl")
    only = distorter_of(recipe_with(**{name: 1.0}), utterances)
    assert [only.plan(rng(seed)) for seed in range(20)] == [[name]] * 20
    half = distorter_of(recipe_with(**{name: 0.5}), utterances)
    assert 70 < sum(bool(half.plan(rng(seed))) for seed in range(200)) < 130
    without = distorter_of(recipe_with(**{**ALWAYS, name: 0.0}), utterances)
    assert name not in without.plan(rng())
    changed = only(SPEECH, [name], rng())
    assert len(changed) != len(SPEECH) or not np.array_equal(changed, SPEECH)
    assert np.isfinite(changed).all()


def test_recorded_noise_is_taken_where_there_is_any() -> None:
    noise = read_manifest(CLIPS / "clips.jsonl")[1:2]
    quiet = distorter_of(recipe_with(noise=1.0, noise_ratio_low=0.0, noise_ratio_high=0.0), [], noise)
    added = quiet(SPEECH, ["noise"], rng()) - SPEECH
    recorded = np.resize(audio.read(noise[0].audio_filepath).samples, len(SPEECH))
    # Somewhere in the circle, since it begins anywhere.
    likeness = np.fft.irfft(np.fft.rfft(added) * np.fft.rfft(recorded).conj()).max()
    assert likeness > 0.6 * np.linalg.norm(added) * np.linalg.norm(recorded)


def test_a_distorted_clip_keeps_room_for_its_text_and_is_the_same_on_resuming(tmp_path: Path) -> None:
    recipe = recipe_with(**ALWAYS)
    utterances = read_manifest(CLIPS / "clips.jsonl")
    store = FeatureStore.open(utterances, recipe.features, tmp_path)
    examples, _ = examples_of(utterances, store, ENGLISH, recipe.network.stride)
    normalization = normalization_of(store, [one.id for one in utterances])
    # As long as its text needs: a clip of which nothing may be cut off.
    tight = [replace(example, least_frames=store.frames(example.utterance.id)) for example in examples]
    names = [one.id for one in utterances]
    for epoch in range(4):
        first, again = (Clips(tight, store, normalization, recipe, epoch)[names] for _ in range(2))
        assert all(
            length >= example.least_frames for length, example in zip(first.lengths.tolist(), tight, strict=True)
        )
        np.testing.assert_array_equal(first.features, again.features)
    other = Clips(tight, store, normalization, recipe, 5)[names]
    assert other.features.shape != first.features.shape or not np.array_equal(other.features, first.features)
    plain = Clips(tight, store, normalization, replace(recipe, waveform=WaveformConfig()), 0)
    assert plain.distorter is None
