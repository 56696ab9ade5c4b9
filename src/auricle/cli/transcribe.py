"""`auricle transcribe`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from auricle.cli.app import app
from auricle.cli.terminal import Bar, Model, Threads, complain, load_recognizer, naming, write_whole
from auricle.errors import AudioError

if TYPE_CHECKING:
    from auricle.audio import Waveform
    from auricle.recognizer import Recognizer
    from auricle.transcript import Transcript

    Outcome: TypeAlias = tuple[str, Transcript | AudioError]

_STDIN = "-"
_GROUP_SECONDS = 60.0  # short clips are recognised together, which takes half the time
_GROUP_CLIPS = 16
_LONG_SECONDS = 300.0  # from here on progress within a recording is worth what it costs


class Format(StrEnum):
    """The names of `auricle.formats.FORMATS`, which is not imported for --help."""

    TXT = "txt"
    JSON = "json"
    SRT = "srt"
    VTT = "vtt"
    TSV = "tsv"


@app.command()
def transcribe(
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
) -> None:
    """Write down what is said in recordings, of any length and in nearly any format.

    Text goes to standard output: a line for each recording, with "FILE: " before it when there are several. With
    several recordings, json is one document a line with a field "file" (JSON Lines); srt, vtt and tsv then need
    --output-dir.

    A recording that cannot be read is reported on standard error, the others are done, and the exit code is 1.
    """
    paths = _output_paths(files, format_, output_dir)
    recognizer = load_recognizer(model, threads)
    failed = False
    with Bar("loading") as bar:
        for name, result in _outcomes(recognizer, files, bar):
            bar.hide()
            if isinstance(result, AudioError):
                failed = True
                complain(str(result))
            elif paths:
                write_whole(paths[name], _text(result, format_))
            else:
                typer.echo(_text(result, format_, name if len(files) > 1 else None), nl=False)
    if failed:
        raise typer.Exit(1)


def _output_paths(files: Sequence[str], format_: Format, folder: Path | None) -> dict[str, Path]:
    """Return where each result goes, nothing if that is standard output. Raises BadParameter for what cannot work."""
    if files.count(_STDIN) > 1:
        raise typer.BadParameter("standard input (-) can be read only once.")
    if folder is None:
        if len(files) > 1 and format_ not in {Format.TXT, Format.JSON}:
            raise typer.BadParameter(f"{format_} of several recordings needs --output-dir.")
        return {}
    if folder.exists() and not folder.is_dir():
        raise typer.BadParameter(f"{folder} is not a directory: name another --output-dir.")
    paths = {name: folder / f"{'stdin' if name == _STDIN else Path(name).stem}.{format_}" for name in files}
    path, times = Counter(paths[name] for name in files).most_common(1)[0]
    if times > 1:
        raise typer.BadParameter(f"{times} of the recordings would be written to {path}: give them different names.")
    inputs = {Path(name).resolve() for name in files}
    if over := [path for path in paths.values() if path.resolve() in inputs]:
        raise typer.BadParameter(
            f"{over[0]} would be overwritten, and is one of the recordings: use another directory."
        )
    return paths


def _outcomes(recognizer: Recognizer, files: Sequence[str], bar: Bar) -> Iterator[Outcome]:
    """Yield each name with its transcript, or with why there is none, in the order given."""
    group: list[tuple[str, Waveform | AudioError]] = []
    seconds = 0.0
    for index, name in enumerate(files):
        bar.tell(index / len(files), name)
        clip = _read(recognizer, name)
        group.append((name, clip))
        seconds += 0.0 if isinstance(clip, AudioError) else clip.duration
        if seconds < _GROUP_SECONDS and len(group) < _GROUP_CLIPS:
            continue
        if isinstance(clip, AudioError) or clip.duration < _LONG_SECONDS:
            yield from _together(recognizer, group)
        else:
            yield from _together(recognizer, group[:-1])
            yield name, _alone(recognizer, clip, bar, index / len(files), 1 / len(files))
        group, seconds = [], 0.0
    yield from _together(recognizer, group)


def _read(recognizer: Recognizer, name: str) -> Waveform | AudioError:
    shown = "standard input" if name == _STDIN else name
    try:
        if name != _STDIN:
            return recognizer.read(name)
        if sys.stdin is None:
            raise AudioError("it is closed: pipe a recording into it.")
        return recognizer.read(sys.stdin.buffer)
    except AudioError as error:
        return AudioError(naming(shown, error))


def _together(recognizer: Recognizer, group: Sequence[tuple[str, Waveform | AudioError]]) -> Iterator[Outcome]:
    transcripts = recognizer.transcribe_many(clip for _, clip in group if not isinstance(clip, AudioError))
    for name, clip in group:
        yield name, clip if isinstance(clip, AudioError) else next(transcripts)


def _alone(recognizer: Recognizer, clip: Waveform, bar: Bar, done: float, share: float) -> Transcript:
    from auricle.transcript import Transcript

    segments = []
    for segment in recognizer.stream(clip):
        segments.append(segment)
        bar.tell(done + share * segment.end / clip.duration)
    return Transcript(tuple(segments), clip.source, recognizer.bundle.name)


def _text(transcript: Transcript, format_: Format, name: str | None = None) -> str:
    """Return what to write; with a `name`, on the one line that a result among others has."""
    from auricle import formats

    text = formats.write(transcript, format_)
    if name is None:
        return text
    if format_ is Format.JSON:
        return json.dumps({"file": name, **json.loads(text)}, ensure_ascii=False) + "\n"
    return f"{name}: {text}"
