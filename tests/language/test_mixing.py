"""Mixed models: what either has gets the mixed probability, by the weights under which a text is likeliest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import PASSAGE
from test_estimate import after

from auricle.decoding.ngram import NgramModel
from auricle.decoding.trie import Floats
from auricle.language.corpus import choose_vocabulary, make_corpus, token_ids
from auricle.language.estimate import estimate
from auricle.language.mixing import Mixed, estimate_mixture, likeliest_weights

HALVES = (PASSAGE[::2], PASSAGE[1::2])


def mixed(texts: Sequence[Sequence[str]], heldout: Sequence[str], order: int, entropy: float = 0.0) -> Mixed:
    def judge(model: NgramModel) -> Floats:
        return model.log_probs(sentence.split() for sentence in heldout)

    corpus = make_corpus([list(text) for text in texts])
    words = choose_vocabulary(corpus, 65_000)
    parts = [corpus.select(corpus.lines == index) for index in range(len(texts))]
    pairs = [(token_ids(part, words), part.starts) for part in parts]
    return estimate_mixture(pairs, words, judge, order=order, prune=[0] * order, entropy=entropy)


def alone(texts: Sequence[Sequence[str]], index: int, order: int) -> NgramModel:
    """The model of one of the texts, with the words of all."""
    corpus = make_corpus([list(text) for text in texts])
    words = choose_vocabulary(corpus, 65_000)
    part = corpus.select(corpus.lines == index)
    return NgramModel(estimate(token_ids(part, words), part.starts, words, order=order, prune=[0] * order).trie)


def contexts(sentences: Sequence[str], order: int) -> set[tuple[str, ...]]:
    padded = [["<s>", *sentence.split()] for sentence in sentences]
    return {tuple(words[max(end - order + 1, 0) : end]) for words in padded for end in range(1, len(words) + 1)}


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_what_one_of_the_models_has_gets_the_mixed_probability(order: int) -> None:
    result = mixed(HALVES, HALVES[0][:5] + HALVES[1][:3], order)
    model, parts = NgramModel(result.estimate.trie), [alone(HALVES, index, order) for index in range(2)]
    weights = np.array(result.weights)
    assert 0.1 < weights.min() < weights.max() < 0.9
    for sentence in PASSAGE[::5]:
        words = ["<s>", *sentence.split(), "</s>"]
        for end in range(1, len(words)):
            context, word = tuple(words[max(end - order + 1, 0) : end]) if order > 1 else (), words[end]
            p = [after(part, context)[part.ids[word]] for part in parts]
            assert after(model, context)[model.ids[word]] == pytest.approx(weights @ p, rel=1e-4)


@pytest.mark.parametrize("entropy", [0.0, 1e-3])
def test_each_context_sums_to_one(entropy: float) -> None:
    result = mixed(HALVES, PASSAGE[:4], 4, entropy)
    model = NgramModel(result.estimate.trie)
    for context in sorted(contexts(PASSAGE, 4))[::7]:
        assert after(model, context).sum() == pytest.approx(1, abs=1e-4)
    assert (sum(result.estimate.trie.counts) < sum(result.estimate.seen)) == bool(entropy)


texts = st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=9).map(" ".join), min_size=1, max_size=15)


@given(texts, texts, texts, st.integers(1, 4), st.sampled_from([0.0, 1e-3, 1e-1]))
@settings(max_examples=60, deadline=None)
def test_any_two_texts_make_a_model(
    one: list[str], other: list[str], heldout: list[str], order: int, entropy: float
) -> None:
    result = mixed([one, other], heldout, order, entropy)
    assert sum(result.weights) == pytest.approx(1)
    model = NgramModel(result.estimate.trie)
    for context in contexts([*one, *other, *heldout], order):
        if set(context) <= set(model.words):
            assert after(model, context).sum() == pytest.approx(1, abs=1e-4)


def test_a_text_mixed_with_itself_is_as_it_was() -> None:
    once, twice = alone([PASSAGE], 0, 3), NgramModel(mixed([PASSAGE, PASSAGE], PASSAGE[:3], 3).estimate.trie)
    for context in sorted(contexts(PASSAGE, 3))[::9]:
        np.testing.assert_allclose(after(twice, context), after(once, context), rtol=1e-4, atol=1e-9)


def test_no_other_weights_make_the_text_likelier() -> None:
    generator = np.random.default_rng(1)
    log_probs = [np.log(generator.uniform(0.01, 1, 500)).astype(np.float32) - shift for shift in (0.0, 0.3, 1.5)]
    weights = np.array(likeliest_weights(log_probs))

    def likelihood(candidate: np.ndarray) -> float:
        return float(np.log(candidate @ np.exp(np.stack(log_probs))).sum())

    assert weights.sum() == pytest.approx(1)
    for candidate in generator.dirichlet([1, 1, 1], 500):
        assert likelihood(candidate) <= likelihood(weights) + 1e-3


def test_the_text_that_is_like_the_held_out_one_counts_most() -> None:
    sea = ["the ship sailed over the sea", "the sea was calm and the ship was fast", "over the sea to the island"]
    law = ["the court heard the case", "the judge of the court was fair", "the case was closed by the judge"]
    first, second = mixed([sea, law], ["the ship sailed to the island over the calm sea"], 3).weights
    assert first > 0.9 > second
    assert likeliest_weights([np.zeros(0, np.float32)] * 2) == (0.5, 0.5)
