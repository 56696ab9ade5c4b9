"""JSON in the shape of OpenAI's `verbose_json`, with what auricle knows besides."""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

from auricle.transcript import Segment, Transcript, Word

_LANGUAGE = "english"  # the only alphabet there is
_LEAST_CONFIDENCE = 1e-4


def verbose_json(transcript: Transcript) -> str:
    """Return everything there is, in seconds to the millisecond; a program for OpenAI's transcriptions can read it.

    Beyond OpenAI's fields there are `model` and `source`, and the `confidence` of each word. `word` is the recognised
    one and `written`, where the text was made readable, how it stands in the text with the mark that follows; a number
    that several words say is written at the first of them, and empty at the others. Of OpenAI's, `avg_logprob`
    is the mean natural log of the words' confidences, each counted by its characters; `seek` is the segment's start in
    hundredths of a second; `no_speech_prob` is 1 for a segment without words and else 0; and `tokens` are empty.
    """
    source = transcript.source
    document = {
        "task": "transcribe",
        "language": _LANGUAGE,
        "duration": round(transcript.duration, 3),
        "text": transcript.text,
        "segments": [_segment(index, segment) for index, segment in enumerate(transcript.segments)],
        "words": [word_values(word) for word in transcript.words],
        "model": transcript.model,
        "source": {
            "codec": source.codec,
            "rate": source.rate,
            "channels": source.channels,
            "duration": round(source.duration, 3),
        },
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _segment(index: int, segment: Segment) -> dict[str, Any]:
    text = segment.text.encode("utf-8", "replace")
    return {
        "id": index,
        "seek": round(segment.start * 100),
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(_mean_log_confidence(segment.words), 4),
        "compression_ratio": round(len(text) / len(zlib.compress(text)), 4),
        "no_speech_prob": 0.0 if segment.words else 1.0,
    }


def _mean_log_confidence(words: tuple[Word, ...]) -> float:
    characters = sum(len(word.text) for word in words)
    total = math.fsum(len(word.text) * math.log(max(word.confidence, _LEAST_CONFIDENCE)) for word in words)
    return total / characters if characters else 0.0


def word_values(word: Word) -> dict[str, str | float]:
    """Return a word of `words` as plain values."""
    return {
        "word": word.text,
        **({} if word.written is None else {"written": word.written}),
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        "confidence": round(word.confidence, 4),
    }
