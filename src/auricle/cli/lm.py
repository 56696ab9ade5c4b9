"""`auricle lm`: what its commands share, and those that measure, convert and add language models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from auricle.cli.app import app
from auricle.cli.terminal import expect_bundle_name, save_bundle, write_whole
from auricle.errors import AuricleError, BundleError

if TYPE_CHECKING:
    from auricle.alphabet import Alphabet
    from auricle.decoding import Pronunciations
    from auricle.decoding.ngram import NgramModel, PerplexityReport

lm_app = typer.Typer(no_args_is_help=True, help="Build language models, measure them, put them into bundles.")
app.add_typer(lm_app, name="lm")

TEXTS = typer.Argument(
    metavar="TEXT...",
    help="Text files, a sentence or a paragraph a line (.txt, .xz, .gz), or manifests (.jsonl) for their texts.",
)
Texts: TypeAlias = Annotated[list[Path], TEXTS]
TextWeights: TypeAlias = Annotated[
    list[float] | None,
    typer.Option(
        "--weight",
        min=0.0,
        help="Part of the words that are read from each TEXT, in their order; default: as many.",
    ),
]
Exclude: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="Transcripts, a manifest or a text: sentences that share 8 words in a row with them are left out. "
        "May be given several times.",
    ),
]
ExcludeHashes: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The same, as a file of 64-bit BLAKE2b hashes of 8 words in a row. Slower."),
]
Spell: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--spell-abbreviations/--keep",
        help="Write Mr. as mister, etc. as et cetera, and no apostrophes at words' ends, as LibriSpeech does.",
    ),
]
AlphabetOf: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="BUNDLE", help="The model whose alphabet the text is written in; default: English."
    ),
]
ARPA = (".arpa", ".arpa.gz", ".arpa.xz")
_WEIGHT, _BONUS, _RECURRENT = 0.5, 1.0, 0.5  # a start; tuning on a dev set finds better ones


@lm_app.command()
def perplexity(
    lm: Annotated[Path, typer.Argument(metavar="LM", help="A language model (.npz, .arpa), or a bundle that has one.")],
    texts: Texts,
    spell: Spell = True,
    model: AlphabetOf = None,
) -> None:
    """Say how well a language model predicts texts, and how many of their words it does not know."""
    alphabet = alphabet_of(model or (str(lm) if lm.suffix == ".auricle" else None))
    loaded = language_model(lm)
    for path in texts:
        typer.echo(measured(path, perplexity_of(loaded, path, alphabet, spell)))


@lm_app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A language model: .arpa (also .gz, .xz) or .npz.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="The file to write: .npz or .arpa.")],
) -> None:
    """Turn an ARPA file of SRILM's or KenLM's into auricle's form, or back."""
    from auricle.language.arpa import write_arpa

    loaded = language_model(source)
    if target.suffix == ".arpa":
        write_arpa(loaded.trie, target)
    elif target.suffix == ".npz":
        write_whole(target, loaded.to_bytes())
    else:
        raise typer.BadParameter(f"{target} ends neither in .npz nor in .arpa.", param_hint="TARGET")
    typer.echo(f"{target}: {_counts(loaded.trie.counts)}, {target.stat().st_size / 1e6:.2f} MB")


@lm_app.command()
def add(  # noqa: PLR0917  (typer makes options of them)
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="The model to add to: a path or a built-in name.")],
    lm: Annotated[Path, typer.Argument(metavar="LM", help="The language model: .npz or .arpa.")],
    output: Annotated[Path, typer.Option(metavar="NEW.auricle", help="The bundle to write.")],
    alpha: Annotated[
        float | None, typer.Option(min=0.0, help=f"Weight of the language model; default: the bundle's, or {_WEIGHT}.")
    ] = None,
    beta: Annotated[
        float | None, typer.Option(help=f"Bonus for each word; default: the bundle's, or {_BONUS}.")
    ] = None,
    pronunciations: Annotated[
        Path | None,
        typer.Option(
            metavar="WORDS.dict", help="How its words are said, for a model with phones; see `auricle lm pronounce`."
        ),
    ] = None,
    recurrent: Annotated[
        Path | None,
        typer.Option(
            metavar="RECURRENT.npz",
            help="A second model of the same words, for the texts found; see `auricle lm train`. Or a bundle that has "
            "one, such as english.",
        ),
    ] = None,
) -> None:
    """Write a copy of a bundle with a language model in it, which replaces those that it has.

    With --pronunciations, a model that knows phones is searched by them: a word without one is then not found. Then a
    recurrent language model can be asked about the texts that are found.
    """
    from auricle.bundle import LANGUAGE_MODEL, PRONUNCIATIONS, RECURRENT, find_bundle
    from auricle.decoders import phone_settings
    from auricle.decoding.trie import SPECIALS

    expect_bundle_name(output)
    source = find_bundle(bundle)
    loaded = language_model(lm)
    unwritable = _unwritable(loaded, source.alphabet)
    if pronunciations and not source.phones:
        raise BundleError(f"{source.name}: the model knows no phones, so it has no use for pronunciations.")
    if recurrent and not pronunciations:
        raise BundleError("a recurrent language model judges what a search by phones finds: give --pronunciations too.")
    content = lm.read_bytes() if lm.suffix == ".npz" else loaded.to_bytes()
    weights = {
        "lm_weight": alpha if alpha is not None else source.decoder.get("lm_weight", _WEIGHT),
        "word_bonus": beta if beta is not None else source.decoder.get("word_bonus", _BONUS),
    }
    decoder = {**source.decoder, **weights, "kind": "beam"}
    # Those of another language model's words are of no use to this one.
    files = {name: held for name, held in source.files.items() if name not in {PRONUNCIATIONS, RECURRENT}}
    files[LANGUAGE_MODEL] = content
    said = _said(loaded, pronunciations, source.phones) if pronunciations else None
    if said:
        files[PRONUNCIATIONS] = said.to_bytes()
        if recurrent:
            files[RECURRENT] = _recurrent(loaded, recurrent)
        own = phone_settings(source)
        decoder["phones"] = {
            **own,
            "lm_weight": alpha if alpha is not None else own.get("lm_weight", weights["lm_weight"]),
            "word_bonus": beta if beta is not None else own.get("word_bonus", weights["word_bonus"]),
            **({"recurrent_weight": own.get("recurrent_weight", _RECURRENT)} if recurrent else {}),
        }
    changed = replace(source, files=files, decoder=decoder)
    save_bundle(changed, output)
    typer.echo(f"{output}: {changed.name}, {output.stat().st_size / 1e6:.2f} MB, {_counts(loaded.trie.counts)}")
    typer.echo("decoder: " + ", ".join(f"{name} {value:g}" for name, value in weights.items()))
    if unwritable:
        typer.echo(f"{unwritable:,} words have characters that the model cannot write, and will not be found")
    if said:
        spoken = len(set(said.words.tolist()))
        silent = len(loaded.words) - len(SPECIALS) - spoken
        lost = f"; {silent:,} have none, and will not be found" if silent else ""
        typer.echo(f"pronunciations: {len(said.words):,} of {spoken:,} words{lost}")


