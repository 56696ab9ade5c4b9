"""`auricle lm pronounce`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auricle.cli.lm import ARPA, AlphabetOf, alphabet_of, language_model, lm_app, sentences_of
from auricle.cli.terminal import Bar
from auricle.errors import LanguageModelError

if TYPE_CHECKING:
    from auricle.alphabet import Alphabet

_MODELS = (".npz", ".auricle", *ARPA)


@lm_app.command()
def pronounce(
    texts: Annotated[
        list[Path],
        typer.Argument(
            metavar="TEXT...",
            help="Text files (.txt, .xz, .gz), manifests (.jsonl) for their texts, and language models (.npz, .arpa) "
            "or bundles, built-in ones by name, for their vocabulary.",
        ),
    ],
    output: Annotated[Path, typer.Option(metavar="WORDS.dict", help="The pronouncing dictionary to write.")],
    dictionary: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="How words are said, in CMUdict's form; default: CMUdict, for English."),
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Ways to say a word, at most.")] = 4,
    model: AlphabetOf = None,
) -> None:
    """Write how every word of texts is said: as the dictionary has it, or by analogy with the words that it has."""
    from auricle.language.letter_to_sound import known, pronounced
    from auricle.language.pronunciations import cmudict_pronunciations, read_pronunciations, write_pronunciations

    alphabet = alphabet_of(model)
    said = read_pronunciations(dictionary) if dictionary else cmudict_pronunciations()
    words: set[str] = set()
    with Bar("reading") as bar:
        for index, path in enumerate(texts):
            bar.tell(index / (len(texts) + 1), path.name)
            words.update(_words(path, alphabet))
        if not words:
            raise LanguageModelError(f"{texts[0]}: there is no word in it that the alphabet can write.")
        bar.tell(len(texts) / (len(texts) + 1), "pronouncing")
        found = pronounced(sorted(words), said, most)
    write_pronunciations(found, output)
    listed = sum(bool(known(word, said)) for word in found)
    typer.echo(f"{'words':<12}{len(found):,}")
    typer.echo(f"{'known':<12}{listed:,} that the dictionary has, possessives of its words included")
    typer.echo(f"{'by analogy':<12}{len(found) - listed:,}")
    if len(found) < len(words):
        typer.echo(f"{'left out':<12}{len(words) - len(found):,} without a letter that the dictionary has")
    typer.echo(f"{output}: {sum(map(len, found.values())):,} pronunciations, {output.stat().st_size / 1e6:.2f} MB")


def _words(path: Path, alphabet: Alphabet) -> Iterator[str]:
    from auricle.bundle import is_name
    from auricle.decoding.trie import SPECIALS

    if path.name.endswith(_MODELS) or is_name(path):
        yield from language_model(path).words[len(SPECIALS) :]
        return
    # Abbreviations both ways: language models learn from texts that spell them, recognisers from texts as they stand.
    for spell in (True, False):
        for sentence in sentences_of([path], alphabet, spell):
            yield from sentence
