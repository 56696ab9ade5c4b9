"""Sentences as letters and phones."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auricle.alphabet import Alphabet
from auricle.language.corpus import Corpus
from auricle.training.phones import END, PhoneSpeller

_POOL = 4_000  # sentences whose order is mixed and that are then laid out by length


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text's ids: those of its letters, of its phones and of the ends of its words but the last; and its words."""

    letters: tuple[int, ...]
    phones: tuple[int, ...]
    words: int


class Sentences:
    """Sentences of a corpus all of whose words can be written, and said with the phones that are `known`."""

    def __init__(
        self, corpus: Corpus, alphabet: Alphabet, speller: PhoneSpeller, known: Container[int], longest: int
    ) -> None:
        """Sentences of more than `longest` words are cut, and each part is one."""
        self._corpus, self._longest = corpus, longest
        self._words: Mapping[int, tuple[list[int], tuple[int, ...]]] = dict(
            _sayable(corpus.words, alphabet, speller, known)
        )
        self._space = alphabet.encode(" ")
        silent = np.ones(len(corpus.words), bool)
        silent[list(self._words)] = END not in known
        unknown = np.concatenate(([0], np.cumsum(silent[corpus.ids])))
        whole = unknown[corpus.starts[1:]] == unknown[corpus.starts[:-1]]
        starts, ends = corpus.starts[:-1][whole], corpus.starts[1:][whole]
        self._spans = np.array(
            [(at, min(at + longest, end)) for start, end in zip(starts, ends, strict=True)
             for at in range(start, end, longest)], np.int64,
        ).reshape(-1, 2)  # fmt: skip

    def __len__(self) -> int:
        return len(self._spans)

    def batches(self, words: int, random: np.random.Generator) -> Iterator[list[Sentence]]:
        """Yield for ever sentences of like length, about so many words together; each once before one comes again."""
        while True:
            order = random.permutation(len(self))
            for begin in range(0, len(order), _POOL):
                pool = self._spans[order[begin : begin + _POOL]]
                lengths = pool[:, 1] - pool[:, 0]
                by_length = np.argsort(lengths, kind="stable")
                group = (np.cumsum(lengths[by_length]) - 1) // words
                parts = np.split(by_length, np.flatnonzero(np.diff(group)) + 1)
                for place in random.permutation(len(parts)).tolist():
                    yield [self._sentence(pool[row]) for row in parts[place]]

    def _sentence(self, span: NDArray[np.int64]) -> Sentence:
        letters, phones = list[int](), list[int]()
        for number, word in enumerate(self._corpus.ids[span[0] : span[1]].tolist()):
            written, said = self._words[word]
            letters += [*self._space, *written] if number else written
            phones += [END, *said] if number else said
        return Sentence(tuple(letters), tuple(phones), int(span[1] - span[0]))


def _sayable(
    words: Sequence[str], alphabet: Alphabet, speller: PhoneSpeller, known: Container[int]
) -> Iterator[tuple[int, tuple[list[int], tuple[int, ...]]]]:
    writable = set(alphabet.characters)
    for number, word in enumerate(words):
        if not writable.issuperset(word):
            continue
        try:
            phones = speller(word)
        except KeyError:
            continue
        if all(phone in known for phone in phones):
            yield number, (alphabet.encode(word), phones)
