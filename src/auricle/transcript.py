"""What recognition returns: a transcript of segments of words, with times in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from auricle.audio import SourceInfo
from auricle.confidence import Calibration, Evidence, evidence, letters_probability, spans_of
from auricle.decoding.types import Hypothesis
from auricle.features import Array


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word: `start` and `end` in seconds of the recording, `confidence` in [0, 1].

    `written` is how people read it, with its capitals and the mark after it: "Dashwood,". What several words say, such
    as "$25", is written at the first of them, and the others have an empty one. None: nobody has made it readable.
    """

    text: str
    start: float
    end: float
    confidence: float
    written: str | None = None

    @property
    def shown(self) -> str:
        """What is shown of it: `written`, or the recognised word."""
        return self.text if self.written is None else self.written


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech between two cuts. `start` and `end` bound its words; an empty segment has no words."""

    start: float
    end: float
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """What people read, one space between words: capitals, punctuation and figures where they were restored."""
        return " ".join(word.shown for word in self.words if word.shown)

    @property
    def plain_text(self) -> str:
        """The recognised words, one space between them."""
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True)
class Transcript:
    """Everything that was recognised in one recording, and what the recording was."""

    segments: tuple[Segment, ...]
    source: SourceInfo
    model: str

    @cached_property
    def text(self) -> str:
        """The whole text on one line, as people read it; empty when nothing was said."""
        return " ".join(segment.text for segment in self.segments if segment.words)

    @property
    def plain_text(self) -> str:
        """The recognised words on one line, without anything that was restored: what is scored and aligned."""
        return " ".join(segment.plain_text for segment in self.segments if segment.words)

    @property
    def words(self) -> tuple[Word, ...]:
        """All words in order of time."""
        return tuple(word for segment in self.segments for word in segment.words)

    @property
    def shown_words(self) -> tuple[Word, ...]:
        """What is read, in order of time: like `words`, but "$25" is one, for as long as its words last.

        Its `text` is what is shown, and its confidence that of the least certain of its words.
        """
        return tuple(shown_words(self.words))

    @property
    def duration(self) -> float:
        """Seconds of the recording."""
        return self.source.duration


def shown_words(words: Iterable[Word]) -> Iterator[Word]:
    """Yield what is read of words, each with the times of all that it stands for. See `Transcript.shown_words`."""
    group: list[Word] = []
    for word in words:
        if group and word.shown:
            yield _as_one(group)
            group = []
        group.append(word)
    if group:
        yield _as_one(group)


def _as_one(group: Sequence[Word]) -> Word:
    first, confidence = group[0], min(word.confidence for word in group)
    return Word(first.shown, first.start, max(word.end for word in group), confidence)


@dataclass(frozen=True, slots=True)
class AlignedText:
    """Where each word and each character of a known text lies in a recording.

    `score` is at most 0: the natural-log probability of the text's best path, less that of what the network itself
    would have written, for each character. Far below -1 the text belongs to another recording.
    """

    words: tuple[Word, ...]
    characters: tuple[Word, ...]
    score: float


def words_of(
    hypothesis: Hypothesis,
    log_probs: Array,
    *,
    frame_seconds: float,
    start: float,
    end: float,
    calibration: Calibration | None = None,
) -> tuple[Word, ...]:
    """Return the words of a hypothesis with their times and confidences.

    Frame i of `log_probs` [frames, tokens] is centred on `start + i * frame_seconds`; times are kept inside [start,
    end], the window that was recognised. A word's confidence is its `evidence` through the `calibration`, and without
    one the probability of its letters.
    """
    times = start + frame_seconds * np.arange(len(log_probs))
    known = evidence(hypothesis, log_probs)
    return tuple(
        _stretch(hypothesis, span, times, frame_seconds, (start, end), _chance(one, calibration))
        for span, one in zip(spans_of(hypothesis.text), known, strict=True)
    )


def _chance(evidence: Evidence, calibration: Calibration | None) -> float:
    return calibration(evidence) if calibration else evidence.letters


def aligned_text(
    hypothesis: Hypothesis,
    log_probs: Array,
    *,
    times: Array,
    frame_seconds: float,
    end: float,
    best_score: float,
    calibration: Calibration | None = None,
) -> AlignedText:
    """Return the words and characters of a hypothesis that was given, on frames centred on `times` (seconds).

    `best_score` is the log-probability of the network's own best path.
    """

    def stretch(span: tuple[int, int]) -> Word:
        chance = _chance(Evidence(letters_probability(hypothesis, log_probs, span)), calibration)
        return _stretch(hypothesis, span, times, frame_seconds, (0.0, end), chance)

    characters = [(i, i + 1) for i, character in enumerate(hypothesis.text) if character != " "]
    return AlignedText(
        words=tuple(stretch(span) for span in spans_of(hypothesis.text)),
        characters=tuple(stretch(span) for span in characters),
        score=min(0.0, (hypothesis.score - best_score) / len(hypothesis.tokens)),
    )


def _stretch(  # noqa: PLR0917
    hypothesis: Hypothesis,
    span: tuple[int, int],
    times: Array,
    frame_seconds: float,
    bounds: tuple[float, float],
    confidence: float,
) -> Word:
    """Return the characters [first, last) of a hypothesis as a word, its times kept within bounds."""
    first, last = span
    low, high = bounds
    return Word(
        text=hypothesis.text[first:last],
        start=min(max(low, float(times[hypothesis.first_frames[first]]) - 0.5 * frame_seconds), high),
        end=min(float(times[hypothesis.last_frames[last - 1]]) + 0.5 * frame_seconds, high),
        confidence=confidence,
    )
