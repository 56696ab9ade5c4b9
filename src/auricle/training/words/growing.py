"""Making a recurrent language model's GRU wider, so that it says at first what it said before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from auricle.decoding.recurrent import RecurrentWeights
from auricle.features import Array

_SEED = 1


def widened(weights: RecurrentWeights, hidden: int) -> RecurrentWeights:
    """Return weights with `hidden` units, or the weights themselves where they have as many or more.

    The new units read words and all units at random, by numbers as large as the old ones' (their root mean square), and
    nothing reads them yet: neither the old units nor the words that come out. So each text is as probable as before.
    """
    old = weights.weight_hh.shape[1]
    if hidden <= old:
        return weights
    random = np.random.default_rng(_SEED)

    def gates(array: Array, columns: int) -> Array:
        """Return [3 hidden, columns], the old rows of each gate first, which make nothing of further columns."""
        wide = random.normal(scale=np.sqrt(np.mean(array**2)), size=(3, hidden, columns)).astype(np.float32)
        wide[:, :old, array.shape[1] :] = 0
        wide[:, :old, : array.shape[1]] = array.reshape(3, old, -1)
        return wide.reshape(3 * hidden, columns)

    def bias(array: Array) -> Array:
        wide = np.zeros((3, hidden), np.float32)
        wide[:, :old] = array.reshape(3, old)
        return wide.reshape(-1)

    output = np.zeros((len(weights.output), hidden), np.float32)
    output[:, :old] = weights.output
    return replace(
        weights,
        weight_ih=gates(weights.weight_ih, weights.weight_ih.shape[1]),
        weight_hh=gates(weights.weight_hh, hidden),
        bias_ih=bias(weights.bias_ih),
        bias_hh=bias(weights.bias_hh),
        output=output,
    )
