"""The vocabulary as a trie over tokens, laid out as one table so that many beams take a step at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from auricle.alphabet import Alphabet
from auricle.features import Array

Ids = npt.NDArray[np.int32]

ROOT = 0
NO_WORD = -1


class Lexicon:
    """Which words a beginning may still become.

    `step [nodes, tokens]` leads from a node to the next; `outside`, the last node, is where a beginning goes that no
    word has, and it never comes back. `word_at [nodes]` is the id of the word that ends there, or -1.
    `outlook [nodes]` is the best of `scores` among the words below a node, the language model's view of a word that is
    not finished; it is 0 at the root and outside.
    """

    def __init__(self, words: Sequence[str], scores: Array, alphabet: Alphabet) -> None:
        """Hold `words`, of which the i-th has id i and `scores[i]`; those the alphabet cannot write are left out."""
        tokens, lengths, ids = _spelled(words, alphabet)
        self._lay_out(tokens, lengths, ids, np.asarray(scores, np.float32)[ids], alphabet.tokens)

    def _lay_out(self, tokens: Ids, lengths: npt.NDArray[np.int64], ids: Ids, scores: Array, width: int) -> None:
        """Lay out words of `lengths` in order of their `tokens` [words, longest]; no two are alike."""
        shared = np.zeros(len(ids), np.int64)
        shared[1:] = (tokens[1:] == tokens[:-1]).cumprod(axis=1).sum(axis=1)
        # Words in order: each adds the nodes below what it shares with the one before it.
        fresh = lengths - np.minimum(shared, lengths)
        first_new = 1 + np.cumsum(fresh) - fresh
        depth = np.arange(tokens.shape[1])
        is_new = (depth >= shared[:, None]) & (depth < lengths[:, None])
        nodes = np.where(is_new, first_new[:, None] + depth - shared[:, None], 0)
        # Where a word shares its beginning, the latest node of that depth is the one it shares.
        nodes = np.maximum.accumulate(nodes, axis=0)
        self.outside = 1 + int(fresh.sum())
        self.step: Ids = np.full((self.outside + 1, width), self.outside, np.int32)
        rows, columns = np.nonzero(is_new)
        parents = np.where(columns > 0, nodes[rows, columns - 1], ROOT)
        self.step[parents, tokens[rows, columns]] = nodes[rows, columns]
        self.word_at: Ids = np.full(self.outside + 1, NO_WORD, np.int32)
        self.word_at[nodes[np.arange(len(ids)), lengths - 1]] = ids
        self.outlook: Array = np.full(self.outside + 1, -np.inf, np.float32)
        inside = depth < lengths[:, None]
        np.maximum.at(self.outlook, nodes[inside], np.repeat(scores, lengths))
        self.outlook[[ROOT, self.outside]] = 0.0

    def __contains__(self, tokens: Sequence[int]) -> bool:
        return bool(self.word_at[self._node(tokens)] != NO_WORD)

    def is_outside(self, tokens: Sequence[int]) -> bool:
        """Return whether no word begins like this."""
        return self._node(tokens) == self.outside

    def _node(self, tokens: Sequence[int]) -> int:
        node = ROOT
        for token in tokens:
            node = int(self.step[node, token])
        return node


def _spelled(words: Sequence[str], alphabet: Alphabet) -> tuple[Ids, npt.NDArray[np.int64], Ids]:
    """Return the words that the alphabet can write, sorted: tokens [words, longest], lengths and ids."""
    codes = np.frombuffer(("\n".join(words) + "\n").encode("utf-32-le"), np.uint32)
    known, place = np.unique(codes, return_inverse=True)
    token_of = {ord(letter): token for token, letter in enumerate(alphabet.characters, start=1) if letter != " "}
    flat = np.array([token_of.get(int(code), 0) for code in known], np.int32)[place]
    ends = np.flatnonzero(codes == ord("\n"))
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts
    unknown = np.cumsum(flat == 0)
    # A word's own newline is the one token 0 that it may have.
    good = (unknown[ends] - np.where(starts > 0, unknown[starts - 1], 0) == 1) & (lengths > 0)
    ids = np.flatnonzero(good)
    lengths, starts = lengths[ids], starts[ids]
    tokens = np.zeros((len(ids), int(lengths.max(initial=1))), np.int32)
    inside = np.arange(tokens.shape[1]) < lengths[:, None]
    tokens[inside] = flat[(starts[:, None] + np.arange(tokens.shape[1]))[inside]]
    order = np.lexsort(tokens.T[::-1])
    return tokens[order], lengths[order], ids[order].astype(np.int32)
