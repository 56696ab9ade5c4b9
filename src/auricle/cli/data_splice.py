"""`auricle data splice`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auricle.cli.data import announce, data_app
from auricle.cli.terminal import Bar, Model, Threads, load_recognizer


@data_app.command()
def splice(  # noqa: PLR0917  (typer makes options of them)
    manifests: Annotated[
        list[Path], typer.Argument(metavar="M.jsonl...", help="Manifests of recordings with texts and speakers.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where recordings and train.jsonl go.")],
    times: Annotated[int, typer.Option(min=1, help="How often each word is used, cut and set anew each time.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Where it is cut, and what follows what.")] = 0,
    model: Model = None,
    threads: Threads = None,
) -> None:
    """Make recordings of pieces of others, cut between words that a model has aligned, each of one speaker.

    A small corpus is soon known by heart. What it becomes in another order is not: give the manifest to `auricle train`
    beside the whole recordings, which then may weigh less.
    """
    from auricle.corpora.splicing import splice
    from auricle.manifest import read_manifests

    with Bar("reading") as bar:
        recognizer = load_recognizer(model, threads, no_lm=True)
        collected = splice(read_manifests(manifests), recognizer, output, times=times, seed=seed, progress=bar.tell)
    announce(collected, output / "train.jsonl")
