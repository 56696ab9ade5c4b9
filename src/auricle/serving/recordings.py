"""A long recording, recognised piece by piece while somebody still wants it."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from auricle.audio import Blocks, open_blocks
from auricle.recognizer import Recognizer
from auricle.serving.batching import HotWords
from auricle.serving.desk import Style
from auricle.serving.problems import Problem
from auricle.transcript import Segment, Transcript


def transcript_of(
    recognizer: Recognizer,
    file: BinaryIO,
    *,
    name: str,
    hot_words: HotWords,
    style: Style,
    most_seconds: float,
    is_wanted: Callable[[float], bool],
) -> Transcript | None:
    """Return what is said in an open file, or nothing once `is_wanted`, told the share that is done, says no.

    Raises AudioError for a recording that cannot be read and Problem for one of more than `most_seconds`.
    """
    segments: list[Segment] = []
    rate = recognizer.bundle.features.sample_rate
    with open_blocks(file, rate=rate, name=name, duration=most_seconds + 1) as blocks:
        _refuse_longer(blocks.promised or 0.0, most_seconds)
        for segment in recognizer.stream(blocks, hot_words=hot_words, plain=style.plain, numbers=style.numbers):
            segments.append(segment)
            if not is_wanted(_share(segment, blocks)):
                return None
        _refuse_longer(blocks.source.duration, most_seconds)
        return Transcript(tuple(segments), blocks.source, recognizer.bundle.name)


def _share(segment: Segment, blocks: Blocks) -> float:
    return min(0.99, segment.end / blocks.promised) if blocks.promised else 0.0


def _refuse_longer(seconds: float, most: float) -> None:
    if seconds > most:
        raise Problem(413, f"The recording is longer than {most:g} s: send it in parts.", code="audio_too_long")
