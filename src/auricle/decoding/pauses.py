"""Where a search by phones may begin anew: in the pauses of what the network has heard."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from auricle.decoding.pronunciations import WORD_END
from auricle.features import Array


def parts_between_pauses(
    log_probs: Array, letters: int, silent: Sequence[int], least: int, long: int
) -> list[tuple[int, int, bool]]:
    """Return the parts of log_probs [frames, letters and phones] between pauses: first frame, and that after the last.

    They are cut in the middle of `least` frames and more on which the likeliest letter, of so many, is a `silent` one
    (the blank, the space), and the likeliest phone none or the end of a word. Together they are everything. With each
    comes whether it goes on with what was before: not after a pause of `long` frames, nor at the beginning.
    """
    heard_letters, heard_phones = log_probs[:, :letters].argmax(axis=1), log_probs[:, letters:].argmax(axis=1)
    is_silent = np.isin(heard_letters, silent) & (heard_phones <= WORD_END)
    edges = np.flatnonzero(np.diff(is_silent, prepend=False, append=False)).reshape(-1, 2).tolist()
    count = len(log_probs)
    inside = [(begin, end) for begin, end in edges if end - begin >= least and begin > 0 and end < count]
    cuts = [0, *((begin + end) // 2 for begin, end in inside), count]
    goes_on = [False, *(end - begin < long for begin, end in inside)]
    return [(begin, end, on) for (begin, end), on in zip(pairwise(cuts), goes_on, strict=True)]
