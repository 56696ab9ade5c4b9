"""The restorer that ships: a small network over windows of words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from auricle.errors import RestorationError
from auricle.restoration.casing import write
from auricle.restoration.features import pause_rows, word_rows
from auricle.restoration.model import RestorerModel, find_restorer
from auricle.restoration.types import CASES, MARKS, Pauses, Written

Scores: TypeAlias = NDArray[np.float32]

_WINDOW = 512  # words that one run of the network decides; more are no quicker
_FULL_STOP, _DASH = MARKS.index("."), MARKS.index("\u2014")
_QUIET = 4  # ONNX Runtime's FATAL


class NeuralRestorer:
    """Restores capitals and marks with a network (by default the embedded one). Safe to call from several threads.

    `window` is how many words are decided at a time; each window also sees `model.context` words on either side, which
    is as far as the network looks: the text is the same whatever the window. Raises RestorationError for a graph that
    is not a restorer's.
    """

    def __init__(self, model: RestorerModel | None = None, *, threads: int = 1, window: int = _WINDOW) -> None:
        self.model = model or find_restorer()
        self._window = max(window, 1)
        self._biases = np.array(self.model.biases, np.float32)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _QUIET
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(self.model.graph, options, providers=["CPUExecutionProvider"])
            shapes = [
                (value.name, value.shape[1:]) for value in (*self._session.get_inputs(), *self._session.get_outputs())
            ]
        except Exception as error:
            reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
            raise RestorationError(f"the restorer's network cannot be loaded ({reason}).") from error
        if shapes != [("rows", [6]), ("scores", [len(MARKS) + len(CASES)])]:
            raise RestorationError("the network's inputs and outputs are not those of a restorer: train it again.")

    @property
    def context(self) -> int:
        """How many words on either side can change what is said of a word."""
        return self.model.context

    def restore(self, words: Sequence[str], pauses: Pauses | None = None) -> list[Written]:
        """Return the written form of each word. See `Restorer`."""
        return list(self.stream(words, pauses))

    def stream(self, words: Sequence[str], pauses: Pauses | None = None) -> Iterator[Written]:
        """Yield the written form of each word as its window is done; no more than a window is held.

        A sentence's first word is capital, and a dash never the last mark, whatever the network thinks of it.
        """
        if pauses is not None and len(pauses) != len(words):
            raise ValueError(f"{len(pauses)} pauses for {len(words)} words: give one after each word.")
        begins = True  # a sentence, whatever the network says; after ? and ! there may be "he said" in small letters
        for first in range(0, len(words), self._window):
            last = min(first + self._window, len(words))
            scores = self._window_scores(words, pauses, first, last)
            of_marks = scores[:, : len(MARKS)] + self._biases
            if last == len(words):
                of_marks[-1, _DASH] = -np.inf  # books end so where somebody is interrupted, and recordings just end
            marks = of_marks.argmax(axis=1).tolist()
            cases = scores[:, len(MARKS) :].argmax(axis=1).tolist()
            for word, mark, case in zip(words[first:last], marks, cases, strict=True):
                chosen = CASES[1] if begins and case == 0 else CASES[case]
                yield Written(write(word, chosen, self.model.stored), MARKS[mark])
                begins = mark == _FULL_STOP

    def scores(self, words: Sequence[str], pauses: Pauses | None = None) -> Scores:
        """Return the network's logits [words, marks + cases], without biases; for tuning and for tests."""
        parts = [
            self._window_scores(words, pauses, first, min(first + self._window, len(words)))
            for first in range(0, len(words), self._window)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, len(MARKS) + len(CASES)), np.float32)

    def _window_scores(self, words: Sequence[str], pauses: Pauses | None, first: int, last: int) -> Scores:
        begin, end = max(first - self.model.context, 0), min(last + self.model.context, len(words))
        rows = word_rows(words[begin:end], self.model.rows, self.model.kinds)
        rows[:, -1] = pause_rows(None if pauses is None else pauses[begin:end], end - begin)
        (scores,) = self._session.run(["scores"], {"rows": rows})
        kept: Scores = scores[first - begin : last - begin]
        return kept
