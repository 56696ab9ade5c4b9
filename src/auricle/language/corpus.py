"""A text as arrays: every word a number, every sentence a stretch of them."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from auricle.decoding.trie import LARGEST_VOCABULARY, NO_RARE, SPECIALS, UNKNOWN, Rare

Ids: TypeAlias = NDArray[np.uint32]
Offsets: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]

_DISCOUNT = 0.5  # of each word's count: what is seen once may have been luck
_LONGEST_RARE = 22  # letters; what is longer are words run together, and jokes


@dataclass(frozen=True)
class Corpus:
    """Sentences of words.

    `ids` [words in all] index `words`, in the order in which each was first seen. Sentence i is
    `ids[starts[i] : starts[i + 1]]`, never empty; it comes from line `lines[i]`.
    """

    words: tuple[str, ...]
    ids: Ids
    starts: Offsets
    lines: NDArray[np.int64]

    @property
    def sentences(self) -> int:
        """Number of sentences."""
        return len(self.lines)

    @property
    def lengths(self) -> Offsets:
        """Words of each sentence."""
        return np.diff(self.starts)

    def select(self, kept: Mask) -> Corpus:
        """Return the corpus of the sentences where `kept` [sentences] is true; the words stay numbered as they are."""
        lengths = self.lengths
        starts = np.concatenate(([0], np.cumsum(lengths[kept])))
        return replace(self, ids=self.ids[np.repeat(kept, lengths)], starts=starts, lines=self.lines[kept])


def make_corpus(lines: Iterable[list[str]]) -> Corpus:
    """Return the corpus of lines of normalised sentences."""
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    number = numbers.__getitem__
    ids, starts, line_numbers = array("I"), array("q", [0]), array("q")
    for line, sentences in enumerate(lines):
        for sentence in sentences:
            ids.extend(map(number, sentence.split()))
            starts.append(len(ids))
            line_numbers.append(line)
    return Corpus(
        tuple(numbers),
        np.frombuffer(ids, np.uint32) if ids else np.zeros(0, np.uint32),
        np.frombuffer(starts, np.int64),
        np.frombuffer(line_numbers, np.int64) if line_numbers else np.zeros(0, np.int64),
    )


def choose_vocabulary(corpus: Corpus, size: int, min_count: int = 1) -> tuple[str, ...]:
    """Return at most `size` words by a model's id: the specials, then the most frequent words in order of code points.

    Of words that are equally frequent, those seen first come in. `size` is cut to what a key's 16 bits hold.
    """
    counts = np.bincount(corpus.ids, minlength=len(corpus.words))
    by_frequency = np.argsort(-counts, kind="stable")
    room = max(min(size, LARGEST_VOCABULARY) - len(SPECIALS), 0)
    chosen = by_frequency[: min(room, int((counts >= max(min_count, 1)).sum()))]
    return (*SPECIALS, *sorted(corpus.words[index] for index in chosen))


def choose_rare(
    texts: Sequence[Corpus], vocabulary: Sequence[str], size: int, *, weights: Sequence[float] = ()
) -> Rare:
    """Return at most `size` words that are not in the vocabulary, and what part each is of all such words.

    The texts number their words alike, and each counts by its weight, or by its length. The likeliest words are taken
    that have 22 letters at most; half a time is taken off how often a text has each.
    """
    words = texts[0].words
    known = frozenset(vocabulary)
    unknown = np.array([number for number, word in enumerate(words) if word not in known], np.int64)
    if not size or not len(unknown):
        return NO_RARE
    lengths = [len(text.ids) for text in texts]
    amounts, all_of_them = np.zeros(len(unknown)), 0.0
    for text, length, weight in zip(texts, lengths, weights or lengths, strict=True):
        counts = np.bincount(text.ids, minlength=len(words))[unknown]
        amounts += weight * np.maximum(counts - _DISCOUNT, 0.0) / length
        all_of_them += weight * float(counts.sum()) / length
    amounts[[len(words[number]) > _LONGEST_RARE for number in unknown.tolist()]] = 0.0
    chosen = np.argsort(-amounts, kind="stable")[: min(size, int(np.count_nonzero(amounts)))]
    chosen = np.array(sorted(chosen.tolist(), key=lambda place: words[unknown[place]]), np.int64)
    log_shares = np.log(amounts[chosen] / all_of_them).astype(np.float32)
    return Rare(tuple(words[number] for number in unknown[chosen].tolist()), log_shares)


def token_ids(corpus: Corpus, vocabulary: tuple[str, ...]) -> NDArray[np.uint16]:
    """Return the model's id of each word of the corpus, <unk> for those that it does not have."""
    known = {word: index for index, word in enumerate(vocabulary)}
    table: NDArray[Any] = np.array([known.get(word, UNKNOWN) for word in corpus.words] or [UNKNOWN], dtype=np.uint16)
    return table.take(corpus.ids)
