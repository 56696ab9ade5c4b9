"""How right readable text is where the reference is readable too: marks, capitals and figures, apart from the words.

Words of the two texts are paired as for the word error rate. A mark is right when the same one stands after both words
of a pair, whether or not the word was recognised; a capital is judged only where it was. A figure ("$25", "5:30") is
right when the reference has the very same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auricle.metrics import align
from auricle.restoration.scores import F1, f1_with_intervals
from auricle.restoration.types import MARKS

CAPITALS, NUMBERS = "capitals", "numbers"
JUDGED = (*MARKS[1:], CAPITALS, NUMBERS)
"""What is scored, in this order: each mark, capitals, numbers."""
_RESAMPLES = 2000

_ABBREVIATIONS = r"\b(?:Mr|Mrs|Ms|Dr|St|Prof|Rev|Gen|Col|Capt|Lt|Sgt|Messrs|[AaPp]\.[Mm])\."
_FIGURE = r"[$£€]?\d+(?:[.,:/]\d+)*(?:%|[a-z]{1,2}\b)?"
_LETTERS = r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*"
_TOKEN = re.compile(f"{_ABBREVIATIONS}|{_FIGURE}|{_LETTERS}")
# Of several marks between two words the first one here counts: "so?" she said, "he,--and".
_STRONGEST = "?!.;:,"
_DASH = re.compile("--|[\u2013\u2014]| - ")
_NO_LETTER_OR_SPACE = re.compile(r"[.,?!;:\d\u2013\u2014]")


@dataclass(frozen=True, slots=True)
class Readable:
    """Readable texts of an utterance, and for each of JUDGED how often it is right, was written, and is true."""

    reference: str
    text: str
    counts: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class ReadableScores:
    """An F1 for each of JUDGED that the references have, and over how many utterances. Recall of numbers: accuracy."""

    utterances: int
    scores: dict[str, F1]


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    mark: str

    @property
    def word(self) -> str:
        return self.text.lower().replace("\u2019", "'").rstrip(".")

    @property
    def is_figure(self) -> bool:
        return any(map(str.isdigit, self.text))


def is_readable(reference: str) -> bool:
    """Say whether a reference has marks, figures, or capitals beside small letters: whether there is what to score.

    >>> is_readable("he said yes"), is_readable("HE SAID YES"), is_readable("He said yes")
    (False, False, True)
    """
    return _has_capitals(reference) or _NO_LETTER_OR_SPACE.search(reference) is not None


def compare(reference: str, text: str) -> Readable:
    """Count what of JUDGED a readable text has right. Capitals are left out where the reference is in one case.

    >>> dict(zip(JUDGED, compare("Did Ann pay $5?", "Did ann pay $5.").counts))["."]
    (0, 1, 0)
    """
    ours, theirs = _tokens(text), _tokens(reference)
    counts = {judged: [0, 0, 0] for judged in JUDGED}
    with_capitals = _has_capitals(reference)
    for true, given in _pairs(theirs, ours):
        _count(counts, true.mark if true else "", given.mark if given else "")
        same = true is not None and given is not None and true.word == given.word
        for found, place in ((given, 1), (true, 2)):
            if found and found.is_figure:
                counts[NUMBERS][place] += 1
                counts[NUMBERS][0] += same and place == 1
        if with_capitals and true and given and same and not true.is_figure:
            is_true, is_given = _is_capital(true.text), _is_capital(given.text)
            for place, one in enumerate((is_true and is_given, is_given, is_true)):
                counts[CAPITALS][place] += one
    return Readable(reference, text, tuple((right, given, true) for right, given, true in counts.values()))


def scores_of(found: Sequence[Readable]) -> ReadableScores | None:
    """Return the F1 of what the references have, with 95 % intervals by bootstrap over utterances; None without any."""
    if not found:
        return None
    counts = np.array([one.counts for one in found], np.int64)
    every = f1_with_intervals(counts, _RESAMPLES, np.random.default_rng(0))
    scores = {judged: one for judged, one in zip(JUDGED, every, strict=True) if one.count}
    return ReadableScores(len(found), scores) if scores else None


def _count(counts: dict[str, list[int]], true: str, given: str) -> None:
    if given:
        counts[given][1] += 1
        counts[given][0] += given == true
    if true:
        counts[true][2] += 1


def _pairs(reference: list[_Token], text: list[_Token]) -> list[tuple[_Token | None, _Token | None]]:
    left, right = iter(reference), iter(text)
    return [
        (None if true is None else next(left), None if given is None else next(right))
        for true, given in align([token.word for token in reference], [token.word for token in text])
    ]


def _tokens(text: str) -> list[_Token]:
    matches = list(_TOKEN.finditer(text))
    ends = [*(match.start() for match in matches[1:]), len(text)][: len(matches)]
    return [_Token(match[0], _mark(text[match.end() : end])) for match, end in zip(matches, ends, strict=True)]


def _mark(between: str) -> str:
    strongest = next((mark for mark in _STRONGEST if mark in between), "")
    return strongest or ("\u2014" if _DASH.search(between) else "")


def _has_capitals(text: str) -> bool:
    return any(map(str.isupper, text)) and any(map(str.islower, text))


def _is_capital(word: str) -> bool:
    return word != word.lower()
