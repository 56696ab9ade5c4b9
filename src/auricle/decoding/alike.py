"""Words that are said alike ("two", "too", "to"): each may be what was said, until the words after them decide.

A search by phones keeps a few rows of words for each text in phones, its histories; when it is over, the likeliest
rows of words of each text that it has found are read again, for all that is asked about whole texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from auricle.decoding.fusion import Fusion, Scores
from auricle.decoding.lexicon import ROOT, Ids
from auricle.decoding.ngram import NgramModel
from auricle.decoding.pronunciations import WORD_END, SpokenLexicon
from auricle.decoding.types import BeamOptions

HISTORIES = 4
"""Rows of words that a text in phones may be."""
NEAR = 6.0
"""Nats below the likeliest beyond which a row of words is not kept, by what the language model weighs."""


class Reading(NamedTuple):
    """A row of words, as the language model's ids, that the text at place `text` may be, and how likely it finds it."""

    text: int
    words: tuple[int, ...]
    log_prob: float


class SpokenFusion(Fusion):
    """A language model whose words are spelled in phones. What no word begins with is not looked into."""

    histories = HISTORIES
    lexicon: SpokenLexicon

    def __init__(self, model: NgramModel, lexicon: SpokenLexicon, options: BeamOptions) -> None:
        self.model, self.options, self.lexicon = model, options, lexicon
        self.outlook = (options.alpha * lexicon.outlook).astype(np.float32)
        self.outlook[lexicon.outside] = -np.inf
        self.most = 0.0

    def end_words(self, nodes: Ids, states: Ids, worth: Scores) -> tuple[Scores, Ids, Scores]:
        """Return what `Fusion` returns; each history may go on with any of the words that are said alike."""
        rows = self.lexicon.word_at.take(nodes)
        owner, history = ((rows >= 0)[:, None] & (worth > -np.inf)).nonzero()
        before, row, owed = states[owner, history], rows.take(owner), worth[owner, history]
        owners, scores, afters = [], [], []
        for alike in self.lexicon.alike:
            more = np.flatnonzero(row < len(alike))
            if not len(more):
                break
            log_probs, after = self.model.score(before.take(more, axis=0), alike.take(row.take(more)))
            owners.append(owner.take(more))
            scores.append(owed.take(more) + self.options.alpha * log_probs.astype(np.float64))
            afters.append(after)
        best, after = np.full(len(nodes), -np.inf), states.copy()
        worth = np.full(worth.shape, -np.inf)
        if owners:
            owner, score, state = np.concatenate(owners), np.concatenate(scores), np.concatenate(afters)
            chosen, rank = likeliest(owner, score, state, self.histories, NEAR)
            owner, score = owner.take(chosen), score.take(chosen)
            first = np.flatnonzero(rank == 0)
            best[owner.take(first)] = score.take(first)
            after[owner, rank] = state.take(chosen, axis=0)
            worth[owner, rank] = score - best.take(owner)
        return best + self.options.beta, after, worth


def likeliest(
    owner: npt.NDArray[np.intp], score: Scores, state: Ids, count: int, near: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return for each owner the places of its best histories of different states, and their ranks from 0 on.

    What ends in the same state has the same future, so that of two such histories only the better one counts.
    """
    places = np.lexsort((-score, owner))
    owner, score = owner.take(places), score.take(places)
    is_first = np.ones(len(owner), bool)
    is_first[1:] = owner[1:] != owner[:-1]
    begins = np.flatnonzero(is_first)
    if len(begins) == len(owner):
        return places, np.zeros(len(owner), np.intp)
    begin = begins[np.cumsum(is_first) - 1]
    kept = score >= score.take(begin) - near
    state = state.take(places, axis=0)
    for back in range(1, int((np.arange(len(owner)) - begin)[kept].max(initial=0)) + 1):
        own = np.flatnonzero(kept[back:] & (begin[back:] == begin[:-back])) + back
        same = (state.take(own, axis=0) == state.take(own - back, axis=0)).all(axis=1)
        kept[own[same]] = False
    before = np.cumsum(kept) - kept
    rank = before - before.take(begin)
    kept &= rank < count
    return places[kept], rank[kept]


def readings(
    lexicon: SpokenLexicon, model: NgramModel, texts: Sequence[Sequence[int]], *, before: Sequence[int], near: float
) -> list[Reading]:
    """Return for each of some texts in phones the rows of words that it may be, after the words `before` them.

    None is more than `near` nats less likely than the likeliest of its text.
    """
    words, lengths = _words_of(lexicon, texts)
    start = model.state_after(before)
    owner = np.arange(len(texts))
    score, states = np.zeros(len(texts)), np.tile(start, (len(texts), 1))
    chosen = np.full((len(texts), words.shape[1]), -1, np.int32)
    done = [Reading(place, (), 0.0) for place in np.flatnonzero(lengths == 0).tolist()]
    for step in range(words.shape[1]):
        going = np.flatnonzero(lengths.take(owner) > step)
        owner, score, states, chosen = owner[going], score[going], states[going], chosen[going]
        rows = lexicon.words_of(words[owner, step])
        source, alike = (rows >= 0).nonzero()
        word = rows[source, alike]
        log_probs, after = model.score(states.take(source, axis=0), word)
        owner, score = owner.take(source), score.take(source) + log_probs
        # Two rows of words are not one here, although nothing may tell their futures apart: other models can.
        kept, _ = likeliest(owner, score, np.arange(len(owner), dtype=np.int32)[:, None], HISTORIES, near)
        owner, score, states = owner.take(kept), score.take(kept), after.take(kept, axis=0)
        chosen = chosen.take(source.take(kept), axis=0)
        chosen[:, step] = word.take(kept)
        over = np.flatnonzero(lengths.take(owner) == step + 1)
        done += [
            Reading(place, tuple(row[: step + 1]), value)
            for place, row, value in zip(owner[over].tolist(), chosen[over].tolist(), score[over].tolist(), strict=True)
        ]
    return done


def _words_of(lexicon: SpokenLexicon, texts: Sequence[Sequence[int]]) -> tuple[Ids, npt.NDArray[np.int64]]:
    """Return the rows of `lexicon.alike` of each text's words [texts, longest], and how many there are [texts]."""
    longest = max(map(len, texts), default=0)
    # A text ends a word, whether it says so or not.
    tokens = np.zeros((len(texts), longest + 1), np.intp)
    for row, text in zip(tokens, texts, strict=True):
        row[: len(text)] = text
        row[len(text)] = WORD_END
    words, lengths = np.full((len(texts), longest + 1), -1, np.int32), np.zeros(len(texts), np.int64)
    node = np.full(len(texts), ROOT, np.int32)
    for column in tokens.T:
        (ends,) = ((column == WORD_END) & (node != ROOT)).nonzero()
        words[ends, lengths[ends]] = lexicon.word_at.take(node[ends])
        lengths[ends] += 1
        node = np.where(column == WORD_END, ROOT, np.where(column == 0, node, lexicon.step(node, column)))
    return words[:, : int(lengths.max(initial=0))], lengths
