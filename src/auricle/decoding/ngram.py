"""A back-off n-gram language model in memory: many words after many contexts in one call (Katz, 1987)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, islice
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from auricle.decoding.trie import END, START, UNKNOWN, WORD_BITS, Floats, Keys, Level, Trie
from auricle.decoding.trie_file import trie_from_bytes, trie_to_bytes

States: TypeAlias = NDArray[np.int32]

_BLOCK = 16  # keys
_TOGETHER = 4096  # sentences scored in one go: enough to make a call's cost small


@dataclass(frozen=True)
class PerplexityReport:
    """How well a model predicts sentences. `log_prob` is natural, and holds `unknown_log_prob` and sentences' ends."""

    sentences: int
    words: int
    unknown: int
    log_prob: float
    unknown_log_prob: float

    @property
    def oov_rate(self) -> float:
        """The share of words that the model does not have."""
        return self.unknown / self.words if self.words else 0.0

    @property
    def perplexity(self) -> float:
        """Perplexity a word, sentences' ends counted as words, unknown words with the probability of <unk>."""
        return _perplexity(self.log_prob, self.words + self.sentences)

    @property
    def known_perplexity(self) -> float:
        """The same without the unknown words (they still cut the contexts of others)."""
        return _perplexity(self.log_prob - self.unknown_log_prob, self.words + self.sentences - self.unknown)


