"""Prefix beam search over the rows of a network's log-probabilities, as arrays.

All beams take a step at once, as rows of arrays; a text is one beam, however many paths lead to it. Where tokens are
phones a text may be several rows of words, of which a beam keeps the likeliest few: what follows decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from auricle.alphabet import BLANK
from auricle.decoding.finder import Finder, Keys
from auricle.decoding.fusion import Fusion, Scores
from auricle.decoding.hotwords import HotWords
from auricle.decoding.lexicon import ROOT, Ids
from auricle.decoding.types import BeamOptions
from auricle.features import Array

Places: TypeAlias = npt.NDArray[np.intp]

_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd: multiplying by it loses nothing of a text's hash


@dataclass(frozen=True, slots=True)
class Found:
    """A text that a search has found: its tokens, and its score."""

    tokens: tuple[int, ...]
    score: float


def search(
    log_probs: Array,
    space: int,
    fusion: Fusion | None,
    options: BeamOptions,
    hot: HotWords | None = None,
    *,
    before: Sequence[int] = (),
) -> list[Found]:
    """Return up to `nbest` texts for log_probs [frames, tokens], best first; `space` is the token that ends words.

    The language model has read the words `before` them, as its ids.
    """
    weighed = np.asarray(log_probs, np.float64)
    if options.acoustic != 1.0:
        weighed = weighed * options.acoustic
    if options.offsets:
        weighed = weighed + np.array(options.offsets)
    running = _Search(fusion, hot, options, before)
    for row in weighed:
        running.step(row, space)
    return running.finish(space, options.nbest)


@dataclass
class _Beams:
    """The texts that are being kept, one a row.

    `blank` and `token` are log-probabilities of the paths that end in a blank and in the text's last token; `extra` is
    what language model and hot words add. `key` and `parent` are hashes of the text and of the text without its last
    token. `state` [n, histories, order - 1] are the language model's states after the words that the text may be, and
    `worth` [n, histories] how much worse each of them is than the best. `ended` is the score of the current word if it
    ended here (NaN until asked for), `ended_state` and `ended_worth` are the histories then.
    """

    blank: Scores
    token: Scores
    extra: Scores
    last: Places
    key: Keys
    parent: Keys
    history: Ids
    node: Ids
    hot: Ids
    state: Ids
    worth: Scores
    ended: Scores
    ended_state: Ids
    ended_worth: Scores
    total: Scores


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


def _places(mask: npt.NDArray[np.bool_]) -> tuple[Places, Places]:
    """Return row and column of what is true in [rows, columns]; NumPy's own `nonzero` takes three times as long."""
    (flat,) = mask.reshape(-1).nonzero()
    rows = flat // mask.shape[1]
    return rows, flat - rows * mask.shape[1]


