"""The network at work: what it says does not depend on how the text is cut, and never changes a word."""

from __future__ import annotations

import gc
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from passage import ALICE
from restorers import small_model

from auricle.alphabet import ENGLISH
from auricle.errors import RestorationError
from auricle.restoration import MARKS, NeuralRestorer, RestorerModel, Written, plain_words, readable, to_text
from auricle.restoration.features import PAUSE_EDGES, ROWS_PER_WORD, pause_rows, word_rows

WORDS = ENGLISH.normalise(ALICE).split()
plain_word = st.text(ENGLISH.characters[1:], min_size=1, max_size=9)
any_word = st.text(
    st.characters(categories=["Ll", "Lo", "Lm", "Nd"], include_characters="'\u2019"), min_size=1, max_size=6
).filter(lambda word: word == word.lower())


@pytest.fixture(scope="module")
def model() -> RestorerModel:
    return small_model()


@pytest.fixture(scope="module")
def restorer(model: RestorerModel) -> NeuralRestorer:
    return NeuralRestorer(model)


def test_the_small_model_says_every_mark_and_case(restorer: NeuralRestorer) -> None:
    written = restorer.restore(WORDS)
    assert {word.mark for word in written} == set(MARKS)
    assert 0.1 < sum(word.text != word.text.lower() for word in written) / len(written) < 0.9


@given(words=st.lists(any_word, max_size=40))
@settings(deadline=None)
def test_without_capitals_and_marks_it_is_the_plain_words(restorer: NeuralRestorer, words: list[str]) -> None:
    written = restorer.restore(words)
    assert [word.text.lower() for word in written] == words
    assert plain_words(to_text(written)) == words


@given(words=st.lists(plain_word, max_size=40))
@settings(deadline=None)
def test_readable_tokens_cover_each_word_once(restorer: NeuralRestorer, words: list[str]) -> None:
    tokens = readable(words, restorer)
    covered = [place for token in tokens for place in range(token.first, token.last + 1)]
    assert covered == list(range(len(words)))
    without = readable(words, restorer, numbers=False)
    assert plain_words(to_text(Written(token.text, token.mark) for token in without)) == words


@pytest.mark.parametrize("window", [1, 2, 7, 64, 100, 511])
def test_the_text_is_the_same_whatever_the_windows(model: RestorerModel, window: int) -> None:
    whole = NeuralRestorer(model, window=10**6)
    pauses = np.random.default_rng(0).random(len(WORDS)).tolist()
    for given_pauses in (None, pauses):
        expected = whole.restore(WORDS, given_pauses)
        assert NeuralRestorer(model, window=window).restore(WORDS, given_pauses) == expected


def test_a_word_further_away_than_the_context_changes_nothing(restorer: NeuralRestorer) -> None:
    far = restorer.model.context + 1
    at = 100
    before, changed = list(WORDS), list(WORDS)
    changed[at] = "zebra"
    difference = np.abs(restorer.scores(before) - restorer.scores(changed)).max(axis=1)
    assert difference[: at - far + 1].max() == difference[at + far :].max() == 0
    assert difference[at - far + 1] > 0, "the context is no wider than it has to be"
    assert difference[at + far - 1] > 0


def test_pauses_are_heard_and_unknown_ones_are_none_at_all(restorer: NeuralRestorer) -> None:
    words = WORDS[:50]
    plain = restorer.scores(words)
    assert np.array_equal(restorer.scores(words, [None] * 50), plain)
    assert np.array_equal(restorer.scores(words, [math.nan] * 50), plain)
    assert np.abs(restorer.scores(words, [1.0] * 50) - plain).max() > 0.1


def test_a_pause_for_each_word_is_asked_for(restorer: NeuralRestorer) -> None:
    with pytest.raises(ValueError, match="2 pauses for 3 words"):
        restorer.restore(["a", "b", "c"], [0.1, 0.2])


def test_no_words_no_text(restorer: NeuralRestorer) -> None:
    assert restorer.restore([]) == []
    assert restorer.restore([], []) == []
    assert to_text([]) == ""
    assert len(restorer.scores([])) == 0


def test_sentences_begin_with_a_capital(restorer: NeuralRestorer) -> None:
    written = restorer.restore(WORDS)
    begins = [True, *(word.mark == "." for word in written[:-1])]
    assert sum(begins) > 1
    assert all(word.text[0].isupper() for word, first in zip(written, begins, strict=True) if first)
    assert not all(word.text[0].isupper() for word in written)


def test_what_follows_a_question_may_be_in_small_letters(restorer: NeuralRestorer) -> None:
    # "Where?" he said: books have it so, and quotation marks are not restored
    cases = restorer.scores(WORDS)[:, len(MARKS) :].argmax(axis=1)
    written = restorer.restore(WORDS)
    after = [place for place in range(1, len(WORDS)) if written[place - 1].mark in {"?", "!"}]
    assert {bool(cases[place]) for place in after} == {True, False}, "the network says both"
    assert all(written[place].text.islower() == (cases[place] == 0) for place in after if WORDS[place].isalpha())


def test_a_text_does_not_end_with_a_dash(restorer: NeuralRestorer) -> None:
    dash = MARKS.index("\u2014")
    likeliest = [int(restorer.scores(WORDS[:end])[-1, : len(MARKS)].argmax()) for end in range(1, len(WORDS))]
    ends = [end for end, mark in enumerate(likeliest, start=1) if mark == dash]
    assert ends, "the network would like to"
    for end in ends:
        written = restorer.restore(WORDS[:end])
        assert written[-1].mark in set(MARKS) - {"\u2014"}
        assert NeuralRestorer(restorer.model, window=5).restore(WORDS[:end]) == written


def test_memory_does_not_grow_with_the_text(restorer: NeuralRestorer) -> None:
    def peak(words: list[str]) -> int:
        gc.collect()
        tracemalloc.start()
        for _ in restorer.stream(words):
            pass
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held

    short = WORDS * 4
    peak(short)  # caches
    assert peak(WORDS * 40) < 1.5 * peak(short)


def test_words_are_told_apart_by_their_ends_and_pauses_by_length() -> None:
    rows = word_rows(["walking", "talking", "walking"], 4096)
    assert rows.shape == (3, ROWS_PER_WORD)
    assert (rows[0] == rows[2]).all()
    assert (rows[0] != rows[1])[:3].all()
    assert (rows[0] == rows[1])[3:5].all(), "the same ending"
    pauses = pause_rows([0.0, None, *PAUSE_EDGES], 2 + len(PAUSE_EDGES)).tolist()
    assert pauses == [1, 0, *range(2, 2 + len(PAUSE_EDGES))]


def test_a_graph_of_something_else_is_refused(model: RestorerModel) -> None:
    from dataclasses import replace

    with pytest.raises(RestorationError, match="cannot be loaded"):
        NeuralRestorer(replace(model, graph=b"no graph"))
