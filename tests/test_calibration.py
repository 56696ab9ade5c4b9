"""Confidences against what they promise."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.calibration import Bin, calibration_error, fit, judged, reliability
from auricle.transcript import Calibration


def test_words_are_judged_by_the_alignment_with_the_fewest_errors() -> None:
    assert list(judged("the cat sat", ["the", "bat", "sat", "down"])) == [True, False, True, False]
    assert list(judged("the cat", [])) == []
    assert list(judged("", ["oh"])) == [False]


@pytest.mark.parametrize(("slope", "offset"), [(0.5, -1.0), (2.0, 0.5), (1.0, 0.0)])
def test_a_known_curve_is_found_again(slope: float, offset: float) -> None:
    rng = np.random.default_rng(7)
    raw = rng.uniform(0.02, 0.98, 20_000)
    truth = Calibration(slope, offset)
    right = [bool(rng.random() < truth(value)) for value in raw]
    found = fit(raw.tolist(), right)
    assert (found.slope, found.offset) == pytest.approx((slope, offset), abs=0.08)
    before = calibration_error(reliability(raw, right))
    after = calibration_error(reliability(map(found, raw), right))
    assert after < 0.02
    assert (slope, offset) == (1.0, 0.0) or after < before / 4


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=30))
def test_the_curve_is_finite_never_falls_and_stays_a_probability(words: list[tuple[float, bool]]) -> None:
    curve = fit([confidence for confidence, _ in words], [right for _, right in words])
    assert math.isfinite(curve.slope)
    assert math.isfinite(curve.offset)
    values = [curve(x) for x in (0.0, 1e-9, 0.2, 0.5, 0.9, 1.0)]
    assert values == sorted(values)
    assert 0 <= values[0] <= values[-1] <= 1


def test_bins_hold_words_of_like_confidence() -> None:
    bins = reliability([0.05, 0.95, 0.97, 1.0], [False, True, False, True], bins=10)
    assert bins[0] == Bin(1, 0.05, 0.0)
    assert (bins[1].words, bins[1].confidence, bins[1].right) == pytest.approx((3, 0.97333, 2 / 3), abs=1e-4)
    assert len(bins) == 2
    assert calibration_error(bins) == pytest.approx((0.05 + 3 * (0.97333 - 2 / 3)) / 4, abs=1e-4)
    assert calibration_error([]) == 0.0
