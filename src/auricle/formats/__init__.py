"""Writers: a transcript in, the text of a file out. Every text ends with exactly one newline, also an empty one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from auricle.formats.captions import LINE_CHARACTERS, Cue, cues, srt, vtt, vtt_words
from auricle.formats.document import verbose_json, word_values
from auricle.formats.tables import ctm, stm, tsv, txt
from auricle.formats.textgrid import textgrid
from auricle.transcript import Transcript

__all__ = ["FORMATS", "LINE_CHARACTERS", "Cue", "cues", "suffix", "word_values", "write"]

Writer: TypeAlias = Callable[[Transcript, str], str]


def _nameless(writer: Callable[[Transcript], str]) -> Writer:
    return lambda transcript, _: writer(transcript)


FORMATS: Final[Mapping[str, Writer]] = MappingProxyType(
    {
        "txt": _nameless(txt),
        "json": _nameless(verbose_json),
        "srt": _nameless(srt),
        "vtt": _nameless(vtt),
        "vtt-words": _nameless(vtt_words),
        "tsv": _nameless(tsv),
        "textgrid": _nameless(textgrid),
        "ctm": ctm,
        "stm": stm,
    }
)
_SUFFIXES: Final = MappingProxyType({"vtt-words": "vtt", "textgrid": "TextGrid"})


def write(transcript: Transcript, format_name: str, *, name: str = "recording") -> str:
    """Return the transcript as one of `FORMATS`; ctm and stm call the recording by its `name`.

    Raises ValueError, naming the formats there are, for any other.
    """
    if format_name not in FORMATS:
        raise ValueError(f"the format {format_name!r} is not known: use one of {', '.join(FORMATS)}.")
    return FORMATS[format_name](transcript, name)


def suffix(format_name: str) -> str:
    """Return how the names of such files end, without the dot."""
    return _SUFFIXES.get(format_name, format_name)
