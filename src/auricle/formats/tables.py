"""Formats of one line for each recording, segment or word: txt, Whisper's tsv, and NIST's ctm and stm.

CTM and STM are as NIST's scoring toolkit defines them (SCTK, `doc/infmts.htm`).
"""

from __future__ import annotations

from auricle.formats.plain import milliseconds, plain
from auricle.transcript import Transcript

_CHANNEL = "1"
_SPEAKER = "unknown"


def txt(transcript: Transcript) -> str:
    """Return the whole text on one line."""
    return plain(transcript.text) + "\n"


def tsv(transcript: Transcript) -> str:
    """Return Whisper's table: a header, then start and end in milliseconds and the text of each segment with words."""
    rows = [
        f"{milliseconds(segment.start)}\t{milliseconds(segment.end)}\t{plain(segment.text)}\n"
        for segment in transcript.segments
        if segment.words
    ]
    return "".join(["start\tend\ttext\n", *rows])


def ctm(transcript: Transcript, name: str) -> str:
    """Return a line for each word, plain, by time: file, channel, begin and duration in seconds, word, confidence.

    `name` is the file's, without folder and extension; white space in it, and in a word, becomes an underscore.
    Without words there is a comment alone.
    """
    file = _identifier(name)
    rows = [
        f"{file} {_CHANNEL} {max(0.0, word.start):.3f} {max(0.0, word.end - word.start):.3f} "
        f"{_token(word.text)} {word.confidence:.4f}\n"
        for word in sorted(transcript.words, key=lambda word: word.start)
        if word.text.strip()
    ]
    return "".join(rows) or f";; {file} has no words\n"


def stm(transcript: Transcript, name: str) -> str:
    """Return a line for each segment with words: file, channel, speaker, begin and end in seconds, the plain text.

    The speaker is always `unknown`. Without words there is a comment alone.
    """
    file = _identifier(name)
    rows = []
    for segment in sorted(transcript.segments, key=lambda segment: segment.start):
        text = plain(segment.plain_text)
        # What stands in angle brackets before the text would be taken for a label.
        label = "<O> " if text.startswith("<") else ""
        start = max(0.0, segment.start)
        end = max(segment.end, start + 0.001)
        if text:
            rows.append(f"{file} {_CHANNEL} {_SPEAKER} {start:.3f} {end:.3f} {label}{text}\n")
    return "".join(rows) or f";; {file} has no words\n"


def _identifier(name: str) -> str:
    """Return a file's name as one field: what is not UTF-8 in it becomes a question mark."""
    field = _token(name.encode("utf-8", "replace").decode()) or "recording"
    return field.replace(";;", "__")


def _token(text: str) -> str:
    return "_".join(text.split())
