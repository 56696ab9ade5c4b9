"""How far the texts that a search found agree on each word of the best one: word posteriors over a list of texts.

F. Wessel, R. Schlüter, K. Macherey and H. Ney, "Confidence measures for large vocabulary continuous speech
recognition", 2001. Where a word stands in a text is told by the alignment with the fewest errors, not by times: our
texts are weighed whole, and have times only when they are chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

import kaldialign
import numpy as np
import numpy.typing as npt

from auricle.decoding.fusion import Scores

_LEAST = 6e-6  # of the best text's probability: a hundred texts below it together are worth less than a thousandth
_GAP = -1


def agreement(place: int, texts: Sequence[Sequence[int]], scores: Scores) -> tuple[float, ...]:
    """Return for each word of the text at `place` the probability, in [0, 1], of the texts that have it there as well.

    `texts` are words as ids, and `scores` their natural-log probabilities, up to a constant.
    """
    own = texts[place]
    if not own:
        return ()
    weights = np.exp(scores - scores.max())
    total, there = 0.0, np.zeros(len(own))
    for text, weight in zip(texts, weights.tolist(), strict=True):
        if weight >= _LEAST:
            total += weight
            there += weight * _shared(own, text)
    return tuple(np.minimum(there / total, 1.0).tolist())


def _shared(own: Sequence[int], other: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Return for each word of one text whether another has it at its place."""
    pairs = kaldialign.align(list(own), list(other), _GAP)
    return np.array([mine == theirs for mine, theirs in pairs if mine != _GAP])
