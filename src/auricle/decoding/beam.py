"""Prefix beam search (Hannun et al., 2014) with shallow fusion of a word language model and of hot words.

    score = log P(text | audio) + alpha * log P_LM(words) + beta * words + rewards of hot words

The network's log-probabilities may be weighed as well, and shifted token by token and pair by pair: it has learnt how
frequent letters are and which follow which, which the language model knows better, and is surer of each frame than a
sum over frames should be. Taking away what a model of the training texts' letters says is the density ratio of
McDermott et al., 2019.

All beams take a step at once, as rows of arrays; a text is one beam, however many paths lead to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from auricle.alphabet import BLANK, Alphabet
from auricle.decoding.alignment import align
from auricle.decoding.fusion import Fusion
from auricle.decoding.hotwords import DEFAULT_BOOST, HotWords, hot_words, rewards
from auricle.decoding.lexicon import ROOT, Ids
from auricle.decoding.ngram import NgramModel
from auricle.decoding.types import BeamOptions, Hypothesis, Phrases
from auricle.errors import AuricleError
from auricle.features import Array

Scores: TypeAlias = npt.NDArray[np.float64]
Places: TypeAlias = npt.NDArray[np.intp]

_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd: multiplying by it loses nothing of a text's hash


class BeamDecoder:
    """Beam search with a language model, with hot words, with both, or with neither."""

    def __init__(
        self, alphabet: Alphabet, language_model: NgramModel | None = None, options: BeamOptions | None = None
    ) -> None:
        self._alphabet = alphabet
        self.options = options or BeamOptions()
        if len(self.options.offsets) not in {0, alphabet.tokens}:
            raise AuricleError(f"{len(self.options.offsets)} offsets for {alphabet.tokens} tokens: give one for each.")
        sizes = {len(self.options.pairs), *map(len, self.options.pairs)}
        if sizes not in ({0}, {alphabet.tokens}):
            raise AuricleError(f"the pairs are no square of {alphabet.tokens} tokens: give a number for each pair.")
        self._fusion = None if language_model is None else Fusion(language_model, alphabet, self.options)
        # The same hot words come with clip after clip, and take longer to make ready than to use.
        self._compiled = lru_cache(maxsize=8)(self._compile)

    def __reduce__(self) -> tuple[Any, ...]:
        model = self._fusion.model if self._fusion else None
        return BeamDecoder, (self._alphabet, model, self.options)

    def decode(self, log_probs: Array, *, hot_words: Phrases = ()) -> list[Hypothesis]:
        """Return up to `nbest` hypotheses for log_probs [frames, tokens], best first.

        `score` is the fused score above; token frames are those of the text's most probable path. Hot words may give
        the reward of each character, phrase by phrase. Raises AuricleError for NaN, for plus infinity, and for hot
        words outside the alphabet.
        """
        if not (log_probs < np.inf).all():
            raise AuricleError("the log-probabilities hold NaN or infinity: the acoustic model or its input is broken.")
        log_probs = log_probs[:, : self._alphabet.tokens]
        space = self._alphabet.characters.index(" ") + 1 if " " in self._alphabet.characters else 0
        found = search(log_probs, space, self._fusion, self.options, self._automaton(hot_words))
        return [self._hypothesis(log_probs, one.tokens, one.score) for one in found]

    def _automaton(self, phrases: Phrases) -> HotWords | None:
        if not phrases:
            return None
        return self._compiled(tuple(phrases.items()) if isinstance(phrases, Mapping) else tuple(phrases))

    def _compile(self, phrases: tuple[str, ...] | tuple[tuple[str, float], ...]) -> HotWords:
        given = [phrase if isinstance(phrase, tuple) else (phrase, DEFAULT_BOOST) for phrase in phrases]
        earned = rewards(dict(given), self._alphabet)
        if self._fusion:
            # A hot word is worth saying even where the language model has never seen it.
            for phrase, shares in earned.items():
                earned[phrase] = [sum(pair) for pair in zip(shares, self._fusion.amends(phrase), strict=True)]
        return hot_words(earned, self._alphabet)

    def _hypothesis(self, log_probs: Array, tokens: tuple[int, ...], score: float) -> Hypothesis:
        path = align(log_probs, tokens)
        return Hypothesis(self._alphabet.decode(tokens), score, tokens, path.first_frames, path.last_frames)


@dataclass(frozen=True, slots=True)
class Found:
    """A text that a search has found: its tokens, the language model's ids of its words, and its score."""

    tokens: tuple[int, ...]
    words: tuple[int, ...]
    score: float


