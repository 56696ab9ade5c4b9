"""Forced alignment: the most probable way in which a known text lies in the frames (Viterbi over CTC's lattice)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auricle.alphabet import BLANK
from auricle.errors import AuricleError
from auricle.features import Array


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where each token lies: first and last frame (both inclusive), and the natural-log probability of that path."""

    first_frames: tuple[int, ...]
    last_frames: tuple[int, ...]
    score: float


def align(log_probs: Array, tokens: Sequence[int]) -> Alignment:
    """Align token ids with log_probs [frames, tokens].

    Raises AuricleError when there are too few frames: CTC needs one for each token, and a blank between equals.
    """
    labels = np.asarray(tokens, dtype=np.intp)
    frames = len(log_probs)
    repeats = int((labels[1:] == labels[:-1]).sum())
    if frames < len(labels) + repeats:
        raise AuricleError(
            f"{len(labels)} characters do not fit into {frames} frames: the text is too long for the recording."
        )
    if not len(labels):
        return Alignment((), (), float(log_probs[:, BLANK].sum(dtype=np.float64)))
    # States: blank, first token, blank, second token, ..., blank.
    states = np.full(2 * len(labels) + 1, BLANK, dtype=np.intp)
    states[1::2] = labels
    may_skip = np.zeros(len(states), bool)  # over the blank, from one token to a different one
    may_skip[3::2] = labels[1:] != labels[:-1]
    emitted = np.asarray(log_probs, np.float64)[:, states]
    best = np.full(len(states), -np.inf)
    best[:2] = emitted[0, :2]
    came = np.zeros((frames, len(states)), np.int8)
    ways = np.full((3, len(states)), -np.inf)
    for frame in range(1, frames):
        ways[0] = best
        ways[1, 1:] = best[:-1]
        ways[2, 2:] = np.where(may_skip[2:], best[:-2], -np.inf)
        came[frame] = ways.argmax(axis=0)
        best = ways.max(axis=0) + emitted[frame]
    state = len(states) - 1 - int(best[-2] > best[-1])
    score = float(best[state])
    path = np.empty(frames, np.intp)
    for frame in range(frames - 1, -1, -1):
        path[frame] = state
        state -= int(came[frame, state])
    own = np.arange(1, len(states), 2)
    return Alignment(
        first_frames=tuple(np.searchsorted(path, own, side="left").tolist()),
        last_frames=tuple((np.searchsorted(path, own, side="right") - 1).tolist()),
        score=score,
    )
