"""Numbers and titles: a table of cases, and what holds for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.restoration.cardinals import SCALES, TEENS, TENS, UNITS, cardinal
from auricle.restoration.numbers import find_numbers, ordinal_value

TABLE = Path(__file__).with_name("numbers.tsv")
ROWS = [line.split("\t") for line in TABLE.read_text("utf-8").splitlines() if not line.startswith("#")]
BELOW_TWENTY = [*UNITS, *TEENS]


def in_figures(words: list[str]) -> str:
    written, at = [], 0
    for span in find_numbers(words):
        written += [*words[at : span.first], span.written]
        at = span.last + 1
    return " ".join([*written, *words[at:]])


def spoken(value: int, joint: str = "and") -> list[str]:
    """A number as a Briton says it; written without a look at the code that reads it."""
    for word, scale in reversed(SCALES.items()):
        if value >= scale:
            rest = value % scale
            link = [joint] if joint and 0 < rest < 100 else []
            return [*spoken(value // scale, joint), word, *link, *(spoken(rest, joint) if rest else [])]
    if value >= 100:
        rest = value % 100
        return [
            BELOW_TWENTY[value // 100],
            "hundred",
            *([joint] if joint and rest else []),
            *(spoken(rest) if rest else []),
        ]
    if value >= 20:
        tens = next(word for word, number in TENS.items() if number == value // 10 * 10)
        return [tens, *([BELOW_TWENTY[value % 10]] if value % 10 else [])]
    return [BELOW_TWENTY[value]]


def test_the_table_is_long_enough() -> None:
    assert len(ROWS) >= 400
    assert len({row[0] for row in ROWS}) == len(ROWS)
    assert sum(row[0] == row[1] for row in ROWS) >= 100, "cases that must not change"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_table(row: list[str], request: pytest.FixtureRequest) -> None:
    said, wanted, *fails = row
    if fails:
        request.applymarker(pytest.mark.xfail(reason="a known failure"))
    assert in_figures(said.split()) == wanted


@given(st.integers(0, 10**15 - 1), st.sampled_from(["and", ""]))
def test_every_cardinal_is_read_as_it_is_said(value: int, joint: str) -> None:
    words = spoken(value, joint)
    number = cardinal(words, 0)
    assert number is not None
    assert (number.value, number.end) == (value, len(words))


@given(st.integers(10, 999_999))
def test_a_number_between_words_takes_none_of_them(value: int) -> None:
    assert in_figures(["see", *spoken(value), "sheep"]) == f"see {value:,} sheep" if value >= 1000 else True
    assert in_figures(["see", *spoken(value), "sheep"]).split()[0] == "see"
    assert in_figures(["see", *spoken(value), "sheep"]).split()[-1] == "sheep"


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("first", 1),
        ("fourth", 4),
        ("ninth", 9),
        ("twelfth", 12),
        ("twentieth", 20),
        ("nineteenth", 19),
        ("hundredth", 100),
    ],
)
def test_ordinals(word: str, value: int) -> None:
    assert ordinal_value(word) == value


@pytest.mark.parametrize("word", ["seven", "month", "bath", "th", "ith", "with", "both"])
def test_what_ends_like_an_ordinal_is_none(word: str) -> None:
    assert ordinal_value(word) is None


NUMBERISH = [
    *UNITS, *TEENS, *TENS, *SCALES, "hundred", "a", "and", "point", "percent", "per", "cent", "dollars", "cents", "oh",
    "o'clock", "p", "m", "am", "pm", "at", "in", "first", "second", "twentieth", "hundredth", "may", "july", "of", "or",
    "mister", "saint", "past", "to", "pounds", "eighties", "the", "men",
]  # fmt: skip


@given(st.lists(st.sampled_from(NUMBERISH), max_size=12))
def test_spans_lie_in_order_within_the_words_and_write_something(words: list[str]) -> None:
    spans = find_numbers(words)
    before = -1
    for span in spans:
        assert before < span.first <= span.last < len(words)
        assert span.written
        before = span.last
    assert find_numbers(tuple(words)) == spans


@given(st.lists(st.sampled_from(["the", "one", "of", "them", "second", "time", "i", "may", "go", "too"]), max_size=12))
def test_what_may_be_no_number_stays(words: list[str]) -> None:
    # "may second" and "second of may" are dates wherever they stand
    if not any({"may", "second"} <= set(words[at : at + 3]) for at in range(len(words))):
        assert find_numbers(words) == []


def test_capitals_tell_names() -> None:
    words = ["a", "saint", "george", "and", "doctor", "who"]
    assert [span.first for span in find_numbers(words, [False, True, True, False, True, False])] == [1]
    assert find_numbers(words, [False] * 6) == []
