"""Both detectors, on real speech and on what is none. silero-vad's tests need its file: `pip install --no-deps`."""

from importlib.util import find_spec

import numpy as np
import pytest
from sounds import RATE, chords, in_blocks, noise, speech

from auricle.features import Array
from auricle.segmentation import Detector, SileroDetector, SpectralDetector, best_detector, plan_windows

DETECTORS = [
    pytest.param(SpectralDetector(), id="spectral"),
    pytest.param(
        SileroDetector.installed(RATE),
        id="silero",
        marks=pytest.mark.skipif(find_spec("silero_vad") is None, reason="silero-vad is not installed"),
    ),
]
BOTH = pytest.mark.parametrize("detector", DETECTORS)


def kept(samples: Array, detector: Detector, rate: int = RATE) -> list[tuple[float, float]]:
    return [(w.start / rate, w.end / rate) for w in plan_windows(in_blocks(samples, 10.0, rate), rate, detector)]


def is_kept(start: float, end: float, windows: list[tuple[float, float]]) -> bool:
    """Whether a stretch is covered by windows that touch."""
    for a, b in windows:
        if a <= start < b:
            start = b
    return start >= end


@BOTH
@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(np.zeros(60 * RATE, np.float32), id="digital silence"),
        pytest.param(noise(60, 0.0, 1e-4), id="faint hiss"),
        pytest.param(noise(60, 0.0), id="white"),
        pytest.param(noise(60, 1.0), id="pink"),
        pytest.param(noise(60, 2.0), id="brown"),
        pytest.param(chords(60), id="chords"),
        pytest.param(np.concatenate([np.zeros(20 * RATE, np.float32), noise(40)]), id="noise that begins"),
    ],
)
def test_what_is_no_speech_is_left_out(sound: Array, detector: Detector) -> None:
    assert kept(sound, detector) == []


@BOTH
@pytest.mark.parametrize("level", [1.0, 0.1, 0.03])
@pytest.mark.parametrize("gap", ["silence", "hiss", "chords"])
def test_speech_is_kept_and_what_is_between_goes(level: float, gap: str, detector: Detector) -> None:
    said = speech()
    between = {
        "silence": np.zeros(8 * RATE, np.float32),
        "hiss": noise(8, 0.0, 3e-3),
        "chords": chords(8),
    }[gap]
    recording = level * np.concatenate([between, said, between, said, between])
    windows = kept(recording.astype(np.float32), detector)
    length = len(said) / RATE
    for start in (8.0, 16.0 + length):
        # The first word begins after a quarter of a second, and the last one ends as long before the end.
        assert is_kept(start + 0.25, start + length - 0.25, windows)
    assert sum(end - start for start, end in windows) < 2 * length + 12  # of 24 s between, half at least


@BOTH
@pytest.mark.parametrize("slope", [0.0, 1.0], ids=["white", "pink"])
def test_speech_ten_decibels_above_noise_is_kept(slope: float, detector: Detector) -> None:
    said = speech()
    recording = np.concatenate([np.zeros(8 * RATE, np.float32), said, np.zeros(8 * RATE, np.float32)])
    recording += noise(len(recording) / RATE, slope, float(said.std()) / 10**0.5)
    windows = kept(recording, detector)
    assert is_kept(8.3, 8 + len(said) / RATE - 0.3, windows)


def test_speech_as_quiet_as_a_whisper_far_away_is_kept() -> None:
    said = 0.01 * speech()  # 64 dB below full scale
    silence = np.zeros(8 * RATE, np.float32)
    windows = kept(np.concatenate([silence, said, silence]), SpectralDetector())
    assert is_kept(8.25, 8 + len(said) / RATE - 0.25, windows)


def test_one_short_word_in_a_long_silence_is_kept() -> None:
    recording = noise(60, 0.0, 1e-4)
    word = speech()[int(3.3 * RATE) : int(3.6 * RATE)]
    recording[30 * RATE : 30 * RATE + len(word)] += word
    ((start, end),) = kept(recording, SpectralDetector())
    assert 28.3 < start < 29.6
    assert 30.7 < end < 32.0


def test_a_click_is_no_word() -> None:
    recording = noise(60, 0.0, 1e-3)
    for second in range(1, 60, 4):
        recording[second * RATE : second * RATE + 30] = 0.9
    assert kept(recording, SpectralDetector()) == []


def test_speech_after_a_fan_is_switched_off_is_kept_at_once() -> None:
    said = 0.02 * speech()
    fan = noise(40, 1.0, 0.05)
    recording = np.concatenate([fan, noise(5, 0.0, 1e-4), said + noise(len(said) / RATE, 0.0, 1e-4)])
    assert is_kept(45.2, 45 + len(said) / RATE - 0.2, kept(recording, SpectralDetector()))


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_our_own_knows_every_rate(rate: int) -> None:
    silence = np.zeros(10 * rate, np.float32)
    windows = kept(np.concatenate([silence, speech(rate), silence]), SpectralDetector(), rate)
    assert is_kept(10.15, 34.5, windows)
    assert sum(end - start for start, end in windows) < 27


def test_every_hop_is_answered_once_however_the_blocks_fall() -> None:
    samples = speech()[: int(7.003 * RATE)]
    for seconds in (0.003, 0.5, 3.0):
        listener = SpectralDetector().listen(RATE)
        flags = [listener.hear(block) for block in in_blocks(samples, seconds)]
        flags.append(listener.hear(samples[:0], last=True))
        assert sum(map(len, flags)) == 701


def test_the_best_is_silero_where_it_is_installed_and_knows_the_rate() -> None:
    expected = SileroDetector if find_spec("silero_vad") else SpectralDetector
    assert isinstance(best_detector(16_000), expected)
    assert isinstance(best_detector(8_000), SpectralDetector)
