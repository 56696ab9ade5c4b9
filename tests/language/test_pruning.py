"""Entropy pruning: what goes changes the model least, and every context still sums to one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import PASSAGE, built
from test_estimate import after

from auricle.decoding.ngram import NgramModel
from auricle.language import estimate as estimation
from auricle.language.corpus import choose_vocabulary, make_corpus, token_ids
from auricle.language.pruning import Ngrams, _losses, log_back_offs, without_little

TWICE = PASSAGE * 2 + PASSAGE[:9]


def levels_of(sentences: Sequence[str], order: int) -> tuple[tuple[str, ...], list[Ngrams]]:
    """Return the vocabulary and what is there to be pruned."""
    corpus = make_corpus([list(sentences)])
    words = choose_vocabulary(corpus, 65_000)
    seen: list[Ngrams] = []

    def keep(levels: Sequence[Ngrams], threshold: float) -> list[Ngrams]:
        seen.extend(levels)
        return list(levels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimation, "without_little", keep)
        estimation.estimate(
            token_ids(corpus, words), corpus.starts, words, order=order, prune=[0] * order, entropy=1e-9
        )
    return words, seen


def model_of(words: tuple[str, ...], levels: Sequence[Ngrams]) -> NgramModel:
    return NgramModel(estimation.assemble(words, levels, log_back_offs(levels)))


def test_without_pruning_the_back_offs_are_those_of_the_estimate() -> None:
    plain = built(TWICE, 4, [0, 0, 0, 0]).trie
    words, levels = levels_of(TWICE, 4)
    again = estimation.assemble(words, levels, log_back_offs(levels))
    for one, other in zip(plain.levels, again.levels, strict=True):
        np.testing.assert_array_equal(one.keys, other.keys)
        np.testing.assert_allclose(one.back_offs, other.back_offs, atol=2e-5)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_a_loss_is_the_relative_entropy_between_the_models_with_and_without(order: int) -> None:
    words, levels = levels_of(TWICE, order)
    whole, highest = model_of(words, levels), levels[-1]
    losses = _losses(highest, levels[-2], order)
    for index in range(0, len(highest.keys), len(highest.keys) // 12):
        left = np.arange(len(highest.keys)) != index
        fewer = Ngrams(highest.keys[left], highest.probabilities[left], highest.counts[left])
        without = model_of(words, [*levels[:-1], fewer])
        key = int(highest.keys[index])
        gram = [words[key >> 16 * place & 0xFFFF] for place in range(order)][::-1]
        seen = levels[-2].counts[np.searchsorted(levels[-2].keys, highest.keys[index] >> np.uint64(16))]
        p, q = (after(model, tuple(gram[:-1])) for model in (whole, without))
        inside = p > 0
        entropy = float((p[inside] * np.log(p[inside] / q[inside])).sum())
        assert losses[index] == pytest.approx(seen * entropy, rel=0.02, abs=1e-5)


def contexts_sum_to_one(model: NgramModel, sentences: Sequence[str]) -> None:
    for sentence in sentences:
        words = ["<s>", *sentence.split()]
        for end in range(1, len(words) + 1):
            assert after(model, tuple(words[max(end - 3, 0) : end])).sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("threshold", [1e-3, 2e-3, 4e-3])
def test_each_context_still_sums_to_one(threshold: float) -> None:
    words, levels = levels_of(TWICE, 4)
    pruned = without_little(levels, threshold)
    assert len(pruned[3].keys) < len(pruned[2].keys) < len(levels[2].keys)
    assert 0 < len(pruned[1].keys) < len(levels[1].keys)
    contexts_sum_to_one(model_of(words, pruned), PASSAGE[::3])


texts = st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=9).map(" ".join), min_size=1, max_size=25)


@given(texts, st.integers(2, 4), st.floats(1e-6, 1e-1))
@settings(max_examples=60, deadline=None)
def test_any_text_still_gives_probabilities(sentences: list[str], order: int, threshold: float) -> None:
    words, levels = levels_of(sentences, order)
    contexts_sum_to_one(model_of(words, without_little(levels, threshold)), sentences)


def test_every_kept_ngram_still_has_its_beginning_and_a_higher_threshold_keeps_fewer() -> None:
    _, levels = levels_of(TWICE, 4)
    sizes = []
    for threshold in (0.0, 3e-4, 1e-3, 2e-3, 1e-2):
        pruned = without_little(levels, threshold)
        sizes.append(sum(len(level.keys) for level in pruned))
        for level, lower in zip(pruned[1:], pruned, strict=False):
            assert np.isin(level.keys >> np.uint64(16), lower.keys).all()
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 5
