"""Printed paragraphs taken apart: the words a recogniser would write, how each was printed, and the mark after it."""

from __future__ import annotations

import hashlib
import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from auricle.language.files import reading
from auricle.language.text import spell_out

BLOCK = 500
"""Paragraphs in a row that go to the same part of the text, train, dev or test."""
MARGIN = 250
"""Paragraphs on either side of a held-out block that nothing uses: the book at its edge may go on there."""

_DEV, _TEST = 2, 6  # of a hundred blocks
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
# Of several marks between two words the first one here stays: 'vote?" said', "he,--and".
_STRONGEST = (("?", "?"), ("!", "!"), (".", "."), (";", ";"), (":", ":"), (",", ","))
_DASH = re.compile("--|[\u2013\u2014]| - ")
_ELLIPSIS = re.compile(r"\u2026|\.(?:\s?\.)+")
_TITLES = (
    "mister missus messieurs doctor professor saint reverend honorable general colonel major captain lieutenant "
    "sergeant governor madame mademoiselle"
)
_SPELLED_TITLES = frozenset(_TITLES.split())
_MOST_CAPITALS = 0.3  # of a paragraph's letters; above it is a heading


@dataclass(frozen=True, slots=True)
class Printed:
    """A paragraph: its `forms` as printed, without accents, whose small letters are the words; `marks` after each."""

    forms: tuple[str, ...]
    marks: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The plain words."""
        return tuple(form.lower() for form in self.forms)


def take_apart(paragraph: str) -> Printed | None:
    """Return the words and marks of a paragraph, or None where it has digits or is a heading in capitals.

    Abbreviated titles are spelled out as they are said ("Mr. Vane" is "Mister Vane"), quotation marks and brackets are
    left out, an ellipsis is a full stop before a capital and nothing elsewhere. Hyphens separate words.
    """
    capitals = sum(map(str.isupper, paragraph))
    if any(map(str.isdigit, paragraph)) or capitals > _MOST_CAPITALS * max(len(paragraph), 1):
        return None
    text = spell_out(_ELLIPSIS.sub("\u2026", paragraph))
    matches = list(_WORD.finditer(text))
    if not matches:
        return None
    ends = [*(match.start() for match in matches[1:]), len(text)]
    forms, marks = [], []
    for place, (match, end) in enumerate(zip(matches, ends, strict=True)):
        follows = matches[place + 1][0] if place + 1 < len(matches) else "A"
        form = sys.intern(_plain_letters(match[0]))  # a library's words would fill gigabytes
        forms.append(form.capitalize() if form in _SPELLED_TITLES and follows[0].isupper() else form)
        between = text[match.end() : end]
        marks.append("" if between == " " else _mark(between, follows, match[0]))
    if not all(forms):
        return None
    return Printed(tuple(forms), tuple(marks))


def read_paragraphs(path: str | Path) -> Iterator[str]:
    """Yield the paragraphs of a UTF-8 text, one a line (.txt, .xz, .gz). Raises LanguageModelError naming the file."""
    with reading(Path(path), "a text") as file:
        yield from (line.strip() for line in file if line.strip())


def parts(paragraphs: Sequence[str]) -> list[str]:
    """Return for each paragraph which part it belongs to: "train", "dev", "test", or "" for none.

    Blocks of paragraphs in a row are held out, chosen by a hash of the first one: a collection of books that names no
    authors keeps most books, and where it is sorted most authors, whole. An author of many books may still be on both
    sides.
    """
    found = ["train"] * len(paragraphs)
    held = [(begin, part) for begin in range(0, len(paragraphs), BLOCK) if (part := _held(paragraphs[begin]))]
    for begin, _ in held:
        for place in range(max(begin - MARGIN, 0), min(begin + BLOCK + MARGIN, len(found))):
            found[place] = ""
    for begin, part in held:
        found[begin : begin + BLOCK] = [part] * len(found[begin : begin + BLOCK])
    return found


def _held(first: str) -> str:
    value = int.from_bytes(hashlib.blake2b(first.encode(), digest_size=8).digest(), "little") % 100
    return "dev" if value < _DEV else "test" if value < _DEV + _TEST else ""


def _mark(between: str, follows: str, word: str) -> str:
    for sign, mark in _STRONGEST:
        if sign in between and not (sign == "." and len(word) == 1 and word.isupper() and word != "I"):
            return mark
    if _DASH.search(between):
        return "—"
    return "." if "\u2026" in between and follows[0].isupper() else ""


def _plain_letters(word: str) -> str:
    """Return a word with straight apostrophes and without accents; empty where letters beyond a to z remain."""
    if word.isascii():
        return word
    word = unicodedata.normalize("NFKD", word.replace("\u2019", "'"))
    word = "".join(letter for letter in word if not unicodedata.combining(letter))
    word = word.replace("æ", "ae").replace("Æ", "Ae").replace("œ", "oe").replace("Œ", "Oe")
    return word if word.isascii() else ""
