"""One model from several texts, each of which counts for what it is worth.

Poured together, seventy million words of books drown eight million that are like what will be heard. Here each text has
a model of its own, and the probabilities are mixed (F. Jelinek and R. L. Mercer, "Interpolated estimation of Markov
source parameters from sparse data", 1980), by the weights under which held-out text is likeliest. The mixture is
written as one back-off model (A. Stolcke, "SRILM", ICSLP 2002): each n-gram that any of the models has gets the mixed
probability; only for what none of them has do shorter contexts answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from auricle.decoding.ngram import NgramModel
from auricle.decoding.trie import Floats
from auricle.language.counts import Packed
from auricle.language.estimate import Estimate, assemble, interpolated
from auricle.language.pruning import Doubles, Ngrams, back_offs, log_back_offs, probabilities_of, without_little

Text: TypeAlias = tuple[NDArray[np.uint16], NDArray[np.int64]]
"""Word ids and where each sentence begins, as `estimate` takes them."""

_STEPS = 200  # of EM; from even weights it stands still after some tens


class Mixed(NamedTuple):
    """A model, and what each text's own model counts in it."""

    estimate: Estimate
    weights: tuple[float, ...]


def estimate_mixture(
    texts: Sequence[Text],
    vocabulary: tuple[str, ...],
    judge: Callable[[NgramModel], Floats],
    *,
    order: int = 4,
    prune: Sequence[int] = (0, 0, 1, 1),
    entropy: float = 0.0,
) -> Mixed:
    """Estimate a model of each text as `estimate` does, and mix them into one.

    `judge` returns the natural-log probabilities that a model gives to each word of held-out text, in an order that is
    the same for all models. The mixture is pruned by `entropy`; its `seen` are n-grams that one of the models has, and
    it has no discounts. Raises LanguageModelError as `estimate` does.
    """
    models = [interpolated(*text, len(vocabulary), order=order, prune=prune) for text in texts]
    judged = [judge(NgramModel(assemble(vocabulary, model.levels, model.back_offs))) for model in models]
    weights = likeliest_weights(judged)
    levels = mixture([model.levels for model in models], weights)
    seen = tuple(len(level.keys) for level in levels)
    if entropy:
        levels = without_little(levels, entropy)
    return Mixed(Estimate(assemble(vocabulary, levels, log_back_offs(levels)), seen, ()), weights)


def likeliest_weights(log_probs: Sequence[Floats]) -> tuple[float, ...]:
    """Return what each model must count for their mixture to make a text likeliest, by expectation maximisation.

    `log_probs` are, for each model, those of the text's words in the same order. Even weights where there is no text.
    """
    table = np.exp(np.stack(log_probs).astype(np.float64))
    weights: Doubles = np.full(len(table), 1 / len(table))
    for _ in range(_STEPS if table.size else 0):
        weights = weights * (table / (weights @ table)).mean(axis=1)
    return tuple((weights / weights.sum()).tolist())


def mixture(models: Sequence[Sequence[Ngrams]], weights: Sequence[float]) -> list[Ngrams]:
    """Return the levels, unigrams first, of the mixture of models with the same words and the same order."""
    answers = [back_offs(levels) for levels in models]
    sizes = np.array([float(levels[0].counts.sum()) for levels in models])
    scales = np.asarray(weights) * sizes.sum() / sizes
    mixed: list[Ngrams] = []
    for order in range(1, len(models[0]) + 1):
        keys: Packed = np.unique(np.concatenate([levels[order - 1].keys for levels in models]))
        probabilities, counts = np.zeros(len(keys)), np.zeros(len(keys))
        for levels, answer, weight, scale in zip(models, answers, weights, scales, strict=True):
            probabilities += weight * probabilities_of(levels, answer, order, keys)
            counts[np.searchsorted(keys, levels[order - 1].keys)] += scale * levels[order - 1].counts
        mixed.append(Ngrams(keys, probabilities, counts))
    return mixed
