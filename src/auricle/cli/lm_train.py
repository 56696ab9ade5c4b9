"""`auricle lm train`."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auricle.cli.lm import (
    AlphabetOf,
    Exclude,
    ExcludeHashes,
    Spell,
    Texts,
    TextWeights,
    alphabet_of,
    language_model,
    lm_app,
    recurrent_file,
    sentences_of,
)
from auricle.cli.terminal import Bar, exit_if_stopped, expect_writable, write_whole
from auricle.errors import LanguageModelError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auricle.alphabet import Alphabet
    from auricle.decoding import NgramModel, RecurrentModel
    from auricle.decoding.recurrent import RecurrentWeights


@lm_app.command()
def train(  # noqa: PLR0917  (typer makes options of them)
    texts: Texts,
    lm: Annotated[
        Path,
        typer.Option("--lm", metavar="LM", help="The language model whose words it is to know: .npz, .arpa, bundle."),
    ],
    output: Annotated[Path, typer.Option(metavar="NEW.npz", help="The recurrent language model to write.")],
    recipe: Annotated[Path, typer.Option(metavar="RECIPE.toml", help="Sizes of the network and of the run.")] = Path(
        "recipes/words.toml"
    ),
    weights: TextWeights = None,
    exclude: Exclude = None,
    exclude_hashes: ExcludeHashes = None,
    heldout: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A text to measure the model on; it is excluded as with --exclude."),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(
            metavar="RECURRENT.npz",
            help="A recurrent model of the same words to begin with: .npz, bundle. The recipe's GRU may be wider.",
        ),
    ] = None,
    max_time: Annotated[
        float | None,
        typer.Option(
            metavar="MINUTES", min=0.01, help="Wall clock that training takes at most; the texts are read first."
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Cores to use.")] = 1,
    spell: Spell = True,
    model: AlphabetOf = None,
) -> None:
    """Train a recurrent language model, which judges the texts that a search by phones has found.

    Give the text that is most like what will be heard first: the run ends with it alone. `auricle lm add --recurrent`
    puts the model into a bundle, beside the language model whose words it knows.
    """
    try:
        import torch

        from auricle.training.words.loop import fit, to_weights
        from auricle.training.words.network import parameters_in, ranks_by
        from auricle.training.words.recipe import read_words_recipe
    except ModuleNotFoundError as error:
        raise MissingExtraError("training", "train") from error
    from auricle.decoding import RecurrentModel
    from auricle.decoding.recurrent import recurrent_from_bytes, recurrent_to_bytes
    from auricle.decoding.trie import START
    from auricle.language.corpus import token_ids
    from auricle.language.prepare import prepare
    from auricle.training.words.data import Sentences

    shares = shares_of(weights, len(texts))
    expect_writable(output)
    chosen = read_words_recipe(recipe)
    alphabet, heldout = alphabet_of(model), heldout or []
    ngrams = language_model(lm)
    begin = _weights_in(init, ngrams) if init else None
    torch.set_num_threads(threads)
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
        parts = [prepared.corpus.select(prepared.texts == number) for number in range(len(texts))]
        for path, part in zip(texts, parts, strict=True):
            if not part.sentences:
                raise LanguageModelError(f"{path}: nothing is left of it to learn from: leave it out.")
        ids = [torch.from_numpy(token_ids(part, ngrams.vocabulary).astype("int64")) for part in parts]
        # A text that is read more often has a greater say in which words are frequent; what begins a text is the first.
        counts = sum(
            share * torch.bincount(own, minlength=len(ngrams.vocabulary)) / len(own)
            for share, own in zip(shares, ids, strict=True)
        )
        counts = torch.as_tensor(counts)
        counts[START] = math.inf
        ranks = ranks_by(counts) if begin is None else torch.from_numpy(begin.ranks)
        sentences = [
            Sentences(ranks[own].numpy(), part.starts, chosen.longest) for own, part in zip(ids, parts, strict=True)
        ]
        kept = sum(part.sentences for part in parts), sum(len(part.ids) for part in parts)
        left_out = prepared.duplicates, prepared.excluded
        del prepared, parts, ids  # libraries are large
    with Bar("training") as bar:
        trained, end = fit(
            sentences,
            shares,
            int(ranks[START]),
            chosen,
            len(ngrams.vocabulary),
            init=begin,
            max_minutes=max_time,
            tell=lambda now: bar.tell(now.share, f"{now.words / 1e6:.1f} million words, {now.loss:.3f} nats a word"),
        )
    content = recurrent_to_bytes(to_weights(trained, ranks.tolist()), ngrams.vocabulary)
    write_whole(output, content)
    typer.echo(f"{'left out':<12}{left_out[0]:,} duplicates, {left_out[1]:,} excluded")
    typer.echo(f"{'kept':<12}{kept[0]:,} sentences, {kept[1]:,} words")
    typer.echo(f"{'read':<12}{end.words:,} words in {end.step:,} steps, {end.loss:.3f} nats a word at last")
    size = len(zlib.compress(content)) / 1e6
    typer.echo(f"{output}: {parameters_in(trained):,} weights, {len(content) / 1e6:.2f} MB, {size:.2f} MB in a bundle")
    written = RecurrentModel(recurrent_from_bytes(content, ngrams.vocabulary, str(output)))
    for path in heldout:
        typer.echo(_measured(path, ngrams, written, alphabet, spell))
    exit_if_stopped(end)


def shares_of(weights: Sequence[float] | None, texts: int) -> list[float]:
    """Return the part of each text. Raises BadParameter for weights that are none."""
    if weights and len(weights) != texts:
        raise typer.BadParameter(f"{texts} texts need as many weights.", param_hint="--weight")
    if weights and not any(weights):
        raise typer.BadParameter("one of them must be above zero.", param_hint="--weight")
    return list(weights or [1.0] * texts)


def _weights_in(path: Path, ngrams: NgramModel) -> RecurrentWeights:
    """Read a recurrent model's weights, from its own file or a bundle. Raises AuricleError where there are none."""
    from auricle.decoding.recurrent import recurrent_from_bytes

    return recurrent_from_bytes(recurrent_file(path), ngrams.vocabulary, str(path))


def _measured(path: Path, ngrams: NgramModel, recurrent: RecurrentModel, alphabet: Alphabet, spell: bool) -> str:
    from auricle.decoding.trie import UNKNOWN

    known = {word: index for index, word in enumerate(ngrams.vocabulary)}
    texts = [[known.get(word, UNKNOWN) for word in words] for words in sentences_of([path], alphabet, spell)]
    words = max(1, sum(map(len, texts)))

    def perplexity(log_probs: Any) -> str:
        return f"{math.exp(-float(sum(log_probs)) / words):.1f}"

    one, other = ngrams.score_texts(texts), _some_at_a_time(recurrent, texts)
    return (
        f"{path}: perplexity {perplexity(other)}, of the n-gram model {perplexity(one)}, "
        f"without ends, {len(texts):,} sentences, {words:,} words"
    )


def _some_at_a_time(recurrent: RecurrentModel, texts: Sequence[Sequence[int]]) -> list[float]:
    found: list[float] = []
    for begin in range(0, len(texts), 64):
        found += recurrent.log_probs(texts[begin : begin + 64]).tolist()
    return found
