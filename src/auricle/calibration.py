"""Confidences that mean something: of the words said with confidence 0.8, eight in ten should be right.

J. Platt, "Probabilistic outputs for support vector machines", 1999: a logistic curve with two parameters, fitted to
words whose truth is known. The picture of it is the reliability curve.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from auricle.decoding import Decoder
from auricle.features import Array
from auricle.metrics import align
from auricle.transcript import Calibration, logit, words_of

_STEPS = 50
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


def uncalibrated(
    clips: Iterable[tuple[Array, str]], decoder: Decoder, *, letters: int, frame_seconds: float
) -> tuple[list[float], list[bool]]:
    """Return the confidence of each word that a decoder finds, as the network says, and whether the word is right.

    `clips` are log-probabilities [frames, tokens], of which the first `letters` columns are those of letters, with what
    was said.
    """
    confidences: list[float] = []
    right: list[bool] = []
    for log_probs, reference in clips:
        best, end = decoder.decode(log_probs)[0], len(log_probs) * frame_seconds
        words = words_of(best, log_probs[:, :letters], frame_seconds=frame_seconds, start=0.0, end=end)
        confidences += [word.confidence for word in words]
        right += judged(reference, [word.text for word in words])
    return confidences, right


def fit(confidences: Sequence[float], right: Sequence[bool]) -> Calibration:
    """Return the curve under which the words' truth is most probable (Newton's method on the logistic loss).

    `confidences` are those of an uncalibrated recogniser. Without words, the curve that changes nothing.
    """
    if not confidences:
        return Calibration()
    x = np.array([[logit(value), 1.0] for value in confidences])
    y = np.asarray(right, np.float64)
    weights = np.array([1.0, 0.0])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (p - y) + _PRIOR * (weights - (1.0, 0.0))
        curvature = (x.T * (p * (1 - p))) @ x + _PRIOR * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step / max(1.0, float(np.abs(step).max()))
    # A curve that falls would say that sure words are worse: such data teach nothing.
    return Calibration(max(0.0, float(weights[0])), float(weights[1]))


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
