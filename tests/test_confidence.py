"""What is known of a word, and what that makes of its confidence."""

from dataclasses import replace

import numpy as np
import pytest

from auricle.alphabet import ENGLISH
from auricle.confidence import Calibration, Comparison, Evidence, evidence, logit
from auricle.decoding import Hypothesis

LOG_PROBS = np.log(np.full((6, ENGLISH.tokens), 0.01, np.float32))
LOG_PROBS[[0, 2, 4], [ENGLISH.encode("a")[0], ENGLISH.encode(" ")[0], ENGLISH.encode("b")[0]]] = np.log([0.9, 0.5, 0.4])
SAID = Hypothesis("a b", -1.0, tuple(ENGLISH.encode("a b")), (0, 2, 4), (0, 2, 4))


def test_around_a_word_is_what_its_letters_and_those_beside_it_have_in_the_mean() -> None:
    first, second = evidence(SAID, LOG_PROBS)
    assert (first.letters, second.letters) == pytest.approx((0.9, 0.4), rel=1e-5)
    assert first.around == second.around == pytest.approx((logit(0.9) + logit(0.4)) / 2, rel=1e-5)
    assert first.agreement is second.agreement is None
    assert evidence(replace(SAID, text="", tokens=(), first_frames=(), last_frames=()), LOG_PROBS) == ()


def test_agreement_counts_where_it_is_known() -> None:
    curve = Calibration(2.0, 0.5, Comparison(0.5, 0.25, 0.125, -1.0))
    known = evidence(replace(SAID, agreement=(0.9, 0.2)), LOG_PROBS)
    assert [word.agreement for word in known] == [0.9, 0.2]
    odds = 0.5 * logit(0.4) + 0.25 * logit(0.2) + 0.125 * known[1].around - 1.0
    assert logit(curve(known[1])) == pytest.approx(odds)
    assert logit(curve(Evidence(0.4))) == pytest.approx(2.0 * logit(0.4) + 0.5)
    assert Calibration(2.0, 0.5)(known[1]) == Calibration(2.0, 0.5)(replace(known[1], agreement=None))


def test_a_hundred_texts_that_agree_are_no_certainty() -> None:
    curve = Calibration(compared=Comparison(0.0, 1.0, 0.0, 0.0))
    assert curve(Evidence(0.5, 1.0)) == pytest.approx(1 / (1 + np.exp(-8)))
    assert curve(Evidence(0.5, 0.0)) == pytest.approx(1 / (1 + np.exp(8)))
