"""Models of little text."""

from __future__ import annotations

from collections.abc import Sequence

from passage import ALICE

from auricle.alphabet import ENGLISH
from auricle.language.corpus import choose_vocabulary, make_corpus, token_ids
from auricle.language.estimate import Estimate, estimate
from auricle.language.text import normalise, split_sentences

PASSAGE = [normalise(sentence, ENGLISH) for line in ALICE.splitlines() for sentence in split_sentences(line)]


def built(sentences: Sequence[str], order: int, prune: Sequence[int], size: int = 65_000) -> Estimate:
    corpus = make_corpus([list(sentences)])
    words = choose_vocabulary(corpus, size)
    return estimate(token_ids(corpus, words), corpus.starts, words, order=order, prune=prune)
