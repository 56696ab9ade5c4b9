"""Letters from phones: what a network that has read (ADR 14) makes of what the acoustic model has heard.

It hears nothing itself. Where no language model says which words there are, its letters are read in place of the
acoustic model's; where one does, those are a witness of their own, and spelt ones are not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auricle.acoustic import open_session, padded
from auricle.errors import BundleError
from auricle.features import Array


class SpellingModel:
    """Log-probabilities of phones in, those of letters out. Safe to call from several threads.

    `onnx` is the serialised graph with inputs `phones [B, steps, frames of a step * phones]`, probabilities, and
    `lengths [B]` in steps, and the output `log_probs [B, frames, letters]`; `phones` and `letters` count their blanks,
    too. `threads` bounds the cores of one call (None: all of them). Raises BundleError when the graph is not such a
    one.
    """

    def __init__(self, onnx: bytes, *, phones: int, letters: int, threads: int | None = None) -> None:
        self._session, ins, outs = open_session(onnx, threads, "the speller")
        if set(ins) != {"phones", "lengths"} or set(outs) != {"log_probs"}:
            raise BundleError("the speller's inputs and outputs are not those of an auricle bundle.")
        width, written = ins["phones"][-1], outs["log_probs"][-1]
        if not phones or width % phones or written != letters:
            raise BundleError(
                f"the speller reads {width} values a step and writes {written} letters, and the bundle has {phones} "
                f"phones and {letters} letters, with their blanks."
            )
        self._outputs = width // phones

    def log_probs(self, batch: Sequence[Array]) -> list[Array]:
        """Return [frames, letters] for each [frames, phones] of the batch; no clip's result depends on the others."""
        if not batch:
            return []
        steps = [by_step(np.exp(phones), self._outputs) for phones in batch]
        phones, lengths = padded(steps)
        (found,) = self._session.run(["log_probs"], {"phones": phones, "lengths": lengths})
        return [letters[: len(one)] for letters, one in zip(found, batch, strict=True)]


def by_step(probs: Array, outputs: int) -> Array:
    """Return probabilities [frames, phones] as [steps, outputs * phones]; the last step ends with silence."""
    missing = -len(probs) % outputs
    if missing:
        silence = np.zeros((missing, probs.shape[1]), probs.dtype)
        silence[:, 0] = 1
        probs = np.concatenate((probs, silence))
    return probs.reshape(len(probs) // outputs, -1)
