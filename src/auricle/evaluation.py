"""A manifest's utterances and a recognizer in, a report out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

import auricle.recognizer
from auricle import audio
from auricle.audio import Waveform
from auricle.errors import AudioError
from auricle.manifest import Utterance
from auricle.metrics import character_errors, word_errors
from auricle.recognizer import LEAST_SECONDS
from auricle.report import Failure, Report, Row, compare, is_readable
from auricle.restoration import Restorer, restored
from auricle.transcript import Transcript

_CHUNK_CLIPS = 64
_CHUNK_SECONDS = 600.0  # 38 MB of samples at 16 kHz
_T = TypeVar("_T")


class Recognizer(Protocol):
    """What evaluation needs of a recognizer."""

    def transcribe_many(self, sources: Iterable[Waveform]) -> Iterator[Transcript]:
        """Yield one transcript per waveform, in their order, as they are ready."""
        ...


class Plain:
    """A recognizer without restoration, which is not scored, nor in the time that recognition takes."""

    def __init__(self, recognizer: auricle.recognizer.Recognizer) -> None:
        self._recognizer = recognizer

    def transcribe_many(self, sources: Iterable[Waveform]) -> Iterator[Transcript]:
        """Yield one transcript of plain words per waveform."""
        return self._recognizer.transcribe_many(sources, plain=True)


def lower_case(text: str) -> str:
    """Lower the case and collapse white space: the mildest comparison that is fair to a model without capitals."""
    return " ".join(text.lower().split())


def evaluate(
    utterances: Sequence[Utterance],
    recognizer: Recognizer,
    *,
    normalise: Callable[[str], str] = lower_case,
    restorer: Restorer | None = None,
    rate: int = 16_000,
    progress: Callable[[float], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Report:
    """Transcribe the utterances and compare with their texts.

    What is compared are the plain words, restored or not. References and hypotheses both go through `normalise` and
    through nothing else. With a `restorer`, what it makes of the words is scored apart, and outside the time of
    recognition, where the reference has marks, figures, or capitals among small letters. Audio is read at `rate` Hz,
    about ten minutes (or one longer clip) at a time, longest clips first so that neighbours in a batch are alike.
    `progress` is called with the share that is done, up to 1. An utterance without text, or whose audio cannot be read
    or is too short for the recognizer, is listed in `Report.failures` and does not end the run; an empty text is a
    text, of a recording in which nobody speaks. Errors of the recognizer pass through.
    """
    tell = progress or (lambda share: None)
    reading, recognition = _Stopwatch(clock), _Stopwatch(clock)
    rows: dict[int, Row] = {}
    failures: dict[int, Failure] = {}
    model = ""
    for chunk in _chunks(utterances, rate, reading, failures):
        transcripts = _timed(recognizer.transcribe_many([waveform for _, waveform in chunk]), recognition)
        for (index, waveform), transcript in zip(chunk, transcripts, strict=True):
            model = transcript.model
            row = _row(utterances[index], transcript, waveform.duration, normalise)
            rows[index] = _with_readable(row, utterances[index], transcript, restorer) if restorer else row
            tell((len(rows) + len(failures)) / len(utterances))
    tell(1.0)
    return Report(model, _in_order(rows), _in_order(failures), recognition.seconds, reading.seconds)


def score(
    utterances: Sequence[Utterance],
    outcomes: Iterable[Transcript | str],
    *,
    normalise: Callable[[str], str] = lower_case,
    restorer: Restorer | None = None,
    progress: Callable[[float], None] | None = None,
) -> Report:
    """Compare transcripts that are there already, one for each utterance and in their order, with the texts.

    In the place of a transcript may stand why there is none. Everything else is as `evaluate` does it; the report
    knows no times.
    """
    tell = progress or (lambda share: None)
    rows: dict[int, Row] = {}
    failures: dict[int, Failure] = {}
    model = ""
    for index, (utterance, outcome) in enumerate(zip(utterances, outcomes, strict=True)):
        if utterance.text is None:
            failures[index] = _without_text(utterance)
        elif isinstance(outcome, str):
            failures[index] = Failure(utterance.id, outcome)
        else:
            model = outcome.model
            row = _row(utterance, outcome, outcome.source.duration, normalise)
            rows[index] = _with_readable(row, utterance, outcome, restorer) if restorer else row
        tell((index + 1) / len(utterances))
    return Report(model, _in_order(rows), _in_order(failures), recognition_seconds=0.0, reading_seconds=0.0)


def _without_text(utterance: Utterance) -> Failure:
    return Failure(utterance.id, "the manifest has no text to compare with.")


def _chunks(
    utterances: Sequence[Utterance], rate: int, reading: _Stopwatch, failures: dict[int, Failure]
) -> Iterator[list[tuple[int, Waveform]]]:
    """Yield waveforms with the index of their utterance, some at a time; what cannot be scored goes to `failures`."""
    chunk: list[tuple[int, Waveform]] = []
    seconds = 0.0
    for index in sorted(range(len(utterances)), key=lambda index: -(utterances[index].duration or 0.0)):
        utterance = utterances[index]
        if utterance.text is None:
            failures[index] = _without_text(utterance)
            continue
        try:
            with reading:
                waveform = audio.read(
                    utterance.audio_filepath, rate=rate, offset=utterance.offset, duration=utterance.duration
                )
        except AudioError as error:
            failures[index] = Failure(utterance.id, str(error))
            continue
        if waveform.duration < LEAST_SECONDS:
            failures[index] = Failure(utterance.id, f"{waveform.duration:.3f} s is too short to hold speech.")
            continue
        chunk.append((index, waveform))
        seconds += waveform.duration
        if len(chunk) >= _CHUNK_CLIPS or seconds >= _CHUNK_SECONDS:
            yield chunk
            chunk, seconds = [], 0.0
    if chunk:
        yield chunk


def _timed(transcripts: Iterator[Transcript], recognition: _Stopwatch) -> Iterator[Transcript]:
    """Pass transcripts on, timing the recognizer alone and not what is done with them."""
    while True:
        with recognition:
            transcript = next(transcripts, None)
        if transcript is None:
            return
        yield transcript


def _row(utterance: Utterance, transcript: Transcript, duration: float, normalise: Callable[[str], str]) -> Row:
    reference, hypothesis = normalise(utterance.text or ""), normalise(transcript.plain_text)
    confidences = [word.confidence for word in transcript.words]
    return Row(
        id=utterance.id,
        reference=reference,
        hypothesis=hypothesis,
        words=word_errors(reference, hypothesis),
        characters=character_errors(reference, hypothesis),
        duration=duration,
        speaker=utterance.speaker,
        sex=utterance.sex,
        confidence=math.fsum(confidences) / len(confidences) if confidences else None,
    )


def _with_readable(row: Row, utterance: Utterance, transcript: Transcript, restorer: Restorer) -> Row:
    reference = utterance.text or ""
    if not is_readable(reference):
        return row
    shown = replace(transcript, segments=restored(transcript.segments, restorer))
    return replace(row, readable=compare(reference, shown.text))


def _in_order(items: dict[int, _T]) -> tuple[_T, ...]:
    return tuple(items[index] for index in sorted(items))


class _Stopwatch:
    """Adds up the seconds spent inside its `with` blocks."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._begun, self.seconds = clock, 0.0, 0.0

    def __enter__(self) -> None:
        self._begun = self._clock()

    def __exit__(self, *error: object) -> None:
        self.seconds += self._clock() - self._begun
