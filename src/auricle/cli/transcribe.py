"""`auricle transcribe`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias, TypedDict

import typer

from auricle.cli.app import app
from auricle.cli.hot_words import HotWord, HotWordsFile, read_hot_words
from auricle.cli.live import Line, Share
from auricle.cli.terminal import (
    Bar,
    Beam,
    Model,
    NoLm,
    Numbers,
    Plain,
    Threads,
    complain,
    load_recognizer,
    naming,
    write_whole,
)
from auricle.errors import AudioError

if TYPE_CHECKING:
    from auricle.audio import Blocks, Waveform
    from auricle.decoding import Phrases
    from auricle.recognizer import Recognizer
    from auricle.transcript import Transcript

    Outcome: TypeAlias = tuple[str, Transcript | Blocks | AudioError]

_STDIN = "-"
_GROUP_SECONDS = 60.0  # short clips are recognised together, which takes half the time
_GROUP_CLIPS = 16
_SHORT_SECONDS = 25.0  # what is longer, or may be, is recognised as it is decoded


class How(TypedDict, total=False):
    """What every recording is recognised with."""

    hot_words: Phrases
    plain: bool
    numbers: bool


_AS_USUAL: How = {"hot_words": ()}


class Format(StrEnum):
    """The names of `auricle.formats.FORMATS`, which is not imported for --help."""

    TXT = "txt"
    JSON = "json"
    SRT = "srt"
    VTT = "vtt"
    VTT_WORDS = "vtt-words"
    TSV = "tsv"
    TEXTGRID = "textgrid"
    CTM = "ctm"
    STM = "stm"


_ONE_AFTER_ANOTHER = frozenset({Format.TXT, Format.JSON, Format.CTM, Format.STM})


@app.command()
def transcribe(
    *,
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Recordings; - is standard input.")],
    format_: Annotated[Format, typer.Option("--format", "-f", help="What to write.")] = Format.TXT,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir", "-o", metavar="DIR", help="Write NAME.FORMAT there for each recording (- becomes stdin)."
        ),
    ] = None,
    model: Model = None,
    threads: Threads = None,
    no_lm: NoLm = False,
    beam: Beam = None,
    hot_word: HotWord = None,
    hot_words: HotWordsFile = None,
    plain: Plain = False,
    numbers: Numbers = True,
) -> None:
    """Write down what is said in recordings, of any length and in nearly any format.

    Text goes to standard output: a line for each recording, with "FILE: " before it when there are several. That of a
    long recording comes piece by piece; on a terminal each piece has a line. With several recordings, json is one
    document a line with a field "file" (JSON Lines), ctm and stm name the file on each line, and the other formats need
    --output-dir.

    txt, tsv and json hold the text, srt and vtt are captions (vtt-words with the time of each word), textgrid is for
    Praat, ctm and stm are for NIST's sclite. json has the shape of OpenAI's verbose_json. English text is readable,
    with capitals, punctuation and figures; words in json, textgrid, ctm and stm are always the plain ones.

    A recording that cannot be read is reported on standard error, the others are done, and the exit code is 1.
    """
    paths = _output_paths(files, format_, output_dir)
    how = How(hot_words=read_hot_words(hot_word or (), hot_words), plain=plain, numbers=numbers)
    recognizer = load_recognizer(model, threads, no_lm=no_lm, beam=beam)
    several = len(files) > 1
    failed = False
    with Bar("loading") as bar:
        for index, (name, result) in enumerate(_outcomes(recognizer, files, bar, how)):
            line = Line(name if several else None) if format_ is Format.TXT and not paths else None
            try:
                transcript = _finished(recognizer, result, Share(bar, name, index, len(files)), line, how)
            except AudioError as error:
                failed = True
                bar.hide()
                complain(naming("standard input" if name == _STDIN else name, error))
                continue
            bar.hide()
            if paths:
                write_whole(paths[name], _text(transcript, format_, name))
            elif line is None:
                typer.echo(_text(transcript, format_, name, among_others=several), nl=False)
    if failed:
        raise typer.Exit(1)


def _output_paths(files: Sequence[str], format_: Format, folder: Path | None) -> dict[str, Path]:
    """Return where each result goes, nothing if that is standard output. Raises BadParameter for what cannot work."""
    from auricle import formats

    if files.count(_STDIN) > 1:
        raise typer.BadParameter("standard input (-) can be read only once.")
    if folder is None:
        if len(files) > 1 and format_ not in _ONE_AFTER_ANOTHER:
            raise typer.BadParameter(f"{format_} of several recordings needs --output-dir.")
        stem, times = Counter(map(_stem, files)).most_common(1)[0]
        if times > 1 and format_ in {Format.CTM, Format.STM}:
            raise typer.BadParameter(f"{times} of the recordings would be called {stem}: give them different names.")
        return {}
    if folder.exists() and not folder.is_dir():
        raise typer.BadParameter(f"{folder} is not a directory: name another --output-dir.")
    paths = {name: folder / f"{_stem(name)}.{formats.suffix(format_)}" for name in files}
    path, times = Counter(paths[name] for name in files).most_common(1)[0]
    if times > 1:
        raise typer.BadParameter(f"{times} of the recordings would be written to {path}: give them different names.")
    inputs = {Path(name).resolve() for name in files}
    if over := [path for path in paths.values() if path.resolve() in inputs]:
        raise typer.BadParameter(
            f"{over[0]} would be overwritten, and is one of the recordings: use another directory."
        )
    return paths


def _stem(name: str) -> str:
    return "stdin" if name == _STDIN else Path(name).stem


def _outcomes(recognizer: Recognizer, files: Sequence[str], bar: Bar, how: How = _AS_USUAL) -> Iterator[Outcome]:
    """Yield each name, in the order given, with its transcript, a long recording to recognise, or why there is none."""
    from auricle.audio import Waveform

    group: list[tuple[str, Waveform | AudioError]] = []
    seconds = 0.0
    for index, name in enumerate(files):
        bar.tell(index / len(files), name)
        clip = _opened(recognizer, name)
        if not isinstance(clip, AudioError | Waveform):
            yield from _together(recognizer, group, how)
            group, seconds = [], 0.0
            yield name, clip
            continue
        group.append((name, clip))
        seconds += 0.0 if isinstance(clip, AudioError) else clip.duration
        if seconds >= _GROUP_SECONDS or len(group) >= _GROUP_CLIPS:
            yield from _together(recognizer, group, how)
            group, seconds = [], 0.0
    yield from _together(recognizer, group, how)


def _opened(recognizer: Recognizer, name: str) -> Waveform | Blocks | AudioError:
    """Return a short recording whole, and any other opened."""
    try:
        if name != _STDIN:
            blocks = recognizer.open(name)
        elif sys.stdin is None:
            raise AudioError("it is closed: pipe a recording into it.")
        else:
            blocks = recognizer.open(sys.stdin.buffer)
        is_short = blocks.promised is not None and blocks.promised <= _SHORT_SECONDS
        return recognizer.read(blocks) if is_short else blocks
    except AudioError as error:
        return error


def _together(
    recognizer: Recognizer, group: Sequence[tuple[str, Waveform | AudioError]], how: How
) -> Iterator[Outcome]:
    clips = (clip for _, clip in group if not isinstance(clip, AudioError))
    transcripts = recognizer.transcribe_many(clips, **how)
    for name, clip in group:
        yield name, clip if isinstance(clip, AudioError) else next(transcripts)


def _finished(
    recognizer: Recognizer, result: Transcript | Blocks | AudioError, share: Share, line: Line | None, how: How
) -> Transcript:
    """Return the transcript, of a long recording after recognising it; print it where there is a line for it.

    Raises AudioError where the recording does, which may be after some of its text.
    """
    from auricle.audio import Blocks

    if isinstance(result, AudioError):
        raise result
    if isinstance(result, Blocks):
        return _streamed(recognizer, result, share, line, how)
    if line:
        share.bar.hide()
        line.add(result.text)
        line.end(complete=True)
    return result


def _streamed(recognizer: Recognizer, blocks: Blocks, share: Share, line: Line | None, how: How) -> Transcript:
    from auricle.transcript import Transcript

    segments = []
    complete = False
    try:
        with blocks:
            for segment in recognizer.stream(blocks, **how):
                segments.append(segment)
                if line:
                    share.bar.hide()
                    line.add(segment.text)
                share.tell(segment.end, blocks.promised)
        complete = True
    finally:
        share.bar.hide()
        if line:
            line.end(complete=complete)
    return Transcript(tuple(segments), blocks.source, recognizer.bundle.name)


def _text(transcript: Transcript, format_: Format, name: str, *, among_others: bool = False) -> str:
    """Return what to write; as one line of several where the format is not one of lines."""
    from auricle import formats

    text = formats.write(transcript, format_, name=_stem(name))
    if among_others and format_ is Format.JSON:
        return json.dumps({"file": name, **json.loads(text)}, ensure_ascii=False) + "\n"
    return text
