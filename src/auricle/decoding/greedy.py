"""Greedy decoding: the best token of each frame, repeats collapsed, blanks dropped (Graves et al., 2006, sec. 3.2)."""

from __future__ import annotations

import numpy as np

from auricle.alphabet import BLANK, Alphabet
from auricle.decoding.types import Hypothesis, Phrases
from auricle.errors import AuricleError
from auricle.features import Array


class GreedyDecoder:
    """Best-path decoding. It has no use for hot words, and says so rather than leave them out in silence."""

    def __init__(self, alphabet: Alphabet) -> None:
        self._alphabet = alphabet

    def decode(self, log_probs: Array, *, hot_words: Phrases = ()) -> list[Hypothesis]:
        """Return the one hypothesis of the best path; columns past the letters, phones, are not read.

        Raises AuricleError for NaN and for hot words."""
        if hot_words:
            raise AuricleError("greedy decoding cannot favour hot words: use a decoder that can.")
        if np.isnan(log_probs).any():
            raise AuricleError("the log-probabilities hold NaN: the acoustic model or its input is broken.")
        log_probs = log_probs[:, : self._alphabet.tokens]
        if len(log_probs) == 0:
            return [Hypothesis("", 0.0, (), (), ())]
        best = log_probs.argmax(axis=1)
        starts = np.flatnonzero(np.diff(best, prepend=-1))
        ends = np.append(starts[1:], len(best)) - 1
        kept = best[starts] != BLANK
        tokens = tuple(best[starts][kept].tolist())
        return [
            Hypothesis(
                text=self._alphabet.decode(tokens),
                score=float(log_probs.max(axis=1).sum(dtype=np.float64)),
                tokens=tokens,
                first_frames=tuple(starts[kept].tolist()),
                last_frames=tuple(ends[kept].tolist()),
            )
        ]
