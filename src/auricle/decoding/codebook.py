"""Scalar quantisation: many values as 8-bit indices into a book of at most 256 (Lloyd, 1982; Max, 1960)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ENTRIES = 256
_ROUNDS = 10


def quantise(values: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return indices [n] and an ascending book [<= 256] with book[indices] close to values [n].

    At most 256 distinct values are kept exactly, so that what was quantised once does not change again. Zero, the
    back-off weight of all that is no context, is exact in any case.
    """
    ordered = np.sort(values)
    fresh = np.ones(len(ordered), dtype=bool)
    fresh[1:] = ordered[1:] != ordered[:-1]
    distinct = ordered[fresh]
    book = distinct if len(distinct) <= ENTRIES else _book(ordered, zero=bool((distinct == 0).any()))
    indices = np.searchsorted((book[1:].astype(np.float64) + book[:-1]) / 2, values)
    used = np.flatnonzero(np.bincount(indices, minlength=len(book)))
    return np.searchsorted(used, indices).astype(np.uint8), book[used]


def _book(ordered: NDArray[np.float32], *, zero: bool) -> NDArray[np.float32]:
    free = ordered[ordered != 0] if zero else ordered
    book = _spread(free, ENTRIES - 1 if zero else ENTRIES)
    sums = np.concatenate(([0.0], np.cumsum(free, dtype=np.float64)))
    for _ in range(_ROUNDS):
        bounds = np.concatenate(([0], np.searchsorted(free, (book[1:] + book[:-1]) / 2), [len(free)]))
        filled = np.diff(bounds) > 0
        book[filled] = np.diff(sums[bounds])[filled] / np.diff(bounds)[filled]
    return np.unique(np.append(book, 0.0) if zero else book).astype(np.float32)


def _spread(ordered: NDArray[np.float32], entries: int) -> NDArray[np.float64]:
    """Return a first book, dense as the cube root of the values' density: best for many entries (Panter, Dite, 1951).

    A gap between neighbours is one over the density, and counts with its power of two thirds, since gaps are as many
    as the density is high.
    """
    mass = np.concatenate(([0.0], np.cumsum(np.cbrt(np.diff(ordered).astype(np.float64)) ** 2)))
    places = (np.arange(entries) + 0.5) / entries * mass[-1]
    book: NDArray[np.float64] = np.interp(places, mass, ordered)
    return book
