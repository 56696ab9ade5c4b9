"""Where long recordings are cut, and what of them is left out."""

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import RATE, in_blocks, noise, speech

from auricle.features import Array
from auricle.segmentation import LONGEST_SECONDS, Listener, Window, plan_windows
from auricle.segmentation.spectral import Flags

SLOW = 100  # Hz: an hour is small


class Loud:
    """A detector for tests: whatever is not silence is speech. It answers late, as real ones do."""

    hop_samples = 10
    late_hops = 7

    def __init__(self) -> None:
        self._heard = np.zeros(0, np.float32)

    def listen(self, rate: int) -> Listener:
        return Loud()

    def hear(self, block: Array, *, last: bool = False) -> Flags:
        samples = np.concatenate([self._heard, block])
        if last:
            samples = np.pad(samples, (0, -len(samples) % self.hop_samples))
        hops = max(0, len(samples) // self.hop_samples - (0 if last else self.late_hops))
        self._heard = samples[hops * self.hop_samples :]
        return np.asarray(np.abs(samples[: hops * self.hop_samples]).reshape(hops, self.hop_samples).max(axis=1) > 1e-3)


def planned(samples: Array, rate: int, seconds: float = 10.0, detector: Loud | None = None) -> list[Window]:
    return list(plan_windows(in_blocks(samples, seconds, rate), rate, detector))


def hiss(n: int) -> Array:
    return np.random.default_rng(n).normal(0, 0.1, n).astype(np.float32)


@st.composite
def recordings(draw: st.DrawFn) -> Array:
    """Sound and silence in turn, of up to a minute each, at `SLOW` Hz."""
    parts = []
    for index, seconds in enumerate(draw(st.lists(st.floats(0.05, 60.0), min_size=1, max_size=8))):
        count = int(seconds * SLOW)
        parts.append(
            hiss(count) + np.float32(0.5) if index % 2 == draw(st.integers(0, 1)) else np.zeros(count, np.float32)
        )
    return np.concatenate(parts)


# Without a detector


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 120_000), st.sampled_from([100, 200, 1000]))
def test_windows_tile_the_recording_and_none_is_too_long(n: int, rate: int) -> None:
    samples = hiss(n)
    windows = planned(samples, rate)
    np.testing.assert_array_equal(np.concatenate([window.samples for window in windows]), samples)
    assert windows[0].start == 0
    assert all(a.end == b.start for a, b in pairwise(windows))
    assert all(0 < len(window.samples) <= LONGEST_SECONDS * rate for window in windows)


def test_what_fits_is_one_window() -> None:
    rate = 1000
    for detector in (None, Loud()):
        assert len(planned(hiss(25 * rate), rate, detector=detector)) == 1
        assert len(planned(hiss(25 * rate + 1), rate, detector=detector)) == 2


def test_a_window_says_whether_speech_goes_on_after_it() -> None:
    said = hiss(60 * SLOW)
    said[40 * SLOW : 50 * SLOW] = 0
    *first, last = planned(said, SLOW, detector=Loud())
    assert len(first) >= 2
    assert [window.goes_on for window in first] == [True] * (len(first) - 1) + [False]
    assert not last.goes_on


def test_a_short_recording_is_a_window_whatever_it_holds() -> None:
    (window,) = planned(np.zeros(25 * SLOW, np.float32), SLOW, detector=Loud())
    assert (window.start, window.end) == (0, 25 * SLOW)


