"""Confidences that mean something: of the words said with confidence 0.8, eight in ten should be right.

J. Platt, "Probabilistic outputs for support vector machines", 1999: a logistic curve of what is known of a word, fitted
to words whose truth is known. The picture of it is the reliability curve.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from auricle.confidence import Calibration, Comparison, Evidence, evidence, logit, parts_of
from auricle.decoding import Decoder
from auricle.features import Array
from auricle.metrics import align

_STEPS = 50
_LEAST_CHANCE = 1e-6
_PRIOR = 1e-3  # keeps the curve finite where words are all right or all wrong


@dataclass(frozen=True, slots=True)
class Bin:
    """Words of like confidence: how many, their mean confidence, and the share of them that is right."""

    words: int
    confidence: float
    right: float


def judged(reference: str, words: Sequence[str]) -> Iterator[bool]:
    """Yield for each recognised word whether it stands in the reference, by the alignment with the fewest errors."""
    for said, heard in align(reference.split(), list(words)):
        if heard is not None:
            yield said == heard


def judged_words(
    clips: Iterable[tuple[Array, str]], decoder: Decoder, *, letters: int
) -> tuple[list[Evidence], list[bool]]:
    """Return what is known of each word that a decoder finds, and whether the word is right.

    `clips` are log-probabilities [frames, tokens], of which the first `letters` columns are those of letters, with what
    was said.
    """
    known: list[Evidence] = []
    right: list[bool] = []
    for log_probs, reference in clips:
        best = decoder.decode(log_probs)[0]
        known += evidence(best, log_probs[:, :letters])
        right += judged(reference, best.text.split())
    return known, right


def fit(known: Sequence[Evidence], right: Sequence[bool]) -> Calibration:
    """Return the curve under which the words' truth is most probable.

    `compared` is there where the agreement of each word is known. Without words, the curve changes nothing.
    """
    if not known:
        return Calibration()
    truth = np.asarray(right, np.float64)
    slope, offset = _logistic(np.array([[logit(word.letters)] for word in known]), truth)
    if any(word.agreement is None for word in known):
        return Calibration(slope, offset)
    return Calibration(slope, offset, Comparison(*_logistic(np.array([parts_of(word) for word in known]), truth)))


def _logistic(odds: npt.NDArray[np.float64], truth: npt.NDArray[np.float64]) -> list[float]:
    """Return the weight of each column of log-odds [words, parts], none below zero, and an offset.

    Newton's method on the logistic loss. A weight below zero would say that sure words are worse: such data teach
    nothing about that part.
    """
    parts = list(range(odds.shape[1]))
    start = np.append(np.full(len(parts), 1 / len(parts)), 0.0)
    while True:
        x, prior = np.column_stack((odds[:, parts], np.ones(len(odds)))), np.append(start[parts], 0.0)
        weights = prior.copy()
        for _ in range(_STEPS):
            p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
            gradient = x.T @ (p - truth) + _PRIOR * (weights - prior)
            curvature = (x.T * (p * (1 - p))) @ x + _PRIOR * np.eye(len(weights))
            step = np.linalg.solve(curvature, gradient)
            weights = weights - step / max(1.0, float(np.abs(step).max()))
        kept = [part for part, weight in zip(parts, weights.tolist(), strict=False) if weight >= 0]
        if kept == parts:
            found = dict(zip(parts, weights.tolist(), strict=False))
            return [*(found.get(part, 0.0) for part in range(odds.shape[1])), float(weights[-1])]
        parts = kept


def reliability(confidences: Iterable[float], right: Iterable[bool], bins: int = 10) -> list[Bin]:
    """Return the words in bins of equal width, from the least sure, empty bins left out."""
    groups: dict[int, list[tuple[float, bool]]] = {}
    for confidence, is_right in zip(confidences, right, strict=True):
        groups.setdefault(min(int(confidence * bins), bins - 1), []).append((confidence, is_right))
    return [
        Bin(len(group), math.fsum(c for c, _ in group) / len(group), sum(r for _, r in group) / len(group))
        for _, group in sorted(groups.items())
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """Return the mean distance of confidence and truth, by words: expected calibration error (Naeini et al., 2015)."""
    words = sum(bin.words for bin in bins)
    return sum(bin.words * abs(bin.confidence - bin.right) for bin in bins) / words if words else 0.0


def information(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Return the share of what is open about words' truth that confidences tell: normalised cross entropy, at most 1.

    0 is what the share of right words alone tells of each; below it confidences mislead. M. Siu, H. Gish and F.
    Richardson, "Improved estimation, evaluation and applications of confidence measures for speech recognition", 1997.
    NaN where all words are right, or none.
    """
    truth = np.asarray(right, bool)
    share = float(truth.mean()) if len(truth) else math.nan
    if not 0 < share < 1:
        return math.nan
    chance = np.clip(np.where(truth, confidences, 1 - np.asarray(confidences)), _LEAST_CHANCE, 1.0)
    least = share * math.log(share) + (1 - share) * math.log(1 - share)
    return 1 - float(np.log(chance).mean()) / least
