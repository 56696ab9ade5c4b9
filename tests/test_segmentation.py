"""Where long recordings are cut."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle import audio
from auricle.segmentation import LONGEST_SECONDS, plan_windows

CLIPS = sorted((Path(__file__).parent / "clips").glob("*.flac"))


def noise(n: int) -> np.ndarray:
    return np.random.default_rng(n).normal(0, 0.1, n).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 120_000), st.sampled_from([20, 200, 1000]))
def test_windows_tile_the_recording_and_none_is_too_long(n: int, rate: int) -> None:
    windows = plan_windows(noise(n), rate)
    assert windows[0][0] == 0
    assert windows[-1][1] == n
    assert all(end == start for (_, end), (start, _) in pairwise(windows))
    assert all(0 < end - start <= LONGEST_SECONDS * rate for start, end in windows) or n == 0


def test_what_fits_is_one_window() -> None:
    rate = 1000
    assert plan_windows(noise(25 * rate), rate) == [(0, 25 * rate)]
    assert len(plan_windows(noise(25 * rate + 1), rate)) == 2


@pytest.mark.parametrize("pause", [15.4, 18.0, 22.2, 24.6])
def test_the_cut_falls_in_the_middle_of_the_pause(pause: float) -> None:
    rate = 16_000
    speech = np.concatenate([audio.read(clip).samples for clip in CLIPS] * 2)[: 40 * rate]
    speech += np.random.default_rng(0).normal(0, 0.05, len(speech)).astype(np.float32)  # the reader's own pauses
    speech[int((pause - 0.15) * rate) : int((pause + 0.15) * rate)] = 0
    (_, cut), _ = plan_windows(speech, rate)
    assert cut / rate == pytest.approx(pause, abs=0.06)


def test_a_pause_before_the_last_ten_seconds_is_left_alone() -> None:
    rate = 1000
    speech = noise(30 * rate)
    speech[5 * rate : 6 * rate] = 0
    (_, cut), _ = plan_windows(speech, rate)
    assert cut >= 15 * rate


def test_an_hour_of_silence_is_cut_as_well() -> None:
    rate = 100
    windows = plan_windows(np.zeros(3600 * rate, np.float32), rate)
    assert all(10 * rate < end - start <= 25 * rate for start, end in windows[:-1])
