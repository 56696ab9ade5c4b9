"""The vocabulary as a trie over tokens, laid out in tables so that many beams take a step at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from auricle.alphabet import Alphabet
from auricle.features import Array

Ids = npt.NDArray[np.int32]

ROOT = 0
NO_WORD = -1
PACKED = 8  # tokens of a byte that make one number to sort by
_BYTES = 256


class Lexicon:
    """Which words a beginning may still become.

    `outside`, the last node, is where a beginning goes that no word has, and it never comes back. `word_at [nodes]` is
    the id of the word that ends there, or -1. `outlook [nodes]` is the best of `scores` among the words below a node,
    the language model's view of a word that is not finished; it is 0 at the root and outside. `width` is the number of
    tokens.
    """

    def __init__(self, words: Sequence[str], scores: Array, alphabet: Alphabet) -> None:
        """Hold `words`, of which the i-th has id i and `scores[i]`; those the alphabet cannot write are left out."""
        tokens, lengths, ids = _spelled(words, alphabet)
        self._lay_out(tokens, lengths, ids, np.asarray(scores, np.float32)[ids], alphabet.tokens)

    def _lay_out(
        self, tokens: npt.NDArray[Any], lengths: npt.NDArray[np.int64], ids: Ids, scores: Array, width: int
    ) -> None:
        """Lay out words of `lengths` in order of their `tokens` [words, longest]; no two are alike."""
        # Two words of one beginning differ after it: no token of a word is 0, which fills the rows.
        differs = tokens[1:] != tokens[:-1]
        alone_from = np.zeros(len(tokens), np.int64)
        alone_from[1:] = differs.argmax(axis=1)
        del differs
        # The nodes of a depth are together, in the words' order, so that those below one node are, too. A word that
        # shares its beginning shares the latest node of each depth. Most words are short, so it goes depth by depth.
        going = np.arange(len(tokens))
        node = np.full(len(tokens), ROOT, np.int32)
        parents, added, outlooks, count = [], [], [np.zeros(1, np.float32)], 0
        for depth in range(tokens.shape[1]):
            going = going[lengths[going] > depth]
            is_new = alone_from[going] <= depth
            new = np.flatnonzero(is_new)
            own = going[new]
            parents.append(node[own])
            added.append(tokens[own, depth])
            outlooks.append(np.maximum.reduceat(scores[going], new) if len(new) else outlooks[0][:0])
            node[going] = count + np.cumsum(is_new, dtype=np.int32)
            count += len(new)
        self.outside, self.width = 1 + count, width
        parent = np.concatenate(parents) if parents else np.zeros(0, np.int32)
        token = np.concatenate(added) if added else tokens[:0].ravel()
        self._link(parent, token)
        self.word_at: Ids = np.full(self.outside + 1, NO_WORD, np.int32)
        self.word_at[node] = ids
        self.outlook: Array = np.concatenate((*outlooks, np.zeros(1, np.float32)))

    def _link(self, parent: Ids, token: npt.NDArray[Any]) -> None:
        """Make the tables of `step`: node i + 1 lies below `parent [i]`, which ascends, by `token [i]`."""
        width = self.width
        children = np.arange(1, self.outside, dtype=np.int32)
        is_first = np.ones(len(parent), bool)
        is_first[1:] = parent[1:] != parent[:-1]
        self._first: Ids = np.zeros(self.outside + 1, np.int32)
        self._first[parent[is_first]] = children[is_first]
        # Which of the nodes below it each token leads to: a byte each, where no more are below one node. Most nodes
        # have one below them or none, and share a row of these bytes with all that go on alike.
        ranks = children - self._first[parent]
        kind = np.uint8 if width < _BYTES else np.uint16
        self._none = np.iinfo(kind).max
        is_only = is_first & np.append(is_first[1:], True)
        many = np.flatnonzero(~is_only)
        branching = parent[is_first & ~is_only]
        self._row: Ids = np.zeros(self.outside + 1, np.int32)  # where it begins
        self._row[parent[is_only]] = (1 + token[is_only].astype(np.int32)) * width
        self._row[branching] = (1 + width + np.arange(len(branching), dtype=np.int32)) * width
        rows = np.full((1 + width + len(branching), width), self._none, kind)
        np.fill_diagonal(rows[1:], 0)
        self._ranks: npt.NDArray[np.unsignedinteger] = rows.ravel()
        self._ranks[self._row[parent[many]] + token[many]] = ranks[many]

    def step(self, nodes: npt.NDArray[Any], tokens: npt.NDArray[Any]) -> Ids:
        """Return the nodes that tokens [n] lead to from nodes [n]."""
        places = self._row.take(nodes)
        places += tokens
        ranks = self._ranks.take(places)
        after = self._first.take(nodes)
        after += ranks
        np.copyto(after, self.outside, where=ranks == self._none)
        return after

    def __contains__(self, tokens: Sequence[int]) -> bool:
        return bool(self.word_at[self._node(tokens)] != NO_WORD)

    def is_outside(self, tokens: Sequence[int]) -> bool:
        """Return whether no word begins like this."""
        return self._node(tokens) == self.outside

    def _node(self, tokens: Sequence[int]) -> int:
        node = np.array([ROOT])
        for token in tokens:
            node = self.step(node, np.array([token]))
        return int(node[0])


def sort_keys(tokens: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
    """Return what `np.lexsort` puts rows of tokens [n, m] in order by, of tokens of a byte `PACKED` at a time."""
    if tokens.dtype == np.uint8:
        tokens = np.pad(tokens, ((0, 0), (0, -tokens.shape[1] % PACKED))) if tokens.shape[1] % PACKED else tokens
        tokens = tokens.view(">u8").astype(np.uint64)
    return tuple(tokens.T[::-1])


def _spelled(words: Sequence[str], alphabet: Alphabet) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], Ids]:
    """Return the words that the alphabet can write, sorted: tokens [words, longest], lengths and ids."""
    codes = np.frombuffer(("\n".join(words) + "\n").encode("utf-32-le"), np.uint32)
    known, place = np.unique(codes, return_inverse=True)
    token_of = {ord(letter): token for token, letter in enumerate(alphabet.characters, start=1) if letter != " "}
    kind = np.uint8 if alphabet.tokens <= _BYTES else np.int32
    flat = np.array([token_of.get(int(code), 0) for code in known], kind)[place]
    ends = np.flatnonzero(codes == ord("\n"))
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts
    unknown = np.cumsum(flat == 0)
    # A word's own newline is the one token 0 that it may have.
    good = (unknown[ends] - np.where(starts > 0, unknown[starts - 1], 0) == 1) & (lengths > 0)
    ids = np.flatnonzero(good)
    lengths, starts = lengths[ids], starts[ids]
    tokens = np.zeros((len(ids), int(lengths.max(initial=1))), kind)
    inside = np.arange(tokens.shape[1]) < lengths[:, None]
    tokens[inside] = flat[(starts[:, None] + np.arange(tokens.shape[1]))[inside]]
    order = np.lexsort(sort_keys(tokens))
    return tokens[order], lengths[order], ids[order].astype(np.int32)
