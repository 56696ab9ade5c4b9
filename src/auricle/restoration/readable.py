"""Plain words to readable text: the restorer's capitals and marks, and numbers as figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auricle.restoration.numbers import find_numbers
from auricle.restoration.types import Pauses, Restorer, Written, to_text


@dataclass(frozen=True, slots=True)
class Token:
    """A readable word, `text` and the `mark` after it, that stands for the plain words `first` to `last`, inclusive."""

    first: int
    last: int
    text: str
    mark: str = ""


def readable(
    words: Sequence[str], restorer: Restorer, pauses: Pauses | None = None, *, numbers: bool = True
) -> list[Token]:
    """Return the readable form of plain words; every word belongs to exactly one token, in order.

    With `numbers`, "twenty five dollars" is one token, "$25", and "mister" before a name is "Mr.". A number never goes
    across a mark.
    """
    return tokens_of(words, restorer.restore(words, pauses), numbers=numbers)


def tokens_of(words: Sequence[str], written: Sequence[Written], *, numbers: bool = True) -> list[Token]:
    """Return the tokens of words that are restored already. See `readable`."""
    tokens: list[Token] = []
    begin = 0
    for place, word in enumerate(written):
        if word.mark or place + 1 == len(written):
            tokens.extend(_clause(words, written, begin, place + 1, numbers))
            begin = place + 1
    return tokens


def readable_text(
    words: Sequence[str], restorer: Restorer, pauses: Pauses | None = None, *, numbers: bool = True
) -> str:
    """Return the readable form of plain words on one line."""
    return to_text(Written(token.text, token.mark) for token in readable(words, restorer, pauses, numbers=numbers))


def _clause(words: Sequence[str], written: Sequence[Written], begin: int, end: int, numbers: bool) -> list[Token]:
    clause = words[begin:end]
    capitals = [word.text != plain for word, plain in zip(written[begin:end], clause, strict=True)]
    spans = find_numbers(clause, capitals) if numbers else []
    figures = {begin + span.first: span for span in spans}
    tokens, place = [], begin
    while place < end:
        span = figures.get(place)
        last = begin + span.last if span else place
        text = span.written if span else written[place].text
        tokens.append(Token(place, last, text, written[last].mark))
        place = last + 1
    return tokens
