from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.restoration.casing import write
from auricle.restoration.types import CASES

STORED = {"mcdonald": "McDonald", "ii": "II"}


@pytest.mark.parametrize(
    ("word", "case", "written"),
    [
        ("mary", "lower", "mary"),
        ("mary", "capital", "Mary"),
        ("nasa", "upper", "NASA"),
        ("mcdonald", "stored", "McDonald"),
        ("mcdonald", "capital", "McDonald"),
        ("mcdonald", "lower", "mcdonald"),
        ("louis", "stored", "Louis"),
        ("ii", "upper", "II"),
        ("i", "lower", "I"),
        ("i'm", "lower", "I'm"),
        ("iphone", "lower", "iPhone"),
        ("o'clock", "capital", "O'clock"),
        ("ßen", "capital", "ßen"),
    ],
)
def test_a_word_is_written_in_its_case(word: str, case: str, written: str) -> None:
    assert write(word, case, STORED) == written


@given(
    st.text(max_size=8).map(str.lower),
    st.sampled_from(CASES),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3)),
)
def test_in_small_letters_it_is_the_word_again(word: str, case: str, stored: dict[str, str]) -> None:
    written = write(word, case, stored | {word: word.upper()})
    assert written == word or written.lower() == word
