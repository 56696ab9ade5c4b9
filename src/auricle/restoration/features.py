"""What the network reads of a word: rows of one table, chosen by hashing the word and its ends, and one for the pause.

Hashes need no vocabulary: a name that training never saw still has its ending (Svenstrup and others, 2017, "Hash
embeddings": each word takes two rows, so that words which share one seldom share both).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from auricle.restoration.types import Pauses

ROWS_PER_WORD = 6
PAUSE_EDGES = (0.03, 0.08, 0.15, 0.25, 0.4, 0.6, 0.9, 1.4)  # seconds; each about 1.6 times the last
_NOTHING = 0  # a row of zeros: before the first word, after the last, and for a pause that is not known
_FIRST_PAUSE = 1
_FIRST_HASH = 16  # the rows before belong to pauses


def word_rows(words: Sequence[str], rows: int) -> NDArray[np.int32]:
    """Return [words, ROWS_PER_WORD] indices into a table of `rows`; the last column is left for the pause."""
    found = [_hashed(word, rows) for word in words]
    return np.array(found, np.int32).reshape(len(words), ROWS_PER_WORD)


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
