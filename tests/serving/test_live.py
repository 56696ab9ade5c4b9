"""Captions without a socket: what is shown when, how often, and how much of it is held."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from auricle.audio import SourceInfo, Waveform
from auricle.features import Array
from auricle.segmentation import Plan, SpectralDetector, plan_windows
from auricle.serving.live import BLOCK_SECONDS, Inlet, captions
from auricle.transcript import Segment, Transcript, Word
from serving.conftest import CLIPS

RATE = 16_000
BLOCK = round(BLOCK_SECONDS * RATE)


@pytest.fixture(scope="module")
def talk() -> Array:
    """Half a minute of speech without a long pause."""
    clips = [soundfile.read(path, dtype="float32")[0] for path in sorted(CLIPS.glob("*.flac"))]
    return np.concatenate([*clips, clips[0]])


def _blocks(samples: Array) -> Iterator[Array]:
    yield from (samples[at : at + BLOCK] for at in range(0, len(samples), BLOCK))


def _plan() -> Plan:
    return Plan(RATE, SpectralDetector(), at_pauses=True)


def _heard(clip: Waveform) -> Transcript:
    """A recogniser that hears how long a clip is."""
    word = Word(f"{clip.duration:.1f}", 0.0, clip.duration, 0.5)
    return Transcript((Segment(0.0, clip.duration, (word,)),), SourceInfo("array", RATE, 1, clip.duration), "none")


def test_partials_grow_until_a_final_replaces_them(talk: Array) -> None:
    found = list(captions(_blocks(talk), _plan(), _heard, rate=RATE))
    finals = [one for one in found if one.is_final]
    assert len(finals) == 2
    assert [(one.start, one.end) for one in finals] == [
        (window.start / RATE, window.end / RATE) for window in plan_windows(_blocks(talk), RATE, SpectralDetector())
    ]
    assert [one.is_final for one in found[:5]] == [False] * 5
    for earlier, later in pairwise(found):
        assert earlier.is_final or later.is_final or (earlier.start == later.start and earlier.end < later.end)
    assert all(word.start == one.start and word.end == one.end for one in found for word in one.words)


def test_only_where_speech_was_cut_is_the_pause_told(talk: Array) -> None:
    told: list[float | None] = []

    def finish(words: tuple[Word, ...], pause: float | None) -> tuple[Word, ...]:
        told.append(pause)
        return words

    def heard(clip: Waveform) -> Transcript:
        word = Word("word", 0.0, clip.duration - 0.125, 0.5)
        return Transcript((Segment(0.0, clip.duration, (word,)),), SourceInfo("array", RATE, 1, clip.duration), "none")

    list(captions(_blocks(talk), _plan(), heard, rate=RATE, finish=finish))
    assert told == [pytest.approx(0.25), None], "the cut is in the middle of the pause"


class _Clock:
    """Time that passes only where somebody is said to work, or to speak."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def spoken(self, samples: Array) -> Iterator[Array]:
        for number, block in enumerate(_blocks(samples)):
            self.now = max(self.now, BLOCK_SECONDS * (number + 1))
            yield block

    def working(self, seconds: float) -> Callable[[Waveform], Transcript]:
        def recognise(clip: Waveform) -> Transcript:
            self.now += seconds
            return _heard(clip)

        return recognise


@pytest.mark.parametrize(("seconds", "least", "most"), [(0.01, 35, 64), (2.0, 5, 9)])
def test_partials_take_half_of_the_time_at_most(talk: Array, seconds: float, least: int, most: int) -> None:
    clock = _Clock()
    found = list(captions(clock.spoken(talk), _plan(), clock.working(seconds), rate=RATE, clock=clock))
    assert least <= sum(not one.is_final for one in found) <= most


def test_nothing_partial_is_sought_while_more_is_waiting(talk: Array) -> None:
    found = list(captions(_blocks(talk), _plan(), _heard, rate=RATE, is_behind=lambda: True))
    assert [one.is_final for one in found] == [True, True]


def test_a_final_without_words_is_told_only_where_it_takes_some_away() -> None:
    noise = np.random.default_rng(0).normal(0, 0.001, 3 * RATE).astype(np.float32)

    def silent(clip: Waveform) -> Transcript:
        return Transcript((), SourceInfo("array", RATE, 1, clip.duration), "none")

    assert list(captions(_blocks(noise), _plan(), silent, rate=RATE)) == []


@pytest.mark.parametrize("kind", ["speech", "noise", "silence"])
def test_no_more_than_a_window_and_its_end_is_held(talk: Array, kind: str) -> None:
    dice = np.random.default_rng(0)
    plan, longest = _plan(), 0.0
    for _ in range(6):
        noise = dice.normal(0, 0.01, len(talk)).astype(np.float32)
        for block in _blocks({"speech": talk, "noise": noise, "silence": np.zeros_like(talk)}[kind]):
            assert all(len(window.samples) <= 25 * RATE for window in plan.hear(block))
            growing = plan.growing()
            longest = max(longest, plan.held_samples / RATE, len(growing.samples) / RATE if growing else 0)
    assert 25 <= longest < 29


def test_who_sends_faster_than_is_read_has_to_wait() -> None:
    async def scene() -> None:
        inlet = Inlet()
        piece = bytes(400_000)
        await inlet.put(piece)
        await inlet.put(piece)
        waiting = asyncio.ensure_future(inlet.put(piece))
        done, _ = await asyncio.wait({waiting}, timeout=0.1)
        assert not done
        assert len(await asyncio.to_thread(inlet.read, 300_000)) == 300_000
        await asyncio.wait_for(waiting, 5)
        inlet.end()
        rest = 0
        while part := await asyncio.to_thread(inlet.read, 1 << 20):
            rest += len(part)
        assert rest == 900_000
        assert inlet.waiting_bytes == 0
        assert await asyncio.to_thread(inlet.read, 1) == b""

    asyncio.run(scene())
