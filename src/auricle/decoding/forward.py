"""How probable texts are under the network: CTC's sum over all paths (Graves et al., 2006, sec. 4.1), many at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from auricle.alphabet import BLANK
from auricle.features import Array

_FRAMES_TO_RESCALE = 8
_TINY = 1e-300


def log_likelihoods(log_probs: Array, texts: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
    """Return the natural-log probability of each text, as token ids, for log_probs [frames, tokens].

    It is minus infinity for a text that does not fit into the frames. Sums are of probabilities, rescaled now and then:
    no logarithm is taken frame by frame, and paths some 600 nats below the best of their text are lost.
    """
    count, longest = len(texts), max(map(len, texts), default=0)
    if not count:
        return np.zeros(0)
    lengths = np.array([len(text) for text in texts])
    labels = np.full((count, 2 * longest + 1), BLANK, np.intp)
    for row, text in zip(labels, texts, strict=True):
        row[1 : 2 * len(text) : 2] = text
    # Over the blank, from one token to a different one.
    may_skip = np.zeros(labels.shape)
    may_skip[:, 3::2] = labels[:, 3::2] != labels[:, 1:-2:2]
    inside = np.arange(labels.shape[1]) <= 2 * lengths[:, None]
    probabilities = np.exp(np.asarray(log_probs, np.float64))
    # Two columns of zeros before the first state stand for what comes from nowhere.
    paths = np.zeros((count, labels.shape[1] + 2))
    paths[:, 2] = 1.0
    total = np.zeros(count)
    if not len(log_probs):
        return np.where(lengths == 0, 0.0, -np.inf)
    for frame, row in enumerate(probabilities):
        if frame:
            reached = paths[:, 2:] + paths[:, 1:-1] + paths[:, :-2] * may_skip
        else:
            reached = np.zeros(labels.shape)
            reached[:, :2] = 1.0
        reached *= row[labels]
        reached *= inside
        if frame % _FRAMES_TO_RESCALE == 0 or frame == len(probabilities) - 1:
            largest = np.maximum(reached.max(axis=1), _TINY)
            reached /= largest[:, None]
            total += np.log(largest)
        paths[:, 2:] = reached
    ends = paths[np.arange(count), 2 + 2 * lengths]
    ends = ends + np.where(lengths > 0, paths[np.arange(count), 1 + 2 * lengths], 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(total + np.log(ends))
