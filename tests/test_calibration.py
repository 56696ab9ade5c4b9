"""Confidences against what they promise."""

import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.calibration import Bin, calibration_error, fit, information, judged, reliability
from auricle.confidence import Calibration, Comparison, Evidence


def test_words_are_judged_by_the_alignment_with_the_fewest_errors() -> None:
    assert list(judged("the cat sat", ["the", "bat", "sat", "down"])) == [True, False, True, False]
    assert list(judged("the cat", [])) == []
    assert list(judged("", ["oh"])) == [False]


@pytest.mark.parametrize(("slope", "offset"), [(0.5, -1.0), (2.0, 0.5), (1.0, 0.0)])
def test_a_known_curve_is_found_again(slope: float, offset: float) -> None:
    rng = np.random.default_rng(7)
    raw = rng.uniform(0.02, 0.98, 20_000)
    words = [Evidence(value) for value in raw.tolist()]
    truth = Calibration(slope, offset)
    right = [bool(rng.random() < truth(word)) for word in words]
    found = fit(words, right)
    assert (found.slope, found.offset) == pytest.approx((slope, offset), abs=0.08)
    assert found.compared is None
    before = calibration_error(reliability(raw, right))
    after = calibration_error(reliability(map(found, words), right))
    assert after < 0.02
    assert (slope, offset) == (1.0, 0.0) or after < before / 4


def test_what_each_part_of_the_evidence_is_worth_is_found_again() -> None:
    rng = np.random.default_rng(8)
    truth = Calibration(compared=Comparison(0.5, 0.25, 0.75, -1.0))
    words = [
        Evidence(letters, agreed, around)
        for letters, agreed, around in zip(
            rng.uniform(0.02, 0.98, 40_000).tolist(),
            rng.uniform(0.02, 0.98, 40_000).tolist(),
            rng.normal(1.0, 1.0, 40_000).tolist(),
            strict=True,
        )
    ]
    right = [bool(rng.random() < truth(word)) for word in words]
    found = fit(words, right)
    assert found.compared is not None
    assert (*found.compared.weights, found.compared.offset) == pytest.approx((0.5, 0.25, 0.75, -1.0), abs=0.08)
    told = information([found(word) for word in words], right)
    alone = information([Calibration(found.slope, found.offset)(word) for word in words], right)
    assert told > alone + 0.05
    assert calibration_error(reliability(map(found, words), right)) < 0.01


def test_a_part_that_speaks_against_what_is_right_counts_for_nothing() -> None:
    words = [Evidence(0.9, 0.2, 1.0), Evidence(0.2, 0.9, 1.0)] * 50
    compared = fit(words, [True, False] * 50).compared
    assert compared is not None
    assert compared.agreement == 0.0
    assert compared.letters > 0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=30), st.booleans())
def test_the_curve_is_finite_never_falls_and_stays_a_probability(
    words: list[tuple[float, bool]], compared: bool
) -> None:
    agreed = 0.75 if compared else None
    curve = fit([Evidence(letters, agreed) for letters, _ in words], [right for _, right in words])
    assert (curve.compared is not None) == (compared and bool(words))
    numbers = [curve.slope, curve.offset, *(astuple(curve.compared) if curve.compared else ())]
    assert all(map(math.isfinite, numbers))
    values = [curve(Evidence(x, agreed)) for x in (0.0, 1e-9, 0.2, 0.5, 0.9, 1.0)]
    assert values == sorted(values)
    assert 0 <= values[0] <= values[-1] <= 1


def test_information_is_what_confidences_tell_beyond_the_share_of_right_words() -> None:
    right = [True, True, True, False]
    assert information([0.75] * 4, right) == pytest.approx(0.0)
    assert information([1.0, 1.0, 1.0, 0.0], right) == pytest.approx(1.0)
    assert information([0.5] * 4, right) < 0 < information([0.8, 0.8, 0.8, 0.6], right)
    assert math.isnan(information([0.9], [True]))
    assert math.isnan(information([], []))


def test_bins_hold_words_of_like_confidence() -> None:
    bins = reliability([0.05, 0.95, 0.97, 1.0], [False, True, False, True], bins=10)
    assert bins[0] == Bin(1, 0.05, 0.0)
    assert (bins[1].words, bins[1].confidence, bins[1].right) == pytest.approx((3, 0.97333, 2 / 3), abs=1e-4)
    assert len(bins) == 2
    assert calibration_error(bins) == pytest.approx((0.05 + 3 * (0.97333 - 2 / 3)) / 4, abs=1e-4)
    assert calibration_error([]) == 0.0
