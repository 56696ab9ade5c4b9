"""What a recogniser does to text, done to printed text: wrong, missing and joined words, and pauses.

Pauses are drawn: the medians below are an experienced reader's, to the nearest tenth of a second. Between words without
a mark they are fitted to pauses that were measured (RESULTS.md), a network's frame for the space taken off: about a
quarter of them are heard, and short.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auricle.restoration.features import forget, word_rows
from auricle.restoration.types import CASES, MARKS, SENTENCE_ENDS
from auricle.training.restoration.corpus import UNKNOWN_CASE

Ints = NDArray[np.int64]

_NEIGHBOURS = 4
_RARE = 30  # times that a word is seen in the whole text; a rarer one may be forgotten
# Median seconds of silence, its spread as a factor's logarithm, and how often there is none to speak of.
_PAUSES = {
    "": (0.07, 0.5, 0.77),
    ",": (0.25, 0.6, 0.3),
    ".": (0.6, 0.5, 0.04),
    "?": (0.6, 0.5, 0.06),
    "!": (0.5, 0.6, 0.1),
    ";": (0.45, 0.5, 0.1),
    ":": (0.45, 0.5, 0.1),
    "—": (0.35, 0.6, 0.2),
}
_MEDIAN, _SPREAD, _NONE = (np.array([_PAUSES[mark][column] for mark in MARKS]) for column in range(3))
_LONGEST_UNHEARD = 0.03  # between words that run into each other
_ENDS = np.array([mark in SENTENCE_ENDS for mark in MARKS])
_SUBSTITUTED, _DROPPED = 0.6, 0.85  # bounds of the kinds of error; the rest is joined


@dataclass
class Example:
    """Words in a row, each a number of the vocabulary, with their marks, cases and, where known, pauses (seconds).

    `rows` are their rows of the table where these are not simply the vocabulary's.
    """

    ids: Ints
    marks: Ints
    cases: Ints
    pauses: NDArray[np.float64] | None = None
    rows: NDArray[np.int32] | None = None


class Vocabulary:
    """Words by number, their rows in the network's table, and for each some that differ from it by one letter.

    It grows: joined words are words too. `kinds` are those of `features.word_rows`.
    """

    def __init__(self, words: Sequence[str], counts: Ints, rows: int, kinds: Mapping[str, int] | None = None) -> None:
        self._words = list(words)
        self._kinds = kinds
        self._rare = counts < _RARE
        self._numbers = {word: number for number, word in enumerate(words)}
        self._rows = rows
        self._table = word_rows(words, rows, kinds)
        self._size = len(words)
        self._likely = np.repeat(np.arange(len(words)), np.minimum(counts, 200))
        self._near = _one_letter_apart(words, counts)

    def rows_of(self, ids: Ints) -> NDArray[np.int32]:
        """Return the rows [n, 6] of words."""
        return self._table[ids]

    def partly_forgotten(self, ids: Ints, share: float, random: np.random.Generator) -> NDArray[np.int32]:
        """Return the rows [n, 6] of words, `share` of the rare ones as if nobody had seen them, each throughout.

        Training has seen every word of its text, and so would never learn what to make of a name that is new.
        """
        found = self._table[ids]
        rare = ids[ids < self._size]
        rare = np.unique(rare[self._rare[rare]])
        for number in rare[random.random(len(rare)) < share].tolist():
            found[ids == number] = forget(self._table[number][None], self._rows, random)
        return found

    def misheard(self, number: int, random: np.random.Generator) -> int:
        """Return another word, one letter away where there is such a one."""
        near = self._near.get(number)
        return int(random.choice(near) if near and random.random() < 0.7 else random.choice(self._likely))

    def joined(self, first: int, second: int) -> int:
        """Return the number of two words written as one."""
        word = self._words[first] + self._words[second]
        number = self._numbers.setdefault(word, len(self._words))
        if number == len(self._words):
            self._words.append(word)
            if number == len(self._table):
                self._table = np.concatenate([self._table, np.zeros((number, self._table.shape[1]), np.int32)])
            self._table[number] = word_rows([word], self._rows, self._kinds)[0]
        return number


def with_errors(example: Example, rate: float, vocabulary: Vocabulary, random: np.random.Generator) -> Example:
    """Return the example with about `rate` of its words substituted, dropped or joined to the next.

    A mark after a word that goes stays after the word before it; what is written in place of another word is capital
    where a sentence begins, and nobody knows how elsewhere.
    """
    ids, marks, cases = example.ids.copy(), example.marks.copy(), example.cases.copy()
    kept = np.ones(len(ids), bool)
    for place in np.flatnonzero(random.random(len(ids)) < rate).tolist():
        kind = random.random()
        if kind < _SUBSTITUTED:
            ids[place] = vocabulary.misheard(int(ids[place]), random)
        elif kind < _DROPPED:
            kept[place] = place == 0
        elif place and kept[place - 1] and marks[place - 1] == 0:
            ids[place - 1] = vocabulary.joined(int(ids[place - 1]), int(ids[place]))
            kept[place] = False
            cases[place - 1] = _case_after(marks, place - 1)
        if not kept[place]:
            before = int(np.flatnonzero(kept[:place])[-1])  # there is one: the first word always stays
            marks[before] = max(marks[before], marks[place])
        elif kind < _SUBSTITUTED:
            cases[place] = _case_after(marks, place)
    return Example(ids[kept], marks[kept], cases[kept])


def draw_pauses(marks: Ints, random: np.random.Generator) -> NDArray[np.float64]:
    """Return a pause [n], in seconds, for each mark; one reader is up to twice as slow as another."""
    tempo = np.exp(random.normal(0, 0.35))
    pauses = tempo * _MEDIAN[marks] * np.exp(_SPREAD[marks] * random.standard_normal(len(marks)))
    unheard = random.random(len(marks)) < _NONE[marks]
    return np.where(unheard, _LONGEST_UNHEARD * random.random(len(marks)), pauses)


def _case_after(marks: Ints, place: int) -> int:
    begins = place == 0 or bool(_ENDS[marks[place - 1]])
    return CASES.index("capital") if begins else UNKNOWN_CASE


def _one_letter_apart(words: Sequence[str], counts: Ints, most: int = 30_000) -> dict[int, list[int]]:
    """Return for each frequent word others that differ by one letter, changed, left out or put in."""
    groups: dict[str, list[int]] = defaultdict(list)
    for number in np.argsort(-counts, kind="stable")[:most].tolist():
        word = words[number]
        for pattern in {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}:
            if len(pattern) > 1:
                groups[pattern].append(number)
    near: dict[int, list[int]] = defaultdict(list)
    for group in groups.values():
        for number in group:
            if len(near[number]) < _NEIGHBOURS:
                near[number].extend(other for other in group[:_NEIGHBOURS] if other != number)
    return {number: others[:_NEIGHBOURS] for number, others in near.items() if others}
