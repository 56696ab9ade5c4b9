"""What a decoder is, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from auricle.features import Array

Phrases: TypeAlias = Sequence[str] | Mapping[str, float]
"""Hot words: phrases, or phrases with the reward (natural log) for each of their characters."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One reading of an utterance.

    `score` is a natural-log probability; `tokens` are the ids that spell `text`, and `first_frames` and `last_frames`
    say, for each of them, on which frames of the network's output it was seen (both inclusive).
    """

    text: str
    score: float
    tokens: tuple[int, ...]
    first_frames: tuple[int, ...]
    last_frames: tuple[int, ...]


class Decoder(Protocol):
    """Anything that reads log-probabilities. It keeps no state between calls and may be shared by threads."""

    def decode(self, log_probs: Array, *, hot_words: Phrases = ()) -> list[Hypothesis]:
        """Return hypotheses for log_probs [frames, tokens], the best first, at least one."""
        ...