def search(
    log_probs: Array, space: int, fusion: Fusion | None, options: BeamOptions, hot: HotWords | None = None
) -> list[Found]:
    """Return up to `nbest` texts for log_probs [frames, tokens], best first; `space` is the token that ends words."""
    weighed = np.asarray(log_probs, np.float64)
    if options.acoustic != 1.0:
        weighed = weighed * options.acoustic
    if options.offsets:
        weighed = weighed + np.array(options.offsets)
    running = _Search(fusion, hot, options)
    for row in weighed:
        running.step(row, space)
    return running.finish(space, options.nbest)


@dataclass
class _Beams:
    """The texts that are being kept, one a row.

    `blank` and `token` are log-probabilities of the paths that end in a blank and in the text's last token; `extra` is
    what language model and hot words add. `key` and `parent` are hashes of the text and of the text without its last
    token. `ended` is the score of the current word if it ended here (NaN until asked for), `ended_state` the language
    model's state then.
    """

    blank: Scores
    token: Scores
    extra: Scores
    last: Places
    key: npt.NDArray[np.uint64]
    parent: npt.NDArray[np.uint64]
    history: Places
    node: Ids
    hot: Ids
    state: Ids
    ended: Scores
    ended_state: Ids
    ended_word: Ids
    total: Scores = field(init=False)

    def __post_init__(self) -> None:
        self.total = np.logaddexp(self.blank, self.token)


@dataclass(frozen=True, slots=True)
class _Grown:
    """Beams with one more token that may be kept: of which beam, which token, and the log-probability of the paths.

    `gain` is what language model and hot words add, `node` and `hot` are where they are then.
    """

    source: Places
    token: Places
    path: Scores
    gain: Scores
    node: Ids | None
    hot: Ids | None


