"""`auricle inspect`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from auricle.cli.app import app
from auricle.cli.terminal import Model, Threads, complain, load_recognizer, write_whole


@app.command()
def inspect(
    clip: Annotated[str, typer.Argument(metavar="CLIP", help="A recording; - is standard input.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE.html|FILE.png", help="Where to draw; default: NAME.html in this directory."
        ),
    ] = None,
    start: Annotated[float, typer.Option(min=0.0, metavar="SECONDS", help="Where in the recording to begin.")] = 0.0,
    model: Model = None,
    threads: Threads = None,
) -> None:
    """Draw what the network heard: waveform, log-mel features, its probabilities over time, and the words.

    A page (html) needs nothing but a browser, and tells the likeliest characters of the frame under the pointer; a png
    needs matplotlib. Up to 25 seconds are drawn, the longest stretch that the network sees at once.
    """
    target = output or Path("stdin.html" if clip == "-" else f"{Path(clip).stem}.html")
    if target.suffix not in {".html", ".png"}:
        raise typer.BadParameter(f"{target} ends neither in .html nor in .png.", param_hint="--output")
    from auricle.inspection import look, page
    from auricle.inspection.picture import picture

    recognizer = load_recognizer(model, threads)
    name = "standard input" if clip == "-" else Path(clip).name
    waveform = recognizer.read(sys.stdin.buffer if clip == "-" else clip)
    view = look(recognizer, waveform, name=name, start=start)
    write_whole(target, page(view) if target.suffix == ".html" else picture(view))
    if view.is_part:
        complain(f"{clip}: {view.start:.2f} to {view.end:.2f} s of {waveform.duration:.2f} s are drawn (see --start).")
    typer.echo(target)
