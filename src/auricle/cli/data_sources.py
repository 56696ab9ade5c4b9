"""`auricle data librispeech`, `commonvoice`, `folder`, `lhotse`, `huggingface`: corpora become manifests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from auricle.cli.data import announce, data_app
from auricle.cli.terminal import Bar, complain
from auricle.errors import CorpusError

Splits: TypeAlias = Annotated[
    list[str] | None, typer.Option("--split", metavar="NAME", help="Only this split; may be given again.")
]


@data_app.command()
def librispeech(
    *,
    subsets: Annotated[
        list[str],
        typer.Option(
            "--subset",
            metavar="NAME",
            help="mini (5 hours, and a dev set), dev-clean, train-clean-100, train-960, ...; may be given again.",
        ),
    ],
    root: Annotated[Path, typer.Option(metavar="DIR", help="The folder for archives, recordings and manifests.")],
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="A mirror, in place of https://www.openslr.org/resources.")
    ] = None,
    md5: Annotated[
        list[str] | None,
        typer.Option(metavar="[PART=]SUM", help="Believe this MD5 sum, not the published one; may be given again."),
    ] = None,
) -> None:
    """Download LibriSpeech from OpenSLR, unpack it and write a manifest for each of its parts.

    What is there already is used: an unpacked folder, an archive, half an archive, which is gone on with. Archives are
    kept; they are not needed any more once this is done.
    """
    from auricle.corpora.librispeech import OPENSLR, collect, fetch, find, parts_of

    parts = parts_of(subsets)
    sums = _sums(md5 or [], [part.name for part in parts])
    for part in parts:
        with Bar(part.name) as bar:
            if not find(part, root):
                typer.echo(f"{part.name}: from {url or OPENSLR} to {root}", err=True)
            folder = fetch(part, root, url=url or OPENSLR, md5=sums.get(part.name), progress=bar.tell)
            collected = collect(folder, progress=bar.tell)
        announce(collected, root / f"{part.name}.jsonl")
        if len(collected.utterances) != part.utterances:
            complain(
                f"{folder} has {len(collected.utterances):,} utterances, and OpenSLR's has {part.utterances:,}: "
                "remove the folder to unpack it again, unless that is meant."
            )


def _sums(given: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Return the sums by part: "PART=SUM", or only "SUM" where there is one part."""
    sums: dict[str, str] = {}
    for one in given:
        name, _, value = one.rpartition("=")
        if not name and len(names) == 1:
            name = names[0]
        if name not in names:
            raise typer.BadParameter(f"{one!r}: say of which part, as {names[0]}=SUM.", param_hint="--md5")
        sums[name] = value
    return sums


@data_app.command()
def commonvoice(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="One language's folder, with clips/ and train.tsv.")],
    splits: Splits = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Where the manifests go; default: that folder.")
    ] = None,
) -> None:
    """Write a manifest for each split of a Common Voice release: train, dev and test.

    Those are what people validated; validated.tsv holds them and more, and is read with --split validated. Do not train
    on it and measure on test.
    """
    from auricle.corpora.commonvoice import collect, splits_of

    for split in splits or splits_of(folder):
        with Bar(split) as bar:
            collected = collect(folder, split, progress=bar.tell)
        announce(collected, (output or folder) / f"{split}.jsonl")


@data_app.command(name="folder")
def folder_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder with the recordings.")],
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.tsv", help="A table (.tsv, .csv) with audio_filepath, text and more, not .txt files."
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="FIELD=NAME", help="What the table calls a field; may be given again."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="M.jsonl", help="The manifest; default: manifest.jsonl in that folder."),
    ] = None,
) -> None:
    """Write a manifest of your own recordings: each with a .txt of the same name beside it, or all in one table.

    A table's first line names its columns: audio_filepath (from DIR) and text, and if you have them id, offset,
    duration (seconds), speaker and sex.
    """
    from auricle.corpora.folder import collect, collect_table

    if columns and not table:
        raise typer.BadParameter("columns are a table's: give --table as well.", param_hint="--column")
    with Bar("reading") as bar:
        if table:
            collected = collect_table(folder, table, _pairs(columns or [], "--column"), progress=bar.tell)
        else:
            collected = collect(folder, progress=bar.tell)
    announce(collected, output or folder / "manifest.jsonl")


@data_app.command()
def lhotse(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A recipe; without one, all are listed.")] = None,
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="[DIR]...", help="The corpus; some recipes take two folders.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where the manifests go.")] = Path(),
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="A further argument of the recipe; may be given again."),
    ] = None,
) -> None:
    """Write manifests of a corpus that lhotse has a recipe for; needs the extra `train`."""
    from auricle.corpora import from_lhotse

    if name is None:
        typer.echo("\n".join(from_lhotse.names()))
        return
    with Bar(name) as bar:
        arguments = _pairs(options or [], "--option")
        parts = from_lhotse.collect(name, folders or [], arguments, output=output, progress=bar.tell)
    for part, collected in parts.items():
        announce(collected, output / f"{part.replace('/', '-')}.jsonl")


@data_app.command()
def huggingface(  # noqa: PLR0917  (typer makes options of them)
    name: Annotated[str, typer.Argument(metavar="NAME", help="A data set of the hub, or a folder that holds one.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where recordings and manifests go.")],
    config: Annotated[str | None, typer.Option(help="One of the set's variants, often a language.")] = None,
    splits: Splits = None,
    text_column: Annotated[str | None, typer.Option("--text-column", help="The column with what is said.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Take the first N of each split.")] = None,
) -> None:
    """Write recordings and manifests of a data set of the Hugging Face hub; needs the package `datasets`."""
    from auricle.corpora.huggingface import collect

    with Bar("loading") as bar:
        parts = collect(
            name, output, config=config, splits=splits or [], text=text_column, limit=limit, progress=bar.tell
        )
    for split, collected in parts.items():
        announce(collected, output / f"{split}.jsonl")


def _pairs(given: Sequence[str], option: str) -> dict[str, str]:
    """Return "NAME=VALUE" options as a mapping."""
    pairs = dict(one.split("=", 1) for one in given if "=" in one)
    if len(pairs) < len(given):
        raise CorpusError(f"{option} is given as NAME=VALUE, once for each name.")
    return pairs
