"""English number words to values: a cardinal as it is said, from any place in a list of words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_UNITS = "zero one two three four five six seven eight nine"
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"

UNITS = {word: value for value, word in enumerate(_UNITS.split())}
TEENS = {word: value for value, word in enumerate(_TEENS.split(), start=10)}
TENS = {word: 10 * value for value, word in enumerate(_TENS.split(), start=2)}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
HUNDRED = "hundred"


@dataclass(frozen=True, slots=True)
class Cardinal:
    """A number that the words [begin, end) say. `bare` is false where it began with "a" ("a hundred and two")."""

    begin: int
    end: int
    value: int
    bare: bool = True

    @property
    def words(self) -> int:
        """How many words it takes."""
        return self.end - self.begin


def below_hundred(words: Sequence[str], at: int) -> Cardinal | None:
    """Return "five", "fifteen", "fifty" or "fifty five" at a place, or None."""
    word = _word(words, at)
    if word in TENS:
        unit = UNITS.get(_word(words, at + 1), 0)
        return Cardinal(at, at + (2 if unit else 1), TENS[word] + unit)
    value = UNITS.get(word, TEENS.get(word))
    return None if value is None else Cardinal(at, at + 1, value)


def cardinal(words: Sequence[str], at: int) -> Cardinal | None:
    """Return the longest cardinal that begins at a place, or None.

    Scales fall from left to right and "and" joins only what follows a hundred or more: "two hundred and five thousand
    and six" is one number, "twenty and five" and "five thousand thousand" are not. "A hundred and two" is one as well,
    "a hundred" alone is a word.
    """
    group = _below_thousand(words, at)
    if group is None or (group.value == 0 and group.words == 1):
        return group
    total, end, scale = 0, at, float("inf")
    joined = False  # by an "and" before this group
    while group is not None:
        factor = SCALES.get(_word(words, group.end), 1)
        if factor >= scale or (joined and factor > 1 and group.value < 100 and total % factor != 0):
            break
        total += group.value * factor
        end = group.end + (factor > 1)
        if factor == 1:
            break
        scale = factor
        joined = _word(words, end) == "and"
        group = _below_thousand(words, end + joined)
        # "a thousand and one", but "five thousand and two hundred" is more often two numbers.
        if group is not None and (group.value == 0 or not group.bare or (joined and group.value >= 100)):
            break
    bare = words[at] != "a"
    if not bare and not _composed(words, at, end):
        return None
    return Cardinal(at, end, total, bare)


def _composed(words: Sequence[str], at: int, end: int) -> bool:
    return any(word in UNITS or word in TEENS or word in TENS for word in words[at:end])


def _below_thousand(words: Sequence[str], at: int) -> Cardinal | None:
    """Return "two hundred and five", "nineteen hundred", "a hundred" or what is below a hundred, or None."""
    first = below_hundred(words, at)
    if first is None:
        if _word(words, at) == "a" and (_word(words, at + 1) == HUNDRED or _word(words, at + 1) in SCALES):
            first = Cardinal(at, at + 1, 1, bare=False)
        else:
            return None
    if first.value == 0 or _word(words, first.end) != HUNDRED:
        return first
    value, end = 100 * first.value, first.end + 1
    joined = _word(words, end) == "and"
    rest = below_hundred(words, end + joined)
    if rest is not None and rest.value:
        return Cardinal(at, rest.end, value + rest.value, first.bare)
    return Cardinal(at, end, value, first.bare)


def _word(words: Sequence[str], at: int) -> str:
    return words[at] if 0 <= at < len(words) else ""
