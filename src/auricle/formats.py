"""Writers: a transcript in, the text of a file out. Every text ends with exactly one newline, also an empty one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from types import MappingProxyType
from typing import Final

from auricle.transcript import Transcript, Word

LINE_CHARACTERS: Final = 42  # what fits on a phone and a television alike; the limit of most captioning guides
PAUSE_SECONDS: Final = 0.5
SHORTEST_CUE_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class Cue:
    """A caption: one or two lines, shown from `start_ms` to `end_ms`, in whole milliseconds of the recording."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


def write(transcript: Transcript, format_name: str) -> str:
    """Return the transcript as one of `FORMATS`. Raises ValueError, naming them, for any other name."""
    if format_name not in FORMATS:
        raise ValueError(f"the format {format_name!r} is not known: use one of {', '.join(FORMATS)}.")
    return FORMATS[format_name](transcript)


def txt(transcript: Transcript) -> str:
    """Return the whole text on one line."""
    return _plain(transcript.text) + "\n"


def tsv(transcript: Transcript) -> str:
    """Return Whisper's table: a header, then start and end in milliseconds and the text of each segment with words."""
    rows = [
        f"{_milliseconds(segment.start)}\t{_milliseconds(segment.end)}\t{_plain(segment.text)}\n"
        for segment in transcript.segments
        if segment.words
    ]
    return "".join(["start\tend\ttext\n", *rows])


def json_text(transcript: Transcript) -> str:
    """Return everything there is: text, model, source, and segments of words; seconds to the millisecond."""
    source = transcript.source
    document = {
        "text": transcript.text,
        "model": transcript.model,
        "duration": round(transcript.duration, 3),
        "source": {
            "codec": source.codec,
            "rate": source.rate,
            "channels": source.channels,
            "duration": round(source.duration, 3),
        },
        "segments": [
            {
                "id": index,
                "start": round(segment.start, 3),
                "end": round(segment.end, 3),
                "text": segment.text,
                "words": [_word(word) for word in segment.words],
            }
            for index, segment in enumerate(transcript.segments)
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def srt(transcript: Transcript) -> str:
    """Return SubRip captions, numbered from one."""
    return _blocks(
        f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n" + "\n".join(cue.lines)
        for number, cue in enumerate(cues(transcript.words), start=1)
    )


def vtt(transcript: Transcript) -> str:
    """Return WebVTT captions (W3C), with &, < and > escaped."""
    blocks = ["WEBVTT"]
    for cue in cues(transcript.words):
        text = "\n".join(cue.lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        blocks.append(f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n{text}")
    return _blocks(blocks)


FORMATS: Final[Mapping[str, Callable[[Transcript], str]]] = MappingProxyType(
    {"txt": txt, "json": json_text, "srt": srt, "vtt": vtt, "tsv": tsv}
)


def cues(words: Sequence[Word]) -> list[Cue]:
    """Group words in order of time into captions of at most two lines of at most `LINE_CHARACTERS`.

    A pause longer than `PAUSE_SECONDS` always ends a caption. Speech that is too long without one is cut near its
    middle, where it pauses longest, so that no word is left over alone. A caption lasts from its first word's start to
    its last word's end, or `SHORTEST_CUE_MS` if that is longer and the next caption's start allows. Captions never
    overlap and none is empty, whatever the words' times are. A word longer than a line has a line to itself.
    """
    groups = [part for phrase in _phrases(words) for part in _cut(phrase)]
    starts: list[int] = []
    for group in groups:
        starts.append(max(_milliseconds(group[0].start), starts[-1] + 1 if starts else 0))
    captions = []
    for index, (start, group) in enumerate(zip(starts, groups, strict=True)):
        end = max(_milliseconds(group[-1].end), start + SHORTEST_CUE_MS)
        if index + 1 < len(starts):
            end = min(end, starts[index + 1])
        captions.append(Cue(start, end, _lines(group) or ()))
    return captions


def _phrases(words: Sequence[Word]) -> list[list[Word]]:
    """Split words at the pauses that are long enough to be heard as such; words without letters are left out."""
    phrases: list[list[Word]] = []
    for word in words:
        if not word.text.strip():
            continue
        if phrases and word.start - phrases[-1][-1].end <= PAUSE_SECONDS:
            phrases[-1].append(word)
        else:
            phrases.append([word])
    return phrases


def _cut(phrase: list[Word]) -> list[list[Word]]:
    """Halve a phrase until every part fits into a caption, each time at the longest pause in its middle half."""
    if _lines(phrase) is not None:
        return [phrase]
    ends = list(accumulate(len(word.text) + 1 for word in phrase))
    middle = ends[-1] / 2
    distance = {cut: abs(ends[cut - 1] - middle) for cut in range(1, len(phrase))}
    central = [cut for cut in distance if distance[cut] <= middle / 2]

    def pause_then_balance(cut: int) -> tuple[float, float]:
        return round(phrase[cut].start - phrase[cut - 1].end, 3), -distance[cut]

    # Nothing is central when one enormous word covers the middle.
    best = max(central, key=pause_then_balance) if central else min(distance, key=distance.__getitem__)
    return _cut(phrase[:best]) + _cut(phrase[best:])


def _lines(words: Sequence[Word]) -> tuple[str, ...] | None:
    """Return one line if it is short enough, else the two most even ones, the lower longer; None if two are too few."""
    texts = [_plain(word.text) for word in words]
    if len(texts) == 1 or len(" ".join(texts)) <= LINE_CHARACTERS:
        return (" ".join(texts),)
    if len(texts) > LINE_CHARACTERS:  # two lines of one-letter words hold fewer
        return None
    pairs = [
        (" ".join(texts[:cut]), " ".join(texts[cut:]))
        for cut in range(1, len(texts))
        if _fits(texts[:cut]) and _fits(texts[cut:])
    ]
    return min(pairs, key=lambda pair: (abs(len(pair[0]) - len(pair[1])), len(pair[0])), default=None)


def _fits(texts: list[str]) -> bool:
    return len(texts) == 1 or len(" ".join(texts)) <= LINE_CHARACTERS


def _word(word: Word) -> dict[str, str | float]:
    return {
        "word": word.text,
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        "confidence": round(word.confidence, 4),
    }


def _plain(text: str) -> str:
    """Return the text without the tabs and line breaks that would break a file's structure."""
    return " ".join(text.split())


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def _clock(milliseconds: int, decimal_mark: str) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{decimal_mark}{fraction:03d}"


def _blocks(blocks: Iterable[str]) -> str:
    return "\n\n".join(blocks) + "\n"
