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

from auricle.decoding.codebook import Weights
from auricle.decoding.keys import SortedKeys
from auricle.decoding.trie import END, START, UNKNOWN, WORD_BITS, Floats, Level, Trie
from auricle.decoding.trie_file import StoredLevel, StoredTrie, damage_told, read_trie, trie_to_bytes

States: TypeAlias = NDArray[np.int32]

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

    `words` are all words, of which those of `vocabulary` come first; the others are rare ones, which share <unk>: each
    has its part of what the model gives to that, and what comes next only knows that there was such a word.
    `unigrams [words]` are log-probabilities without a context.
    """

    def __init__(self, trie: Trie | StoredTrie) -> None:
        self.order = trie.order
        self.vocabulary, self._rare = trie.words, trie.rare
        self.words = (*trie.words, *trie.rare.words)
        self._counts = trie.counts
        own: Floats = trie.unigrams.log_probs
        self.unigrams: Floats = np.concatenate((own, own[UNKNOWN] + trie.rare.log_shares))
        # One more, of weight one, is what a state of -1 reads.
        self._unigram_back_offs: Floats = np.concatenate((trie.unigrams.back_offs, np.zeros(1, np.float32)))
        # With parents numbered over all orders, the keys of all orders are one ascending row, and one search does for
        # all.
        higher: Sequence[Level | StoredLevel] = trie.higher
        pieces = (
            piece + (parents << WORD_BITS)
            for level, parents in zip(higher, self._firsts, strict=False)
            for piece in level.pieces()
        )
        # A context of -1 makes a key below zero, where there is none.
        limit = sum(self._counts[:-1]) << WORD_BITS
        self._keys = SortedKeys(sum(self._counts[1:]), pieces, least=-1 << WORD_BITS, limit=limit)
        self._log_probs = Weights([level.log_probs for level in higher])
        self._back_offs = Weights([level.back_offs for level in higher[:-1]], room=len(self.vocabulary))

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """The id of each word."""
        return {word: index for index, word in enumerate(self.words)}

    @property
    def trie(self) -> Trie:
        """The model's n-grams, order by order."""
        words = len(self.vocabulary)
        levels = [Level(np.arange(words, dtype=np.int64), self.unigrams[:words], self._unigram_back_offs[:-1])]
        parents = self._firsts
        for place, (first, count) in enumerate(zip(self._firsts[1:], self._counts[1:], strict=True)):
            keys = self._keys[first - words : first - words + count] - (parents[place] << WORD_BITS)
            is_highest = place == len(self._counts) - 2
            back_offs = np.zeros(0, np.float32) if is_highest else self._back_offs.part(place)
            levels.append(Level(keys, self._log_probs.part(place), back_offs))
        return Trie(self.vocabulary, tuple(levels), self._rare)

    @property
    def _firsts(self) -> list[int]:
        """The index of the first n-gram of each order."""
        return [0, *accumulate(self._counts[:-1])]

    def in_vocabulary(self, words: NDArray[Any]) -> NDArray[Any]:
        """Return words [n] with <unk> for those that share it."""
        return np.where(words < len(self.vocabulary), words, UNKNOWN)

    def start(self) -> States:
        """Return the state after <s>, int32 [order - 1]."""
        state = np.full(self.order - 1, -1, np.int32)
        state[:1] = START
        return state

    def state_after(self, words: Sequence[int]) -> States:
        """Return the state after <s> and some words, as ids."""
        states = self.start()[None]
        for word in words[-self.order :]:
            _, states = self.score(states, np.array([word]))
        state: States = states[0]
        return state

    def score(self, states: States, words: NDArray[Any]) -> tuple[Floats, States]:
        """Return the log-probability of words [n], each after its state [n, order - 1], and the states after them.

        The longest n-gram that the model has counts, and the back-off weights of all longer contexts (ARPA's rule). An
        unknown word has the probability of <unk>; after it, unless the model has n-grams with <unk>, the context is
        forgotten. A rare word has its share of that probability, and leaves the same context.
        """
        log_probs = self.unigrams.take(words)
        if self._rare:
            words = self.in_vocabulary(words)
            log_probs, alone = self.unigrams.take(words), log_probs
            shares = alone - log_probs
        new_states = np.empty_like(states)
        new_states[:, :1] = words[:, None]
        if self.order == 1:
            return (log_probs + shares if self._rare else log_probs), new_states
        keys = states.astype(np.int64)
        keys <<= WORD_BITS
        keys |= words[:, None]
        found, at = self._keys.find(keys)
        longer = self._log_probs.take(at)
        before = states[:, 1:]
        back_offs = self._back_offs.take(before)
        np.copyto(back_offs, 0.0, where=before < 0)
        log_probs += self._unigram_back_offs.take(states[:, 0], mode="wrap")
        np.copyto(log_probs, longer[:, 0], where=found[:, 0])
        for k in range(1, self.order - 1):
            log_probs += back_offs[:, k - 1]
            np.copyto(log_probs, longer[:, k], where=found[:, k])
        if self._rare:
            log_probs += shares
        at += len(self.vocabulary)
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
        with damage_told(where):
            return cls(read_trie(content))

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
