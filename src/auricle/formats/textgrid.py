"""TextGrid, the format of Praat (P. Boersma & D. Weenink), for phoneticians: interval tiers of words and segments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from auricle.formats.plain import milliseconds, plain
from auricle.transcript import Transcript


class _Interval(NamedTuple):
    start_ms: int
    end_ms: int
    text: str


def textgrid(transcript: Transcript) -> str:
    """Return the long text form: tiers `words` (plain) and `segments` (readable); between them, empty intervals.

    Praat's intervals follow one another without overlap, and none is empty: a word that begins before the last one's
    end begins at it, and one without length lasts a millisecond.
    """
    words = _apart((word.start, word.end, word.text) for word in transcript.words)
    segments = _apart((segment.start, segment.end, segment.text) for segment in transcript.segments)
    ends = [intervals[-1].end_ms for intervals in (words, segments) if intervals]
    end = max(1, milliseconds(transcript.duration), *ends)
    return "\n".join(
        [
            'File type = "ooTextFile"',
            'Object class = "TextGrid"',
            "",
            "xmin = 0",
            f"xmax = {_seconds(end)}",
            "tiers? <exists>",
            "size = 2",
            "item []:",
            *_tier(1, "words", _filled(words, end), end),
            *_tier(2, "segments", _filled(segments, end), end),
            "",
        ]
    )


def _apart(stretches: Iterable[tuple[float, float, str]]) -> list[_Interval]:
    """Return the stretches with text, each after the one before it and at least a millisecond long."""
    intervals: list[_Interval] = []
    for start, end, text in stretches:
        if text.strip():
            begin = max(milliseconds(start), intervals[-1].end_ms if intervals else 0)
            intervals.append(_Interval(begin, max(milliseconds(end), begin + 1), plain(text)))
    return intervals


def _filled(intervals: Sequence[_Interval], end: int) -> list[_Interval]:
    """Return the intervals with empty ones where there is nothing, from zero to the end."""
    filled: list[_Interval] = []
    now = 0
    for interval in intervals:
        if interval.start_ms > now:
            filled.append(_Interval(now, interval.start_ms, ""))
        filled.append(interval)
        now = interval.end_ms
    if now < end:
        filled.append(_Interval(now, end, ""))
    return filled


def _tier(number: int, name: str, intervals: Sequence[_Interval], end: int) -> list[str]:
    lines = [
        f"    item [{number}]:",
        '        class = "IntervalTier"',
        f'        name = "{name}"',
        "        xmin = 0",
        f"        xmax = {_seconds(end)}",
        f"        intervals: size = {len(intervals)}",
    ]
    for index, interval in enumerate(intervals, start=1):
        quoted = interval.text.replace('"', '""')
        lines += [
            f"        intervals [{index}]:",
            f"            xmin = {_seconds(interval.start_ms)}",
            f"            xmax = {_seconds(interval.end_ms)}",
            f'            text = "{quoted}"',
        ]
    return lines


def _seconds(whole_milliseconds: int) -> str:
    return f"{whole_milliseconds / 1000:.3f}"
