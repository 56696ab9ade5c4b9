"""The restorer's text as arrays: for each word its number, the mark after it, its case, and where paragraphs end."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auricle.alphabet import ENGLISH
from auricle.language.corpus import make_corpus
from auricle.language.overlap import overlaps, overlaps_hashes, read_hashes
from auricle.language.printed import Printed, parts, read_paragraphs, take_apart
from auricle.restoration.features import KINDS
from auricle.restoration.types import CASES, MARKS, SENTENCE_ENDS

UNKNOWN_CASE = -1
"""A word that is printed in a way which says nothing of how to write it: emphasis in capitals, or a misprint."""
_LOWER, _CAPITAL, _UPPER, _STORED = range(len(CASES))
_MIN_STORED = 3  # times that an odd form has to be seen before it is believed
_MIN_CAPITAL, _MIN_LOWER = 3, 8  # times that a word has to be seen within sentences before its kind is believed
_SHARES = ((0.9, "name"), (0.5, "mostly"), (0.1, "sometimes"), (0.0, "lower"))  # of capitals, at least
_IN_CAPITALS = re.compile(r"[IVXLCDM]+|[^AEIOUY]+")


@dataclass(frozen=True)
class TaggedText:
    """Words in a row: `ids` [n] index `words`; `marks`, `cases` [n]; `ends` [n] true at each paragraph's last word."""

    words: tuple[str, ...]
    ids: NDArray[np.int32]
    marks: NDArray[np.int8]
    cases: NDArray[np.int8]
    ends: NDArray[np.bool_]


@dataclass(frozen=True)
class Chosen:
    """The paragraphs of each part, and how many were left out: `unusable` (digits, headings), `excluded` (held out)."""

    train: list[Printed]
    dev: list[Printed]
    test: list[Printed]
    unusable: int
    excluded: int
    unused: list[Printed] = field(default_factory=list)
    """What stands beside held-out blocks; only where it was asked for."""

    @property
    def all(self) -> list[Printed]:
        """Every paragraph that was asked for."""
        return [*self.train, *self.dev, *self.test, *self.unused]


def choose(
    texts: Iterable[Path],
    *,
    exclude: Iterable[Path] = (),
    exclude_hashes: Path | None = None,
    wanted: Sequence[str] = ("train", "dev", "test"),
    whole: bool = False,
    tell: Callable[[float], None] = lambda share: None,
) -> Chosen:
    """Read texts, take their paragraphs apart, leave out what shares eight words in a row with `exclude`.

    `exclude` are texts or manifests' texts, `exclude_hashes` a file that `language.overlap` reads. Only `wanted` parts
    are looked at. With `whole` every paragraph is of train. Raises LanguageModelError naming a file.
    """
    hashes = read_hashes(exclude_hashes) if exclude_hashes else None
    unwanted = [[" ".join(printed.words)] for path in exclude for printed in _all(read_paragraphs(path))]
    found: dict[str, list[Printed]] = {part: [] for part in ("train", "dev", "test", "")}
    unusable = 0
    for path in texts:
        paragraphs = list(read_paragraphs(path))
        of_part = ["train"] * len(paragraphs) if whole else parts(paragraphs)
        for place, (paragraph, part) in enumerate(zip(paragraphs, of_part, strict=True)):
            if place % 1000 == 0:
                tell(place / len(paragraphs))
            if part not in wanted:
                continue
            printed = take_apart(paragraph)
            if printed is None:
                unusable += 1
            else:
                found[part].append(printed)
    before = sum(map(len, found.values()))
    if unwanted or hashes is not None:
        found = {part: list(_without(printed, unwanted, hashes)) for part, printed in found.items()}
    return Chosen(
        found["train"],
        found["dev"],
        found["test"],
        unusable=unusable,
        excluded=before - sum(map(len, found.values())),
        unused=found[""],
    )


def find_lexicon(printed: Iterable[Printed]) -> dict[str, str]:
    """Return the words that are mostly written in a form of their own, such as McDonald, and that form.

    Forms in capitals throughout are emphasis, or speakers in a play, unless they are Roman numerals or cannot be spoken
    as a word, and are the usual form.
    """
    odd: Counter[str] = Counter()
    seen: Counter[str] = Counter()  # with any capital
    for one in printed:
        for form in one.forms:
            if not form.islower():
                word = form.lower()
                seen[word] += 1
                if form[1:] != word[1:]:
                    odd[form] += 1
    usual = ((form, count) for form, count in odd.most_common() if count >= _MIN_STORED)
    return {
        form.lower(): form
        for form, count in usual
        if 2 * count > seen[form.lower()] and (not form.isupper() or _IN_CAPITALS.fullmatch(form))
    }


def find_kinds(printed: Iterable[Printed]) -> dict[str, int]:
    """Return the place in KINDS of each word that is often enough within a sentence to know it.

    What begins a sentence, or stands after a question or exclamation mark, says nothing of its word.
    """
    capital, lower = Counter[str](), Counter[str]()
    for one in printed:
        for mark, form in zip(one.marks, one.forms[1:], strict=False):
            if mark not in SENTENCE_ENDS:
                (lower if form.islower() else capital)[form.lower()] += 1
    kinds = {}
    for word in {*capital, *lower}:
        times = capital[word] + lower[word]
        kind = next(kind for share, kind in _SHARES if capital[word] >= share * times)
        if times >= (_MIN_LOWER if kind == "lower" else _MIN_CAPITAL):
            kinds[word] = KINDS.index(kind)
    return kinds


def tag(printed: Iterable[Printed], lexicon: dict[str, str]) -> TaggedText:
    """Return paragraphs as arrays."""
    numbers: dict[str, int] = {}
    marks = {mark: index for index, mark in enumerate(MARKS)}
    ids, tags, cases, ends = list[int](), list[int](), list[int](), list[bool]()
    seen: dict[str, tuple[int, int]] = {}
    for one in printed:
        for form in one.forms:
            pair = seen.get(form)
            if pair is None:
                word = form.lower()
                pair = seen[form] = (numbers.setdefault(word, len(numbers)), case_of(form, lexicon))
            ids.append(pair[0])
            cases.append(pair[1])
        tags.extend(marks[mark] for mark in one.marks)
        ends.extend([False] * (len(one.forms) - 1) + [True])
    return TaggedText(
        tuple(numbers),
        np.array(ids, np.int32),
        np.array(tags, np.int8),
        np.array(cases, np.int8),
        np.array(ends, np.bool_),
    )


def case_of(form: str, lexicon: dict[str, str]) -> int:
    """Return the index in CASES of a printed form, or UNKNOWN_CASE."""
    word = form.lower()
    if form == word:
        return _LOWER
    stored = lexicon.get(word)
    if form == stored:
        return _UPPER if form.isupper() else _STORED
    return _CAPITAL if form == word[0].upper() + word[1:] else UNKNOWN_CASE


def _all(paragraphs: Iterable[str]) -> Iterator[Printed]:
    return filter(None, map(take_apart, paragraphs))


def _without(printed: list[Printed], unwanted: list[list[str]], hashes: frozenset[int] | None) -> Iterator[Printed]:
    # A recogniser's words without the alphabet's other habits: apostrophes at words' ends are gone already.
    corpus = make_corpus([ENGLISH.normalise(" ".join(one.words))] for one in printed)
    mask = overlaps(corpus, unwanted)
    if hashes is not None:
        mask |= overlaps_hashes(corpus, hashes)
    return (one for one, out in zip(printed, mask.tolist(), strict=True) if not out)
