"""Interpolated modified Kneser-Ney estimation, with count cut-offs as KenLM has them.

S. F. Chen and J. Goodman, "An empirical study of smoothing techniques for language modeling", TR-10-98, Harvard, 1998;
K. Heafield and others, "Scalable modified Kneser-Ney language model estimation", ACL 2013. The names are theirs: a is
an adjusted count, u the discounted share of an n-gram in its context, gamma the share left to shorter contexts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auricle.decoding.trie import START, WORD_BITS, Level, Trie
from auricle.errors import LanguageModelError
from auricle.language.counts import (
    HIGHEST_ORDER,
    Counted,
    Counts,
    Packed,
    count,
    distinct,
    first_word,
    holds_unknown,
    prefix,
    runs,
    suffix,
    with_ends,
)
from auricle.language.pruning import Doubles, Ngrams, log_back_offs, without_little

FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)  # KenLM's, for text with too few counts of counts
NEVER = -99 * math.log(10)  # ARPA's way to write the probability of <s>, which nothing predicts


@dataclass(frozen=True)
class Estimate:
    """A model, and for each order the n-grams seen before pruning and the discounts D1, D2, D3+."""

    trie: Trie
    seen: tuple[int, ...]
    discounts: tuple[tuple[float, float, float], ...]


class _Order(NamedTuple):
    """One order: its kept n-grams with their counts and shares u, and its contexts with their gammas."""

    keys: Packed
    counts: Counts
    shares: Doubles
    contexts: Packed
    gammas: Doubles


class Interpolated(NamedTuple):
    """A model of one text before pruning by entropy: its levels, and ln of each n-gram's weight of shorter contexts.

    `seen` and `discounts` are Estimate's.
    """

    levels: list[Ngrams]
    back_offs: list[NDArray[np.float32]]
    seen: tuple[int, ...]
    discounts: tuple[tuple[float, float, float], ...]


def estimate(
    ids: NDArray[np.uint16],
    starts: NDArray[np.int64],
    vocabulary: tuple[str, ...],
    *,
    order: int = 4,
    prune: Sequence[int] = (0, 0, 1, 1),
    entropy: float = 0.0,
) -> Estimate:
    """Estimate a model from sentences of word ids, `ids[starts[i] : starts[i + 1]]` being one of them.

    N-grams of order n seen `prune[n - 1]` times or less are left out, and so are those from two words up that hold
    <unk>; what they had goes to their context's shorter contexts, so that each context still sums to one. Of the rest,
    those go without which the relative entropy grows by less than `entropy`, in nats a word (`pruning`). Raises
    LanguageModelError for settings that cannot be followed and for no text.
    """
    levels, back_offs, seen, discounts = interpolated(ids, starts, len(vocabulary), order=order, prune=prune)
    if entropy:
        levels = without_little(levels, entropy)
        back_offs = log_back_offs(levels)
    return Estimate(assemble(vocabulary, levels, back_offs), seen, discounts)


def interpolated(
    ids: NDArray[np.uint16], starts: NDArray[np.int64], vocabulary: int, *, order: int, prune: Sequence[int]
) -> Interpolated:
    """Estimate a model of so many words as `estimate` does, as far as its levels."""
    _check(order, prune, ids)
    tokens, begins = with_ends(ids, starts)
    orders: list[_Order] = []
    seen: list[int] = []
    discounts: list[tuple[float, float, float]] = []
    longer: Packed | None = None
    for size in range(order, 1, -1):
        counted = count(tokens, begins, size)
        adjusted = _adjusted(counted, longer, size)
        longer = counted.keys
        discounts.append(discount(adjusted))
        kept = (counted.counts > prune[size - 1]) & ~holds_unknown(counted.keys, size)
        orders.append(_shares(counted, adjusted, kept, discounts[-1]))
        seen.append(len(counted.keys))
    unigrams, amounts = _unigrams(tokens, longer, vocabulary)
    occurrences = np.bincount(tokens, minlength=vocabulary)
    levels = _interpolated(Ngrams(np.arange(vocabulary, dtype=np.uint64), unigrams, occurrences), orders[::-1])
    back_offs = [_log_gammas(level.keys, longer) for level, longer in zip(levels, orders[::-1], strict=False)]
    return Interpolated(levels, back_offs, (vocabulary, *seen[::-1]), (amounts, *discounts[::-1]))


def discount(adjusted: NDArray[np.int64]) -> tuple[float, float, float]:
    """Return D1, D2 and D3+ (Chen and Goodman, equation 26), or KenLM's fallback where the counts do not yield them."""
    n1, n2, n3, n4 = np.bincount(adjusted.clip(max=5), minlength=6)[1:5].tolist()
    if not (n1 and n2 and n3):
        return FALLBACK_DISCOUNTS
    y = n1 / (n1 + 2 * n2)
    amounts = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return amounts if all(0 < amount < most for most, amount in enumerate(amounts, 1)) else FALLBACK_DISCOUNTS


