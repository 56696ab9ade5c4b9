"""From tokens on frames to words in seconds."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.alphabet import ENGLISH
from auricle.audio import SourceInfo
from auricle.decoding import Hypothesis
from auricle.transcript import Segment, Transcript, Word, words_of

SOURCE = SourceInfo("flac", 16_000, 1, 9.0)
FRAME = 0.04


def hypothesis_of(text: str, frames: list[tuple[int, int]]) -> Hypothesis:
    firsts, lasts = (tuple(column) for column in zip(*frames, strict=True)) if frames else ((), ())
    return Hypothesis(text, -1.0, tuple(ENGLISH.encode(text)), firsts, lasts)


def certain(frames: int) -> np.ndarray:
    return np.zeros((frames, ENGLISH.tokens), np.float32)


def test_a_word_lasts_from_the_first_frame_of_its_first_letter_to_the_last_of_its_last() -> None:
    spoken = hypothesis_of("hi no", [(10, 11), (13, 13), (15, 15), (20, 20), (22, 25)])
    hi, no = words_of(spoken, certain(40), frame_seconds=FRAME, start=0.0, end=1.6)
    assert (hi.text, no.text) == ("hi", "no")
    assert (hi.start, hi.end) == pytest.approx((9.5 * FRAME, 13.5 * FRAME))
    assert (no.start, no.end) == pytest.approx((19.5 * FRAME, 25.5 * FRAME))


def test_times_count_from_the_recordings_beginning_not_the_windows() -> None:
    spoken = hypothesis_of("a", [(5, 5)])
    (early,) = words_of(spoken, certain(10), frame_seconds=FRAME, start=0.0, end=0.4)
    (late,) = words_of(spoken, certain(10), frame_seconds=FRAME, start=100.0, end=100.4)
    assert (late.start - early.start, late.end - early.end) == pytest.approx((100.0, 100.0))


def test_times_stay_inside_the_window() -> None:
    spoken = hypothesis_of("a b", [(0, 0), (1, 1), (9, 9)])
    first, last = words_of(spoken, certain(10), frame_seconds=FRAME, start=5.0, end=5.0 + 9.2 * FRAME)
    assert first.start == 5.0
    assert last.end == 5.0 + 9.2 * FRAME


def test_confidence_is_the_geometric_mean_of_each_letters_best_frame() -> None:
    log_probs = np.log(np.full((6, ENGLISH.tokens), 0.01, np.float32))
    spoken = hypothesis_of("ab", [(1, 3), (4, 4)])
    a, b = spoken.tokens
    log_probs[1:4, a] = np.log([0.3, 0.9, 0.2])
    log_probs[4, b] = np.log(0.4)
    (word,) = words_of(spoken, log_probs, frame_seconds=FRAME, start=0.0, end=1.0)
    assert word.confidence == pytest.approx((0.9 * 0.4) ** 0.5, rel=1e-5)


def test_confidence_never_passes_one() -> None:
    log_probs = np.full((3, ENGLISH.tokens), 1e-6, np.float32)  # float32 may round a probability above one
    (word,) = words_of(hypothesis_of("a", [(1, 1)]), log_probs, frame_seconds=FRAME, start=0.0, end=1.0)
    assert word.confidence == 1.0


@pytest.mark.parametrize("text", ["", " ", "  "])
def test_spaces_alone_are_no_words(text: str) -> None:
    spoken = hypothesis_of(text, [(i, i) for i in range(len(text))])
    assert words_of(spoken, certain(5), frame_seconds=FRAME, start=0.0, end=1.0) == ()


@given(st.text(st.sampled_from("ab '"), max_size=30), st.data())
def test_words_follow_one_another_and_hold_the_text(text: str, data: st.DataObject) -> None:
    frames, at = [], 0
    for _ in text:
        first = at + data.draw(st.integers(0, 4))
        last = first + data.draw(st.integers(0, 3))
        frames.append((first, last))
        at = last + 1
    end = 3.0 + max(0.01, at * FRAME - 0.01)
    words = words_of(hypothesis_of(text, frames), certain(at + 1), frame_seconds=FRAME, start=3.0, end=end)
    assert [word.text for word in words] == text.split()
    times = list(itertools.chain.from_iterable((word.start, word.end) for word in words))
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(times))
    assert all(3.0 <= time <= end for time in times)
    assert all(word.start < word.end for word in words)


def test_the_text_is_the_words_of_all_segments_with_single_spaces() -> None:
    word = Word("so", 0.1, 0.3, 0.9)
    silence, speech = Segment(0.0, 3.0, ()), Segment(3.0, 6.0, (word, word))
    transcript = Transcript((silence, speech, silence, speech), SOURCE, "toy")
    assert silence.text == ""
    assert transcript.text == "so so so so"
    assert transcript.words == (word,) * 4
    assert transcript.duration == 9.0


def test_nothing_said_is_an_empty_text() -> None:
    assert Transcript((Segment(0.0, 9.0, ()),), SOURCE, "toy").text == ""
    assert Transcript((), SOURCE, "toy").words == ()
