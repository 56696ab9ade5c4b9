"""How wrong a hypothesis is: alignment, word and character errors, rates of a corpus and how sure they are.

Rates of several utterances are always total errors over total reference units, never a mean of rates, so a clip of one
word weighs one word.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import kaldialign
import numpy as np
from numpy.typing import NDArray

_GAP = -1
_DRAWS_AT_ONCE = 4_000_000  # 32 MB of indices


@dataclass(frozen=True, slots=True)
class ErrorCounts:
    """Edits that turn a reference into a hypothesis, in words or characters, and the length of the reference."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    reference_length: int = 0

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per unit of reference; above 1 when much is inserted.

        With an empty reference it is 0 for an empty hypothesis and infinity for any other.
        """
        if self.reference_length:
            return self.errors / self.reference_length
        return math.inf if self.errors else 0.0

    def __add__(self, other: ErrorCounts) -> ErrorCounts:
        """Count both together; this is how a corpus is counted."""
        return ErrorCounts(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.reference_length + other.reference_length,
        )


@dataclass(frozen=True, slots=True)
class Rate:
    """An error rate of a corpus with the bounds of its 95 % confidence interval; 0.05 is 5 %."""

    value: float
    low: float
    high: float


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[tuple[str | None, str | None]]:
    """Return a pairing of two sequences with the fewest edits, each edit costing one (Levenshtein).

    A pair is (reference, hypothesis); (unit, None) is a deletion, (None, unit) an insertion, two different units a
    substitution. Of several pairings with as few edits, the one that `kaldialign` prefers; its counts are those of
    `word_errors`. Memory grows with the product of the lengths.

    >>> align("the cat sat".split(), "a cat sat down".split())
    [('the', 'a'), ('cat', 'cat'), ('sat', 'sat'), (None, 'down')]
    """
    # Numbers instead of the units: kaldialign needs a gap symbol that no unit can be, and sorts it among them.
    units = list(dict.fromkeys([*reference, *hypothesis]))
    ids = {unit: index for index, unit in enumerate(units)}
    pairs = kaldialign.align([ids[unit] for unit in reference], [ids[unit] for unit in hypothesis], _GAP)
    return [(None if a == _GAP else units[a], None if b == _GAP else units[b]) for a, b in pairs]


def word_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Count word errors; words are what white space separates. Compare texts that are normalised alike."""
    return _errors(reference.split(), hypothesis.split())


def character_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Count character errors; a space between words is a character too, and any run of white space is one space."""
    return _errors(list(" ".join(reference.split())), list(" ".join(hypothesis.split())))


def _errors(reference: list[str], hypothesis: list[str]) -> ErrorCounts:
    edits = kaldialign.edit_distance(reference, hypothesis)
    return ErrorCounts(edits["sub"], edits["del"], edits["ins"], edits["ref_len"])


def total(counts: Iterable[ErrorCounts]) -> ErrorCounts:
    """Add the counts of utterances up to those of their corpus."""
    return sum(counts, ErrorCounts())


def corpus_rate(counts: Iterable[ErrorCounts]) -> float:
    """Return total errors over total reference length.

    What is inserted where the reference is empty counts as an error against the corpus. A corpus whose references are
    all empty has rate 0 without errors and infinity with one, as in `ErrorCounts.rate`.
    """
    return total(counts).rate


def rate_with_interval(counts: Sequence[ErrorCounts], *, resamples: int = 10_000, seed: int = 0) -> Rate:
    """Return the corpus rate and its 95 % confidence interval, by bootstrap over utterances.

    `resamples` corpora of as many utterances are drawn with replacement and `Rate.low` and `Rate.high` are the 2.5 and
    97.5 percentiles of their corpus rates: Bisani & Ney 2004, "Bootstrap estimates for confidence intervals in ASR
    performance evaluation", ICASSP, section 2. Done with NumPy on the counts: `kaldialign.bootstrap_wer_ci` aligns all
    texts anew, takes mean ± 1.96 deviations (which goes below zero for good models), and is infinite after one resample
    without reference words.

    The same counts and seed give the same bounds. Utterances are taken as independent: with few speakers the truth is
    less sure than the interval. One utterance gives an interval of no width, no utterance not-a-number throughout.
    """
    if not counts:
        return Rate(math.nan, math.nan, math.nan)
    errors = np.array([count.errors for count in counts], dtype=np.int64)
    lengths = np.array([count.reference_length for count in counts], dtype=np.int64)
    rates = np.sort(_resampled_rates(errors, lengths, resamples, np.random.default_rng(seed)))
    low, high = rates[int(0.025 * resamples)], rates[math.ceil(0.975 * resamples) - 1]
    return Rate(corpus_rate(counts), float(low), float(high))


def _resampled_rates(
    errors: NDArray[np.int64], lengths: NDArray[np.int64], resamples: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Return the corpus rate of each resample, drawing a block of them at a time so that memory stays bounded."""
    rates = np.empty(resamples)
    block = max(1, _DRAWS_AT_ONCE // len(errors))
    for start in range(0, resamples, block):
        stop = min(start + block, resamples)
        draws = random.integers(0, len(errors), size=(stop - start, len(errors)))
        drawn_errors, drawn_lengths = errors[draws].sum(axis=1), lengths[draws].sum(axis=1)
        empty = np.where(drawn_errors > 0, np.inf, 0.0)
        rates[start:stop] = np.divide(drawn_errors, drawn_lengths, out=empty, where=drawn_lengths > 0)
    return rates
