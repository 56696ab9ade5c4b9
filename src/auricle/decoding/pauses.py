"""Where a search by phones may begin anew: in the pauses of what the network has heard."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from auricle.decoding.pronunciations import WORD_END
from auricle.features import Array


def parts_between_pauses(log_probs: Array, letters: int, silent: Sequence[int], least: int) -> list[tuple[int, int]]:
    """Return the parts of log_probs [frames, letters and phones] between pauses: the first frame, and that after it.

    They are cut in the middle of `least` frames and more on which the likeliest letter, of so many, is a `silent` one
    (the blank, the space), and the likeliest phone none or the end of a word. Together they are everything.
    """
    heard_letters, heard_phones = log_probs[:, :letters].argmax(axis=1), log_probs[:, letters:].argmax(axis=1)
    is_silent = np.isin(heard_letters, silent) & (heard_phones <= WORD_END)
    edges = np.flatnonzero(np.diff(is_silent, prepend=False, append=False)).reshape(-1, 2).tolist()
    count = len(log_probs)
    inside = [(begin, end) for begin, end in edges if end - begin >= least and begin > 0 and end < count]
    return list(pairwise([0, *((begin + end) // 2 for begin, end in inside), count]))
