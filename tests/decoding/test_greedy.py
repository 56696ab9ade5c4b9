"""Best-path decoding on lattices small enough to read, and against `itertools.groupby`."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.alphabet import BLANK, ENGLISH, Alphabet
from auricle.decoding import GreedyDecoder, Hypothesis
from auricle.errors import AuricleError

ABC = Alphabet(("a", "b", " "))
A, B, SPACE = 1, 2, 3


def lattice(path: Sequence[int], tokens: int = 4, best: float = 0.7) -> np.ndarray:
    """Log-probabilities whose best token of frame i is path[i], with probability `best`."""
    probabilities = np.full((len(path), tokens), (1 - best) / (tokens - 1))
    probabilities[np.arange(len(path)), list(path)] = best
    return np.asarray(np.log(probabilities), np.float32)


def decode(log_probs: np.ndarray, alphabet: Alphabet = ABC) -> Hypothesis:
    (hypothesis,) = GreedyDecoder(alphabet).decode(log_probs)
    return hypothesis


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ([A, A, B], "ab"),
        ([A, 0, A], "aa"),
        ([A, 0, 0, A, A, 0], "aa"),
        ([0, 0, 0], ""),
        ([B], "b"),
        ([A, SPACE, SPACE, B], "a b"),
        ([A, B, A, B], "abab"),
    ],
)
def test_repeats_collapse_and_blanks_part_them(path: list[int], text: str) -> None:
    assert decode(lattice(path)).text == text


def test_each_token_knows_its_first_and_last_frame() -> None:
    hypothesis = decode(lattice([0, A, A, 0, A, B, B, B, 0]))
    assert hypothesis.tokens == (A, A, B)
    assert hypothesis.first_frames == (1, 4, 5)
    assert hypothesis.last_frames == (2, 4, 7)


def test_a_token_on_the_last_frame_ends_there() -> None:
    assert decode(lattice([0, B, B])).last_frames == (2,)


def test_the_score_is_the_log_of_the_paths_probability() -> None:
    assert decode(lattice([A, 0, B], best=0.7)).score == pytest.approx(np.log(0.7**3), rel=1e-6)


def test_an_hour_of_frames_is_scored_without_losing_digits() -> None:
    log_probs = lattice([A, 0] * 45_000, best=0.9)
    assert decode(log_probs).score == pytest.approx(90_000 * float(log_probs.max(axis=1)[0]), rel=1e-9)


def test_no_frames_are_no_text() -> None:
    assert decode(np.zeros((0, 4), np.float32)) == Hypothesis("", 0.0, (), (), ())


def test_nan_is_refused_in_one_sentence() -> None:
    log_probs = lattice([A, B])
    log_probs[1, 0] = np.nan
    with pytest.raises(AuricleError, match=r"^[^.\n]*NaN[^.\n]*\.$"):
        decode(log_probs)


def test_impossible_tokens_are_no_obstacle() -> None:
    log_probs = np.full((2, 4), -np.inf, np.float32)
    log_probs[:, A] = 0.0
    assert decode(log_probs).text == "a"


def test_hot_words_are_refused_rather_than_ignored() -> None:
    with pytest.raises(AuricleError, match="hot words"):
        GreedyDecoder(ABC).decode(lattice([A]), hot_words=["auricle"])


@given(st.lists(st.integers(0, 28), max_size=60))
def test_any_path_reads_as_groupby_reads_it(path: list[int]) -> None:
    runs = [(token, [i for i, _ in frames]) for token, frames in itertools.groupby(enumerate(path), lambda x: x[1])]
    runs = [(token, frames) for token, frames in runs if token != BLANK]
    hypothesis = decode(lattice(path, tokens=29), ENGLISH)
    assert hypothesis.tokens == tuple(token for token, _ in runs)
    assert hypothesis.first_frames == tuple(frames[0] for _, frames in runs)
    assert hypothesis.last_frames == tuple(frames[-1] for _, frames in runs)
    assert hypothesis.text == "".join(ENGLISH.characters[token - 1] for token, _ in runs)
