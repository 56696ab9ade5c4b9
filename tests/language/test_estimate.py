from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import Gram, Reference
from small_models import PASSAGE, built

from auricle.decoding.ngram import NgramModel
from auricle.decoding.trie import SPECIALS, UNKNOWN
from auricle.errors import LanguageModelError
from auricle.language.estimate import FALLBACK_DISCOUNTS, discount


def after(model: NgramModel, context: Gram) -> np.ndarray:
    """The probability of every word after a context that begins with <s> or in mid-sentence."""
    state = np.full((1, model.order - 1), -1, np.int32)
    for word in context:
        _, state = model.score(state, np.array([model.ids[word]]))
    states = np.repeat(state, len(model.words), axis=0)
    return np.exp(model.score(states, np.arange(len(model.words)))[0].astype(np.float64))


def assert_agrees(
    sentences: Sequence[str], order: int, prune: Sequence[int], size: int = 65_000, every: int = 1
) -> None:
    estimated = built(sentences, order, prune, size)
    model = NgramModel(estimated.trie)
    reference = Reference([s.split() for s in sentences], set(model.words[len(SPECIALS) :]), order, prune)
    assert [len(kept) for kept in reference.kept[2:]] == list(estimated.trie.counts[1:])
    for context in sorted(reference.contexts())[::every]:
        expected = [0 if w == "<s>" else reference.probability(context, w) for w in model.words]
        np.testing.assert_allclose(after(model, context), expected, rtol=2e-5, atol=1e-12)
        assert sum(expected) == pytest.approx(1)


@pytest.mark.parametrize(
    ("order", "prune", "size"),
    [(1, [0], 50), (2, [0, 0], 65_000), (3, [0, 0, 1], 100), (4, [0, 0, 0, 0], 65_000), (4, [0, 0, 1, 1], 150)],
)
def test_a_passage_gives_the_probabilities_of_the_equations(order: int, prune: list[int], size: int) -> None:
    assert_agrees(PASSAGE, order, prune, size, every=11)


texts = st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=9).map(" ".join), min_size=1, max_size=25)


@given(texts, st.integers(1, 4), st.lists(st.integers(0, 3), min_size=3, max_size=3), st.integers(4, 9))
@settings(max_examples=150, deadline=None)
def test_any_text_gives_the_probabilities_of_the_equations(
    sentences: list[str], order: int, thresholds: list[int], size: int
) -> None:
    assert_agrees(sentences, order, [0, *sorted(thresholds)][:order], size)


@pytest.mark.parametrize("prune", [[0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 1, 2]])
def test_each_context_sums_to_one(prune: list[int]) -> None:
    model = NgramModel(built(PASSAGE * 2 + PASSAGE[:9], 4, prune, 120).trie)
    for sentence in PASSAGE:
        words = ["<s>", *sentence.split()]
        for end in range(1, len(words) + 1):
            context = tuple(word if word in model.ids else "<unk>" for word in words[max(end - 3, 0) : end])
            assert after(model, context).sum() == pytest.approx(1, abs=1e-4)


def test_every_kept_ngram_has_its_beginning_and_its_end() -> None:
    trie = built(PASSAGE * 2, 4, [0, 1, 1, 3], 90).trie
    levels: list[set[tuple[int, ...]]] = [{(index,) for index in range(len(trie.words))}]
    names = [(index,) for index in range(len(trie.words))]
    for level in trie.levels[1:]:
        assert (np.diff(level.keys) > 0).all()
        names = [(*names[p], w) for p, w in zip(level.parents.tolist(), level.words.tolist(), strict=True)]
        assert {name[1:] for name in names} <= levels[-1]
        assert not any(UNKNOWN in name for name in names)
        levels.append(set(names))
    assert len(levels[2]) > 10


def test_discounts_are_those_of_equation_26() -> None:
    counts = np.repeat([1, 2, 3, 4, 9], [40, 12, 6, 3, 5])
    y = 40 / (40 + 24)
    assert discount(counts) == pytest.approx((1 - 2 * y * 12 / 40, 2 - 3 * y * 6 / 12, 3 - 4 * y * 3 / 6))
    assert discount(np.array([1, 1, 2])) == FALLBACK_DISCOUNTS
    assert discount(np.repeat([1, 2, 3, 4], [1, 9, 1, 30])) == FALLBACK_DISCOUNTS  # D1 would be negative


def test_unknown_words_share_the_probability_of_all_that_are_left_out() -> None:
    trie = built(PASSAGE, 3, [0, 0, 0], 60).trie
    assert trie.words[:3] == SPECIALS
    words = " ".join(PASSAGE).split()
    share = sum(word not in trie.words for word in words) / len(words)
    assert share / 4 < math.exp(trie.levels[0].log_probs[UNKNOWN]) < share


@pytest.mark.parametrize(
    ("order", "prune", "said"),
    [
        (5, [0] * 5, "order 5 cannot be built: choose one from 1 to 4"),
        (4, [0, 0, 1], '"0 0 1" cannot be done: give 4 thresholds'),
        (3, [0, 2, 1], "none below the one before it"),
        (2, [1, 1], "the first of them 0"),
    ],
)
def test_settings_that_cannot_be_followed(order: int, prune: list[int], said: str) -> None:
    with pytest.raises(LanguageModelError, match=said):
        built(PASSAGE, order, prune)


def test_no_text_is_refused() -> None:
    with pytest.raises(LanguageModelError, match="no text to build a language model from"):
        built([], 3, [0, 0, 0])
