"""Printed paragraphs restored anew and compared with print; baselines; biases for the best F1. Needs no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray

from auricle.language.printed import Printed
from auricle.restoration.neural import NeuralRestorer
from auricle.restoration.scores import Scores, score
from auricle.restoration.types import MARKS, Pauses, Restorer, Written
from auricle.training.restoration.augment import draw_pauses

_NUMBER = {mark: number for number, mark in enumerate(MARKS)}
_TUNED = ",.?"  # the others are a matter of taste: written only where they are the likeliest


def evaluate(
    paragraphs: Sequence[Printed], restorer: Restorer, *, running: bool = False, pauses: bool = False, seed: int = 0
) -> Scores:
    """Score a restorer on paragraphs, each on its own, or all as one `running` text that shows no paragraph's end.

    With `pauses` it is given pauses drawn to suit the printed marks, as in training: how much they help, at best.
    """
    reference = [written(one) for one in paragraphs]
    random = np.random.default_rng(seed)
    texts = [[word for one in paragraphs for word in one.words]] if running else [list(one.words) for one in paragraphs]
    marks = [[mark for one in paragraphs for mark in one.marks]] if running else [list(one.marks) for one in paragraphs]
    restored = [
        restorer.restore(words, _drawn(after, random) if pauses else None)
        for words, after in zip(texts, marks, strict=True)
    ]
    flat = (word for text in restored for word in text)
    return score(reference, [list(islice(flat, len(one.forms))) for one in paragraphs])


def written(printed: Printed) -> list[Written]:
    """Return a printed paragraph as a restorer should give it."""
    return [Written(form, mark) for form, mark in zip(printed.forms, printed.marks, strict=True)]


def tune_biases(restorer: NeuralRestorer, paragraphs: Sequence[Printed]) -> tuple[float, ...]:
    """Return the biases of MARKS that give the highest mean F1 of . , ? on a running text, one mark after another."""
    words = [word for one in paragraphs for word in one.words]
    truth = np.array([_NUMBER[mark] for one in paragraphs for mark in one.marks])
    scores = restorer.scores(words)[:, : len(MARKS)]
    biases = np.zeros(len(MARKS), np.float32)
    for _ in range(2):
        for mark in map(_NUMBER.__getitem__, _TUNED):
            tried = np.arange(-1.0, 1.01, 0.1, dtype=np.float32)
            biases[mark] = max(tried.tolist(), key=lambda bias: _gain(scores, truth, biases, mark, bias))
    return tuple(float(bias) for bias in biases)


class FullStopAtTheEnd:
    """The baseline that knows nothing: one sentence."""

    def restore(self, words: Sequence[str], pauses: Pauses | None = None) -> list[Written]:
        """Return the words with the first in capitals and a full stop at the end."""
        plain = [Written("I" if word == "i" else word) for word in words]
        if plain:
            plain[0] = Written(words[0][:1].upper() + words[0][1:])
            plain[-1] = Written(plain[-1].text, ".")
        return plain


class Bigrams:
    """The baseline that counts: the commonest mark between two words, backed off to each of them (naive Bayes)."""

    def __init__(self, paragraphs: Iterable[Printed], weight: float = 3.0) -> None:
        self._weight = weight
        self._pairs: Counter[tuple[str, str, int]] = Counter()
        self._before: Counter[tuple[str, int]] = Counter()
        self._after: Counter[tuple[str, int]] = Counter()
        self._capital: Counter[str] = Counter()
        for one in paragraphs:
            words, marks = one.words, [_NUMBER[mark] for mark in one.marks]
            self._before.update(zip(words, marks, strict=True))
            self._after.update(zip(words[1:], marks, strict=False))
            self._pairs.update((*pair, mark) for pair, mark in zip(pairwise(words), marks, strict=False))
            for form, word in zip(one.forms[1:], words[1:], strict=True):
                self._capital[word] += 1 if form != word else -1
        priors = np.ones(len(MARKS))
        for (_, mark), count in self._before.items():
            priors[mark] += count
        self._priors = priors / priors.sum()

    def restore(self, words: Sequence[str], pauses: Pauses | None = None) -> list[Written]:
        """Return the words with the likeliest marks; a word is capital after . ? ! or where it mostly is."""
        restored, begins = [], True
        for place, word in enumerate(words):
            last = place + 1 == len(words)
            mark = "." if last else MARKS[self._mark(word, words[place + 1])]
            capital = begins or self._capital[word] > 0
            restored.append(Written(word[:1].upper() + word[1:] if capital else word, mark))
            begins = mark in {".", "?", "!"}
        return restored

    def _mark(self, word: str, follows: str) -> int:
        numbers = range(len(MARKS))
        before = self._shares([self._before[word, mark] for mark in numbers])
        after = self._shares([self._after[follows, mark] for mark in numbers])
        bayes = before * after / self._priors
        pairs = np.array([self._pairs[word, follows, mark] for mark in numbers])
        return int((pairs + self._weight * bayes / bayes.sum()).argmax())

    def _shares(self, counts: Sequence[int]) -> NDArray[np.float64]:
        shares: NDArray[np.float64] = (np.array(counts) + self._weight * self._priors) / (sum(counts) + self._weight)
        return shares


def _gain(
    scores: NDArray[np.float32], truth: NDArray[np.int64], biases: NDArray[np.float32], mark: int, bias: float
) -> float:
    tried = biases.copy()
    tried[mark] = bias
    guess = (scores + tried).argmax(axis=1)
    total = 0.0
    for number in map(_NUMBER.__getitem__, _TUNED):
        is_true, is_given = truth == number, guess == number
        both = int(is_true.sum() + is_given.sum())
        total += 2 * int((is_true & is_given).sum()) / both if both else 0.0
    return total


def _drawn(marks: Sequence[str], random: np.random.Generator) -> list[float | None]:
    pauses: list[float | None] = list(draw_pauses(np.array([_NUMBER[mark] for mark in marks], np.int64), random))
    if pauses:
        pauses[-1] = None  # what follows a recording's last word is not known
    return pauses
