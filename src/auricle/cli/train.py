"""`auricle train` and `auricle export`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from auricle.cli.app import app
from auricle.errors import MissingExtraError
from auricle.manifest import read_manifests


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe (TOML); recipes/ has some.", show_default=False)],
    train: Annotated[list[Path], typer.Option("--train", help="Manifest to learn from (JSONL); may be given again.")],
    dev: Annotated[list[Path] | None, typer.Option("--dev", help="Manifest to score after each epoch.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run; default: the recipe's.")] = None,
    runs: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("runs"),
    cache: Annotated[Path, typer.Option(help="Where computed features are kept.")] = Path(".cache/features"),
    processes: Annotated[int, typer.Option(min=1, help="Processes; on a CPU one for each core.")] = 1,
    max_time: Annotated[
        float | None, typer.Option(min=0.0, help="Hours that the whole run may take; the schedule ends with them.")
    ] = None,
    checkpoint_minutes: Annotated[float, typer.Option(min=0.0, help="Time between checkpoints.")] = 5.0,
) -> None:
    """Train a recogniser. A run that was stopped goes on from its last checkpoint when the command is given again."""
    try:
        from auricle.training import loop
        from auricle.training.recipe import read_recipe
    except ModuleNotFoundError as error:
        raise MissingExtraError("training", "train") from error

    chosen = read_recipe(recipe)
    utterances, dev_utterances = read_manifests(train), read_manifests(dev or [])
    is_first = "LOCAL_RANK" not in os.environ
    if is_first:
        typer.echo(f"{len(utterances)} clips to learn from, {len(dev_utterances)} to be judged by", err=True)
    corpus, left_out = loop.prepare(chosen, utterances, dev_utterances, cache, workers=os.cpu_count() or 1)
    if is_first and left_out:
        clip, reason = next(iter(left_out.items()))
        typer.echo(f"{len(left_out)} clips left out; the first, {clip}: {reason}", err=True)
    folder = runs / (name or chosen.name)
    card = {"train": [str(path) for path in train], "train_clips": len(corpus.examples)}
    loop.train(
        chosen,
        corpus,
        folder,
        processes=processes,
        max_hours=max_time,
        checkpoint_minutes=checkpoint_minutes,
        card=card,
    )
    if is_first:
        typer.echo(f"done: {folder}", err=True)
