"""`auricle data`: what its commands share, and those that look at a manifest: `check` and `stats`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from auricle.cli.app import app
from auricle.cli.terminal import (
    Address,
    Bar,
    EngineName,
    Model,
    Processes,
    Threads,
    complain,
    engine_of,
    load_recognizer,
    write_whole,
)

if TYPE_CHECKING:
    from rich.table import Table

    from auricle.batch.engine import Engine
    from auricle.corpora import Collected
    from auricle.corpora.check import Hearing, Limits
    from auricle.corpora.findings import Report
    from auricle.corpora.mismatch import Scoring
    from auricle.corpora.stats import Stats
    from auricle.recognizer import Recognizer

data_app = typer.Typer(
    no_args_is_help=True, help="Make manifests of corpora and of your own recordings, check them, look at them."
)
app.add_typer(data_app, name="data")

ManifestFile: TypeAlias = Annotated[Path, typer.Argument(metavar="M.jsonl", help="A manifest.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print everything as one JSON document.")]
_EXAMPLE = 80  # characters of an example in the table


def announce(collected: Collected, path: Path) -> None:
    """Write a manifest, print what it holds, and say on standard error what was left out."""
    from auricle.corpora import save
    from auricle.corpora.page import time

    save(collected, path)
    speakers = len({utterance.speaker for utterance in collected.utterances if utterance.speaker})
    by = f", {speakers:,} speaker{'s' if speakers > 1 else ''}" if speakers else ""
    typer.echo(f"{path}: {len(collected.utterances):,} utterances, {time(collected.seconds)}{by}")
    if collected.left_out:
        name, reason = next(iter(collected.left_out.items()))
        complain(f"{path}: {len(collected.left_out):,} left out; the first, {name}: {reason}")


@data_app.command()
def check(  # noqa: PLR0917  (typer makes options of them)
    manifest: ManifestFile,
    align: Annotated[
        bool, typer.Option("--align", help="Find texts that do not belong to their recordings, with the model. Slow.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="CLEANED.jsonl", help="Write the manifest without what is wrong."),
    ] = None,
    as_json: AsJson = False,
    examples: Annotated[int, typer.Option(min=0, metavar="N", help="Show the worst N of each kind.")] = 3,
    least_score: Annotated[
        float | None,
        typer.Option("--least-score", max=0.0, help="With --align: accuse texts that score below; default: -2.5."),
    ] = None,
    alphabet: Annotated[
        str | None,
        typer.Option(metavar="CHARACTERS", help="An alphabet that a model is to be trained with, space included."),
    ] = None,
    model: Model = None,
    threads: Threads = None,
    engine: Annotated[
        EngineName | None,
        typer.Option(help="Decode and align in processes that may die, or on a Ray cluster; default: in this one."),
    ] = None,
    address: Address = None,
    processes: Processes = None,
) -> None:
    """Decode every recording of a manifest and say what is wrong with it.

    The exit code is 1 when something is found that should not be learnt from, unless --output wrote the manifest
    without it. Recordings that are clipped are shown and kept; stated durations that are wrong are mended. With
    --engine the result is the same, and a recording that ends the process that decodes it is unreadable, not the end
    of the command; that needs the extra "ray", also without a cluster.
    """
    from auricle.corpora.check import check, cleaned, utterances_of
    from auricle.corpora.mismatch import LEAST_SCORE, align_all

    if alphabet is not None and (model or align):
        raise typer.BadParameter("a model has its alphabet: give one of them.", param_hint="--alphabet")
    spread_over = engine_of(engine, address, processes, threads)
    limits, hearing, scoring = _means(alphabet, model, threads, spread_over, align=align)
    with Bar("decoding") as bar:
        report = check(manifest, limits, hearing, progress=bar.tell)
        if scoring:
            least = LEAST_SCORE if least_score is None else least_score
            utterances = utterances_of(manifest, report)
            report = align_all(report, utterances, scoring, least_score=least, progress=bar.tell)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), ensure_ascii=False, indent=2, allow_nan=False))
    else:
        _print_report(report, examples)
    if output:
        write_whole(output, cleaned(manifest, report, output).encode(errors="backslashreplace"))
        complain(f"{output}: {report.lines - len(report.dropped):,} of {report.lines:,} utterances are in it.")
    elif not report.is_clean:
        raise typer.Exit(1)


def _means(
    alphabet: str | None, model: str | None, threads: int | None, engine: Engine | None, *, align: bool
) -> tuple[Limits, Hearing, Scoring | None]:
    """Return what the network asks, and what decodes and, if that is wanted, aligns: an engine, or this process."""
    from auricle.corpora.check import hear
    from auricle.corpora.mismatch import align_each

    if engine:
        from auricle.batch.recognising import Settings

        limits, settings = _limits(alphabet, model), Settings(model, language_model=False)
        scoring = partial(engine.check, rate=limits.features.sample_rate, settings=settings)
        return limits, engine.check, scoring if align else None
    recognizer = load_recognizer(model, threads, no_lm=True) if align else None
    return (
        _limits(alphabet, model, recognizer),
        partial(hear, threads=threads),
        partial(align_each, recognizer=recognizer) if recognizer else None,
    )


def _limits(alphabet: str | None, model: str | None, recognizer: Recognizer | None = None) -> Limits:
    """Return what the named or given network asks; without any, the embedded English model where there is one."""
    from auricle.alphabet import Alphabet
    from auricle.bundle import embedded_bundle, embedded_names, read_bundle
    from auricle.corpora.check import Limits

    if recognizer:
        return Limits.of(recognizer.bundle)
    if alphabet is not None:
        return Limits(Alphabet(tuple(alphabet)))
    if model:
        return Limits.of(read_bundle(model) if Path(model).exists() else embedded_bundle(model))
    return Limits.of(embedded_bundle()) if embedded_names() else Limits()


def _print_report(report: Report, examples: int) -> None:
    from auricle.corpora.findings import HEADINGS, Kind
    from auricle.corpora.page import time

    typer.echo(f"{report.manifest}: {report.lines:,} utterances, {time(report.seconds)} decoded")
    table = _table("found", "utterances", "cleaned", "the worst", numbers=(1,))
    for kind in Kind:
        found = report.of(kind)
        heading, fate = HEADINGS[kind]
        for index, finding in enumerate(found[: max(1, examples)]):
            example = f"{finding.id}: {finding.detail}" if examples else ""
            shown = (heading, f"{len(found):,}", fate.value) if index == 0 else ("", "", "")
            table.add_row(*shown, _short(example))
    if table.row_count:
        _show(table)
    else:
        typer.echo("nothing wrong was found")
    if report.scores:
        import numpy as np

        low, middle = np.quantile(list(report.scores.values()), (0.05, 0.5))
        typer.echo(f"{len(report.scores):,} aligned: scores of {middle:.2f} (median) and {low:.2f} (lowest 5 %)")
    for name, reason in list(report.not_aligned.items())[:1]:
        complain(f"{len(report.not_aligned):,} could not be aligned; the first, {name}: {reason}")


def _short(text: str) -> str:
    return text if len(text) <= _EXAMPLE else text[: _EXAMPLE - 1] + "…"


@data_app.command()
def stats(
    manifest: ManifestFile,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.html", help="Draw them on a page.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a manifest holds: hours, speakers, durations, characters a second and the characters themselves.

    Durations that it does not state are read from the recordings.
    """
    from auricle.corpora.collected import timed
    from auricle.corpora.page import page
    from auricle.corpora.stats import stats
    from auricle.manifest import read_manifest

    if output and output.suffix != ".html":
        raise typer.BadParameter(f"{output} does not end in .html.", param_hint="--output")
    utterances = read_manifest(manifest)
    if any(utterance.duration is None for utterance in utterances):
        with Bar("reading durations") as bar:
            utterances = list(timed(utterances, where=str(manifest), progress=bar.tell).utterances)
    found = stats(utterances)
    if output:
        write_whole(output, page(found, manifest.name))
    if as_json:
        typer.echo(json.dumps(found.to_dict(), ensure_ascii=False, indent=2, allow_nan=False))
    else:
        _print_stats(found, manifest)


