"""What a decoder is, what it returns, and how wide one searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from auricle.errors import AuricleError
from auricle.features import Array

MOST_HEARINGS = 4  # then each of a network's frames of 40 ms begins at each of its features' frames of 10 ms

Phrases: TypeAlias = Sequence[str] | Mapping[str, float]
"""Hot words: phrases, or phrases with the reward (natural log) for each of their characters."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One reading of an utterance.

    `score` is a natural-log probability; `tokens` are the ids that spell `text`, and `first_frames` and `last_frames`
    say, for each of them, on which frames of the network's output it was seen (both inclusive). `agreement` has, for
    each word, the probability in [0, 1] of the readings that have it there as well, or is empty where none were weighed
    against this one.
    """

    text: str
    score: float
    tokens: tuple[int, ...]
    first_frames: tuple[int, ...]
    last_frames: tuple[int, ...]
    agreement: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class BeamOptions:
    """How wide to search, and what the language model is worth.

    `beam` texts are kept; of those, none more than `beam_threshold` below the best; a frame's tokens more than
    `token_threshold` below its best are not tried. `alpha` weighs the language model, `beta` is added for each word,
    `unknown` for each word that the language model does not know. The network's log-probabilities are multiplied by
    `acoustic`, and `offsets`, one for each token (or none at all), are then added at each frame, before
    `token_threshold` is looked at. `pairs`, a row for each token before (the blank's for the beginning of the text) and
    in it a number for each token (or no rows at all), are added where a text grows by a token. `token_threshold`
    is multiplied by `acoustic`, too: a lower weight does not try more. All natural logarithms. `nbest`
    hypotheses return. Where a search is by phones, `letters` weighs what the letters say of the texts that it finds,
    and `recurrent` is the part of the language model's weight that a second, recurrent one has for them. Where the
    network hears a sound more than once (`hearings`), `again` is the part of its weight that all but the first have.
    """

    beam: int = 64
    beam_threshold: float = 14.0
    token_threshold: float = 7.0
    alpha: float = 0.6
    beta: float = 1.0
    unknown: float = -8.0
    nbest: int = 1
    acoustic: float = 1.0
    offsets: tuple[float, ...] = ()
    pairs: tuple[tuple[float, ...], ...] = field(default=(), repr=False)
    letters: float = 0.0
    recurrent: float = 0.0
    hearings: int = 1
    again: float = 0.0

    def __post_init__(self) -> None:
        if not self.acoustic > 0:
            raise AuricleError(f"the weight of the network is {self.acoustic:g}; it must be above zero.")
        if not self.beam_threshold > 0:
            raise AuricleError(f"a beam_threshold of {self.beam_threshold:g} keeps nothing; it must be above zero.")
        if self.beam < 1 or self.nbest < 1:
            raise AuricleError("a beam search keeps and returns at least one text: give beam and nbest of 1 or more.")
        if not 1 <= self.hearings <= MOST_HEARINGS:
            raise AuricleError(f"{self.hearings} hearings of one sound: give 1 to {MOST_HEARINGS}.")


class Decoder(Protocol):
    """Anything that reads log-probabilities. It keeps no state between calls and may be shared by threads."""

    def decode(self, log_probs: Array, *, hot_words: Phrases = ()) -> list[Hypothesis]:
        """Return hypotheses for log_probs [frames, tokens], the best first, at least one."""
        ...
