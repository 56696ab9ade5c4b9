"""Counting n-grams: up to four 16-bit words are one 64-bit key, and sorting brings equal keys together."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from auricle.decoding.trie import END, START, UNKNOWN

Packed: TypeAlias = NDArray[np.uint64]
Counts: TypeAlias = NDArray[np.int64]

HIGHEST_ORDER = 4
_BITS = np.uint64(16)


class Counted(NamedTuple):
    """The distinct n-grams of one order, ascending, and how often each was seen."""

    keys: Packed
    counts: Counts


def with_ends(ids: NDArray[np.uint16], starts: NDArray[np.int64]) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Return sentences [words] with <s> and </s> around each, and where each now begins [sentences + 1]."""
    sentences = len(starts) - 1
    around = np.empty(len(ids) + 2 * sentences, np.uint16)
    begins = starts + 2 * np.arange(sentences + 1)
    inner = np.ones(len(around), dtype=bool)
    inner[begins[:-1]] = inner[begins[1:] - 1] = False
    around[begins[:-1]], around[begins[1:] - 1] = START, END
    around[inner] = ids
    return around, begins


def count(tokens: NDArray[np.uint16], begins: NDArray[np.int64], order: int) -> Counted:
    """Count the n-grams of `order` that lie within a sentence."""
    size = max(len(tokens) - order + 1, 0)
    keys = np.zeros(size, np.uint64)
    for step in range(order):
        keys <<= _BITS
        keys |= tokens[step : step + size]
    inside = np.ones(size, dtype=bool)
    for step in range(1, order):
        crossing = begins[1:-1] - step
        inside[crossing[(crossing >= 0) & (crossing < size)]] = False
    return distinct(keys[inside])


def distinct(keys: Packed) -> Counted:
    """Return the distinct keys and their counts. The array given is sorted in place."""
    keys.sort()
    begins = runs(keys)
    return Counted(keys[begins], np.diff(begins, append=len(keys)))


def runs(ascending: Packed) -> NDArray[np.int64]:
    """Return where each run of equal values begins."""
    fresh = np.ones(len(ascending), dtype=bool)
    np.not_equal(ascending[1:], ascending[:-1], out=fresh[1:])
    return np.flatnonzero(fresh)


def prefix(keys: Packed) -> Packed:
    """Return the n-grams without their last word."""
    return keys >> _BITS


def suffix(keys: Packed, order: int) -> Packed:
    """Return n-grams of `order` without their first word."""
    return keys & np.uint64((1 << 16 * (order - 1)) - 1)


def first_word(keys: Packed, order: int) -> Packed:
    """Return the first word of n-grams of `order`."""
    return keys >> np.uint64(16 * (order - 1))


def holds_unknown(keys: Packed, order: int) -> NDArray[Any]:
    """Return which n-grams of `order` have <unk> among their words."""
    found = np.zeros(len(keys), dtype=bool)
    for place in range(order):
        found |= (keys >> np.uint64(16 * place)) & np.uint64(0xFFFF) == UNKNOWN
    return found
