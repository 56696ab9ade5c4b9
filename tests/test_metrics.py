import math
import string
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle import metrics
from auricle.metrics import (
    ErrorCounts,
    align,
    character_errors,
    corpus_rate,
    rate_with_interval,
    total,
    word_errors,
)

WORDS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8)


def distance(reference: list[str], hypothesis: list[str]) -> int:
    """Levenshtein's distance as its definition says it, by recursion."""

    @cache
    def rest(i: int, j: int) -> int:
        if i == len(reference) or j == len(hypothesis):
            return len(reference) - i + len(hypothesis) - j
        substitution = rest(i + 1, j + 1) + (reference[i] != hypothesis[j])
        return min(substitution, rest(i + 1, j) + 1, rest(i, j + 1) + 1)

    return rest(0, 0)


def errors(reference: list[str], hypothesis: list[str]) -> int:
    return word_errors(" ".join(reference), " ".join(hypothesis)).errors


@settings(deadline=None)
@given(WORDS, WORDS)
def test_the_errors_are_the_fewest_edits(reference: list[str], hypothesis: list[str]) -> None:
    counts = word_errors(" ".join(reference), " ".join(hypothesis))
    assert counts.errors == distance(reference, hypothesis)
    assert counts.reference_length == len(reference)
    assert len(hypothesis) == len(reference) - counts.deletions + counts.insertions


@settings(deadline=None)
@given(WORDS, WORDS, WORDS)
def test_the_number_of_errors_is_a_metric(a: list[str], b: list[str], c: list[str]) -> None:
    assert (errors(a, b) == 0) == (a == b)
    assert errors(a, b) == errors(b, a)
    assert errors(a, c) <= errors(a, b) + errors(b, c)


@settings(deadline=None)
@given(WORDS, WORDS)
def test_an_alignment_keeps_both_sequences_and_has_the_counted_errors(
    reference: list[str], hypothesis: list[str]
) -> None:
    pairs = align(reference, hypothesis)
    assert [a for a, _ in pairs if a is not None] == reference
    assert [b for _, b in pairs if b is not None] == hypothesis
    deletions = sum(b is None for _, b in pairs)
    insertions = sum(a is None for a, _ in pairs)
    substitutions = sum(a != b for a, b in pairs) - deletions - insertions
    counts = word_errors(" ".join(reference), " ".join(hypothesis))
    assert (substitutions, deletions, insertions) == (counts.substitutions, counts.deletions, counts.insertions)


@settings(deadline=None)
@given(st.text(string.ascii_letters + "*-<> é", max_size=12), st.text("*-<> éab", max_size=12))
def test_no_character_is_mistaken_for_a_gap(reference: str, hypothesis: str) -> None:
    pairs = align(reference, hypothesis)
    assert "".join(a for a, _ in pairs if a is not None) == reference
    assert "".join(b for _, b in pairs if b is not None) == hypothesis


def test_kinds_of_word_errors() -> None:
    assert word_errors("the cat sat on it", "a cat on it now") == ErrorCounts(1, 1, 1, 5)
    assert align(["the", "cat"], ["cat", "sat"]) == [("the", None), ("cat", "cat"), (None, "sat")]


def test_a_space_is_a_character_and_a_run_of_white_space_is_one() -> None:
    assert character_errors("ice cream", "icecream") == ErrorCounts(0, 1, 0, 9)
    assert character_errors(" ice \t cream\n", "ice cream") == ErrorCounts(0, 0, 0, 9)


def test_rates_without_a_reference() -> None:
    assert word_errors("", "").rate == 0.0
    assert word_errors("", "oh").rate == math.inf
    assert word_errors("oh", "oh no no").rate == 2.0


def test_a_corpus_rate_is_total_errors_over_total_words_and_not_a_mean_of_rates() -> None:
    counts = [ErrorCounts(1, 0, 0, 1), ErrorCounts(0, 0, 0, 9)]
    assert corpus_rate(counts) == pytest.approx(0.1)
    assert total(counts) == ErrorCounts(1, 0, 0, 10)


def test_insertions_into_silence_count_against_the_corpus() -> None:
    assert corpus_rate([word_errors("", "oh"), word_errors("a b c d", "a b c d")]) == 0.25
    assert corpus_rate([word_errors("", "oh")]) == math.inf
    assert corpus_rate([]) == 0.0


def test_the_interval_has_the_width_that_theory_gives() -> None:
    random = np.random.default_rng(7)
    counts = [ErrorCounts(int(random.binomial(20, 0.1)), 0, 0, 20) for _ in range(500)]
    rate = rate_with_interval(counts)
    # Errors of 10,000 independent words: a deviation of sqrt(0.1 * 0.9 / 10,000) = 0.003.
    assert rate.value == corpus_rate(counts)
    assert rate.high - rate.low == pytest.approx(2 * 1.96 * 0.003, rel=0.15)
    assert (rate.high + rate.low) / 2 == pytest.approx(rate.value, abs=0.001)


def test_the_interval_of_a_good_model_does_not_go_below_zero() -> None:
    counts = [ErrorCounts(1, 0, 0, 10)] + [ErrorCounts(0, 0, 0, 10)] * 20
    rate = rate_with_interval(counts)
    assert rate.low == 0.0 < rate.value < rate.high


def test_the_interval_is_repeatable_and_the_seed_matters() -> None:
    counts = [ErrorCounts(index % 5, 0, 0, 7 + index % 3) for index in range(40)]
    assert rate_with_interval(counts) == rate_with_interval(counts)
    assert rate_with_interval(counts, resamples=101) != rate_with_interval(counts, resamples=101, seed=1)


def test_blocks_of_draws_cover_every_resample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_DRAWS_AT_ONCE", 90)
    rate = rate_with_interval([ErrorCounts(1, 0, 0, 4)] * 30, resamples=100)
    assert (rate.low, rate.value, rate.high) == (0.25, 0.25, 0.25)


def test_resamples_without_reference_words_do_not_disturb_the_interval() -> None:
    rate = rate_with_interval([ErrorCounts(0, 0, 1, 0), ErrorCounts(0, 0, 0, 4)])
    assert (rate.low, rate.value, rate.high) == (0.0, 0.25, math.inf)
    assert rate_with_interval([ErrorCounts()]).high == 0.0


def test_no_utterances_have_no_rate() -> None:
    rate = rate_with_interval([])
    assert math.isnan(rate.value)
    assert math.isnan(rate.low)
    assert math.isnan(rate.high)