@pytest.mark.parametrize(("seconds", "asked"), [(LONGEST_SECONDS, 0), (LONGEST_SECONDS + 1, 3)])
def test_where_speech_is_in_what_fits_is_never_asked(
    seconds: float, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks: list[int] = []
    hear = Loud.hear

    def counted(self: Loud, block: Array, *, last: bool = False) -> Flags:
        blocks.extend([] if last else [len(block)])
        return hear(self, block, last=last)

    monkeypatch.setattr(Loud, "hear", counted)
    planned(hiss(int(seconds * SLOW)), SLOW, detector=Loud())
    assert len(blocks) == asked


@pytest.mark.parametrize("pause", [10.4, 15.4, 18.0, 22.2, 24.6])
def test_the_cut_falls_in_the_middle_of_the_pause(pause: float) -> None:
    said = np.tile(speech(), 2)[: 40 * RATE]
    said += np.random.default_rng(0).normal(0, 0.05, len(said)).astype(np.float32)  # the reader's own pauses
    said[int((pause - 0.15) * RATE) : int((pause + 0.15) * RATE)] = 0
    first, *_ = planned(said, RATE)
    assert first.end / RATE == pytest.approx(pause, abs=0.06)


def test_the_longest_pause_is_preferred_to_the_quietest() -> None:
    said = hiss(40 * 1000)
    said[22_000:22_200] = 0  # digital silence, as short as a stop
    said[14_000:15_000] *= 1e-3
    first, *_ = planned(said, 1000)
    assert first.end / 1000 == pytest.approx(14.5, abs=0.1)


def test_a_pause_before_the_last_fifteen_seconds_is_left_alone() -> None:
    said = hiss(30 * 1000)
    said[5 * 1000 : 6 * 1000] = 0
    first, _ = planned(said, 1000)
    assert first.end >= 10 * 1000


def test_no_crumb_is_left_at_the_end() -> None:
    for seconds in np.arange(25.05, 27.0, 0.1):
        assert all(window.end - window.start >= 100 for window in planned(hiss(int(seconds * SLOW)), SLOW))


def test_an_hour_of_silence_is_cut_as_well() -> None:
    windows = planned(np.zeros(3600 * SLOW, np.float32), SLOW)
    assert all(10 * SLOW <= len(window.samples) <= 25 * SLOW for window in windows[:-1])


# With a detector


@settings(max_examples=100, deadline=None)
@given(recordings(), st.sampled_from([0.3, 5.0, 10.0, 100.0]))
def test_all_speech_is_in_one_window_and_one_only(samples: Array, seconds: float) -> None:
    windows = planned(samples, SLOW, seconds, Loud())
    covered = np.zeros(len(samples), np.int8)
    for window in windows:
        np.testing.assert_array_equal(window.samples, samples[window.start : window.end])
        covered[window.start : window.end] += 1
    assert covered.max(initial=0) <= 1
    assert covered[np.abs(samples) > 1e-3].all()
    assert all(a.end <= b.start for a, b in pairwise(windows))
    assert all(0 < len(window.samples) <= LONGEST_SECONDS * SLOW for window in windows)


@settings(max_examples=60, deadline=None)
@given(recordings())
def test_windows_do_not_depend_on_how_the_recording_comes(samples: Array) -> None:
    expected = [(window.start, window.end) for window in planned(samples, SLOW, 1e9, Loud())]
    for seconds in (0.2, 7.0, 33.0):
        assert [(window.start, window.end) for window in planned(samples, SLOW, seconds, Loud())] == expected


def test_speech_keeps_what_is_around_it_and_long_silence_goes() -> None:
    samples = np.zeros(60 * SLOW, np.float32)
    for start, end in ((5, 8), (9.9, 12), (20, 21), (59, 60)):
        samples[int(start * SLOW) : int(end * SLOW)] = 0.5
    windows = planned(samples, SLOW, detector=Loud())
    # The gap of 1.9 s stays, those of 8 and 38 s go, and 0.5 s are left on both sides of speech.
    assert [(window.start / SLOW, window.end / SLOW) for window in windows] == [(4.5, 12.5), (19.5, 21.5), (58.5, 60.0)]


def test_a_long_recording_without_speech_has_no_windows() -> None:
    assert planned(np.zeros(3600 * SLOW, np.float32), SLOW, detector=Loud()) == []


@pytest.mark.parametrize("detector", [None, Loud()])
def test_memory_does_not_grow_with_the_recording(detector: Loud | None) -> None:
    minute = np.concatenate([noise(50), np.zeros(10 * RATE, np.float32)])

    def minutes(count: int) -> Iterator[Array]:
        for _ in range(count):
            yield from in_blocks(minute)

    peaks = []
    for count in (3, 12):
        tracemalloc.start()
        assert sum(1 for _ in plan_windows(minutes(count), RATE, detector)) >= 2 * count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
