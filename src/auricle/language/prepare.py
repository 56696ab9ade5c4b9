"""The text that a model is built from: read, without duplicates, without what held-out transcripts share with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from auricle.alphabet import Alphabet
from auricle.language.corpus import Corpus, make_corpus
from auricle.language.overlap import duplicates, overlaps, overlaps_hashes, read_hashes
from auricle.language.text import read_sentences


@dataclass(frozen=True)
class Prepared:
    """A corpus and how many sentences and words it was chosen from, duplicates dropped first."""

    corpus: Corpus
    sentences: int
    words: int
    duplicates: int
    excluded: int


def prepare(
    texts: Sequence[Path],
    alphabet: Alphabet,
    *,
    exclude: Iterable[Path] = (),
    exclude_hashes: Path | None = None,
    spell: bool = True,
    tell: Callable[[Path], None] = lambda path: None,
) -> Prepared:
    """Read texts and leave out duplicates and what `overlaps` finds. Raises LanguageModelError, ManifestError.

    `tell` is called with each text when its turn comes.
    """
    hashes = read_hashes(exclude_hashes) if exclude_hashes else None
    excluded = [line for path in exclude for line in read_sentences(path, alphabet, spell=spell)]

    def lines() -> Iterator[list[str]]:
        for path in texts:
            tell(path)
            yield from read_sentences(path, alphabet, spell=spell)

    whole = make_corpus(lines())
    once = whole.select(~duplicates(whole))
    unwanted = overlaps(once, excluded)
    if hashes is not None:
        unwanted |= overlaps_hashes(once, hashes)
    return Prepared(
        once.select(~unwanted),
        whole.sentences,
        len(whole.ids),
        whole.sentences - once.sentences,
        int(unwanted.sum()),
    )
