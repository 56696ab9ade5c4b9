"""`auricle train`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from auricle.cli.app import app
from auricle.cli.terminal import Bar
from auricle.errors import MissingExtraError
from auricle.manifest import read_manifest, read_manifests


@app.command()
def train(  # noqa: PLR0917  (typer makes options of them)
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="What to train and how; see recipes/.")],
    train: Annotated[
        list[Path], typer.Option("--train", metavar="M.jsonl", help="Manifest to learn from; may be given again.")
    ],
    weight: Annotated[
        list[float] | None,
        typer.Option(
            min=0.0,
            metavar="W",
            help="How often the clips of a --train manifest are seen in an epoch, such as 2 or 0.5: one for each "
            "manifest, in their order; default: 1.",
        ),
    ] = None,
    dev: Annotated[
        list[Path] | None, typer.Option("--dev", metavar="M.jsonl", help="Manifest to score by; may be given again.")
    ] = None,
    noise: Annotated[
        list[Path] | None,
        typer.Option("--noise", metavar="M.jsonl", help="Manifest of noise for recipes that mix some in."),
    ] = None,
    pronunciations: Annotated[
        Path | None,
        typer.Option(
            metavar="WORDS.dict", help="How words are said, for recipes with phones; `auricle lm pronounce` writes it."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run; default: the recipe's.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder that runs are kept in.")] = Path("runs"),
    cache: Annotated[Path, typer.Option(help="Folder that computed features are kept in.")] = Path(".cache/features"),
    processes: Annotated[int, typer.Option(min=1, help="Processes; on a CPU, one for each core is quickest.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines; start the command on each with torchrun.")] = 1,
    precision: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        typer.Option(help="Type of the products; auto takes bfloat16 where the processor has instructions for it."),
    ] = "auto",
    max_time: Annotated[
        float | None, typer.Option(metavar="HOURS", min=0.0, help="End the whole run, and its schedule, by then.")
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Begin from this model (a bundle, or english) instead of from chance."),
    ] = None,
    checkpoint_minutes: Annotated[float, typer.Option(min=0.0, help="Time from one checkpoint to the next.")] = 5.0,
) -> None:
    """Train a recogniser.

    RUNS/NAME gets last.ckpt, best.auricle (the bundle with the lowest word error rate on dev so far) and epochs.jsonl.
    SIGTERM and Ctrl-C end it after a last checkpoint. A run that was stopped, by whatever, goes on from its last
    checkpoint when the same command is given again.
    """
    try:
        from auricle.training import keeper, loop
        from auricle.training.recipe import read_recipe
    except ModuleNotFoundError as error:
        raise MissingExtraError("training", "train") from error

    from auricle.bundle import find_bundle  # it imports NumPy, which --help must not wait for
    from auricle.language.pronunciations import read_pronunciations

    chosen = read_recipe(recipe)
    start = find_bundle(init) if init else None
    if chosen.phones and not pronunciations:
        raise typer.BadParameter(
            f"{recipe} has phones, so say how words are said: make a dictionary with `auricle lm pronounce`.",
            param_hint="--pronunciations",
        )
    if weight and len(weight) != len(train):
        raise typer.BadParameter(f"{len(weight)} for {len(train)} manifests: give one for each.", param_hint="--weight")
    utterances, dev_utterances = read_manifests(train), read_manifests(dev or [])
    weights = {
        utterance.id: times
        for path, times in zip(train, weight or [], strict=bool(weight))
        for utterance in read_manifest(path)
    }
    # Lightning starts the other processes by running this command again; one voice is enough.
    is_first = keeper.is_first()
    with Bar("features") as bar:
        done = 0

        def advance(clips: int) -> None:
            nonlocal done
            done += clips
            bar.tell(done / len(utterances))

        workers = os.cpu_count() or 1
        corpus, left_out = loop.prepare(
            chosen,
            utterances,
            dev_utterances,
            cache,
            noise=read_manifests(noise or []),
            weights=weights,
            pronunciations=read_pronunciations(pronunciations) if pronunciations else {},
            workers=workers,
            progress=advance,
        )
    if is_first:
        typer.echo(f"{len(corpus.examples)} clips to learn from, {len(corpus.dev)} to be judged by", err=True)
    if is_first and left_out:
        clip, reason = next(iter(left_out.items()))
        typer.echo(f"{len(left_out)} clips left out; the first, {clip}: {reason}", err=True)
    folder = runs / (name or chosen.name)
    loop.train(
        chosen,
        corpus,
        folder,
        machine=loop.Machine.here(processes, nodes, precision),
        max_hours=max_time,
        checkpoint_minutes=checkpoint_minutes,
        # The last two parts of a path say which manifest it was, and nothing of the machine.
        card={
            **({"train_weights": weight} if weight else {}),
            "train": ["/".join(path.parts[-2:]) for path in train],
            "train_clips": len(corpus.examples),
            **({"pronunciations": pronunciations.name} if pronunciations else {}),
        },
        start=start,
    )
    if is_first:
        typer.echo(f"done: {folder / (keeper.BEST if dev_utterances else keeper.LAST)}", err=True)
