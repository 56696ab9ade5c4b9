"""Entropy pruning: leave out the n-grams whose loss changes a model least (Stolcke, 1998).

A. Stolcke, "Entropy-based pruning of backoff language models", DARPA Broadcast News Workshop, 1998. How often a
context occurs is counted in the text and not taken from the model: Kneser-Ney's short contexts do not say it (Chelba
and others, "Study on interaction between entropy pruning and Kneser-Ney smoothing", Interspeech 2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from auricle.language.counts import Counts, Packed, prefix, suffix

Doubles: TypeAlias = NDArray[np.float64]
_LEAST = 1e-12  # what is left to unseen words where rounding says nothing or less


class Ngrams(NamedTuple):
    """The n-grams of one order, ascending; the probability of each one's last word; how often each was seen.

    In a mixture of texts (`mixing`), "how often" is what it would be in as much text, mixed by their weights.
    """

    keys: Packed
    probabilities: Doubles
    counts: Counts | Doubles


def without_little(levels: Sequence[Ngrams], threshold: float) -> list[Ngrams]:
    """Return the levels, unigrams first, without the n-grams that the model does without.

    An n-gram goes where the relative entropy between the models with and without it, in nats per word of the text, is
    below `threshold`, and nothing longer that stays begins with it. Each n-gram of the levels must have its own
    beginning and end (all words but the last, and but the first) one level down.
    """
    words = float(levels[0].counts.sum())
    pruned = list(levels)
    for index in range(len(levels) - 1, 0, -1):
        level, lower = levels[index], levels[index - 1]
        kept = _losses(level, lower, index + 1) >= threshold * words
        if index + 1 < len(levels):
            kept[np.searchsorted(level.keys, prefix(pruned[index + 1].keys))] = True
        pruned[index] = Ngrams(level.keys[kept], level.probabilities[kept], level.counts[kept])
    return pruned


def _losses(level: Ngrams, lower: Ngrams, order: int) -> Doubles:
    """Return how much the text's log-probability falls without each n-gram of `order`."""
    contexts = np.searchsorted(lower.keys, prefix(level.keys))
    shorter = lower.probabilities.take(np.searchsorted(lower.keys, suffix(level.keys, order)))
    left = _left(contexts, level.probabilities, len(lower.keys)).take(contexts)
    shorter_left = _left(contexts, shorter, len(lower.keys)).take(contexts)
    weight = np.log(left / shorter_left)
    without = np.log((left + level.probabilities) / (shorter_left + shorter))
    own = level.probabilities * (np.log(shorter) + without - np.log(level.probabilities))
    losses: Doubles = -lower.counts.take(contexts) * (own + left * (without - weight))
    return losses


def _left(contexts: NDArray[np.int64], probabilities: Doubles, size: int) -> Doubles:
    """Return what each of `size` contexts leaves to the words that do not follow it in an n-gram."""
    taken = np.bincount(contexts, probabilities, size).astype(np.float64)
    return np.maximum(1 - taken, _LEAST)


def log_back_offs(levels: Sequence[Ngrams]) -> list[NDArray[np.float32]]:
    """Return the natural logarithms of `back_offs`."""
    return [np.log(weight).astype(np.float32) for weight in back_offs(levels)]


def back_offs(levels: Sequence[Ngrams]) -> list[Doubles]:
    """Return, for each level but the last, the weight of shorter contexts that lets every context sum to one."""
    weights: list[Doubles] = []
    for index, level in enumerate(levels[1:], 1):
        lower = levels[index - 1]
        contexts = np.searchsorted(lower.keys, prefix(level.keys))
        shorter = probabilities_of(levels, weights, index, suffix(level.keys, index + 1))
        left = _left(contexts, level.probabilities, len(lower.keys))
        weights.append(left / _left(contexts, shorter, len(lower.keys)))
    return weights


def probabilities_of(levels: Sequence[Ngrams], weights: Sequence[Doubles], order: int, keys: Packed) -> Doubles:
    """Return the probability of the last word of n-grams of `order`, which the levels need not have.

    `weights` are the levels' `back_offs`.
    """
    level = levels[order - 1]
    at = np.searchsorted(level.keys, keys).clip(max=max(len(level.keys) - 1, 0))
    if order == 1:
        return level.probabilities.take(at)
    found = level.keys.take(at) == keys if len(level.keys) else np.zeros(len(keys), dtype=bool)
    out = np.empty(len(keys))
    out[found] = level.probabilities.take(at[found])
    missing = keys[~found]
    contexts = levels[order - 2].keys
    at = np.searchsorted(contexts, prefix(missing)).clip(max=len(contexts) - 1)
    known = contexts.take(at) == prefix(missing)
    weight = np.where(known, weights[order - 2].take(at), 1.0)
    out[~found] = weight * probabilities_of(levels, weights, order - 1, suffix(missing, order))
    return out
