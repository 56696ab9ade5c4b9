"""Texts for recordings that have none, by a recogniser, where it is sure of them (self-training: Kahn et al., 2020)."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from auricle import audio
from auricle.corpora.collected import Collected, Progress, silent_progress
from auricle.errors import AudioError, CorpusError
from auricle.manifest import Utterance

if TYPE_CHECKING:
    from auricle.audio import Waveform
    from auricle.recognizer import Recognizer
    from auricle.transcript import Transcript

LEAST_CONFIDENCE = 0.8
"""The mean confidence of its words that a text must have. Chosen on a dev set; docs/corpora.md has the figures."""

_TOGETHER = 64  # clips, of which those of like length are recognised at a time


def label(
    utterances: Collection[Utterance],
    transcripts: Generator[Transcript | str, None, None],
    *,
    least_confidence: float = LEAST_CONFIDENCE,
    progress: Progress = silent_progress,
) -> Collected:
    """Return the utterances with the words of their transcripts, one for each and in their order, as texts.

    Left out is what a transcript has no word of or is less sure of than `least_confidence`, in the mean of its words,
    and what could not be recognised, for which the reason stands in the transcript's place. Raises CorpusError when
    nothing remains.
    """
    kept: list[Utterance] = []
    left_out: dict[str, str] = {}
    with closing(transcripts) as found:
        for done, (utterance, transcript) in enumerate(zip(utterances, found, strict=True), start=1):
            reason = _doubt(transcript, least_confidence)
            if reason or isinstance(transcript, str):
                left_out[utterance.id] = reason
            else:
                seconds = utterance.duration or transcript.source.duration
                kept.append(replace(utterance, text=_text(transcript), duration=seconds))
            progress(done / len(utterances), "recognising")
    if not kept:
        name, reason = next(iter(left_out.items()))
        raise CorpusError(f"no text is sure enough; of {len(left_out):,} recordings the first, {name}: {reason}")
    return Collected(tuple(kept), left_out)


def transcribe_each(utterances: Sequence[Utterance], recognizer: Recognizer) -> Generator[Transcript | str, None, None]:
    """Yield the plain words of each utterance, in their order, or why it cannot be recognised."""
    for begin in range(0, len(utterances), _TOGETHER):
        read = [_read(utterance, recognizer) for utterance in utterances[begin : begin + _TOGETHER]]
        found = recognizer.transcribe_many([one for one in read if not isinstance(one, str)], plain=True)
        for one in read:
            yield one if isinstance(one, str) else next(found)


def _read(utterance: Utterance, recognizer: Recognizer) -> Waveform | str:
    from auricle.recognizer import LEAST_SECONDS

    rate = recognizer.bundle.features.sample_rate
    try:
        waveform = audio.read(utterance.audio_filepath, rate=rate, offset=utterance.offset, duration=utterance.duration)
    except AudioError as error:
        return str(error)
    if waveform.duration < LEAST_SECONDS:
        return f"{waveform.duration:.3f} s is too short to hold speech ({LEAST_SECONDS} s is the least)."
    return waveform


def _doubt(transcript: Transcript | str, least: float) -> str:
    """Return why a transcript is not to be learnt from, or nothing."""
    if isinstance(transcript, str):
        return transcript
    confidences = [word.confidence for segment in transcript.segments for word in segment.words]
    if not confidences:
        return "no word was recognised."
    mean = float(np.mean(confidences))
    return f"a confidence of {mean:.2f}, below {least:g}." if mean < least else ""


def _text(transcript: Transcript) -> str:
    return " ".join(word.text for segment in transcript.segments for word in segment.words)
