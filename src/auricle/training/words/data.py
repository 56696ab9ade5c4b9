"""Texts as batches of sentences: words as ranks, what is read beside what is to be told."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_POOL = 20_000  # sentences whose order is mixed and that are then laid out by length


class Sentences:
    """Sentences of one text: `ids` [words in all] are ranks, `starts` [sentences + 1] where each begins.

    Sentences of more than `longest` words are cut, and each part is one.
    """

    def __init__(self, ids: NDArray[np.int64], starts: NDArray[np.int64], longest: int) -> None:
        self._ids = ids
        parts = -(-np.diff(starts) // longest)
        number = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
        self._firsts = np.repeat(starts[:-1], parts) + longest * number
        self._lengths = np.minimum(np.repeat(starts[1:], parts) - self._firsts, longest)

    def __len__(self) -> int:
        return len(self._firsts)

    def batches(self, words: int, start: int, random: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield for ever what is read and what is told, both [T, B], of about so many words; -1 is told after ends.

        The first word of each is read after `start`. Each sentence comes once before one comes again.
        """
        while True:
            order = random.permutation(len(self))
            for begin in range(0, len(order), _POOL):
                pool = order[begin : begin + _POOL]
                pool = pool[np.argsort(self._lengths[pool], kind="stable")]
                rows = list(self._divided(pool, words))
                for place in random.permutation(len(rows)).tolist():
                    yield self._batch(rows[place], start)

    def _divided(self, pool: NDArray[np.int64], words: int) -> Iterator[NDArray[np.int64]]:
        """Yield sentences, the shorter first, as many at a time as have so many words with what fills them up."""
        begin = 0
        while begin < len(pool):
            lengths = self._lengths[pool[begin:]]
            # Sorted by length: a batch of n has n times its last one's.
            fits = int(np.searchsorted(lengths * np.arange(1, len(lengths) + 1), words, side="right"))
            yield pool[begin : begin + max(fits, 1)]
            begin += max(fits, 1)

    def _batch(self, rows: NDArray[np.int64], start: int) -> tuple[Tensor, Tensor]:
        lengths = self._lengths[rows]
        places = np.arange(int(lengths.max()))[:, None]
        inside = places < lengths
        told = np.where(inside, self._ids[np.minimum(self._firsts[rows] + places, len(self._ids) - 1)], -1)
        read = np.concatenate((np.full((1, len(rows)), start), np.maximum(told[:-1], 0)))
        return torch.from_numpy(read), torch.from_numpy(told)
