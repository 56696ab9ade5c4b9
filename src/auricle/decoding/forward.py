"""How probable texts are under the network: CTC's sum over all paths (Graves et al., 2006, sec. 4.1), many at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from auricle.alphabet import BLANK
from auricle.features import Array

_FRAMES_TO_RESCALE = 8
_TINY = 1e-300
_LOST = 1e-100  # of the likeliest path of a text: what is less is not followed


def log_likelihoods(log_probs: Array, texts: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
    """Return the natural-log probability of each text, as token ids, for log_probs [frames, tokens].

    It is minus infinity for a text that does not fit into the frames. Sums are of probabilities, rescaled now and then:
    no logarithm is taken frame by frame, and paths some 230 nats below the best of their text are lost.
    """
    count, longest = len(texts), max(map(len, texts), default=0)
    if not count:
        return np.zeros(0)
    lengths = np.array([len(text) for text in texts])
    if not len(log_probs):
        return np.where(lengths == 0, 0.0, -np.inf)
    frames, tokens = log_probs.shape
    # One more token, which is never said, stands behind the end of a text.
    probabilities = np.zeros((frames, tokens + 1))
    np.exp(np.asarray(log_probs, np.float64), out=probabilities[:, :tokens])
    labels = np.full((count, 2 * longest + 1), tokens, np.intp)
    for row, text in zip(labels, texts, strict=True):
        row[: 2 * len(text) + 1] = BLANK
        row[1 : 2 * len(text) : 2] = text
    # Over the blank, from one token to a different one.
    may_skip = np.zeros(labels.shape)
    may_skip[:, 3::2] = labels[:, 3::2] != labels[:, 1:-2:2]
    # Two columns of zeros before the first state stand for what comes from nowhere.
    paths = np.zeros((count, labels.shape[1] + 2))
    paths[:, 2:4] = probabilities[0].take(labels[:, :2])
    total = np.zeros(count)
    # Only states from `first` to `end` are alive, in some text: the others lie behind or have not been reached.
    first, end = 0, labels.shape[1]
    for frame, row in enumerate(probabilities):
        if frame:
            reached = paths[:, first:end] * may_skip[:, first:end]
            reached += paths[:, first + 1 : end + 1]
            reached += paths[:, first + 2 : end + 2]
            reached *= row.take(labels[:, first:end])
            paths[:, first + 2 : end + 2] = reached
        if frame % _FRAMES_TO_RESCALE == 0 or frame == frames - 1:
            states = paths[:, 2:]
            largest = np.maximum(states.max(axis=1), _TINY)
            states /= largest[:, None]
            total += np.log(largest)
            alive = np.flatnonzero((states > _LOST).any(axis=0))
            if len(alive):
                paths[:, : alive[0] + 2] = 0
                paths[:, alive[-1] + 3 :] = 0
                first, end = int(alive[0]), min(int(alive[-1]) + 1 + 2 * _FRAMES_TO_RESCALE, labels.shape[1])
    ends = paths[np.arange(count), 2 + 2 * lengths]
    ends = ends + np.where(lengths > 0, paths[np.arange(count), 1 + 2 * lengths], 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(total + np.log(ends))
