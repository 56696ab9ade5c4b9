from __future__ import annotations

import pytest
from restorers import Told

from auricle.restoration import Token, readable, readable_text

SAID = "he said mister dashwood paid twenty five dollars did he not"


def test_the_example_of_the_issue() -> None:
    restorer = Told("He said Mister Dashwood paid twenty five dollars, did he not?")
    tokens = readable(SAID.split(), restorer)
    assert readable_text(SAID.split(), restorer) == "He said Mr. Dashwood paid $25, did he not?"
    assert tokens[2] == Token(2, 2, "Mr.")
    assert tokens[5] == Token(5, 7, "$25", ",")
    assert readable_text(SAID.split(), restorer, numbers=False).startswith("He said Mister Dashwood paid twenty five")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("In nineteen, forty men.", "In 19, 40 men."),
        ("He had twenty. Five dollars were gone.", "He had 20. $5 were gone."),
        ("The Doctor came — Doctor Watson.", "The Doctor came — Dr. Watson."),
        ("A saint among men.", "A saint among men."),
        ("Saint Paul's at five thirty?", "St. Paul's at 5:30?"),
    ],
)
def test_a_number_never_goes_across_a_mark(written: str, expected: str) -> None:
    words = [word.strip(",.?!").lower() for word in written.split() if word != "—"]
    assert readable_text(words, Told(written)) == expected
