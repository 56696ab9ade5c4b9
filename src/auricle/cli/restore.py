"""`auricle restore`: capitals, punctuation and numbers for plain words: make a restorer, measure it, use it."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from auricle.cli.app import app
from auricle.cli.terminal import Bar, Numbers, exit_if_stopped, expect_writable, write_whole
from auricle.errors import MissingExtraError, RestorationError

if TYPE_CHECKING:
    from auricle.language.printed import Printed
    from auricle.training.restoration.corpus import Chosen
    from auricle.training.restoration.recipe import RestorerRecipe

restore_app = typer.Typer(no_args_is_help=True, help="Capitals, punctuation and numbers for plain words.")
app.add_typer(restore_app, name="restore")

Texts: TypeAlias = Annotated[
    list[Path],
    typer.Argument(metavar="TEXT...", help="Printed text in UTF-8, a paragraph a line (.txt, .xz, .gz), book by book."),
]
Exclude: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="Texts: paragraphs that share 8 words in a row with them are left out. May be given several times.",
    ),
]
ExcludeHashes: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The same, as a file of 64-bit BLAKE2b hashes of 8 words in a row."),
]
Restorer: TypeAlias = Annotated[
    Path | None, typer.Option("--restorer", metavar="FILE", help="A restorer; default: the embedded English one.")
]
_VERSION = "1"
_MEASURED_WORDS = 20_000  # of the training text, on which it is measured how large the network's values become


@restore_app.command()
def train(  # noqa: PLR0917  (typer makes options of them)
    texts: Texts,
    output: Annotated[Path, typer.Option(metavar="NEW.restorer", help="The restorer to write.")],
    recipe: Annotated[Path, typer.Option(metavar="RECIPE.toml", help="Sizes of the network and of the run.")] = Path(
        "recipes/restorer.toml"
    ),
    exclude: Exclude = None,
    exclude_hashes: ExcludeHashes = None,
    held_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A text whose dev part is used instead, while all of TEXT is trained on: where TEXT is known to have "
            "no author of FILE's held-out parts.",
        ),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(
            metavar="OLD.restorer",
            help="Begin from a restorer (english: the embedded one) of the recipe's sizes, to which the recipe may add "
            "dilations at the end. What it knows of how words are written stays.",
        ),
    ] = None,
    max_time: Annotated[
        float | None, typer.Option(metavar="MINUTES", min=0.01, help="Processor time that the run ends within.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Cores to use.")] = 1,
) -> None:
    """Train a restorer of capitals and punctuation on printed text.

    Blocks of 500 paragraphs are held out for dev and test, the same ones each time; dev chooses how ready the restorer
    is with each mark, test is for `auricle restore evaluate`.
    """
    try:
        import torch

        from auricle.training.restoration import corpus, export, loop
        from auricle.training.restoration.initial import started_from
        from auricle.training.restoration.measure import evaluate, tune_biases
        from auricle.training.restoration.recipe import read_restorer_recipe
    except ModuleNotFoundError as error:
        raise MissingExtraError("training", "train") from error
    from auricle.restoration.model import find_restorer, to_bytes
    from auricle.restoration.neural import NeuralRestorer

    expect_writable(output)
    chosen_recipe = read_restorer_recipe(recipe)
    torch.set_num_threads(threads)
    before = find_restorer(None if str(init) == "english" else init) if init else None
    network = started_from(before, chosen_recipe) if before else None
    with Bar("reading") as bar:
        chosen = _read(texts, exclude, exclude_hashes, held_out, bar)
        stored = corpus.find_lexicon(chosen.train)
        kinds = corpus.find_kinds(chosen.train) if chosen_recipe.kinds else {}
        if before:
            stored, kinds = {**stored, **before.stored}, {**kinds, **before.kinds}
        text = corpus.tag(chosen.train, stored)
        card = _card(chosen_recipe, chosen, texts, held_out)
        dev = chosen.dev
        del chosen  # the words of a library as they were printed are no longer needed
        network, end = loop.fit(
            text,
            chosen_recipe,
            kinds=kinds,
            network=network,
            max_minutes=max_time,
            tell=lambda progress: bar.tell(progress.share, f"step {progress.step}, loss {progress.loss:.3f}"),
        )
    card = {**card, "words_read": end.words, "steps": end.step}
    if before:
        kept = {key: before.card[key] for key in ("data", "words_read", "began_from") if key in before.card}
        card["began_from"] = {"created": before.created, **kept}
    created = datetime.now(UTC).isoformat(timespec="seconds")
    model = export.to_model(
        network,
        chosen_recipe,
        name=output.stem,
        version=_VERSION,
        created=created,
        stored=stored,
        card=card,
        kinds=kinds,
        words=[text.words[number] for number in text.ids[:_MEASURED_WORDS].tolist()],
    )
    if before:  # where there is no dev to choose them by
        model = replace(model, biases=before.biases)
    if dev:
        biases = tune_biases(NeuralRestorer(model), dev)
        measured = evaluate(dev, NeuralRestorer(replace(model, biases=biases)))
        scores = {mark: round(one.value, 4) for mark, one in (*measured.marks.items(), ("capitals", measured.capitals))}
        model = replace(model, biases=biases, card={**card, "dev_f1": scores})
    content = to_bytes(model)
    write_whole(output, content)
    typer.echo(
        f"{'trained on':<12}{len(text.ids):,} words, {end.words:,} read in {end.step:,} steps, loss {end.loss:.3f}"
    )
    unusable, excluded = card["unusable"], card["excluded"]
    typer.echo(f"{'left out':<12}{unusable:,} paragraphs with digits or in capitals, {excluded:,} excluded")
    if dev:
        typer.echo(f"{'dev F1':<12}" + ", ".join(f"{mark} {value:.3f}" for mark, value in scores.items()))
    typer.echo(
        f"{output}: {len(content) / 1e6:.2f} MB, {network.parameter_count:,} weights, {len(stored):,} stored forms"
    )
    exit_if_stopped(end)


@restore_app.command()
def evaluate(  # noqa: PLR0917  (typer makes options of them)
    texts: Texts,
    restorer: Restorer = None,
    part: Annotated[str, typer.Option(help="Part of the text: test, dev, train, or all of it.")] = "test",
    exclude: Exclude = None,
    exclude_hashes: ExcludeHashes = None,
    running: Annotated[
        bool, typer.Option("--running", help="Restore all paragraphs as one text that does not show where they end.")
    ] = False,
    pauses: Annotated[
        bool, typer.Option("--pauses", help="Give it pauses drawn to suit the printed marks, as in training.")
    ] = False,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Measure a baseline: end (one sentence), or bigrams (counted on train)."),
    ] = None,
) -> None:
    """Say how well capitals and marks of printed text are restored: F1 with 95 % intervals, and a confusion table."""
    from auricle.restoration.scores import to_table
    from auricle.training.restoration import corpus, measure

    if part not in {"train", "dev", "test", "all"}:
        raise typer.BadParameter(f"{part!r} is none of train, dev, test and all.", param_hint="--part")
    if baseline not in {None, "end", "bigrams"}:
        raise typer.BadParameter(f"{baseline!r} is neither end nor bigrams.", param_hint="--baseline")
    wanted = {"all": ("train", "dev", "test", "")}.get(part, (part,)) + (("train",) if baseline == "bigrams" else ())
    with Bar("reading") as bar:
        chosen = corpus.choose(
            texts, exclude=exclude or [], exclude_hashes=exclude_hashes, wanted=wanted, tell=bar.tell
        )
    paragraphs: list[Printed] = chosen.all if part == "all" else getattr(chosen, part)
    if not paragraphs:
        raise RestorationError(f"no paragraph of these texts is in {part}: give longer ones, or --part all.")
    used = _restorer(restorer, baseline, chosen)
    measured = measure.evaluate(paragraphs, used, running=running, pauses=pauses)
    typer.echo(f"{measured.paragraphs:,} paragraphs, {measured.words:,} words")
    typer.echo("\n".join(to_table(measured)))


@restore_app.command()
def text(
    restorer: Restorer = None,
    numbers: Numbers = True,
) -> None:
    """Make plain words readable: from standard input to standard output, each line a text of its own."""
    from auricle.restoration import NeuralRestorer, find_restorer, readable_text

    used = NeuralRestorer(find_restorer(restorer))
    for line in sys.stdin:
        typer.echo(readable_text(line.lower().split(), used, numbers=numbers))


def _read(
    texts: list[Path], exclude: list[Path] | None, exclude_hashes: Path | None, held_out: Path | None, bar: Bar
) -> Chosen:
    """Read what is trained on, and dev: the texts' own, or that of `held_out`."""
    from auricle.training.restoration import corpus

    chosen = corpus.choose(
        texts,
        exclude=exclude or [],
        exclude_hashes=exclude_hashes,
        wanted=("train", "dev"),
        whole=held_out is not None,
        tell=bar.tell,
    )
    return chosen if held_out is None else replace(chosen, dev=corpus.choose([held_out], wanted=("dev",)).dev)


