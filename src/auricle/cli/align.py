"""`auricle align`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auricle.cli.app import app
from auricle.cli.terminal import Model, Threads, load_recognizer, naming, write_whole
from auricle.errors import AuricleError

if TYPE_CHECKING:
    from auricle.transcript import AlignedText, Word


class Format(StrEnum):
    """What an alignment is written as."""

    TSV = "tsv"
    JSON = "json"


@app.command()
def align(
    *,
    clip: Annotated[str, typer.Argument(metavar="CLIP", help="A recording.")],
    text: Annotated[str | None, typer.Option("--text", metavar="T", help="What is said in it.")] = None,
    text_file: Annotated[
        Path | None, typer.Option("--text-file", metavar="FILE.txt", help="A file with what is said in it.")
    ] = None,
    characters: Annotated[bool, typer.Option("--characters", help="Give each character its times as well.")] = False,
    format_: Annotated[Format, typer.Option("--format", "-f", help="What to write.")] = Format.TSV,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")] = None,
    model: Model = None,
    threads: Threads = None,
) -> None:
    """Say when each word of a known text is spoken in a recording.

    The table has start and end in seconds, the confidence, and the word. The score in front of it is 0 when the network
    would have written the same text, and far below -1 when the text belongs to another recording.
    """
    if (text is None) == (text_file is None):
        raise typer.BadParameter("give the text once: with --text or with --text-file.")
    if text is None:
        assert text_file is not None
        try:
            text = text_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise AuricleError(f"{text_file}: cannot read the text ({error}).") from error
    recognizer = load_recognizer(model, threads)
    try:
        aligned = recognizer.align(clip, text)
    except AuricleError as error:
        raise AuricleError(naming(clip, error)) from error
    written = _json(aligned, characters) if format_ is Format.JSON else _table(aligned, characters)
    if output:
        write_whole(output, written)
    else:
        typer.echo(written, nl=False)


def _table(aligned: AlignedText, characters: bool) -> str:
    rows = aligned.characters if characters else aligned.words
    lines = [f"{row.start:.2f}\t{row.end:.2f}\t{row.confidence:.2f}\t{row.text}" for row in rows]
    return "\n".join([f"# score {aligned.score:.2f}", "start\tend\tconfidence\ttext", *lines]) + "\n"


def _json(aligned: AlignedText, characters: bool) -> str:
    document = {"score": round(aligned.score, 4), "words": [_row(word) for word in aligned.words]}
    if characters:
        document["characters"] = [_row(character) for character in aligned.characters]
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _row(word: Word) -> dict[str, str | float]:
    return {
        "text": word.text,
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        "confidence": round(word.confidence, 3),
    }
