"""Sentences of texts for a voice to read aloud."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from auricle.alphabet import Alphabet
from auricle.language.corpus import make_corpus
from auricle.language.overlap import overlaps, overlaps_hashes, read_hashes
from auricle.language.text import normalise, read_sentences, read_texts, spell_out, split_sentences


def read_spoken(
    texts: Sequence[Path], alphabet: Alphabet, *, exclude: Iterable[Path] = (), exclude_hashes: Path | None = None
) -> list[tuple[str, str]]:
    """Return each sentence of texts twice: for a voice, with punctuation, capitals and no abbreviation; and normalised.

    Sentences that share eight words in a row with those of `exclude`, or with the hashes of `exclude_hashes`, are left
    out, as `overlaps` says. Raises LanguageModelError and ManifestError naming the file.
    """
    hashes = read_hashes(exclude_hashes) if exclude_hashes else None
    excluded = [line for path in exclude for line in read_sentences(path, alphabet)]
    pairs = [
        (spell_out(sentence), text)
        for path in texts
        for paragraph in read_texts(path)
        for sentence in split_sentences(paragraph)
        if (text := normalise(sentence, alphabet))
    ]
    corpus = make_corpus([text] for _, text in pairs)
    unwanted = overlaps(corpus, excluded)
    if hashes is not None:
        unwanted |= overlaps_hashes(corpus, hashes)
    return [pair for pair, left_out in zip(pairs, unwanted, strict=True) if not left_out]
