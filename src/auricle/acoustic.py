"""The acoustic model: an ONNX session behind one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from auricle.errors import BundleError
from auricle.features import Array

_QUIET = 4  # ONNX Runtime's FATAL: what it would print is raised as well, and standard error is the user's


class AcousticModel:
    """Normalised features in, natural-log probabilities out. Safe to call from several threads.

    `onnx` is the serialised graph with inputs `features [B, T, mel]` and `lengths [B]` and outputs
    `log_probs [B, T', tokens]` and `out_lengths [B]`; `threads` bounds the cores of one call (None: all of them).
    Raises BundleError when the graph is not such a one.
    """

    def __init__(self, onnx: bytes, *, mel: int, tokens: int, threads: int | None = None) -> None:
        self._session, ins, outs = open_session(onnx, threads, "the acoustic model")
        if set(ins) != {"features", "lengths"} or set(outs) != {"log_probs", "out_lengths"}:
            raise BundleError("the acoustic model's inputs and outputs are not those of an auricle bundle.")
        if ins["features"][-1] != mel:
            raise BundleError(f"the acoustic model reads {ins['features'][-1]} mel bands and the bundle makes {mel}.")
        if outs["log_probs"][-1] != tokens:
            raise BundleError(
                f"the acoustic model writes {outs['log_probs'][-1]} tokens and the bundle's alphabet, with the blank, "
                f"has {tokens}."
            )

    def log_probs(self, batch: Sequence[Array]) -> list[Array]:
        """Return [frames', tokens] for each [frames, mel] of the batch; no clip's result depends on the others."""
        if not batch:
            return []
        features, lengths = padded(batch)
        outputs = self._session.run(["log_probs", "out_lengths"], {"features": features, "lengths": lengths})
        return [log_probs[:length] for log_probs, length in zip(*outputs, strict=True)]


def open_session(
    onnx: bytes, threads: int | None, what: str
) -> tuple[onnxruntime.InferenceSession, dict[str, list[Any]], dict[str, list[Any]]]:
    """Return a session on a serialised graph, and the shapes of its inputs and outputs by name.

    `threads` bounds the cores of one call (None: all of them). Raises BundleError, which names `what` it is, for what
    ONNX Runtime cannot load.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    # A plan of memory for each length that has ever come would be kept: dozens of megabytes, and no time is won by it.
    options.enable_mem_pattern = False
    # Idle threads would otherwise spin between the small steps of a GRU, and take cores from decoding and reading.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        ins = {value.name: value.shape for value in session.get_inputs()}
        outs = {value.name: value.shape for value in session.get_outputs()}
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise BundleError(f"{what} cannot be loaded ({reason}).") from error
    # It would keep the graph as it came, beside its own copy, should other providers be asked for.
    session._model_bytes = None
    return session, ins, outs


def padded(batch: Sequence[Array]) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return arrays [n, width] of one width as one [B, longest, width], zero past their ends, and their lengths [B]."""
    lengths = np.array([len(one) for one in batch], dtype=np.int64)
    together = np.zeros((len(batch), int(lengths.max()), batch[0].shape[1]), dtype=np.float32)
    for row, one in zip(together, batch, strict=True):
        row[: len(one)] = one
    return together, lengths
