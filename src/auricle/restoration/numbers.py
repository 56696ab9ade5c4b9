"""Numbers and titles as print has them: "twenty five dollars" is $25, "mister" before a name Mr.

One rule a function, tried in order at each word; the first that applies takes its words. The style is that of
newspapers: cardinals and ordinals below ten stay words unless a unit, a date or a clock makes figures of them. What may
be no number stays as it is: "one of them", "a second time", "I may go".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from auricle.restoration.cardinals import HUNDRED, SCALES, TEENS, TENS, UNITS, Cardinal, below_hundred, cardinal

_SMALLEST = 10  # written in figures without a reason
_COMMAS_FROM = 1000
_TITLES = {"mister": "Mr.", "missus": "Mrs.", "doctor": "Dr.", "saint": "St."}
_ALWAYS_TITLES = frozenset({"mister", "missus"})
_MONTH_NAMES = "january february march april may june july august september october november december"
_BEFORE_YEARS = "in since of by until till from before after year years around about during circa to and"
_BEFORE_HOURS = "at by until till before after about around past since"
_COMMON = (
    "a an and are as at be but by came can did do for from had has have he her him his i if in is it me my no not now "
    "of on or our said says she so that the their them then there they this to us was we were what when where which "
    "who will with would you your"
)
_MONTHS = frozenset(_MONTH_NAMES.split())
_VERBS_TOO = frozenset({"march", "may"})
_YEAR_CUES = frozenset(_BEFORE_YEARS.split())
_LOOSE_YEAR_CUES = frozenset({"of", "about", "around", "to", "and", "by"})  # "of two thousand men"
_CLOCK_CUES = frozenset(_BEFORE_HOURS.split())
_NOT_NAMES = frozenset(_COMMON.split())
_CURRENCIES = {"dollar": "$", "dollars": "$", "euro": "€", "euros": "€"}
_UNITS_OF_THINGS = frozenset({HUNDRED, *SCALES, *_CURRENCIES, "percent", "per", "cents", "pounds", "point"})
_COUNTED_BY = frozenset({*_CURRENCIES, "percent", "per", "cents", "pounds"})
_IRREGULAR = {"first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12}
_DECADES = {word[:-1] + "ies": value for word, value in TENS.items()}
_NO_PLURALS = frozenset({"was", "is", "has", "this", "his", "as"})


@dataclass(frozen=True, slots=True)
class Span:
    """The words `first` to `last`, inclusive, and how they are `written`."""

    first: int
    last: int
    written: str


def find_numbers(words: Sequence[str], capitals: Sequence[bool] | None = None) -> list[Span]:
    """Return what of plain words is written in another way, in order; spans never share a word.

    `capitals` says of each word whether it is written with a capital, which tells names; without it, a title stays a
    word before the commonest words that are no names.

    >>> find_numbers("it cost twenty five dollars".split())
    [Span(first=2, last=4, written='$25')]
    """
    words, spans, at = list(words), [], 0
    while at < len(words):
        span = next(_found(words, at, capitals), None)
        if span is not None:
            spans.append(span)
        at = span.last + 1 if span else at + 1
    return [span for span in spans if span.written]


def _found(words: Sequence[str], at: int, capitals: Sequence[bool] | None) -> Iterator[Span]:
    title = _title(words, at, capitals)
    if title:
        yield title
    if not _may_begin(words, at):
        return
    for rule in _RULES:
        if span := rule(words, at):
            yield span


def _title(words: Sequence[str], at: int, capitals: Sequence[bool] | None) -> Span | None:
    written, follows = _TITLES.get(words[at]), _word(words, at + 1)
    if written and follows == "and" and _word(words, at + 2) in _ALWAYS_TITLES and _title(words, at + 2, capitals):
        return Span(at, at, written)  # Mr. and Mrs. Bennet
    if not written or not follows or follows in _NOT_NAMES or follows in _TITLES:
        return None
    named = capitals[at + 1] if capitals is not None else words[at] in _ALWAYS_TITLES or not _follows_article(words, at)
    return Span(at, at, written) if named else None


def _follows_article(words: Sequence[str], at: int) -> bool:
    return _word(words, at - 1) in {"a", "an", "the", "my", "his", "her", "their", "our", "your", "this", "that"}


def _may_begin(words: Sequence[str], at: int) -> bool:
    word = words[at]
    return word == "a" or word in UNITS or word in TEENS or word in TENS or ordinal_value(word) is not None


def _kept(words: Sequence[str], at: int) -> Span | None:
    """What looks like a number and is none, or reads better as words: "four and twenty", "ten o'clock"."""
    number = cardinal(words, at)
    if number is None:
        return None
    follows, beyond = _word(words, number.end), _word(words, number.end + 1)
    if words[at] in UNITS and number.words == 1 and follows == "and" and beyond in TENS:
        return Span(at, at + 2, "")
    if follows == "o'clock":
        return Span(at, number.end, "")
    hour = below_hundred(words, number.end + 1)
    if follows in {"past", "to"} and hour and 1 <= hour.value <= 12 and 5 <= number.value < 30:
        # "ten past nine", "twenty to six"; a range, as in "ten to twelve", goes up
        return Span(at, hour.end - 1, "") if follows == "past" or hour.value < number.value else None
    if _word(words, at - 1) == "or" and _word(words, at - 2) in UNITS and follows not in _UNITS_OF_THINGS:
        return Span(at, number.end - 1, "")  # "nine or ten", "four or five thousand" are guesses
    return None


def _clock(words: Sequence[str], at: int) -> Span | None:
    """Five thirty p m, seven a.m.; without them only after "at" and its like, and with minutes."""
    hour = below_hundred(words, at)
    if hour is None or hour.words > 1 or not 1 <= hour.value <= 12:
        return None
    minutes, end = _minutes(words, hour.end)
    half, after = _half_of_day(words, end)
    if half:
        return Span(at, after - 1, f"{hour.value}{minutes} {half}")
    cued = _word(words, at - 1) in _CLOCK_CUES and _word(words, end) not in _UNITS_OF_THINGS
    return Span(at, end - 1, f"{hour.value}{minutes}") if minutes and cued and not cardinal(words, end) else None


def _minutes(words: Sequence[str], at: int) -> tuple[str, int]:
    if _word(words, at) in {"oh", "o"} and (unit := UNITS.get(_word(words, at + 1))):
        return f":0{unit}", at + 2
    minutes = below_hundred(words, at)
    if minutes and 10 <= minutes.value < 60:
        return f":{minutes.value}", minutes.end
    return "", at


def _half_of_day(words: Sequence[str], at: int) -> tuple[str, int]:
    word = _word(words, at)
    if word in {"am", "pm", "a.m.", "p.m."}:
        # "ten am i" is nobody's clock
        return ("", at) if word == "am" and _word(words, at + 1) in {"i", "not"} else (f"{word[0]}.m.", at + 1)
    if word in {"a", "p"} and _word(words, at + 1) == "m":
        return f"{word}.m.", at + 2
    return "", at


def _year(words: Sequence[str], at: int) -> Span | None:
    """Nineteen eighty four, eighteen hundred and five, nineteen oh five; two thousand and six after "in"."""
    decade = _decade(words, at)
    if decade:
        return decade
    century = below_hundred(words, at)
    if century is None or not 10 <= century.value <= 20 or century.words > 1:
        return _year_of_thousands(words, at)
    end = century.end
    if _word(words, end) in {"oh", "o"} and (unit := UNITS.get(_word(words, end + 1))):
        return Span(at, end + 1, f"{century.value}0{unit}")
    rest = below_hundred(words, end)
    cued = _word(words, at - 1) in _YEAR_CUES | _MONTHS or _is_day(words, at - 1)
    if rest and rest.value >= 10 and (cued or century.value >= 13) and not _goes_on(words, rest.end):
        return Span(at, rest.end - 1, f"{century.value}{rest.value}")
    if _word(words, end) == HUNDRED and cued and (whole := cardinal(words, at)) and 1000 <= whole.value < 2100:
        return Span(at, whole.end - 1, str(whole.value)) if not _goes_on(words, whole.end) else None
    return None


def _year_of_thousands(words: Sequence[str], at: int) -> Span | None:
    year = cardinal(words, at)
    cued = _word(words, at - 1) in (_YEAR_CUES - _LOOSE_YEAR_CUES) | _MONTHS
    dated = cued or _is_day(words, at - 1)
    if not year or not dated or words[at : at + 2] != ["two", "thousand"] or not 2000 <= year.value < 2100:
        return None
    return Span(at, year.end - 1, str(year.value)) if not _counted(words, year.end) else None


def _counted(words: Sequence[str], at: int) -> bool:
    """Say whether the word here is what is counted: "in two thousand years"."""
    return _word(words, at).endswith("s") and _word(words, at) not in _NO_PLURALS


def _decade(words: Sequence[str], at: int) -> Span | None:
    century, tens = below_hundred(words, at), _DECADES.get(_word(words, at + 1))
    if century is None or tens is None or not 13 <= century.value <= 20:
        return None
    return Span(at, at + 1, f"{century.value}{tens}s")


def _is_day(words: Sequence[str], at: int) -> bool:
    """Say whether the word here is the day of a date: "july fourth", "the fourth of"."""
    value = ordinal_value(_word(words, at))
    return value is not None and (_word(words, at - 1) in _MONTHS or _word(words, at - 2) in _MONTHS)


def _goes_on(words: Sequence[str], at: int) -> bool:
    """Say whether the number goes on: "thirteen twenty seven million" is no year."""
    word = _word(words, at)
    return word in UNITS or word in TEENS or word in TENS or word in _UNITS_OF_THINGS


def _amount(words: Sequence[str], at: int) -> Span | None:
    """Money, percentages, decimals: what makes figures of small numbers too."""
    number = cardinal(words, at)
    if number is None:
        return None
    figures, end = _with_decimals(words, number)
    follows = _word(words, end)
    if follows == "percent":
        return Span(at, end, f"{figures}%")
    if follows == "per" and _word(words, end + 1) == "cent":
        return Span(at, end + 1, f"{figures}%")
    if follows in _CURRENCIES:
        return _money(words, number, figures, end)
    if follows == "pounds" and _word(words, end + 1) == "sterling":
        return Span(at, end + 1, f"£{figures}")
    return Span(at, end - 1, figures) if end > number.end or (" " in figures and number.value >= 10) else None


def _money(words: Sequence[str], number: Cardinal, figures: str, end: int) -> Span:
    sign = _CURRENCIES[words[end]]
    joined = _word(words, end + 1) == "and"
    cents = below_hundred(words, end + 1 + joined)
    if cents and cents.value and _word(words, cents.end) in {"cent", "cents"} and figures.replace(",", "").isdigit():
        return Span(number.begin, cents.end, f"{sign}{figures}.{cents.value:02d}")
    return Span(number.begin, end, f"{sign}{figures}")


def _with_decimals(words: Sequence[str], number: Cardinal) -> tuple[str, int]:
    """Return figures and where they end: "three point one four" is 3.14, "one point five million" 1.5 million."""
    end, digits = number.end, ""
    if _word(words, end) == "point" and number.value < 1000:
        place = end + 1
        while (digit := _word(words, place)) in UNITS or digit == "oh":
            digits += str(UNITS.get(digit, 0))
            place += 1
        if not digits and (two := below_hundred(words, place)) and two.value >= 10:
            digits, place = str(two.value), two.end
        if digits:
            scale = _word(words, place)
            if scale in SCALES and scale != "thousand":
                return f"{number.value}.{digits} {scale}", place + 1
            return f"{number.value}.{digits}", place
    return _figures(number.value), end


def _ordinal(words: Sequence[str], at: int) -> Span | None:
    """Twenty first, the tenth; below ten only with a month: july fourth, the fourth of july."""
    value, end = _ordinal_at(words, at)
    if value is None:
        return None
    alone = end == at + 1
    before, follows = _word(words, at - 1), _word(words, end)
    if alone and before in {"a", "an", "one", "nine"} and follows not in {"century", "day"}:
        return Span(at, at, "")  # a tenth of it
    dated = before in _MONTHS and (before not in _VERBS_TOO or _word(words, at - 2) in {"on", "of", "since", "until"})
    dated = dated or (follows == "of" and _word(words, end + 1) in _MONTHS and value <= 31)
    if (value < _SMALLEST and not dated) or (value in {100, 1000} and alone):
        return None
    return Span(at, end - 1, _figures(value).replace(",", "") + _suffix(value))


def _ordinal_at(words: Sequence[str], at: int) -> tuple[int | None, int]:
    alone = ordinal_value(words[at])
    if alone is not None:
        return alone, at + 1
    number = cardinal(words, at)
    if number is None or not number.bare:
        return None, at
    value = ordinal_value(_word(words, number.end))
    joined = _word(words, number.end) == "and"
    if joined and number.value % 100 == 0 and number.value and (last := ordinal_value(_word(words, number.end + 1))):
        return (number.value + last, number.end + 2) if last < 100 else (None, at)
    if value is None or value == 0:
        return None, at
    if value in {100, 1000}:
        fraction = number.value == 1 and _word(words, at - 1) != "the"  # one hundredth
        return (None, at) if fraction else (number.value * value, number.end + 1)
    smallest = 10 if number.value % 100 else 100
    fits = number.value >= 20 and number.value % smallest == 0 and value < smallest
    return (number.value + value, number.end + 1) if fits else (None, at)


def ordinal_value(word: str) -> int | None:
    """Return the value of an ordinal of one word, or None: "fourth" is 4, "twentieth" 20, "hundredth" 100."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if not word.endswith("th"):
        return None
    stem = word[:-2]
    if stem.endswith("ie"):
        return TENS.get(stem[:-2] + "y")
    return {HUNDRED: 100, "thousand": 1000}.get(stem, UNITS.get(stem) or TEENS.get(stem))