def _said(model: NgramModel, path: Path, phones: Sequence[str]) -> Pronunciations:
    """Return how a model's words are said. Raises AuricleError when the dictionary has none of them."""
    from auricle.decoding import Pronunciations
    from auricle.language.pronunciations import read_pronunciations

    said = Pronunciations.of(model.words, read_pronunciations(path), phones)
    if not len(said.words):
        raise AuricleError(f"{path}: says none of the language model's words in the model's phones.")
    return said


def _recurrent(model: NgramModel, path: Path) -> bytes:
    """Return a recurrent language model's file. Raises AuricleError when it is none, or knows other words."""
    from auricle.decoding.recurrent import recurrent_from_bytes

    content = recurrent_file(path)
    recurrent_from_bytes(content, model.vocabulary, str(path))
    return content


def recurrent_file(path: Path) -> bytes:
    """Return a recurrent language model's file, or that of a bundle. Raises AuricleError where there is none."""
    from auricle.bundle import RECURRENT, find_bundle, is_name

    if path.suffix == ".auricle" or is_name(path):
        content = find_bundle(path).files.get(RECURRENT)
        if content is None:
            raise BundleError(f"{path}: the bundle has no recurrent language model.")
        return content
    try:
        return path.read_bytes()
    except OSError as error:
        raise AuricleError(f"{path}: cannot read the recurrent language model ({error.strerror or error}).") from error


def alphabet_of(model: str | None) -> Alphabet:
    """Return the alphabet of a bundle, or English."""
    from auricle.alphabet import ENGLISH
    from auricle.bundle import find_bundle

    return find_bundle(model).alphabet if model else ENGLISH


def language_model(path: Path) -> NgramModel:
    """Read a language model: an ARPA file, auricle's own form, or that of a bundle, which may be built in."""
    from auricle.bundle import LANGUAGE_MODEL, find_bundle, is_name
    from auricle.decoding.ngram import NgramModel
    from auricle.language.arpa import read_arpa

    if path.name.endswith(ARPA):
        return NgramModel(read_arpa(path))
    if path.suffix == ".auricle" or is_name(path):
        content = find_bundle(path).files.get(LANGUAGE_MODEL)
        if content is None:
            raise BundleError(f"{path}: the bundle has no language model: add one with `auricle lm add`.")
        return NgramModel.from_bytes(content, f"{path}: {LANGUAGE_MODEL}")
    try:
        return NgramModel.from_bytes(path.read_bytes(), str(path))
    except OSError as error:
        raise AuricleError(f"{path}: cannot read the language model ({error.strerror or error}).") from error


def _unwritable(model: NgramModel, alphabet: Alphabet) -> int:
    """Return how many words the alphabet cannot write. Raises BundleError when that is most of them."""
    from auricle.decoding.trie import SPECIALS

    own = model.words[len(SPECIALS) :]
    characters = set(alphabet.characters)
    count = sum(not characters.issuperset(word) for word in own)
    if 2 * count > len(own):
        raise BundleError(
            f"the model cannot write {count:,} of the language model's {len(own):,} words: build it again with "
            "`auricle lm build --model` of this bundle."
        )
    return count


def perplexity_of(model: NgramModel, path: Path, alphabet: Alphabet, spell: bool) -> PerplexityReport:
    """Measure a model on the sentences of a text."""
    return model.perplexity(sentences_of([path], alphabet, spell))


def sentences_of(paths: Sequence[Path], alphabet: Alphabet, spell: bool) -> Iterator[list[str]]:
    """Yield the words of each sentence of texts."""
    from auricle.language.text import read_sentences

    for path in paths:
        for line in read_sentences(path, alphabet, spell=spell):
            yield from (sentence.split() for sentence in line)


def measured(path: Path, report: PerplexityReport) -> str:
    """Return a measurement as a line."""
    return (
        f"{path}: perplexity {report.perplexity:.1f} ({report.known_perplexity:.1f} without unknown words), "
        f"{100 * report.oov_rate:.2f} % unknown, {report.sentences:,} sentences, {report.words:,} words"
    )


def _counts(counts: Sequence[int]) -> str:
    return " + ".join(f"{count:,}" for count in counts) + " n-grams"
