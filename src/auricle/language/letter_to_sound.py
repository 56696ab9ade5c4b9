"""Words that no dictionary has, said by analogy with those that it has: joint-sequence n-grams.

M. Bisani and H. Ney, "Joint-sequence models for grapheme-to-phoneme conversion", Speech Communication 50, 2008. A word
is a sequence of graphones (`alignment`), as "phone" is ph:F o:OW n:N e:-, and a model of graphones after graphones says
which of the sequences that spell a word is likeliest.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import nlargest
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from auricle.errors import LanguageModelError
from auricle.language.alignment import LONGEST, Graphone, align
from auricle.language.estimate import discount
from auricle.language.pronunciations import Pronunciation, Pronunciations

_ORDER = 8  # graphones
_BEAM = 12
_START, _END, _FIRST = 0, 1, 2  # graphones are numbered from _FIRST
_Kept: TypeAlias = tuple[int, Pronunciation]  # a context, and the phones up to it
_HISSING = {"S", "Z", "SH", "ZH", "CH", "JH"}
_VOICELESS = {"P", "T", "K", "F", "TH"}


class _Level(NamedTuple):
    """The n-grams of one length: nodes from `base` on, by their contexts' nodes and last graphones."""

    base: int
    keys: NDArray[np.int64]
    shorter: NDArray[np.int64]
    counts: NDArray[np.int64]
    initial: NDArray[np.bool_]


@dataclass(frozen=True)
class _Ngrams:
    """A back-off model as a graph of contexts; node 0 is the empty one, and each n-gram is a node.

    `following[node * size + graphone]` is the n-gram one longer. Of each node are known the ln probability of its last
    graphone, the ln of the weight of shorter contexts after it, the same n-gram without its first graphone, and the
    context that it leaves to what comes next (itself, if it is not of the highest order).
    """

    size: int
    following: dict[int, int]
    log_probs: array[float]
    back_offs: array[float]
    shorter: array[int]
    states: array[int]

    def step(self, node: int, graphone: int) -> tuple[float, int]:
        """Return the ln probability of a graphone after a context, and the context after both."""
        log_prob = 0.0
        while (longer := self.following.get(node * self.size + graphone)) is None:
            log_prob += self.back_offs[node]
            node = self.shorter[node]
        return log_prob + self.log_probs[longer], self.states[longer]


@dataclass(frozen=True)
class LetterToSound:
    """Says words as similar words of a dictionary are said.

    >>> words = {"cat": (("K", "AE", "T"),), "cab": (("K", "AE", "B"),), "tab": (("T", "AE", "B"),)}
    >>> LetterToSound.learn(words).pronounce("bat")
    ('B', 'AE', 'T')
    """

    _ngrams: _Ngrams
    _spelled: dict[str, list[tuple[int, Pronunciation]]]

    @classmethod
    def learn(cls, pronunciations: Pronunciations) -> LetterToSound:
        """Learn from the words of a dictionary that have only letters; CMUdict takes 20 seconds.

        Raises LanguageModelError where there are none.
        """
        pairs = [(word, phones) for word, variants in pronunciations.items() if word.isalpha() for phones in variants]
        aligned = align(pairs)
        if not aligned:
            raise LanguageModelError("the dictionary has no word that is written in letters: there is none to imitate.")
        counts: dict[Graphone, int] = {}
        for word in aligned:
            for graphone in word:
                counts[graphone] = counts.get(graphone, 0) + 1
        graphones = sorted(counts, key=lambda graphone: (-counts[graphone], graphone))
        numbers = {graphone: number for number, graphone in enumerate(graphones, start=_FIRST)}
        spelled: dict[str, list[tuple[int, Pronunciation]]] = {}
        for graphone, number in numbers.items():
            spelled.setdefault(graphone.letters, []).append((number, graphone.phones))
        sequences = [[numbers[graphone] for graphone in word] for word in aligned]
        return cls(_estimate(sequences, len(graphones) + _FIRST), spelled)

    @cached_property
    def _letters(self) -> set[str]:
        return {letter for letters in self._spelled for letter in letters}

    def pronounce(self, word: str) -> Pronunciation:
        """Return how a word is most likely said; apostrophes and letters never met are passed over.

        Nothing is returned for a word without a letter that is known.
        """
        letters = "".join(letter for letter in word.lower() if letter in self._letters)
        if not letters:
            return ()
        step, end = self._ngrams.step, len(letters)
        # For each number of letters done: the likeliest phones so far, with the contexts that they leave.
        beams: list[dict[_Kept, float]] = [{} for _ in range(end + LONGEST)]
        beams[0][step(0, _START)[1], ()] = 0.0
        for begin in range(end):
            best = nlargest(_BEAM, ((log_prob, kept) for kept, log_prob in beams[begin].items()))
            if letters[begin] not in self._spelled:  # it is known only beside others
                beams[begin + 1].update((kept, log_prob) for log_prob, kept in best)
            for size in range(1, min(LONGEST, end - begin) + 1):
                beam = beams[begin + size]
                for graphone, phones in self._spelled.get(letters[begin : begin + size], ()):
                    for log_prob, (context, said) in best:
                        chance, after = step(context, graphone)
                        kept = after, said + phones
                        if log_prob + chance > beam.get(kept, -np.inf):
                            beam[kept] = log_prob + chance
        ended = [(log_prob + step(kept[0], _END)[0], kept[1]) for kept, log_prob in beams[end].items() if kept[1]]
        return max(ended)[1] if ended else self._loudest(letters)

    def _loudest(self, letters: str) -> Pronunciation:
        """Return the commonest sound of these letters, or of any, for a word that seems to be silent throughout."""
        own = [graphone for letter in letters for graphone in self._spelled.get(letter, ())]
        every = [graphone for graphones in self._spelled.values() for graphone in graphones]
        return next(min(heard)[1] for some in (own, every) if (heard := [one for one in some if one[1]]))


