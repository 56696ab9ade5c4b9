"""The search for weights, with a decoder that reads right at one point alone."""

from functools import partial

import numpy as np
import pytest

from auricle.decoding import BeamOptions, Hypothesis, Phrases
from auricle.features import Array
from auricle.language.tune import Point, point_of, tune

FREQUENCIES = np.array([-2.0, 0.5, 1.0], np.float32)
FOLLOWING = np.array([[0, 1, -1, 2], [0, 0.5, 1, -2], [0, -1, 0, 1], [0, 2, 1, 0]], np.float32)
START = Point(alpha=0.53, beta=0.37, unknown=-17.0, acoustic=0.61, prior=0.45, blank=-0.5, pairs=0.35, letters=0.2)


class ReadsRightAt:
    """A decoder that finds the text where alpha is as given, and nothing elsewhere."""

    def __init__(self, alpha: float, options: BeamOptions) -> None:
        self.text = "yes" if options.alpha == pytest.approx(alpha) else ""

    def decode(self, log_probs: Array, *, hot_words: Phrases = ()) -> list[Hypothesis]:
        return [Hypothesis(self.text, 0.0, (), (), ())]


def test_a_point_is_found_again_in_the_options_that_it_gives() -> None:
    options = START.options(BeamOptions(), FREQUENCIES, FOLLOWING)
    found = point_of(options, FREQUENCIES, FOLLOWING)
    for name in ("alpha", "beta", "unknown", "acoustic", "blank", "letters"):
        assert getattr(found, name) == getattr(START, name)
    assert found.prior == pytest.approx(START.prior, abs=1e-3)
    assert found.pairs == pytest.approx(START.pairs, abs=1e-3)


def test_options_that_take_nothing_away_give_a_point_that_takes_nothing() -> None:
    found = point_of(BeamOptions(alpha=0.7), FREQUENCIES)
    assert (found.alpha, found.prior, found.blank, found.pairs) == (0.7, 0.0, 0.0, 0.0)


def test_the_search_begins_at_a_point_that_the_grid_does_not_have() -> None:
    clips = [(np.zeros((1, 4), np.float32), "yes")]

    def found(start: Point | None) -> Point:
        make = partial(ReadsRightAt, START.alpha)
        return tune(clips, make, BeamOptions(), FREQUENCIES, start=start)[0]

    assert found(None).wer == 1
    assert found(START).wer == 0
    assert found(START).alpha == START.alpha


class ReadsRightWhenHeardAgain:
    """A decoder that finds the text where other hearings weigh more than as much as the first, and nothing else."""

    def __init__(self, options: BeamOptions) -> None:
        self.text = "yes" if options.again > 0.5 else ""

    def decode(self, log_probs: Array, *, hot_words: Phrases = ()) -> list[Hypothesis]:
        return [Hypothesis(self.text, 0.0, (), (), ())]


@pytest.mark.parametrize(("hearings", "wer"), [(1, 1.0), (3, 0.0)])
def test_a_weight_of_further_hearings_is_looked_for_where_there_are_any(hearings: int, wer: float) -> None:
    clips = [(np.zeros((1, 4), np.float32), "yes")]
    options = BeamOptions(hearings=hearings)
    best = tune(clips, ReadsRightWhenHeardAgain, options, FREQUENCIES, spoken=True)[0]
    assert best.wer == wer
    assert (best.again > 0.5) == (hearings > 1)


class ReadsRightFrom:
    """A decoder that finds the text where the network weighs as much as given, and nothing elsewhere."""

    def __init__(self, acoustic: float, options: BeamOptions) -> None:
        self.text = "yes" if options.acoustic >= acoustic else ""

    def decode(self, log_probs: Array, *, hot_words: Phrases = ()) -> list[Hypothesis]:
        return [Hypothesis(self.text, 0.0, (), (), ())]


@pytest.mark.parametrize(("least", "acoustic", "pairs"), [(0.6, 0.7, 0.0), (0.4, 0.5, 0.3)])
def test_the_grid_of_phones_is_where_the_network_asks_for_it(least: float, acoustic: float, pairs: float) -> None:
    clips, tried = [(np.zeros((1, 4), np.float32), "yes")], list[Point]()
    make = partial(ReadsRightFrom, least)
    tune(clips, make, BeamOptions(), FREQUENCIES, FOLLOWING, spoken=True, progress=tried.append)
    grid = tried[:10]  # both places, one of which is on the grid
    assert [(point.acoustic, point.pairs) for point in grid].count((acoustic, pairs)) == 9