def _restorer(path: Path | None, baseline: str | None, chosen: Chosen) -> Any:
    from auricle.restoration import NeuralRestorer, find_restorer
    from auricle.training.restoration.measure import Bigrams, FullStopAtTheEnd

    if baseline == "end":
        return FullStopAtTheEnd()
    return Bigrams(chosen.train) if baseline else NeuralRestorer(find_restorer(path))


def _card(recipe: RestorerRecipe, chosen: Chosen, texts: list[Path], held_out: Path | None) -> dict[str, Any]:
    from auricle.language.printed import BLOCK, MARGIN

    return {
        "data": f"{len(chosen.train):,} printed paragraphs of {', '.join(path.name for path in texts)}",
        "held_out": f"dev {len(chosen.dev):,} paragraphs and the test part, of {held_out.name}"
        if held_out
        else f"blocks of {BLOCK} paragraphs chosen by hash, {MARGIN} on either side unused: dev "
        f"{len(chosen.dev):,}; texts name no authors, so one may be on both sides",
        "excluded": chosen.excluded,
        "unusable": chosen.unusable,
        "licences": "the text's own: see where it comes from",
        "recipe": recipe.to_dict(),
        "pauses": "drawn at random to suit the marks, not measured on speech",
        "known_failures": "quotation marks, brackets and apostrophes at words' ends are never written; names that are "
        "words too; modern names; exclamation marks, colons, semicolons and dashes are a matter of taste",
    }