def _check(order: int, prune: Sequence[int], ids: NDArray[np.uint16]) -> None:
    if not 1 <= order <= HIGHEST_ORDER:
        raise LanguageModelError(f"a model of order {order} cannot be built: choose one from 1 to {HIGHEST_ORDER}.")
    if len(prune) != order or prune[0] != 0 or list(prune) != sorted(prune):
        raise LanguageModelError(
            f'pruning by "{" ".join(map(str, prune))}" cannot be done: give {order} thresholds, the first of them 0 '
            "(a smaller vocabulary is how words are left out) and none below the one before it."
        )
    if not len(ids):
        raise LanguageModelError(
            "there is no text to build a language model from: every sentence is empty or left out."
        )


def _adjusted(counted: Counted, longer: Packed | None, order: int) -> NDArray[np.int64]:
    """Return a: the number of distinct words before an n-gram, or its count where nothing is longer or can precede."""
    if longer is None:
        return counted.counts
    adjusted = counted.counts.copy()
    # Everything but <s> has a word before it, so these are the same n-grams in the same order.
    adjusted[first_word(counted.keys, order) != START] = distinct(suffix(longer, order + 1)).counts
    return adjusted


def _shares(counted: Counted, adjusted: Counts, kept: NDArray[Any], amounts: tuple[float, float, float]) -> _Order:
    keys = counted.keys
    contexts = prefix(keys)
    begins = runs(contexts)
    denominators = np.add.reduceat(adjusted, begins).astype(np.float64)
    discounts = np.array((0.0, *amounts)).take(adjusted.clip(max=3))
    left = np.add.reduceat(np.where(kept, discounts, adjusted), begins)
    group = np.cumsum(np.bincount(begins, minlength=len(keys))) - 1
    shares = (adjusted[kept] - discounts[kept]) / denominators.take(group[kept])
    return _Order(keys[kept], counted.counts[kept], shares, contexts[begins], left / denominators)


def _unigrams(
    tokens: NDArray[np.uint16], bigrams: Packed | None, vocabulary: int
) -> tuple[Doubles, tuple[float, float, float]]:
    """Return the probability of each word, interpolated with the uniform distribution; that of <s> is zero."""
    words = tokens if bigrams is None else suffix(bigrams, 2).astype(np.int64)
    adjusted = np.bincount(words, minlength=vocabulary).astype(np.int64)
    adjusted[START] = 0
    amounts = discount(adjusted)
    discounts = np.array((0.0, *amounts)).take(adjusted.clip(max=3))
    total = float(adjusted.sum())
    probabilities = (adjusted - discounts) / total + discounts.sum() / total / (vocabulary - 1)
    probabilities[START] = 0.0
    return probabilities, amounts


def _interpolated(unigrams: Ngrams, orders: Sequence[_Order]) -> list[Ngrams]:
    """Return the n-grams of all orders with their probabilities, interpolated from the shortest up."""
    levels = [unigrams]
    for size, order in enumerate(orders, 2):
        lower = levels[-1]
        gammas = order.gammas.take(np.searchsorted(order.contexts, prefix(order.keys)))
        shorter = lower.probabilities.take(np.searchsorted(lower.keys, suffix(order.keys, size)))
        levels.append(Ngrams(order.keys, order.shares + gammas * shorter, order.counts))
    return levels


def assemble(vocabulary: tuple[str, ...], levels: Sequence[Ngrams], back_offs: Sequence[NDArray[np.float32]]) -> Trie:
    """Number the n-grams of levels, unigrams first, which each have their beginnings one level down."""
    with np.errstate(divide="ignore"):
        log_probs = [np.log(level.probabilities).astype(np.float32) for level in levels]
    log_probs[0][START] = NEVER
    keys = [levels[0].keys.astype(np.int64)]
    for level, lower in zip(levels[1:], levels, strict=False):
        parents = np.searchsorted(lower.keys, prefix(level.keys))
        keys.append((parents << WORD_BITS) | (level.keys & np.uint64(0xFFFF)).astype(np.int64))
    highest = np.zeros(len(keys[0]) if len(keys) == 1 else 0, np.float32)
    return Trie(vocabulary, tuple(map(Level, keys, log_probs, [*back_offs, highest])))


def _log_gammas(keys: Packed, longer: _Order) -> NDArray[np.float32]:
    """Return ln gamma of each n-gram as a context, 0 for those that nothing follows."""
    gammas = np.ones(len(keys))
    if len(longer.contexts):
        at = np.searchsorted(longer.contexts, keys)
        found = longer.contexts.take(at, mode="clip") == keys
        gammas[found] = longer.gammas[at[found]]
    return np.log(gammas).astype(np.float32)
