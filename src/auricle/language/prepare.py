"""The text that a model is built from: read, without duplicates, without what held-out transcripts share with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auricle.alphabet import Alphabet
from auricle.language.corpus import Corpus, make_corpus
from auricle.language.overlap import duplicates, overlaps, overlaps_hashes, read_hashes
from auricle.language.text import read_sentences


@dataclass(frozen=True)
class Prepared:
    """A corpus, which text each sentence is from, and how many it was chosen from, duplicates dropped first."""

    corpus: Corpus
    texts: NDArray[np.int64]
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

    ends: list[int] = []

    def lines() -> Iterator[list[str]]:
        count = 0
        for path in texts:
            tell(path)
            for line in read_sentences(path, alphabet, spell=spell):
                count += 1
                yield line
            ends.append(count)

    whole = make_corpus(lines())
    once = whole.select(~duplicates(whole))
    unwanted = overlaps(once, excluded)
    if hashes is not None:
        unwanted |= overlaps_hashes(once, hashes)
    chosen = once.select(~unwanted)
    return Prepared(
        chosen,
        np.searchsorted(ends, chosen.lines, side="right"),
        whole.sentences,
        len(whole.ids),
        whole.sentences - once.sentences,
        int(unwanted.sum()),
    )