class _Search:
    """One utterance's search."""

    def __init__(
        self, fusion: Fusion | None, hot: HotWords | None, options: BeamOptions, before: Sequence[int]
    ) -> None:
        self._fusion, self._hot, self._options = fusion, hot, options
        self._token_threshold = options.acoustic * options.token_threshold
        self._pairs = np.array(options.pairs, np.float64) if options.pairs else None
        self._finder = Finder(options.beam)
        # The most that one more letter can add to `extra`.
        self._most = (fusion.most if fusion else 0.0) + (float(hot.reward.max()) if hot else 0.0)
        # A beam holds where its node's row begins in these tables.
        self._hot_rows = (hot.step * hot.step.shape[1]).ravel() if hot else np.zeros(0, np.int32)
        self._hot_reward = hot.reward.ravel() if hot else np.zeros(0, np.float32)
        histories = fusion.histories if fusion else 1
        start = fusion.model.state_after(before) if fusion else np.zeros(0, np.int32)
        state, worth = np.tile(start, (1, histories, 1)), np.full((1, histories), -np.inf)
        worth[:, 0] = 0.0
        self._beams = _Beams(
            blank=np.zeros(1),
            token=np.full(1, -np.inf),
            extra=np.zeros(1),
            last=np.zeros(1, np.intp),
            key=np.ones(1, np.uint64),
            parent=np.zeros(1, np.uint64),
            history=np.zeros(1, np.int32),
            node=np.full(1, ROOT, np.int32),
            hot=np.full(1, hot.start * hot.step.shape[1] if hot else 0, np.int32),
            state=state,
            worth=worth,
            ended=np.full(1, np.nan),
            ended_state=state.copy(),
            ended_worth=worth.copy(),
            total=np.zeros(1),
        )
        # Every text ever kept: the entry of the text without its last token, and that token. Entry 0 is the empty text.
        self._came_from: list[Ids] = [np.zeros(1, np.int32)]
        self._came_with: list[Ids] = [np.zeros(1, np.int32)]
        self._entries = 1

    def step(self, row: Scores, space: int) -> None:
        """Read one frame's log-probabilities [tokens]."""
        beams = self._beams
        blank = beams.total + row[BLANK]
        token = beams.token + row[beams.last]
        (tokens,) = (row >= row.max() - self._token_threshold).nonzero()
        tokens = tokens[tokens != BLANK]
        if not len(tokens):
            beams.blank, beams.token = blank, token
            beams.total = np.logaddexp(blank, token)
            return
        # [tokens, beams], so that what goes along the beams lies together.
        repeated = beams.last == tokens[:, None]
        worth = row[tokens][:, None]
        if self._pairs is not None:
            worth = (self._pairs[:, tokens].T + worth).take(beams.last, axis=1)
        # A repeated token is a new one only after a blank.
        added = np.where(repeated, beams.blank, beams.total) + worth
        self._merge(token, added, *_places(repeated))
        total = np.logaddexp(blank, token)
        stayed = total + beams.extra
        grown = self._grown(added, tokens, stayed, space)
        kept = self._best(np.concatenate((stayed, grown.path + grown.gain + beams.extra.take(grown.source))))
        self._take(kept, blank, token, total, grown, space)

    def _merge(self, token: Scores, added: Scores, columns: Places, rows: Places) -> None:
        """Where a beam with one more token is a beam already, move its probability there.

        `rows` are the beams whose last token is tried, and `columns` say where it stands in `added` [tokens, beams].
        """
        beams = self._beams
        shorter, found = self._finder(beams.key, beams.parent.take(rows))
        if not len(found):
            return
        longer, place = rows[found], (columns[found], shorter)
        token[longer] = np.logaddexp(token[longer], added[place])
        added[place] = -np.inf

    def _grown(self, added: Scores, tokens: Places, stayed: Scores, space: int) -> _Grown:
        """Return those of the beams with one more token, `added` [tokens, beams], that may be kept.

        `stayed` [beams] are the scores of the beams without one.
        """
        reach = added + self._beams.extra
        likely = reach >= self._least(reach, tokens, stayed, space) - self._most
        if self._fusion:
            for at in (tokens == space).nonzero()[0]:
                likely[at] = reach[at] >= self._floor()
                self._end_words(likely[at] & np.isnan(self._beams.ended))
        column, source = _places(likely)
        token = tokens.take(column)
        return _Grown(source, token, added[column, source], *self._gains(source, token, space))

    def _least(self, reach: Scores, tokens: Places, stayed: Scores, space: int) -> float:
        """Return a score below which nothing will be kept, from the beams that stay and the likeliest letter.

        Most of `reach` [tokens, beams] is below it, whatever language model and hot words say: cheaper than asking.
        """
        known = stayed
        best = int(np.where(tokens == space, -np.inf, reach.max(axis=1)).argmax())
        if tokens[best] != space:
            every = np.arange(len(stayed))
            gain, _, _ = self._gains(every, np.full(len(stayed), tokens[best]), space)
            known = np.concatenate((stayed, reach[best] + gain))
        return self._lowest(known)

    def _lowest(self, scores: Scores) -> float:
        """Return the score below which none of these would be kept, were there no others."""
        least, width = float(scores.max()) - self._options.beam_threshold, self._options.beam
        if len(scores) > width:
            near = scores[scores >= least]
            if len(near) > width:
                near.partition(len(near) - width)
                return float(near[len(near) - width])
        return least

    def _gains(self, source: Places, token: Places, space: int) -> tuple[Scores, Ids | None, Ids | None]:
        """Return what one more token [n] adds to `extra` of beams [n], and the trie and hot-word nodes it leads to."""
        beams, fusion, hot = self._beams, self._fusion, self._hot
        gain: Scores = np.zeros(len(source))
        node = hots = None
        if fusion:
            before = beams.node.take(source)
            node = fusion.lexicon.step(before, token)
            (ends,) = (token == space).nonzero()
            node[ends] = ROOT
            outlook = fusion.outlook.take(before)
            gain = fusion.outlook.take(node).astype(np.float64) - outlook
            gain[ends] = beams.ended[source[ends]] - outlook[ends]
        if hot:
            place = beams.hot.take(source) + token
            hots = self._hot_rows.take(place)
            gain += self._hot_reward.take(place)
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
        scores, states, worth = fusion.end_words(
            beams.node.take(rows), beams.state.take(rows, axis=0), beams.worth.take(rows, axis=0)
        )
        # No word has no letters: two spaces in a row, or one at the beginning, are not text.
        beams.ended[rows] = np.where(beams.node[rows] == ROOT, -np.inf, scores)
        beams.ended_state[rows], beams.ended_worth[rows] = states, worth

    def _best(self, scores: Scores) -> Places:
        least, width = scores.max() - self._options.beam_threshold, self._options.beam
        (kept,) = (scores >= least if least > -np.inf else scores > -np.inf).nonzero()
        if not len(kept):
            return np.array([scores.argmax()])  # an impossible text, as there is no other
        if len(kept) > width:
            kept = kept[scores[kept].argpartition(len(kept) - width)[-width:]]
        return kept

    def _take(  # noqa: PLR0917
        self, kept: Places, blank: Scores, token: Scores, total: Scores, more: _Grown, space: int
    ) -> None:
        """Make the next beams of those `kept`: the first are beams that stay, the others beams with one more token."""
        beams, count = self._beams, len(self._beams.last)
        stay, new = kept[kept < count], kept[kept >= count] - count
        token_of, source_of = more.token.take(new), more.source.take(new)
        source = np.concatenate((stay, source_of))
        grown = slice(len(stay), len(source))
        self._came_from.append(beams.history.take(source_of))
        self._came_with.append(token_of.astype(np.int32))
        history = beams.history.take(source)
        history[grown] = self._entries + np.arange(len(new), dtype=np.int32)
        self._entries += len(new)
        key, parent = beams.key.take(source), beams.parent.take(source)
        parent[grown] = key[grown]
        key[grown] = key[grown] * _FACTOR + token_of.astype(np.uint64)
        state, worth = beams.state.take(source, axis=0), beams.worth.take(source, axis=0)
        ended = beams.ended.take(source)
        ended_state, ended_worth = beams.ended_state.take(source, axis=0), beams.ended_worth.take(source, axis=0)
        extra, node, hot = beams.extra.take(source), beams.node.take(source), beams.hot.take(source)
        extra[grown] += more.gain.take(new)
        if more.node is not None:
            node[grown] = more.node.take(new)
            at_space = len(stay) + (token_of == space).nonzero()[0]
            state[at_space], worth[at_space] = ended_state[at_space], ended_worth[at_space]
            ended[grown] = np.nan
        if more.hot is not None:
            hot[grown] = more.hot.take(new)
        path = more.path.take(new)
        self._beams = _Beams(
            blank=np.concatenate((blank.take(stay), np.full(len(new), -np.inf))),
            token=np.concatenate((token.take(stay), path)),
            extra=extra,
            last=np.concatenate((beams.last.take(stay), token_of)),
            key=key,
            parent=parent,
            history=history,
            node=node,
            hot=hot,
            state=state,
            worth=worth,
            ended=ended,
            ended_state=ended_state,
            ended_worth=ended_worth,
            total=np.concatenate((total.take(stay), path)),
        )

    def finish(self, space: int, count: int) -> list[Found]:
        """Return the texts, best first: the last word has ended, and so has a phrase."""
        beams, fusion = self._beams, self._fusion
        scores = beams.total + beams.extra
        if fusion:
            self._end_words(np.isnan(beams.ended))
            scores = scores + np.where(beams.node == ROOT, 0.0, beams.ended - fusion.outlook[beams.node])
        if self._hot:
            scores = scores + self._hot.ending[beams.hot // self._hot.step.shape[1]]
        came_from, came_with = np.concatenate(self._came_from), np.concatenate(self._came_with)
        best = np.argsort(-scores, kind="stable")[:count]
        # All texts are read backwards at once, until each of them has come to the empty one.
        entry = beams.history[best]
        tokens = [np.zeros(len(best), np.int32)]
        while entry.any():
            tokens.append(came_with[entry])
            entry = came_from[entry]
        # What stands before the beginning of a text that is shorter than others is a blank, which no text has.
        read = zip(np.array(tokens)[::-1].T.tolist(), scores[best].tolist(), strict=True)
        return [Found(tuple(filter(None, text)), score) for text, score in read]