def _print_stats(found: Stats, manifest: Path) -> None:
    from auricle.corpora.page import time
    from auricle.corpora.stats import QUANTILES

    typer.echo(f"{manifest}: {found.utterances:,} utterances, {time(found.seconds)}")
    table = _table("", *QUANTILES, numbers=range(1, len(QUANTILES) + 1))
    speakers = {"seconds a speaker": found.speaker_spread} if found.speakers else {}
    for name, spread in {"seconds": found.durations, "characters a second": found.rates, **speakers}.items():
        if spread.values:
            table.add_row(name, *(f"{value:.1f}" for value in spread.quantiles().values()))
    _show(table)
    sexes = ", ".join(f"{name} {time(seconds)}" for name, seconds in found.sexes.items())
    typer.echo(f"speakers    {len(found.speakers):,} ({sexes})")
    typer.echo(f"words       {found.words:,}, {found.distinct_words:,} different; {found.without_text:,} without text")
    characters = "".join(sorted(character for character in found.characters if not character.isspace()))
    typer.echo(f"characters  {characters}")


def _table(*columns: str, numbers: tuple[int, ...] | range) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index in numbers else "left", overflow="fold")
    return table


def _show(table: Table) -> None:
    """Print a table: as wide as the terminal, or as it needs to be where there is none to be too narrow."""
    from rich.console import Console

    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = 160
    console.print(table)
