"""Words that are said alike: which rows of words a text in phones may be, against an enumeration of all of them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from said import PHONES, SAID, SHARES, lexicon_of, model_of

from auricle.decoding.alike import HISTORIES, likeliest, readings

MODEL = model_of(SHARES, {("two", "too"): 0.8, ("one", "two"): 0.6, ("too", "won"): 0.4, ("go", "to"): 0.9})
LEXICON = lexicon_of(MODEL)
IDS = {phone: number for number, phone in enumerate(PHONES, start=2)}


def in_phones(words: list[str]) -> tuple[int, ...]:
    said = [[IDS[phone] for phone in SAID[word][0]] for word in words]
    return tuple(phone for word in said for phone in (*word, 1))[:-1]


def alike(word: str) -> list[str]:
    return [other for other, ways in SAID.items() if SAID[word][0] in ways]


TEXTS = st.lists(st.lists(st.sampled_from(sorted(SAID)), max_size=4), max_size=4)


def kept_rows(text: list[str], known: list[int], near: float) -> list[float] | None:
    """Return the scores of the rows of words that are left when each word is done, or None where it is a toss-up."""
    rows: list[list[int]] = [[]]
    scores = np.zeros(1)
    for word in text:
        rows = [[*row, MODEL.ids[one]] for row in rows for one in alike(word)]
        scores = MODEL.score_texts([[*known, *row] for row in rows]) - MODEL.score_texts([known])
        ranked, edge = np.argsort(-scores, kind="stable"), scores.max() - near
        count = min(HISTORIES, int((scores >= edge).sum()))
        last, following = scores[ranked[count - 1]], scores[ranked[count : count + 1]]
        if (np.abs(scores - edge) < 1e-3).any() or (last - following < 1e-3).any():
            return None  # which of two rows comes first is a matter of rounding
        rows, scores = [rows[place] for place in ranked[:count]], scores[ranked[:count]]
    return scores.tolist()


@given(TEXTS, st.lists(st.sampled_from(sorted(SAID)), max_size=2), st.sampled_from([0.5, 3.0, math.inf]))
@example([["to", "to", "won"]], [], 0.5)  # the row that is the best one of all is behind after two words
def test_a_text_may_be_the_likeliest_rows_of_its_words(texts: list[list[str]], before: list[str], near: float) -> None:
    known = [MODEL.ids[word] for word in before]
    found = readings(LEXICON, MODEL, [in_phones(text) for text in texts], before=known, near=near)
    for place, text in enumerate(texts):
        every = [[MODEL.ids[word] for word in row] for row in itertools.product(*map(alike, text))]
        said = MODEL.score_texts([[*known, *row] for row in every]) - MODEL.score_texts([known])
        own = [one for one in found if one.text == place]
        for one in own:
            assert one.log_prob == pytest.approx(said[every.index(list(one.words))], abs=1e-4)
        assert len({one.words for one in own}) == len(own) <= HISTORIES
        scores = sorted((one.log_prob for one in own), reverse=True)
        assert scores[-1] >= scores[0] - near - 1e-4
        if (expected := kept_rows(text, known, near)) is not None:
            assert scores == pytest.approx(expected, abs=1e-4)
        if near == math.inf and len(every) <= HISTORIES:
            assert scores == pytest.approx(sorted(said.tolist(), reverse=True), abs=1e-4)


def test_no_texts_have_no_readings() -> None:
    assert readings(LEXICON, MODEL, [], before=[], near=1.0) == []


OWNED = st.lists(st.tuples(st.integers(0, 3), st.floats(-9, 0), st.integers(0, 2)), min_size=1, max_size=24)


@given(OWNED, st.integers(1, 4), st.sampled_from([1.0, 4.0, math.inf]))
def test_of_histories_in_the_same_state_the_better_one_is_kept(
    histories: list[tuple[int, float, int]], count: int, near: float
) -> None:
    owner, score, state = (np.array(column) for column in zip(*histories, strict=True))
    state = state.astype(np.int32)
    places, rank = likeliest(owner, score, np.stack([state, -state], axis=1), count, near)
    for one in set(owner.tolist()):
        best: dict[int, float] = {}
        for own, value, at in histories:
            if own == one:
                best[at] = max(value, best.get(at, -math.inf))
        highest = max(best.values())
        expected = sorted((value for value in best.values() if value >= highest - near), reverse=True)[:count]
        kept = places[owner[places] == one]
        assert score[kept].tolist() == expected
        assert rank[owner[places] == one].tolist() == list(range(len(expected)))
        assert len(set(state[kept].tolist())) == len(kept)
