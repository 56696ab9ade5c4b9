"""Scalar quantisation: many values as 8-bit indices into a book of at most 256 (Lloyd, 1982; Max, 1960)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

ENTRIES = 256
_ROUNDS = 10


@dataclass(frozen=True)
class Quantised:
    """Values as `indices` [n] into a `book` [<= 256]."""

    indices: NDArray[np.uint8]
    book: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.indices)

    def values(self) -> NDArray[np.float32]:
        """Return the values [n]."""
        return self.book.take(self.indices)


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


class Weights:
    """Values in several parts, one after another, each quantised with a book of its own; or, if any is not, as floats.

    Before the first there may be `room`, as if for other values.
    """

    def __init__(self, parts: Sequence[Quantised | NDArray[np.float32]], *, room: int = 0) -> None:
        self._ends = list(accumulate(map(len, parts), initial=room))
        quantised = [part for part in parts if isinstance(part, Quantised)]
        self._books: NDArray[np.float32] | None = None
        if len(quantised) == len(parts):
            self._books = np.zeros((len(parts), ENTRIES), np.float32)
            for row, one in zip(self._books, quantised, strict=True):
                row[: len(one.book)] = one.book
            values = [one.indices for one in quantised]
            self._values: NDArray[Any] = np.concatenate([np.zeros(room, np.uint8), *values])
        else:
            floats = [part.values() if isinstance(part, Quantised) else part for part in parts]
            self._values = np.concatenate([np.zeros(room, np.float32), *floats])
        self._first_entries = ENTRIES * np.arange(len(parts), dtype=np.intp)

    def take(self, places: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return values at places [n, parts], each of its column's part; where none of them is, anything."""
        if not len(self._values):
            return np.zeros(places.shape, np.float32)
        values = self._values.take(places, mode="clip")
        return values if self._books is None else self._books.reshape(-1).take(values + self._first_entries)

    def part(self, number: int) -> NDArray[np.float32]:
        """Return the values of one part."""
        values = self._values[self._ends[number] : self._ends[number + 1]]
        return values if self._books is None else self._books[number].take(values)
