from __future__ import annotations

import math

import pytest

from auricle.restoration.scores import score, to_table
from auricle.restoration.types import MARKS, Written


def written(text: str) -> list[Written]:
    return [Written(token.rstrip(",.?!"), token[len(token.rstrip(",.?!")) :]) for token in text.split()]


def test_f1_is_of_precision_and_recall() -> None:
    truth = [written("Yes, he did. Did he?"), written("No.")]
    guess = [written("Yes he did, Did he?"), written("No.")]
    scores = score(truth, guess)
    stop = scores.marks["."]
    assert (stop.precision, stop.recall, stop.count) == (1.0, 0.5, 2)
    assert stop.value == pytest.approx(2 / 3)
    assert scores.marks[","].value == 0
    assert scores.marks["?"].value == 1
    assert math.isnan(scores.marks["!"].value)
    assert scores.capitals.value == 1
    assert scores.confusion[MARKS.index("."), MARKS.index(",")] == 1
    assert (scores.words, scores.paragraphs) == (6, 2)


def test_a_capital_is_right_only_where_print_has_one() -> None:
    scores = score([written("he saw Mary")], [written("He saw Mary")])
    assert (scores.capitals.precision, scores.capitals.recall) == (0.5, 1.0)


def test_intervals_hold_the_value_and_narrow_with_more_paragraphs() -> None:
    right, wrong = written("He did."), written("He did")
    few = score([right] * 8, [right, wrong] * 4).marks["."]
    many = score([right] * 800, [right, wrong] * 400).marks["."]
    assert few.low < few.value < few.high
    assert many.low <= many.value <= many.high
    assert many.high - many.low < 0.3 * (few.high - few.low)
    assert score([right] * 8, [right, wrong] * 4).marks["."] == few, "the same draws each time"


def test_another_word_is_no_restoration() -> None:
    with pytest.raises(ValueError, match="'did' was restored as 'does'"):
        score([written("He did.")], [written("He does.")])
    with pytest.raises(ValueError, match="shorter"):
        score([written("He did.")], [written("He")])


def test_the_table_names_every_mark() -> None:
    lines = to_table(score([written("Yes, he did.")], [written("Yes he did.")]))
    assert sum(line.startswith(repr(mark)) for mark in MARKS[1:] for line in lines) == len(MARKS) - 1
    assert any(line.startswith("capitals   1.000") for line in lines)
    assert lines[-len(MARKS) - 1].split() == ["none", *MARKS[1:]]
