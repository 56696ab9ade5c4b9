"""What recognition returns: a transcript of segments of words, with times in seconds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from auricle.audio import SourceInfo
from auricle.decoding.types import Hypothesis
from auricle.features import Array


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word: `start` and `end` in seconds of the recording, `confidence` in [0, 1]."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech between two cuts. `start` and `end` bound its words; an empty segment has no words."""

    start: float
    end: float
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """The words, one space between them."""
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True)
class Transcript:
    """Everything that was recognised in one recording, and what the recording was."""

    segments: tuple[Segment, ...]
    source: SourceInfo
    model: str

    @cached_property
    def text(self) -> str:
        """The whole text on one line; empty when nothing was said."""
        return " ".join(segment.text for segment in self.segments if segment.words)

    @property
    def words(self) -> tuple[Word, ...]:
        """All words in order of time."""
        return tuple(word for segment in self.segments for word in segment.words)

    @property
    def duration(self) -> float:
        """Seconds of the recording."""
        return self.source.duration


def words_of(
    hypothesis: Hypothesis, log_probs: Array, *, frame_seconds: float, start: float, end: float
) -> tuple[Word, ...]:
    """Return the words of a hypothesis with their times and confidences.

    Frame i of `log_probs` [frames, tokens] is centred on `start + i * frame_seconds`; times are kept inside [start,
    end], the window that was recognised. A word's confidence is the geometric mean, over its characters, of the
    probability that the network gave to each at its best frame.
    """
    words = []
    for first, last in _spans(hypothesis.text):
        best = [
            log_probs[a : b + 1, token].max()
            for token, a, b in zip(
                hypothesis.tokens[first:last],
                hypothesis.first_frames[first:last],
                hypothesis.last_frames[first:last],
                strict=True,
            )
        ]
        words.append(
            Word(
                text=hypothesis.text[first:last],
                start=min(max(start, start + (hypothesis.first_frames[first] - 0.5) * frame_seconds), end),
                end=min(start + (hypothesis.last_frames[last - 1] + 0.5) * frame_seconds, end),
                confidence=min(1.0, math.exp(sum(best) / len(best))),
            )
        )
    return tuple(words)


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each word; one character is one token, so these index tokens as well."""
    start = 0
    for part in text.split(" "):
        if part:
            yield start, start + len(part)
        start += len(part) + 1
