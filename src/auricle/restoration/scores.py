"""How right restored text is: F1 of each mark and of capitals, with intervals, and which mark is taken for which.

A mark is right when the same mark stands after the same word. Intervals are 95 %, by bootstrap over paragraphs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auricle.restoration.types import MARKS, Written

_NUMBER = {mark: number for number, mark in enumerate(MARKS)}
_RIGHT, _GIVEN, _TRUE = range(3)


@dataclass(frozen=True, slots=True)
class F1:
    """A harmonic mean of precision and recall, its 95 % interval, and how often the truth has what is looked for.

    It is 0 where nothing is right, and not-a-number where there was nothing to find and nothing was found.
    """

    value: float
    low: float
    high: float
    precision: float
    recall: float
    count: int


@dataclass(frozen=True)
class Scores:
    """`marks` has an F1 for each of MARKS but "", and "capitals" one; `confusion` [8, 8] counts truth by row."""

    marks: dict[str, F1]
    capitals: F1
    confusion: NDArray[np.int64]
    words: int
    paragraphs: int


def score(
    reference: Sequence[Sequence[Written]],
    restored: Sequence[Sequence[Written]],
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> Scores:
    """Compare restored paragraphs with printed ones, word for word. Raises ValueError where the words differ."""
    confusion = np.zeros((len(reference), len(MARKS), len(MARKS)), np.int64)
    capitals = np.zeros((len(reference), 3), np.int64)
    for number, (truth, guess) in enumerate(zip(reference, restored, strict=True)):
        for true, given in zip(truth, guess, strict=True):
            if true.text.lower() != given.text.lower():
                raise ValueError(f"{true.text!r} was restored as {given.text!r}, another word.")
            confusion[number, _NUMBER[true.mark], _NUMBER[given.mark]] += 1
            is_true, is_given = true.text != true.text.lower(), given.text != given.text.lower()
            capitals[number] += (is_true and is_given, is_given, is_true)
    counts = np.stack([np.diagonal(confusion, axis1=1, axis2=2), confusion.sum(axis=1), confusion.sum(axis=2)], axis=2)
    every = np.concatenate([counts[:, 1:], capitals[:, None]], axis=1)  # [paragraphs, marks and capitals, 3]
    results = f1_with_intervals(every, resamples, np.random.default_rng(seed))
    return Scores(
        marks=dict(zip(MARKS[1:], results[:-1], strict=True)),
        capitals=results[-1],
        confusion=confusion.sum(axis=0),
        words=int(confusion.sum()),
        paragraphs=len(reference),
    )


def to_table(scores: Scores) -> list[str]:
    """Return the scores as lines: one for each mark, one for capitals, then the confusion table."""
    lines = [f"{'':<10}{'F1':>6}  {'95 % interval':<16}{'precision':>10}{'recall':>8}{'in truth':>10}"]
    names = {mark: repr(mark) for mark in scores.marks}
    rows = [*((names[mark], one) for mark, one in scores.marks.items()), ("capitals", scores.capitals)]
    lines += [
        f"{name:<10}{one.value:>6.3f}  {f'{one.low:.3f} to {one.high:.3f}':<16}"
        f"{one.precision:>10.3f}{one.recall:>8.3f}{one.count:>10,}"
        for name, one in rows
    ]
    lines += ["", "printed (rows) and restored (columns):"]
    heads = [mark or "none" for mark in MARKS]
    lines.append(f"{'':<6}" + "".join(f"{head:>9}" for head in heads))
    lines += [
        f"{head:<6}" + "".join(f"{count:>9,}" for count in row)
        for head, row in zip(heads, scores.confusion.tolist(), strict=True)
    ]
    return lines


def f1_with_intervals(counts: NDArray[np.int64], resamples: int, random: np.random.Generator) -> list[F1]:
    """Return an F1 for each column of counts [paragraphs, columns, (right, given, true)], by bootstrap over them."""
    total = counts.sum(axis=0)
    draws = np.array(
        [
            np.tensordot(np.bincount(random.integers(0, len(counts), len(counts)), minlength=len(counts)), counts, 1)
            for _ in range(resamples if len(counts) else 0)
        ]
    ).reshape(-1, *total.shape)
    drawn = np.sort(_f1(draws), axis=0)
    results = []
    for column, (right, given, true) in enumerate(total.tolist()):
        values = drawn[~np.isnan(drawn[:, column]), column]  # a draw may have nothing to find, and find nothing
        low, high = (
            (values[int(0.025 * len(values))], values[math.ceil(0.975 * len(values)) - 1])
            if len(values)
            else (math.nan, math.nan)
        )
        precision, recall = (right / of if of else math.nan for of in (given, true))
        results.append(F1(float(_f1(total[column])), float(low), float(high), precision, recall, true))
    return results


def _f1(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    both = (counts[..., _GIVEN] + counts[..., _TRUE]).astype(np.float64)
    ratio: NDArray[np.float64] = np.full(both.shape, np.nan)
    np.divide(2.0 * counts[..., _RIGHT], both, out=ratio, where=both > 0)
    return ratio
