"""`auricle lm build`."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auricle.cli.lm import (
    AlphabetOf,
    Exclude,
    ExcludeHashes,
    Spell,
    Texts,
    alphabet_of,
    language_model,
    lm_app,
    measured,
    perplexity_of,
    sentences_of,
)
from auricle.cli.terminal import Bar, write_whole
from auricle.errors import LanguageModelError

if TYPE_CHECKING:
    from auricle.alphabet import Alphabet
    from auricle.decoding.ngram import NgramModel
    from auricle.decoding.trie import Floats
    from auricle.language.estimate import Estimate
    from auricle.language.prepare import Prepared

_LEAST_VOCABULARY = 4


@lm_app.command()
def build(  # noqa: PLR0917  (typer makes options of them)
    texts: Texts,
    output: Annotated[Path, typer.Option(metavar="LM.npz", help="The language model to write.")],
    order: Annotated[int, typer.Option(min=1, max=4, help="Words of the longest n-grams.")] = 4,
    prune: Annotated[
        str | None,
        typer.Option(
            metavar='"0 0 1 1"',
            help="For each order, leave out n-grams seen so many times or fewer; default: once, from three words up.",
        ),
    ] = None,
    entropy: Annotated[
        float,
        typer.Option(
            min=0,
            help="Of the rest, leave out n-grams without which the relative entropy grows by less than this, in nats a "
            "word, such as 1e-8.",
        ),
    ] = 0.0,
    mix: Annotated[
        bool,
        typer.Option(
            "--mix",
            help="Give each TEXT a model of its own, and mix them by the weights that predict the --heldout texts "
            "best: for a little text that is like what will be heard, beside much that is not.",
        ),
    ] = False,
    vocabulary: Annotated[
        str,
        typer.Option(
            metavar="N|LM",
            help="Words at most, the most frequent, up to 65,536; or the words of that language model or bundle.",
        ),
    ] = "65000",
    rare: Annotated[
        int,
        typer.Option(
            min=0, help="Words at most beside these, the next in frequency: without n-grams, but they can be found."
        ),
    ] = 0,
    min_count: Annotated[int, typer.Option(min=1, help="Leave out words seen fewer times than this.")] = 1,
    exclude: Exclude = None,
    exclude_hashes: ExcludeHashes = None,
    heldout: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A text to measure the model on; it is excluded as with --exclude."),
    ] = None,
    arpa: Annotated[
        Path | None, typer.Option(metavar="LM.arpa", help="Write the model as ARPA too, before it is quantised.")
    ] = None,
    spell: Spell = True,
    model: AlphabetOf = None,
) -> None:
    """Build a language model from text: interpolated modified Kneser-Ney, stored as a quantised trie.

    Sentences of six words or more count once, however often the texts have them.
    """
    from auricle.decoding.ngram import NgramModel
    from auricle.language.arpa import write_arpa
    from auricle.language.corpus import choose_rare, choose_vocabulary, token_ids
    from auricle.language.estimate import estimate
    from auricle.language.mixing import estimate_mixture
    from auricle.language.prepare import prepare

    thresholds = _thresholds(prune, order)
    size, given = _vocabulary(vocabulary)
    alphabet = alphabet_of(model)
    heldout = heldout or []
    if mix and (len(texts) < 2 or not heldout):
        raise typer.BadParameter("needs two texts or more, and --heldout to weigh them by.", param_hint="--mix")
    with Bar("reading") as bar:
        done = iter(range(len(texts)))
        prepared = prepare(
            texts,
            alphabet,
            exclude=[*(exclude or []), *heldout],
            exclude_hashes=exclude_hashes,
            spell=spell,
            tell=lambda path: bar.tell(next(done) / (len(texts) + 1), path.name),
        )
        bar.tell(len(texts) / (len(texts) + 1), "estimating")
        corpus = prepared.corpus
        words = given or choose_vocabulary(corpus, size, min_count)
        settings: dict[str, Any] = {"order": order, "prune": thresholds, "entropy": entropy}
        weights: tuple[float, ...] = ()
        parts = [corpus]
        if mix:
            parts = [corpus.select(prepared.texts == index) for index in range(len(texts))]
            for path, part in zip(texts, parts, strict=True):
                if not part.sentences:
                    raise LanguageModelError(f"{path}: nothing is left of it to mix: leave it out.")
            ids = [(token_ids(part, words), part.starts) for part in parts]
            judge = partial(_judged, heldout, alphabet, spell)
            estimated, weights = estimate_mixture(ids, words, judge, **settings)
        else:
            estimated = estimate(token_ids(corpus, words), corpus.starts, words, **settings)
    if arpa:
        write_arpa(estimated.trie, arpa)
    further = choose_rare(parts, words, rare, weights=weights)
    content = NgramModel(replace(estimated.trie, rare=further)).to_bytes()
    write_whole(output, content)
    typer.echo("\n".join(_lines(prepared, estimated)))
    if further:
        typer.echo(f"{'rare words':<12}{len(further):,}, {100 * further.share:.1f} % of all the others")
    for path, weight in zip(texts, weights, strict=False):
        typer.echo(f"{'mixed':<12}{100 * weight:.1f} % {path}")
    typer.echo(f"{output}: {len(content) / 1e6:.2f} MB, {len(zlib.compress(content)) / 1e6:.2f} MB in a bundle")
    written = NgramModel.from_bytes(content, str(output))
    for path in heldout:
        typer.echo(measured(path, perplexity_of(written, path, alphabet, spell)))


def _judged(texts: list[Path], alphabet: Alphabet, spell: bool, model: NgramModel) -> Floats:
    return model.log_probs(sentences_of(texts, alphabet, spell))


def _vocabulary(given: str) -> tuple[int, tuple[str, ...]]:
    """Return how many words a model has at most, or the words of a language model."""
    from auricle.decoding.trie import LARGEST_VOCABULARY

    if not given.isdecimal():
        return 0, language_model(Path(given)).vocabulary
    if not _LEAST_VOCABULARY <= int(given) <= LARGEST_VOCABULARY:
        raise typer.BadParameter(
            f"{given} is not in the range {_LEAST_VOCABULARY} to {LARGEST_VOCABULARY}.", param_hint="--vocabulary"
        )
    return int(given), ()


def _thresholds(prune: str | None, order: int) -> list[int]:
    if prune is None:
        return [0, 0, 1, 1][:order]
    try:
        return [int(value) for value in prune.replace(",", " ").split()]
    except ValueError:
        raise typer.BadParameter(
            f'{prune!r} is not a list of numbers, as in "0 0 1 1".', param_hint="--prune"
        ) from None


def _lines(prepared: Prepared, estimated: Estimate) -> Iterator[str]:
    corpus, trie = prepared.corpus, estimated.trie
    yield f"{'read':<12}{prepared.sentences:,} sentences, {prepared.words:,} words"
    yield f"{'left out':<12}{prepared.duplicates:,} duplicates, {prepared.excluded:,} excluded"
    yield f"{'kept':<12}{corpus.sentences:,} sentences, {len(corpus.ids):,} words"
    yield f"{'vocabulary':<12}{len(trie.words):,} of {len(corpus.words):,} words"
    for order, (kept, seen) in enumerate(zip(trie.counts, estimated.seen, strict=True), start=1):
        yield f"{f'{order}-grams':<12}{kept:,}" + (f" of {seen:,}" if kept < seen else "")