def _estimate(sequences: Sequence[Sequence[int]], size: int, order: int = _ORDER) -> _Ngrams:
    """Estimate interpolated modified Kneser-Ney (see `estimate`) over sequences of graphones below `size`."""
    tokens = np.concatenate([np.array([_START, *sequence, _END]) for sequence in sequences])
    begins = np.flatnonzero(tokens == _START)
    places = np.arange(len(tokens)) - np.repeat(begins, np.diff([*begins, len(tokens)]))
    levels: list[_Level] = []
    nodes = np.zeros(len(tokens), np.int64)  # of the n-gram that ends at each token, where one does
    base = 1
    for n in range(1, order + 1):
        ends = np.flatnonzero(places >= n - 1)
        if not len(ends):
            break
        contexts = nodes[ends - 1] if n > 1 else np.zeros_like(ends)
        keys, first, inverse, counts = np.unique(
            contexts * size + tokens[ends], return_index=True, return_inverse=True, return_counts=True
        )
        levels.append(_Level(base, keys, nodes[ends][first], counts, places[ends][first] == n - 1))
        nodes = nodes.copy()
        nodes[ends] = base + inverse
        base += len(keys)
    return _assembled(levels, size, base)


def _assembled(levels: Sequence[_Level], size: int, nodes: int) -> _Ngrams:
    probabilities, weights = np.ones(nodes), np.ones(nodes)
    shorter = np.zeros(nodes, np.int64)
    following: dict[int, int] = {}
    for level, longer in zip(levels, [*levels[1:], None], strict=True):
        own = np.arange(level.base, level.base + len(level.keys))
        following.update(zip(level.keys.tolist(), own.tolist(), strict=True))
        contexts = level.keys // size
        adjusted = level.counts
        if longer is not None:
            # Nothing comes before the start, so what begins there is counted as it is.
            before = np.bincount(longer.shorter, minlength=nodes)[own]
            adjusted = np.where(level.initial, adjusted, before)
        unpredicted = level.keys == _START
        adjusted = np.where(unpredicted, 0, adjusted)
        discounts = np.array((0.0, *discount(adjusted)))[adjusted.clip(max=3)]
        totals = np.bincount(contexts, adjusted, nodes)[contexts]
        left = np.bincount(contexts, discounts, nodes)[contexts] / totals
        lower = probabilities[level.shorter] if level.base > 1 else np.full(len(own), 1 / (size - 1))
        probabilities[own] = (adjusted - discounts) / totals + left * lower
        weights[contexts] = left
        shorter[own] = level.shorter
    states = np.arange(nodes)
    highest = levels[-1].base
    states[highest:] = shorter[highest:]
    return _Ngrams(
        size,
        following,
        array("d", np.log(probabilities)),
        array("d", np.log(weights)),
        array("q", shorter),
        array("q", states),
    )


def pronounced(words: Iterable[str], dictionary: Pronunciations, most: int = 4) -> Pronunciations:
    """Return up to `most` ways to say each word: the dictionary's (see `known`), or the best one by analogy.

    Words without any letter that the dictionary has are left out. Raises LanguageModelError where a word is to be said
    by analogy and the dictionary has nothing to imitate.
    """
    learnt: LetterToSound | None = None
    found: Pronunciations = {}
    for word in words:
        variants = known(word, dictionary)
        if not variants:
            learnt = learnt or LetterToSound.learn(dictionary)
            owner, possessive = _owner(word)
            said = learnt.pronounce(owner)
            variants = ((said + _ending(said) if possessive else said),) if said else ()
        if variants:
            found[word] = variants[:most]
    return found


def known(word: str, dictionary: Pronunciations) -> tuple[Pronunciation, ...]:
    """Return the ways to say a word that the dictionary has, or that follow from those of whose it is.

    "dogs'" is said as "dogs", or else as "dog's"; "dog's" as "dog" and Z.
    """
    if variants := dictionary.get(word) or (word.endswith("s'") and dictionary.get(word[:-1])):
        return variants
    owner, possessive = _owner(word)
    return tuple(said + _ending(said) for said in dictionary.get(owner, ())) if possessive else ()


def _owner(word: str) -> tuple[str, bool]:
    """Return the word without the ending of a possessive, and whether it has one."""
    for ending in ("'s", "s'"):
        if len(word) > len(ending) and word.endswith(ending):
            return word[: -len(ending)], True
    return word, False


def _ending(said: Pronunciation) -> Pronunciation:
    """Return how English says the s of a possessive after these phones."""
    if said[-1] in _HISSING:
        return ("IH", "Z")
    return ("S",) if said[-1] in _VOICELESS else ("Z",)
