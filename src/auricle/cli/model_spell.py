"""`auricle model spell`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from auricle.cli.lm import TEXTS, Exclude, ExcludeHashes, Spell, TextWeights
from auricle.cli.lm_train import shares_of
from auricle.cli.model import model_app
from auricle.cli.terminal import Bar, exit_if_stopped, expect_bundle_name, save_new_model
from auricle.errors import BundleError, LanguageModelError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Container

    from auricle.training.phones import PhoneSpeller
    from auricle.training.recipe import Recipe
    from auricle.training.spelling.texts import Sentences

SomeTexts: TypeAlias = Annotated[list[Path] | None, TEXTS]


@model_app.command()
def spell(  # noqa: PLR0917  (typer makes options of them)
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A bundle that knows phones, or a built-in model.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="NEW.auricle", help="The bundle to write.")],
    texts: SomeTexts = None,
    train: Annotated[
        list[Path] | None,
        typer.Option(metavar="M.jsonl", help="Manifest of what the model has learnt from; may be given again."),
    ] = None,
    pronunciations: Annotated[
        Path | None, typer.Option(metavar="WORDS.dict", help="How words are said; `auricle lm pronounce` writes it.")
    ] = None,
    recipe: Annotated[Path, typer.Option(metavar="RECIPE.toml", help="Sizes of the speller and of the run.")] = Path(
        "recipes/speller.toml"
    ),
    noise: Annotated[
        list[Path] | None, typer.Option(metavar="M.jsonl", help="Noise for models that were trained with some.")
    ] = None,
    weights: TextWeights = None,
    exclude: Exclude = None,
    exclude_hashes: ExcludeHashes = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="BUNDLE",
            help="Begin with this model's speller instead of from chance; without TEXT, take it as it is.",
        ),
    ] = None,
    cache: Annotated[Path, typer.Option(help="Folder that computed features are kept in.")] = Path(".cache/features"),
    max_time: Annotated[
        float | None,
        typer.Option(
            metavar="MINUTES", min=0.01, help="Wall clock that training takes at most; the texts are read first."
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Cores to use.")] = 1,
    abbreviations: Spell = True,
) -> None:
    """Teach a model that knows phones to spell, from text.

    Where no language model is asked, its letters are then what a small network makes of its phones, which learns from
    TEXT, as it would sound, and from recordings. All else stays as it is. Without TEXT, the speller of another model
    (--init) is put behind this one.
    """
    from auricle.bundle import find_bundle

    try:
        import torch

        from auricle.training.initial import recipe_of, started_from
        from auricle.training.loop import keep_freed_memory
        from auricle.training.phones import PhoneSpeller
        from auricle.training.spelling.export import speller_of, spelling, taken_over
        from auricle.training.spelling.loop import fit
        from auricle.training.spelling.recipe import read_spelling_recipe
        from auricle.training.spelling.sound import Sounds, recordings_of
    except ModuleNotFoundError as error:
        raise MissingExtraError("training", "train") from error
    from auricle.language.pronunciations import read_pronunciations
    from auricle.manifest import read_manifests

    expect_bundle_name(output)
    bundle = find_bundle(model)
    if not bundle.phones:
        raise BundleError(f"{bundle.name}: the model knows no phones, and phones are what letters are made of.")
    if not texts:
        if not init:
            raise typer.BadParameter("give one to learn from, or --init to take a speller as it is.", param_hint="TEXT")
        save_new_model(taken_over(bundle, find_bundle(init)), output)
        typer.echo(f"{output}: spells as {init} does, {output.stat().st_size / 1e6:.2f} MB")
        return
    if not (train and pronunciations):
        raise typer.BadParameter("are needed to learn from TEXT.", param_hint="--train and --pronunciations")
    shares = shares_of(weights, len(texts))
    own = read_spelling_recipe(recipe)
    begin = speller_of(find_bundle(init)) if init else None
    torch.set_num_threads(threads)
    keep_freed_memory()
    base = recipe_of(bundle)
    module = started_from(bundle, base)
    said = read_pronunciations(pronunciations)
    utterances, noises = read_manifests(train), read_manifests(noise or [])
    with Bar("hearing") as bar:
        recordings = recordings_of(module, utterances, noises, said, own.recorded_hours, cache, tell=bar.tell)
    sounds = Sounds(recordings)
    sentences = _sentences(
        texts, base, PhoneSpeller(said, base.phones), sounds.phones, own.longest, exclude, exclude_hashes, abbreviations
    )
    with Bar("training") as bar:
        speller, end = fit(
            base,
            own,
            recordings,
            sounds,
            sentences,
            shares,
            init=begin,
            max_minutes=max_time,
            tell=lambda now: bar.tell(now.share, f"{now.words / 1e6:.1f} million words, {now.loss:.3f} nats a letter"),
        )
    started = {"started_from": Path(init).name} if init else {}
    facts = {**own.to_dict(), **started, "recordings": len(recordings), "words_read": end.words, "steps": end.step}
    spelt = spelling(bundle, speller, facts)
    save_new_model(spelt, output)
    typer.echo(f"{'heard':<12}{len(recordings):,} recordings")
    typer.echo(f"{'read':<12}{end.words:,} words in {end.step:,} steps, {end.loss:.3f} nats a letter at last")
    typer.echo(f"{output}: {spelt.card['speller']['parameters']:,} weights more, {output.stat().st_size / 1e6:.2f} MB")
    exit_if_stopped(end)


def _sentences(  # noqa: PLR0917
    texts: list[Path],
    recipe: Recipe,
    speller: PhoneSpeller,
    known: Container[int],
    longest: int,
    exclude: list[Path] | None,
    exclude_hashes: Path | None,
    abbreviations: bool,
) -> list[Sentences]:
    """Read the texts, without what is excluded. Raises LanguageModelError for one of which nothing is left."""
    from auricle.alphabet import Alphabet
    from auricle.language.prepare import prepare
    from auricle.training.spelling.texts import Sentences

    alphabet = Alphabet(tuple(recipe.alphabet))
    with Bar("reading") as bar:
        done = iter(range(len(texts)))
        prepared = prepare(
            texts,
            alphabet,
            exclude=exclude or [],
            exclude_hashes=exclude_hashes,
            spell=abbreviations,
            tell=lambda path: bar.tell(next(done) / (len(texts) + 1), path.name),
        )
        found = [
            Sentences(prepared.corpus.select(prepared.texts == number), alphabet, speller, known, longest)
            for number in range(len(texts))
        ]
    for path, one in zip(texts, found, strict=True):
        if not len(one):
            raise LanguageModelError(f"{path}: nothing is left of it to learn from: leave it out.")
    typer.echo(f"{'left out':<12}{prepared.duplicates:,} duplicates, {prepared.excluded:,} excluded")
    typer.echo(f"{'kept':<12}{sum(map(len, found)):,} sentences all of whose words can be said")
    return found