class NgramModel:
    """A back-off n-gram model.

    A state is a row of int32: for k = 1 .. order - 1, the index of the n-gram of order k that the last k words form,
    or -1 where the model has none. N-grams of all orders are numbered together, so a word's id is its index. Words are
    ids, see `ids`. A model holds nothing that a query changes.
    """

    def __init__(self, trie: Trie) -> None:
        self.order = trie.order
        self.words = trie.words
        self._counts = trie.counts
        self._log_probs: Floats = np.concatenate([level.log_probs for level in trie.levels])
        self.unigrams: Floats = self._log_probs[: len(self.words)]
        # One more, of weight one, is what a state of -1 reads.
        self._back_offs: Floats = np.concatenate([*(level.back_offs for level in trie.levels), np.zeros(1, np.float32)])
        # With parents numbered over all orders, the keys of all orders are one ascending row, and one search does for
        # all: first among the keys that begin a block, which stay in the processor's cache, then within the block.
        count = sum(self._counts[1:])
        self._keys: Keys = np.full((count // _BLOCK + 1, _BLOCK), np.iinfo(np.int64).max)
        row, end = self._keys.reshape(-1), 0
        for level, first in zip(trie.levels[1:], self._firsts, strict=False):
            begin, end = end, end + len(level)
            np.add(level.keys, first << WORD_BITS, out=row[begin:end])
        self._blocks: Keys = self._keys[1:, 0].copy()

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """The id of each word."""
        return {word: index for index, word in enumerate(self.words)}

    @property
    def trie(self) -> Trie:
        """The model's n-grams, order by order."""
        row, words = self._keys.reshape(-1), len(self.words)
        levels = [Level(np.arange(words, dtype=np.int64), self.unigrams, self._back_offs[:-1][:words])]
        for first, parent, count in zip(self._firsts[1:], self._firsts, self._counts[1:], strict=False):
            keys = row[first - words : first - words + count] - (parent << WORD_BITS)
            own = slice(first, first + count)
            levels.append(Level(keys, self._log_probs[own], self._back_offs[:-1][own]))
        return Trie(self.words, tuple(levels))

    @property
    def _firsts(self) -> list[int]:
        """The index of the first n-gram of each order."""
        return [0, *accumulate(self._counts[:-1])]

    def start(self) -> States:
        """Return the state after <s>, int32 [order - 1]."""
        state = np.full(self.order - 1, -1, np.int32)
        state[:1] = START
        return state

    def score(self, states: States, words: NDArray[Any]) -> tuple[Floats, States]:
        """Return the log-probability of words [n], each after its state [n, order - 1], and the states after them.

        The longest n-gram that the model has counts, and the back-off weights of all longer contexts (ARPA's rule). An
        unknown word has the probability of <unk>; after it, unless the model has n-grams with <unk>, the context is
        forgotten.
        """
        keys = states.astype(np.int64)
        keys <<= WORD_BITS
        keys |= words[:, None]  # a context of -1 stays below zero, where no key is
        blocks = self._blocks.searchsorted(keys, side="right")
        hits = self._keys.take(blocks, axis=0) == keys[:, :, None]
        at = hits.argmax(axis=2)
        # `hits.any(axis=2)`, three times as quick.
        found = hits.reshape(-1).take(np.arange(0, hits.size, _BLOCK).reshape(at.shape) + at)
        at += len(self.words) + blocks * _BLOCK
        back_offs = self._back_offs.take(states)
        longer = self._log_probs.take(at, mode="clip")
        log_probs = self.unigrams.take(words)
        for k in range(self.order - 1):
            log_probs += back_offs[:, k]
            np.copyto(log_probs, longer[:, k], where=found[:, k])
        new_states = np.empty_like(states)
        new_states[:, :1] = words[:, None]
        new_states[:, 1:] = np.where(found, at, -1)[:, :-1]
        return log_probs, new_states

    def score_texts(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Return the natural-log probability of the words of each text, as ids; of its end nothing is said."""
        lengths = np.array([len(text) for text in texts], np.int64)
        words = np.zeros((len(texts), int(lengths.max(initial=0))), np.int64)
        for row, text in zip(words, texts, strict=True):
            row[: len(text)] = text
        total, states = np.zeros(len(texts)), np.tile(self.start(), (len(texts), 1))
        for step in range(words.shape[1]):
            log_probs, states = self.score(states, words[:, step])
            total += np.where(lengths > step, log_probs, 0.0)
        return total

    def score_sentence(self, words: Sequence[str]) -> float:
        """Return the natural-log probability of a sentence, its end included."""
        return next(iter(self._reports([words]))).log_prob

    def perplexity(self, sentences: Iterable[Sequence[str]]) -> PerplexityReport:
        """Return how well the model predicts sentences of words."""
        reports = list(self._reports(sentences))
        return PerplexityReport(
            sum(report.sentences for report in reports),
            sum(report.words for report in reports),
            sum(report.unknown for report in reports),
            math.fsum(report.log_prob for report in reports),
            math.fsum(report.unknown_log_prob for report in reports),
        )

    def to_bytes(self) -> bytes:
        """Return the model as the content of an `.npz`, its log-probabilities quantised to 8 bits."""
        return trie_to_bytes(self.trie)

    @classmethod
    def from_bytes(cls, content: bytes, where: str = "lm.npz") -> NgramModel:
        """Read a model. Raises BundleError, naming `where`, for bytes that are not one, whatever they are."""
        return cls(trie_from_bytes(content, where))

    def log_probs(self, sentences: Iterable[Sequence[str]]) -> Floats:
        """Return the natural-log probability of each word and of each end, in an order that only the texts decide."""
        steps = [log_probs for some in _batches(sentences) for _, log_probs in self._steps(some)]
        return np.concatenate(steps) if steps else np.zeros(0, np.float32)

    def _reports(self, sentences: Iterable[Sequence[str]]) -> Iterator[PerplexityReport]:
        for some in _batches(sentences):
            words = sum(map(len, some))
            total = of_unknown = 0.0
            unknown = 0
            for step, log_probs in self._steps(some):
                total += float(log_probs.sum(dtype=np.float64))
                of_unknown += float(log_probs[step == UNKNOWN].sum(dtype=np.float64))
                unknown += int((step == UNKNOWN).sum())
            yield PerplexityReport(len(some), words, unknown, total, of_unknown)

    def _steps(self, sentences: Sequence[Sequence[str]]) -> Iterator[tuple[NDArray[np.int64], Floats]]:
        """Score sentences together: the first word of all of them, then the second of all that have one, ..."""
        rows = sorted(([*(self.ids.get(word, UNKNOWN) for word in words), END] for words in sentences), key=len)[::-1]
        lengths = np.array([len(row) for row in rows])
        table = np.zeros((len(rows), lengths[0]), np.int64)
        for index, row in enumerate(rows):
            table[index, : len(row)] = row
        states = np.tile(self.start(), (len(rows), 1))
        for position in range(lengths[0]):
            active = int((lengths > position).sum())
            words = table[:active, position]
            log_probs, states = self.score(states[:active], words)
            yield words, log_probs


def _batches(sentences: Iterable[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    rest = iter(sentences)
    while some := list(islice(rest, _TOGETHER)):
        yield some


def _perplexity(log_prob: float, words: int) -> float:
    return math.exp(min(-log_prob / words, 700.0)) if words else math.nan


__all__ = ["NgramModel", "PerplexityReport"]
