"""The n-grams of a back-off model as a trie of arrays: what estimation makes, files hold and queries search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

UNKNOWN, START, END = 0, 1, 2
SPECIALS = ("<unk>", "<s>", "</s>")
LARGEST_VOCABULARY = 1 << 16  # a word is 16 bits of a key
WORD_BITS = 16

Floats: TypeAlias = NDArray[np.float32]
Keys: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Level:
    """The n-grams of one order, sorted by `keys`.

    A key is `parent << 16 | word`: the index, one level down, of the n-gram without its last word, and that word's id.
    Among unigrams the parent is 0, and the index is the id. `log_probs` are natural logarithms of the probability of
    the last word after the others, `back_offs` those of the weight of shorter contexts where this n-gram, as a
    context, has no child for the next word; the highest order has none.
    """

    keys: Keys
    log_probs: Floats
    back_offs: Floats

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def words(self) -> NDArray[Any]:
        """The last word of each n-gram, uint16 [n]."""
        return self.keys.astype(np.uint16)  # the upper bits fall off

    @property
    def parents(self) -> NDArray[Any]:
        """The index of each n-gram's parent, int64 [n]."""
        return self.keys >> WORD_BITS

    def pieces(self) -> Iterator[Keys]:
        """Yield the keys, some at a time."""
        yield self.keys


@dataclass(frozen=True)
class Rare:
    """Words too rare for n-grams of their own, in order of code points: each is a part of what <unk> stands for.

    `log_shares` are natural logarithms of those parts, which are one together at most: the rest is what no list has.
    """

    words: tuple[str, ...]
    log_shares: Floats

    def __len__(self) -> int:
        return len(self.words)

    @property
    def share(self) -> float:
        """The part of <unk> that they are together."""
        return float(np.exp(self.log_shares, dtype=np.float64).sum())


NO_RARE = Rare((), np.zeros(0, np.float32))


@dataclass(frozen=True)
class Trie:
    """A back-off model: its vocabulary by id (`SPECIALS` first, the rest in order of code points) and its levels.

    The ids of rare words come after those of the vocabulary.
    """

    words: tuple[str, ...]
    levels: tuple[Level, ...]
    rare: Rare = NO_RARE

    @property
    def unigrams(self) -> Level:
        """The first level."""
        return self.levels[0]

    @property
    def higher(self) -> tuple[Level, ...]:
        """The other levels."""
        return self.levels[1:]

    @property
    def order(self) -> int:
        """Words of the longest n-gram."""
        return len(self.levels)

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of n-grams of each order."""
        return tuple(map(len, self.levels))
