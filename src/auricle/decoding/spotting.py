"""Spotting: where hot words may have been said, by the letters alone, whatever stands around them.

All phrases are one trie, through which the best path of each beginning runs from frame to frame (keyword search by
Viterbi, as in Rohlicek et al., 1989; for CTC, Fernandez et al., 2007). A path is scored against the best letter of each
frame, so that it can begin and end anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from auricle.alphabet import BLANK
from auricle.decoding.lexicon import Ids
from auricle.features import Array

_HITS = 4_096  # ends of paths that are looked at
_TOKEN_THRESHOLD = 7.0  # a frame's tokens further below its best are not tried


@dataclass(frozen=True, slots=True)
class Spotted:
    """A phrase, its first and last frame, and its log-probability there less that of the best letters."""

    phrase: str
    first: int
    last: int
    score: float


class Spotter:
    """Finds phrases in log-probabilities, each where it is likeliest among places that overlap."""

    def __init__(self, phrases: Mapping[str, Sequence[int]], least: Mapping[str, float]) -> None:
        """Hold phrases with their tokens, one or more; those are found whose score is `least` of them or above."""
        children: list[dict[int, int]] = [{}]
        parents, tokens = [0], [BLANK]
        # Breadth first, one token deeper at a time: a node comes after its parent, and nodes of a depth are together.
        nodes = dict.fromkeys(phrases, 0)
        for depth in range(max(map(len, phrases.values()), default=0)):
            for phrase, spelled in phrases.items():
                if depth < len(spelled):
                    node, token = nodes[phrase], spelled[depth]
                    if token not in children[node]:
                        children[node][token] = len(children)
                        children.append({})
                        parents.append(node)
                        tokens.append(token)
                    nodes[phrase] = children[node][token]
        self._phrases = tuple(phrases)
        self._ends = np.array([nodes[phrase] for phrase in phrases], np.intp)
        self._least: Array = np.array([least[phrase] for phrase in phrases], np.float32)
        self._parents = np.array(parents, np.intp)
        self._tokens = np.array(tokens, np.intp)
        self._doubled = self._tokens == self._tokens[self._parents]
        self._nodes_of = [np.flatnonzero(self._tokens == token) for token in range(int(self._tokens.max()) + 1)]

    def spot(self, log_probs: Array, *, most: int = 1_000) -> list[Spotted]:
        """Return what is found in log_probs [frames, tokens], up to `most`, what is furthest above its least first."""
        relative = np.asarray(log_probs - log_probs.max(axis=1, keepdims=True), np.float32)
        # Of each node's best path: its score where it ends in a blank or in the node's token, and where it begins. The
        # root is what has been said before: its path costs nothing, and the next one begins after it.
        blank, token = (np.full(len(self._parents), -np.inf, np.float32) for _ in range(2))
        blank[0] = 0.0
        blank_begin, token_begin = (np.zeros(len(self._parents), np.int32) for _ in range(2))
        nodes = nowhere = np.zeros(0, np.intp)
        frames, hits, scores, begins = [], [], [], []
        for frame, row in enumerate(relative):
            blank_begin[0] = frame
            likely = (row[1 : len(self._nodes_of)] >= -_TOKEN_THRESHOLD).nonzero()[0].tolist()
            after = np.concatenate((nowhere, *(self._nodes_of[1 + token] for token in likely)))
            parents = self._parents.take(after)
            over_blank, over_token = blank.take(parents), token.take(parents)
            over_token[self._doubled.take(after)] = -np.inf
            begin = np.where(over_token > over_blank, token_begin.take(parents), blank_begin.take(parents))
            entered = np.maximum(over_token, over_blank)
            stayed = token.take(after)
            begin = np.where(stayed >= entered, token_begin.take(after), begin)
            best = np.maximum(stayed, entered) + row.take(self._tokens.take(after))

            ended = nodes[token.take(nodes) > blank.take(nodes)]
            blank[ended], blank_begin[ended] = token.take(ended), token_begin.take(ended)
            blank += row[BLANK]
            blank[0] = 0.0
            token[nodes] = -np.inf
            token[after], token_begin[after] = best, begin
            nodes = after
            ends = token.take(self._ends)
            (found,) = (ends >= self._least).nonzero()
            if len(found):
                frames.append(np.full(len(found), frame))
                hits.append(found)
                scores.append(ends[found])
                begins.append(token_begin[self._ends[found]])
        if not frames:
            return []
        return self._peaks(*map(np.concatenate, (frames, hits, scores, begins)), most=most)

    def _peaks(
        self, frames: npt.NDArray[np.int64], hits: npt.NDArray[np.int64], scores: Array, begins: Ids, *, most: int
    ) -> list[Spotted]:
        margins = scores.astype(np.float64) - self._least[hits]  # in float32, near ones would come out alike
        # With a great reward every phrase is everywhere: what is far behind is not even sorted.
        ahead = np.argpartition(-margins, _HITS)[:_HITS] if len(margins) > _HITS else np.arange(len(margins))
        found: list[Spotted] = []
        places: dict[str, list[Spotted]] = {}
        for place in ahead[np.lexsort((frames[ahead], -margins[ahead]))].tolist():
            one = Spotted(self._phrases[hits[place]], int(begins[place]), int(frames[place]), float(scores[place]))
            others = places.setdefault(one.phrase, [])
            if not any(_overlap(one, other) for other in others):
                others.append(one)
                found.append(one)
                if len(found) == most:
                    break
        return found


def _overlap(one: Spotted, other: Spotted) -> bool:
    return one.first <= other.last and other.first <= one.last
