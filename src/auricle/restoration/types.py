"""What restoration returns, and the two directions between it and text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

MARKS = ("", ",", ".", "?", "!", ";", ":", "—")
"""What may follow a word: nothing, or one of these. The dash stands between spaces in text, and so may end a line."""

SENTENCE_ENDS = frozenset(".?!")
CASES = ("lower", "capital", "upper", "stored")
"""How a word is written: mary, Mary, MARY, or as the lexicon of stored forms has it (McDonald)."""

Pauses: TypeAlias = Sequence[float | None]
"""Seconds of silence after each word; None, or not-a-number, where it is not known."""

_DASH = "—"
_LAST_MARK = re.compile(r"[,.?!;:]$")


@dataclass(frozen=True, slots=True)
class Written:
    """One word as people read it: `text`, which differs from the plain word only in capitals, and the `mark` after it.

    `text.lower()` is the plain word. `mark` is one of MARKS.
    """

    text: str
    mark: str = ""


class Restorer(Protocol):
    """Gives plain words their capitals and the marks after them."""

    def restore(self, words: Sequence[str], pauses: Pauses | None = None) -> list[Written]:
        """Return the written form of each word, in order, one for one.

        `words` are plain: in small letters, none empty, without spaces. Raises ValueError when there are pauses and not
        one for each word.
        """
        ...


class WindowedRestorer(Restorer, Protocol):
    """A restorer for text that comes piece by piece.

    What it says of a word, but for the capital that begins a sentence, depends on no more than `context` words, and the
    pauses after them, on either side.
    """

    @property
    def context(self) -> int:
        """How many words on either side can change what is said of a word."""
        ...


def to_text(written: Iterable[Written]) -> str:
    """Return the words with their marks on one line.

    >>> to_text([Written("Yes", ","), Written("Mary"), Written("said", "—"), Written("no", ".")])
    'Yes, Mary said — no.'
    """
    return " ".join(with_mark(word.text, word.mark) for word in written)


def plain_words(text: str) -> list[str]:
    """Return the words of a text without capitals and without the marks that `to_text` writes.

    >>> plain_words("Yes, Mary said — no.")
    ['yes', 'mary', 'said', 'no']
    """
    return [_LAST_MARK.sub("", token).lower() for token in text.split() if token != _DASH]


def with_mark(text: str, mark: str) -> str:
    """Return a word and the mark that follows it."""
    return f"{text} {mark}" if mark == _DASH else text + mark
