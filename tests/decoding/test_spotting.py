"""Spotting: what is found is the best path of each phrase, wherever it begins and ends."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from lattices import lattices

from auricle.decoding.spotting import Spotted, Spotter

PHRASES = {"a": (1,), "ab": (1, 2), "aa": (1, 1), "aba": (1, 2, 1), "b": (2,)}
NEVER = -200.0


def spotter(least: float = NEVER, phrases: dict[str, tuple[int, ...]] = PHRASES) -> Spotter:
    return Spotter(phrases, dict.fromkeys(phrases, least))


def best_path(relative: np.ndarray, tokens: tuple[int, ...]) -> float:
    """The best path that begins with the first token, in the first frame, and ends with the last one, in the last."""
    states = [label for token in tokens for label in (token, 0)][:-1]
    scores = [relative[0, states[0]]] + [-math.inf] * (len(states) - 1)
    for row in relative[1:]:
        before = scores
        scores = []
        for place, label in enumerate(states):
            ways = [before[place]]
            if place >= 1:
                ways.append(before[place - 1])
            if place >= 2 and label and label != states[place - 2]:
                ways.append(before[place - 2])
            scores.append(max(ways) + row[label])
    return float(scores[-1])


@given(lattices(frames=6, tokens=3))
def test_the_best_place_of_a_phrase_is_found_and_its_score(log_probs: np.ndarray) -> None:
    relative = log_probs - log_probs.max(axis=1, keepdims=True)
    # What is far below a frame's best is not tried.
    relative[:, 1:] = np.where(relative[:, 1:] < -7, -math.inf, relative[:, 1:])
    found = spotter().spot(log_probs)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    for phrase, tokens in PHRASES.items():
        every = {
            (first, last): best_path(relative[first : last + 1], tokens)
            for first in range(len(log_probs))
            for last in range(first, len(log_probs))
        }
        best = max(every.values(), default=-math.inf)
        own = [one for one in found if one.phrase == phrase]
        if best == -math.inf:
            assert not own
            continue
        assert own[0].score == pytest.approx(best, abs=1e-3)
        for one in own:
            assert one.score == pytest.approx(every[one.first, one.last], abs=1e-3)
        places = sorted((one.first, one.last) for one in own)
        assert all(one[1] < other[0] for one, other in itertools.pairwise(places))


def test_only_what_is_good_enough_is_found() -> None:
    log_probs = np.log(np.array([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.8, 0.1, 0.1], [0.1, 0.3, 0.6]]))
    found = Spotter({"ab": (1, 2), "ba": (2, 1)}, {"ab": -0.1, "ba": -1.0}).spot(log_probs)
    assert found == [Spotted("ab", 1, 3, 0.0)]
    found = Spotter({"ab": (1, 2), "ba": (2, 1)}, {"ab": -0.1, "ba": -4.0}).spot(log_probs)
    assert [one.phrase for one in found] == ["ba", "ab"]  # by how far each is above what is asked of it


def test_what_is_furthest_above_what_is_asked_comes_first_and_no_more_than_is_wanted() -> None:
    log_probs = np.log(np.tile(np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.2, 0.1, 0.7]], np.float32), (40, 1)))
    least = {**dict.fromkeys(PHRASES, -20.0), "b": -90.0, "aa": -80.0}
    asked = Spotter(PHRASES, least)
    found = asked.spot(log_probs, most=40)
    assert len(found) == 40
    margins = [one.score - least[one.phrase] for one in found]
    assert margins == sorted(margins, reverse=True)
    assert found[0].phrase == "b"
    # With rewards beyond all measure.
    assert len(spotter().spot(np.tile(log_probs, (100, 1)), most=7)) == 7


def test_nothing_is_found_in_nothing() -> None:
    assert spotter().spot(np.zeros((0, 3), np.float32)) == []
    assert spotter(-1.0).spot(np.log(np.tile(np.array([0.98, 0.01, 0.01], np.float32), (9, 1)))) == []