def _plain_cardinal(words: Sequence[str], at: int) -> Span | None:
    """Ten and more; "sixty four thousand" is 64,000; what stands beside another number stays with it, as words."""
    number = cardinal(words, at)
    if number is None:
        return None
    if _goes_on(words, number.end) and _word(words, number.end) not in _COUNTED_BY:
        return _run(words, at)
    if number.value < _SMALLEST or (number.words == 2 and number.begin == at and not number.bare):
        return Span(at, number.end - 1, "")
    return Span(at, number.end - 1, _figures(number.value))


def _run(words: Sequence[str], at: int) -> Span:
    """Numbers that make no number together ("three two one", "twenty thirteen men") stay words."""
    end = at
    while number := cardinal(words, end):
        end = number.end
    return Span(at, max(end - 1, at), "")


def _figures(value: int) -> str:
    for scale in ("trillion", "billion", "million"):
        count, rest = divmod(value, SCALES[scale])
        if count and not rest:
            return f"{count} {scale}"
    return f"{value:,}" if value >= _COMMAS_FROM else str(value)


def _suffix(value: int) -> str:
    if 10 <= value % 100 <= 20:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")


def _word(words: Sequence[str], at: int) -> str:
    return words[at] if 0 <= at < len(words) else ""


_Rule: TypeAlias = Callable[[Sequence[str], int], Span | None]
_RULES: tuple[_Rule, ...] = (_kept, _clock, _year, _ordinal, _amount, _plain_cardinal)
