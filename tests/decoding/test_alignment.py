"""Forced alignment against the enumeration of all paths."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from lattices import collapse, lattices

from auricle.decoding.alignment import align
from auricle.errors import AuricleError


@given(lattices(frames=6), st.lists(st.integers(1, 3), max_size=4))
def test_the_path_is_the_most_probable_of_all_that_spell_the_text(log_probs: np.ndarray, tokens: list[int]) -> None:
    paths = [p for p in itertools.product(range(4), repeat=len(log_probs)) if collapse(p) == tuple(tokens)]
    assume(paths)
    scores = {path: sum(float(log_probs[i, token]) for i, token in enumerate(path)) for path in paths}
    alignment = align(log_probs, tokens)
    assert alignment.score == pytest.approx(max(scores.values()), abs=1e-4)
    # The frames are those of a path with that score.
    path = [0] * len(log_probs)
    for token, first, last in zip(tokens, alignment.first_frames, alignment.last_frames, strict=True):
        path[first : last + 1] = [token] * (last + 1 - first)
    assert scores[tuple(path)] == pytest.approx(alignment.score, abs=1e-4)


@given(lattices(frames=4), st.lists(st.integers(1, 3), min_size=1, max_size=6))
def test_a_text_too_long_for_the_frames_is_refused(log_probs: np.ndarray, tokens: list[int]) -> None:
    repeats = sum(a == b for a, b in itertools.pairwise(tokens))
    assume(len(tokens) + repeats > len(log_probs))
    with pytest.raises(AuricleError, match="the text is too long for the recording"):
        align(log_probs, tokens)


def test_no_text_is_all_blank() -> None:
    log_probs = np.log(np.array([[0.5, 0.5], [0.25, 0.75]], np.float32))
    alignment = align(log_probs, [])
    assert alignment.first_frames == ()
    assert alignment.score == pytest.approx(np.log(0.125))