class _Search:
    """One utterance's search."""

    def __init__(self, fusion: Fusion | None, hot: HotWords | None, options: BeamOptions) -> None:
        self._fusion, self._hot, self._options = fusion, hot, options
        self._token_threshold = options.acoustic * options.token_threshold
        self._pairs = np.array(options.pairs, np.float64) if options.pairs else None
        # The most that one more letter can add to `extra`.
        self._most = (fusion.most if fusion else 0.0) + (float(hot.reward.max()) if hot else 0.0)
        state = fusion.model.start() if fusion else np.zeros(0, np.int32)
        self._beams = _Beams(
            blank=np.zeros(1),
            token=np.full(1, -np.inf),
            extra=np.zeros(1),
            last=np.zeros(1, np.intp),
            key=np.ones(1, np.uint64),
            parent=np.zeros(1, np.uint64),
            history=np.zeros(1, np.intp),
            node=np.full(1, ROOT, np.int32),
            hot=np.full(1, hot.start if hot else 0, np.int32),
            state=state[None],
            ended=np.full(1, np.nan),
            ended_state=state[None],
            ended_word=np.zeros(1, np.int32),
        )
        # Every text ever kept: the entry of the text without its last token, and that token. Entry 0 is the empty text.
        self._came_from: list[Places] = [np.zeros(1, np.intp)]
        self._came_with: list[Places] = [np.zeros(1, np.intp)]
        # And the word that each token that ends one has ended.
        self._came_as: list[Places] = [np.zeros(1, np.intp)]
        self._entries = 1

    def step(self, row: Scores, space: int) -> None:
        """Read one frame's log-probabilities [tokens]."""
        beams = self._beams
        blank = beams.total + row[BLANK]
        token = beams.token + row[beams.last]
        tokens = np.flatnonzero(row >= row.max() - self._token_threshold)
        tokens = tokens[tokens != BLANK]
        if not len(tokens):
            beams.blank, beams.token = blank, token
            beams.total = np.logaddexp(blank, token)
            return
        # A repeated token is a new one only after a blank.
        added = np.where(beams.last[:, None] == tokens, beams.blank[:, None], beams.total[:, None]) + row[tokens]
        if self._pairs is not None:
            added += self._pairs[beams.last[:, None], tokens]
        self._merge(token, added, tokens)
        stayed = np.logaddexp(blank, token) + beams.extra
        grown = self._grown(added, tokens, stayed, space)
        kept = self._best(np.concatenate((stayed, grown.path + grown.gain + beams.extra[grown.source])))
        self._take(kept, blank, token, grown, space)

    def _merge(self, token: Scores, added: Scores, tokens: Places) -> None:
        """Where a beam with one more token is a beam already, move its probability there."""
        beams = self._beams
        order = beams.key.argsort()
        shorter = order.take(beams.key.searchsorted(beams.parent, sorter=order), mode="clip")
        longer = np.flatnonzero(beams.key[shorter] == beams.parent)
        if not len(longer):
            return
        shorter, last = shorter[longer], beams.last[longer]
        column = np.minimum(np.searchsorted(tokens, last), len(tokens) - 1)
        tried = tokens[column] == last
        shorter, longer, column = shorter[tried], longer[tried], column[tried]
        token[longer] = np.logaddexp(token[longer], added[shorter, column])
        added[shorter, column] = -np.inf

    def _grown(self, added: Scores, tokens: Places, stayed: Scores, space: int) -> _Grown:
        """Return those of the beams with one more token, `added` [beams, tokens], that may be kept.

        `stayed` [beams] are the scores of the beams without one.
        """
        reach = added + self._beams.extra[:, None]
        is_space = tokens == space
        likely = reach >= self._least(reach, tokens, stayed, space) - self._most
        if self._fusion and is_space.any():
            hopeful = (reach >= self._floor()) & is_space
            self._end_words(hopeful.any(axis=1) & np.isnan(self._beams.ended))
            likely = np.where(is_space, hopeful, likely)
        source, column = np.nonzero(likely)
        token = tokens[column]
        return _Grown(source, token, added[source, column], *self._gains(source, token, space))

    def _least(self, reach: Scores, tokens: Places, stayed: Scores, space: int) -> float:
        """Return a score below which nothing will be kept, from the beams that stay and the likeliest letter.

        Most of `reach` [beams, tokens] is below it, whatever language model and hot words say: cheaper than asking.
        """
        width = self._options.beam
        best = np.where(tokens == space, -np.inf, reach.max(axis=0)).argmax()
        gain: Scores = np.zeros(0)
        if tokens[best] != space:
            every = np.arange(len(reach))
            gain, _, _ = self._gains(every, np.full(len(reach), tokens[best]), space)
        known = np.concatenate((stayed, reach[: len(gain), best] + gain))
        least = float(known.max()) - self._options.beam_threshold
        return max(least, float(np.partition(known, -width)[-width])) if len(known) > width else least

    def _gains(self, source: Places, token: Places, space: int) -> tuple[Scores, Ids | None, Ids | None]:
        """Return what one more token [n] adds to `extra` of beams [n], and the trie and hot-word nodes it leads to."""
        beams, fusion, hot = self._beams, self._fusion, self._hot
        gain: Scores = np.zeros(len(source))
        node = hots = None
        if fusion:
            before = beams.node[source]
            node = fusion.lexicon.step[before, token]
            ends = np.flatnonzero(token == space)
            node[ends] = ROOT
            gain = fusion.outlook[node].astype(np.float64) - fusion.outlook[before]
            gain[ends] = beams.ended[source[ends]] - fusion.outlook[before[ends]]
        if hot:
            before = beams.hot[source]
            hots = hot.step[before, token]
            gain = gain + hot.reward[before, token]
        return gain, node, hots

    def _floor(self) -> float:
        """Return a score below which a word need not end: it would not be kept. (Ending one seldom raises a score.)"""
        beams = self._beams
        return float((beams.total + beams.extra).max()) - self._options.beam_threshold - abs(self._options.beta)

    def _end_words(self, wanted: npt.NDArray[np.bool_]) -> None:
        beams, fusion = self._beams, self._fusion
        assert fusion is not None
        rows = np.flatnonzero(wanted)
        if not len(rows):
            return
        scores, words, states = fusion.end_words(beams.node[rows], beams.state[rows])
        # No word has no letters: two spaces in a row, or one at the beginning, are not text.
        beams.ended[rows] = np.where(beams.node[rows] == ROOT, -np.inf, scores)
        beams.ended_state[rows], beams.ended_word[rows] = states, words

    def _best(self, scores: Scores) -> Places:
        width = self._options.beam
        kept = np.argpartition(-scores, width - 1)[:width] if len(scores) > width else np.arange(len(scores))
        chosen = scores[kept]
        good = chosen >= chosen.max() - self._options.beam_threshold
        # An impossible text is kept only where there is no other.
        good &= chosen > -np.inf
        return kept[good] if good.any() else kept[:1]

    def _take(self, kept: Places, blank: Scores, token: Scores, more: _Grown, space: int) -> None:
        """Make the next beams of those `kept`: the first are beams that stay, the others beams with one more token."""
        beams, count = self._beams, len(self._beams.last)
        stay, new = kept[kept < count], kept[kept >= count] - count
        source = np.concatenate((stay, more.source[new]))
        grown = np.arange(len(source)) >= len(stay)
        last = np.concatenate((beams.last[stay], more.token[new]))
        self._came_from.append(beams.history[more.source[new]])
        self._came_with.append(more.token[new])
        history = beams.history[source]
        history[grown] = self._entries + np.arange(len(new))
        self._entries += len(new)
        key, parent = beams.key[source], beams.parent[source]
        parent[grown] = key[grown]
        key[grown] = key[grown] * _FACTOR + more.token[new].astype(np.uint64)
        ended, ended_state, state = beams.ended[source], beams.ended_state[source], beams.state[source]
        ended_word = beams.ended_word[source]
        if self._fusion:
            self._came_as.append(ended_word[len(stay) :].astype(np.intp))
        extra, node, hot = beams.extra[source], beams.node[source], beams.hot[source]
        extra[grown] += more.gain[new]
        if more.node is not None:
            node[grown] = more.node[new]
            at_space = grown & (last == space)
            state[at_space] = ended_state[at_space]
            ended[grown] = np.nan
        if more.hot is not None:
            hot[grown] = more.hot[new]
        self._beams = _Beams(
            blank=np.concatenate((blank[stay], np.full(len(new), -np.inf))),
            token=np.concatenate((token[stay], more.path[new])),
            extra=extra,
            last=last,
            key=key,
            parent=parent,
            history=history,
            node=node,
            hot=hot,
            state=state,
            ended=ended,
            ended_state=ended_state,
            ended_word=ended_word,
        )

    def finish(self, space: int, count: int) -> list[Found]:
        """Return the texts, best first: the last word has ended, and so has a phrase."""
        beams, fusion = self._beams, self._fusion
        scores = beams.total + beams.extra
        if fusion:
            self._end_words(np.isnan(beams.ended))
            scores = scores + np.where(beams.node == ROOT, 0.0, beams.ended - fusion.outlook[beams.node])
        if self._hot:
            scores = scores + self._hot.ending[beams.hot]
        came_from, came_with = np.concatenate(self._came_from), np.concatenate(self._came_with)
        came_as = np.concatenate(self._came_as)
        results: list[Found] = []
        for row in np.argsort(-scores, kind="stable")[:count]:
            tokens: list[int] = []
            words = [int(beams.ended_word[row])] if fusion and beams.node[row] != ROOT else []
            entry = int(beams.history[row])
            while entry:
                tokens.append(int(came_with[entry]))
                if fusion and tokens[-1] == space:
                    words.append(int(came_as[entry]))
                entry = int(came_from[entry])
            results.append(Found(tuple(reversed(tokens)), tuple(reversed(words)), float(scores[row])))
        return results
