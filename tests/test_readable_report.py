"""Readable text is scored where references have it, apart from the words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.metrics import ErrorCounts
from auricle.report import Readable, Report, Row, compare, is_readable, report_html
from auricle.report.readable import JUDGED, scores_of

readable_text = st.lists(
    st.sampled_from(["Mary", "he", "said", "$25,", "5:30", "Mr.", "no.", "What?", "so —", "well-known", "I'm", "21st"]),
    max_size=30,
).map(" ".join)


def counts(reference: str, text: str) -> dict[str, tuple[int, int, int]]:
    """Right, written and true of what occurs at all."""
    found = zip(JUDGED, compare(reference, text).counts, strict=True)
    return {judged: one for judged, one in found if any(one)}


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("", False),
        ("he said it's so", False),
        ("HE SAID ITS SO", False),
        ("He said so", True),
        ("he said so.", True),
        ("in 25 years", True),
        ("HE SAID, SO", True),
        ("no\u2014yes", True),
    ],
)
def test_which_references_are_readable(reference: str, expected: bool) -> None:
    assert is_readable(reference) is expected


def test_marks_capitals_and_numbers_are_counted() -> None:
    reference = "He said Mr. Dashwood paid $25, did he not?"
    assert counts(reference, reference) == {
        ",": (1, 1, 1), "?": (1, 1, 1), "capitals": (3, 3, 3), "numbers": (1, 1, 1)
    }  # fmt: skip
    assert counts(reference, "he said Mr. Dashwood, paid $20. Did he not?") == {
        ",": (0, 1, 1),
        ".": (0, 1, 0),
        "?": (1, 1, 1),
        "capitals": (2, 3, 3),
        "numbers": (0, 1, 1),
    }


def test_a_mark_after_a_word_that_was_misheard_is_right_and_its_capital_is_not_judged() -> None:
    assert counts("Anne went. He saw.", "And went. He sought.") == {".": (2, 2, 2), "capitals": (1, 1, 1)}


def test_marks_of_words_that_were_missed_or_put_in_are_wrong() -> None:
    assert counts("Ann went. Bob ran, he fled.", "Ann Bob ran. He fled.")["."] == (1, 2, 2)
    assert counts("he did.", "he, did.")[","] == (0, 1, 0)


def test_references_in_one_case_say_nothing_of_capitals() -> None:
    assert counts("HE SAID SO, MARY.", "He said so, Mary.") == {",": (1, 1, 1), ".": (1, 1, 1)}
    assert counts("he said so, mary.", "He said so, Mary.") == {",": (1, 1, 1), ".": (1, 1, 1)}


def test_hyphens_part_words_and_dashes_are_marks() -> None:
    assert counts("An ill-disposed man\u2014so.", "An ill disposed man — so.") == {
        ".": (1, 1, 1),
        "—": (1, 1, 1),
        "capitals": (1, 1, 1),
    }


@pytest.mark.parametrize("figure", ["$2.50", "5:30", "1,200", "21st", "20%", "1840s", "€5", "1/2"])
def test_a_figure_is_one_token_whatever_is_in_it(figure: str) -> None:
    assert counts(f"it is {figure}.", f"it is {figure}.") == {".": (1, 1, 1), "numbers": (1, 1, 1)}
    assert counts(f"it is {figure}.", "it is many.") == {".": (1, 1, 1), "numbers": (0, 0, 1)}


@given(readable_text)
def test_a_text_is_right_throughout_against_itself(text: str) -> None:
    assert all(right == given == true for right, given, true in compare(text, text).counts)


@given(readable_text, readable_text)
def test_no_more_is_right_than_there_is(reference: str, text: str) -> None:
    for right, written, true in compare(reference, text).counts:
        assert 0 <= right <= min(written, true)


def test_scores_are_of_what_the_references_have() -> None:
    found = [compare("He did.", "He did."), compare("Did he?", "Did he.")]
    scores = scores_of(found)
    assert scores is not None
    assert scores.utterances == 2
    assert set(scores.scores) == {".", "?", "capitals"}
    assert (scores.scores["."].precision, scores.scores["."].recall) == (0.5, 1.0)
    assert scores.scores["?"].value == 0
    assert scores.scores["?"].low <= scores.scores["?"].value <= scores.scores["?"].high
    assert scores_of([]) is None
    assert scores_of([Readable("", "", ((0, 0, 0),) * len(JUDGED))]) is None


def test_the_report_has_them_where_there_are_any() -> None:
    def report(readable: Readable | None) -> Report:
        row = Row("a", "he did", "he did", ErrorCounts(0, 0, 0, 2), ErrorCounts(0, 0, 0, 6), 1.0, None, 0.9, readable)
        return Report("tiny", (row,), (), 1.0, 1.0)

    plain = report(None)
    assert plain.to_dict()["readable"] is None
    assert "Readable text" not in report_html(plain, "t")
    shown = report(compare("He did.", "He did"))
    document = json.loads(json.dumps(shown.to_dict(), allow_nan=False))
    assert document["readable"]["scores"]["capitals"]["value"] == 1
    assert document["rows"][0]["readable"]["text"] == "He did"
    assert "Readable text" in report_html(shown, "t")
