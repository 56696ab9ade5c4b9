"""What the texts of a search say of each word of one of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.decoding.agreement import agreement

TEXTS = st.lists(st.lists(st.integers(0, 4), max_size=6), min_size=1, max_size=6)


def test_a_word_has_the_probability_of_the_texts_that_have_it_there() -> None:
    texts = [(1, 2, 3), (1, 4, 3), (1, 2, 3, 3), (2, 3)]
    scores = np.log([0.4, 0.3, 0.2, 0.1])
    assert agreement(0, texts, scores) == pytest.approx((0.9, 0.7, 1.0))
    assert agreement(1, texts, scores) == pytest.approx((0.9, 0.3, 1.0))


def test_a_text_without_others_is_certain_and_one_without_words_has_none() -> None:
    assert agreement(0, [(1, 2)], np.array([-1e5])) == (1.0, 1.0)
    assert agreement(1, [(1, 2), ()], np.array([0.0, -0.5])) == ()


@given(TEXTS, st.data())
def test_it_is_a_probability_of_each_word_whatever_the_constant_of_the_scores(
    texts: list[list[int]], data: st.DataObject
) -> None:
    scores = np.array(data.draw(st.lists(st.floats(-50, 0), min_size=len(texts), max_size=len(texts))))
    place = data.draw(st.integers(0, len(texts) - 1))
    found = agreement(place, texts, scores)
    assert len(found) == len(texts[place])
    assert all(0 <= one <= 1 for one in found)
    assert agreement(place, texts, scores - 1000) == pytest.approx(found, abs=1e-9)
    if place == int(scores.argmax()):
        own = np.exp(scores[place] - np.logaddexp.reduce(scores))
        assert all(one >= own - 1e-9 for one in found)
