"""Which letters of a word stand for which phones: words as sequences of graphones, found by expectation maximisation.

S. Deligne, F. Yvon and F. Bimbot, "Variable-length sequence matching for phonetic transcription using joint
multigrams", Eurospeech 1995. A graphone is one letter for none, one or two phones, or two letters for one phone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

LONGEST = 2  # letters of a graphone
_SHAPES = ((1, 1), (1, 0), (1, 2), (2, 1))  # letters and phones
_FIRST_GUESS = (1.0, 0.1, 0.1, 0.1)  # most letters are one phone
_ITERATIONS = 6
_RARE = 20_000  # a graphone that is not met once in so many words is a slip of the dictionary's

Ids: TypeAlias = NDArray[np.int64]
Doubles: TypeAlias = NDArray[np.float64]


class Graphone(NamedTuple):
    """Letters, and the phones that they stand for together."""

    letters: str
    phones: tuple[str, ...]


@dataclass(frozen=True)
class _Alike:
    """Words of the same number of letters and phones: their places among all words, and both as numbers."""

    places: Ids  # [n]
    letters: Ids  # [n, letters]
    phones: Ids  # [n, phones]


class _Cell(NamedTuple):
    """A graphone of shape `shape` that ends after so many letters and phones, in each of some words."""

    shape: int
    letters: int
    phones: int
    graphones: Ids


class _Names:
    """The numbers of all graphones that letters and phones could make."""

    def __init__(self, pairs: Sequence[tuple[str, tuple[str, ...]]]) -> None:
        self.letters = sorted({letter for word, _ in pairs for letter in word})
        self.phones = sorted({phone for _, phones in pairs for phone in phones})
        sizes = [len(self.letters) ** letters * len(self.phones) ** phones for letters, phones in _SHAPES]
        self.begins = np.cumsum([0, *sizes])

    def number(self, shape: int, letters: Ids, phones: Ids) -> Ids:
        """Return the number of the graphone in each row of letters [n, 1 or 2] and phones [n, 0 to 2]."""
        number = np.zeros(len(letters), np.int64)
        for column in letters.T:
            number = number * len(self.letters) + column
        for column in phones.T:
            number = number * len(self.phones) + column
        return number + int(self.begins[shape])

    def guess(self) -> Doubles:
        """Return what graphones are taken for at first: those of a shape are equally likely."""
        sizes = np.diff(self.begins)
        chances: Doubles = np.repeat(np.array(_FIRST_GUESS) / sizes / sum(_FIRST_GUESS), sizes)
        return chances


def align(pairs: Sequence[tuple[str, tuple[str, ...]]]) -> list[tuple[Graphone, ...]]:
    """Return words and their phones as graphones, without those words that cannot be written so."""
    if not pairs:
        return []
    groups, names = _grouped(pairs)
    chances = names.guess()
    for _ in range(_ITERATIONS):
        expected = np.zeros(len(chances))
        for alike in groups:
            _expect(alike, names, chances, expected)
        if not expected.any():
            return []
        chances = expected / expected.sum()
    chances[expected < len(pairs) / _RARE] = 0.0
    found: dict[int, tuple[Graphone, ...]] = {}
    for alike in groups:
        found.update(_best(alike, names, chances, pairs))
    return [found[place] for place in sorted(found)]


def _grouped(pairs: Sequence[tuple[str, tuple[str, ...]]]) -> tuple[list[_Alike], _Names]:
    names = _Names(pairs)
    letters = {letter: number for number, letter in enumerate(names.letters)}
    phones = {phone: number for number, phone in enumerate(names.phones)}

    def sizes(place: int) -> tuple[int, int]:
        return len(pairs[place][0]), len(pairs[place][1])

    groups = []
    for _, members in groupby(sorted(range(len(pairs)), key=sizes), sizes):
        places = list(members)
        spelled = np.array([[letters[letter] for letter in pairs[place][0]] for place in places], np.int64)
        said = np.array([[phones[phone] for phone in pairs[place][1]] for place in places], np.int64)
        groups.append(_Alike(np.array(places), spelled, said))
    return groups, names


def _cells(alike: _Alike, names: _Names) -> Iterator[_Cell]:
    """Yield every way to come to a number of letters and phones, in the order in which they can be summed."""
    for letters in range(1, alike.letters.shape[1] + 1):
        for phones in range(alike.phones.shape[1] + 1):
            for shape, (width, height) in enumerate(_SHAPES):
                if width <= letters and height <= phones:
                    spelled = alike.letters[:, letters - width : letters]
                    said = alike.phones[:, phones - height : phones]
                    yield _Cell(shape, letters, phones, names.number(shape, spelled, said))


def _expect(alike: _Alike, names: _Names, chances: Doubles, expected: Doubles) -> None:
    """Add to `expected` how often each graphone is used in these words: the forward and the backward algorithm."""
    cells = list(_cells(alike, names))
    shape = (alike.letters.shape[1] + 1, alike.phones.shape[1] + 1, len(alike.places))
    before, after = np.zeros(shape), np.zeros(shape)
    before[0, 0] = after[-1, -1] = 1.0
    for cell in cells:
        width, height = _SHAPES[cell.shape]
        before[cell.letters, cell.phones] += (
            before[cell.letters - width, cell.phones - height] * chances[cell.graphones]
        )
    total = before[-1, -1]
    share = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
    for cell in reversed(cells):
        width, height = _SHAPES[cell.shape]
        through = after[cell.letters, cell.phones] * chances[cell.graphones]
        after[cell.letters - width, cell.phones - height] += through
        used = before[cell.letters - width, cell.phones - height] * through * share
        np.add.at(expected, cell.graphones, used)


def _best(
    alike: _Alike, names: _Names, chances: Doubles, pairs: Sequence[tuple[str, tuple[str, ...]]]
) -> Iterator[tuple[int, tuple[Graphone, ...]]]:
    """Yield the place of each of these words with its likeliest graphones."""
    shape = (alike.letters.shape[1] + 1, alike.phones.shape[1] + 1, len(alike.places))
    best = np.zeros(shape)
    best[0, 0] = 1.0
    last = np.full(shape, -1, np.int8)
    for cell in _cells(alike, names):
        width, height = _SHAPES[cell.shape]
        chance = best[cell.letters - width, cell.phones - height] * chances[cell.graphones]
        better = chance > best[cell.letters, cell.phones]
        best[cell.letters, cell.phones][better] = chance[better]
        last[cell.letters, cell.phones][better] = cell.shape
    for column, place in enumerate(alike.places.tolist()):
        if best[-1, -1, column]:
            yield place, _traced(last[:, :, column], *pairs[place])


def _traced(last: NDArray[Any], word: str, phones: tuple[str, ...]) -> tuple[Graphone, ...]:
    letters, said = len(word), len(phones)
    graphones: list[Graphone] = []
    while letters:
        width, height = _SHAPES[last[letters, said]]
        graphones.append(Graphone(word[letters - width : letters], phones[said - height : said]))
        letters, said = letters - width, said - height
    return tuple(reversed(graphones))
