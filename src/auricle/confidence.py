"""What is known of a word that was recognised, and what that makes of the chance that it is right."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from auricle.decoding.types import Hypothesis
from auricle.features import Array

_SURE = 8.0  # nats for and against beyond which agreement says nothing more


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a word: all that its confidence is made of.

    `letters` is the probability that the network gave to its letters, and `agreement` that of the readings that have it
    there, or None where nothing was weighed. `around` is the mean `logit` of the letters of all words that were read
    with it, which tells speech that is heard well from speech that is guessed.
    """

    letters: float
    agreement: float | None = None
    around: float = 0.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """What each part of a word's evidence is worth, in log-odds, where readings were weighed against each other."""

    letters: float
    agreement: float
    around: float
    offset: float

    def __call__(self, evidence: Evidence) -> float:
        """Return the chance, in [0, 1], that a word with this evidence is right."""
        return logistic(self.offset + sum(a * b for a, b in zip(self.weights, parts_of(evidence), strict=True)))

    @property
    def weights(self) -> tuple[float, float, float]:
        """Those of `parts_of`, in their order."""
        return self.letters, self.agreement, self.around


@dataclass(frozen=True, slots=True)
class Calibration:
    """The curve from a word's evidence to the chance that the word is right.

    By its letters alone it is a logistic curve of `slope` and `offset`; where its agreement is known as well,
    `compared` says more, if it is there.
    """

    slope: float = 1.0
    offset: float = 0.0
    compared: Comparison | None = None

    def __call__(self, evidence: Evidence) -> float:
        """Return the chance, in [0, 1], that a word with this evidence is right."""
        if self.compared and evidence.agreement is not None:
            return self.compared(evidence)
        return logistic(self.slope * logit(evidence.letters) + self.offset)


def parts_of(evidence: Evidence) -> tuple[float, float, float]:
    """Return the log-odds of a word's letters, of its agreement, within bounds, and those around it."""
    agreed = 0.5 if evidence.agreement is None else evidence.agreement
    return logit(evidence.letters), min(max(logit(agreed), -_SURE), _SURE), evidence.around


def logistic(odds: float) -> float:
    """Return the probability of these log-odds."""
    return 1 / (1 + math.exp(-min(max(odds, -30.0), 30.0)))


def logit(probability: float) -> float:
    """Return log(p / (1 - p)), for probabilities of almost zero and almost one as well."""
    p = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(p / (1 - p))


def evidence(hypothesis: Hypothesis, log_probs: Array) -> tuple[Evidence, ...]:
    """Return what is known of each word of a hypothesis, whose letters are those of log_probs [frames, tokens].

    The probability of its letters is the geometric mean, over its characters, of what the network gave to each at its
    best frame.
    """
    letters = [letters_probability(hypothesis, log_probs, span) for span in spans_of(hypothesis.text)]
    around = math.fsum(map(logit, letters)) / max(1, len(letters))
    agreed = hypothesis.agreement or (None,) * len(letters)
    return tuple(Evidence(own, other, around) for own, other in zip(letters, agreed, strict=True))


def letters_probability(hypothesis: Hypothesis, log_probs: Array, span: tuple[int, int]) -> float:
    """Return the geometric mean of the probabilities of the characters [first, last) at their best frames."""
    tokens, starts, ends = hypothesis.tokens, hypothesis.first_frames, hypothesis.last_frames
    best = [float(log_probs[starts[i] : ends[i] + 1, tokens[i]].max()) for i in range(*span)]
    return min(1.0, math.exp(sum(best) / len(best)))


def spans_of(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each word; one character is one token, so these index tokens as well."""
    start = 0
    for part in text.split(" "):
        if part:
            yield start, start + len(part)
        start += len(part) + 1
