"""What the network reads of a word: rows of one table, chosen by hashing the word and its ends, and one for the pause.

A restorer may know how books write a word (KINDS): then one row says that, in place of the row of the first letters.

Hashes need no vocabulary: a name that training never saw still has its ending (Svenstrup and others, 2017, "Hash
embeddings": each word takes two rows, so that words which share one seldom share both).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from auricle.restoration.types import Pauses

ROWS_PER_WORD = 6
PAUSE_EDGES = (0.03, 0.08, 0.15, 0.25, 0.4, 0.6, 0.9, 1.4)  # seconds; each about 1.6 times the last
_NOTHING = 0  # a row of zeros: before the first word, after the last, and for a pause that is not known
_FIRST_PAUSE = 1
_FIRST_KIND = 11
_FIRST_HASH = 16  # the rows before belong to pauses and kinds

KINDS = ("unknown", "name", "mostly", "sometimes", "lower")
"""How books write a word within a sentence: seldom seen; nearly always capital; mostly; sometimes; hardly ever."""
_WHOLE, _KIND = slice(0, 2), 2  # columns: the word itself, twice; its kind, or its first letters


def word_rows(words: Sequence[str], rows: int, kinds: Mapping[str, int] | None = None) -> NDArray[np.int32]:
    """Return [words, ROWS_PER_WORD] indices into a table of `rows`; the last column is left for the pause.

    `kinds` has the place in KINDS of each word that is known; a restorer that was trained without them has None.
    """
    found = np.array([_hashed(word, rows) for word in words], np.int32).reshape(len(words), ROWS_PER_WORD)
    if kinds:
        found[:, _KIND] = [_FIRST_KIND + kinds.get(word, 0) for word in words]
    return found


def forget(found: NDArray[np.int32], rows: int, random: np.random.Generator) -> NDArray[np.int32]:
    """Return rows of words [n, ROWS_PER_WORD] as those of words that nobody has seen, but with the same endings."""
    forgotten = found.copy()
    forgotten[:, _WHOLE] = random.integers(_FIRST_HASH, rows, forgotten[:, _WHOLE].shape)
    forgotten[:, _KIND] = _FIRST_KIND
    return forgotten


def pause_rows(pauses: Pauses | None, words: int) -> NDArray[np.int32]:
    """Return the row [words] of each pause. Raises ValueError unless there is one for each word."""
    if pauses is None:
        return np.full(words, _NOTHING, np.int32)
    if len(pauses) != words:
        raise ValueError(f"{len(pauses)} pauses for {words} words: give one after each word.")
    seconds = np.array([math.nan if pause is None else pause for pause in pauses], np.float64)
    rows = _FIRST_PAUSE + np.searchsorted(PAUSE_EDGES, seconds, side="right")
    return np.where(np.isnan(seconds), _NOTHING, rows).astype(np.int32)


@lru_cache(maxsize=1 << 15)
def _hashed(word: str, rows: int) -> tuple[int, ...]:
    # The two hashes of the whole word have to differ in more than a constant: CRC-32 is linear.
    parts = ("1" + word, word[::-1] + "2", "p" + word[:3], "s" + word[-3:], "t" + word[-2:])
    room = rows - _FIRST_HASH
    return (*(_FIRST_HASH + crc32(part.encode("utf-8", "surrogatepass")) % room for part in parts), _NOTHING)
