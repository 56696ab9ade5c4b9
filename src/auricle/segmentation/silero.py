"""Silero VAD (Silero Team, 2024, MIT licence): a network of 0.3 million weights that was trained to tell speech.

Its package asks for PyTorch, its ONNX file does not: only the file is used, the package is never imported.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime

from auricle.errors import AuricleError
from auricle.features import Array
from auricle.segmentation.spectral import Flags

_RATE = 16_000
_FILE = "data/silero_vad_16k_sequence.onnx"  # takes a whole block at a time; releases before 6.2.3 lack it
_HOP_SAMPLES = 512
_CONTEXT_SAMPLES = 64
_STATE_SHAPE = (1, 1, 128)
_MOST_HOPS = 512  # of one call: the memory of a block of any length stays small
_SPEECH = 0.3  # of a probability; 0.5 is its authors' choice, but what is missed here is lost for good


class SileroDetector:
    """Tells speech, at 16 kHz, with silero-vad's network in the ONNX file at `path`.

    Raises AuricleError for a file that is not that network.
    """

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
            raise AuricleError(f"{path} cannot be loaded ({reason}): install silero-vad again.") from error
        if {value.name for value in self._session.get_inputs()} != {"input", "h", "c"}:
            raise AuricleError(f"{path} is not a network of silero-vad that auricle knows: install version 6.2.3.")

    @staticmethod
    def installed(rate: int) -> SileroDetector | None:
        """Return the detector where a silero-vad that can be read is installed, and the rate is the one it knows."""
        return _installed() if rate == _RATE else None

    def listen(self, rate: int) -> _Silero:
        """Begin with a recording. Raises ValueError for a rate other than 16,000 Hz."""
        if rate != _RATE:
            raise ValueError(f"silero-vad listens at {_RATE} Hz, not at {rate}.")
        return _Silero(self._session)


class _Silero:
    hop_samples = _HOP_SAMPLES

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._hidden = self._cell = np.zeros(_STATE_SHAPE, np.float32)
        self._samples = np.zeros(_CONTEXT_SAMPLES, np.float32)

    def hear(self, block: Array, *, last: bool = False) -> Flags:
        samples = np.concatenate([self._samples, block])
        if last:
            samples = np.pad(samples, (0, -(len(samples) - _CONTEXT_SAMPLES) % _HOP_SAMPLES))
        hops = (len(samples) - _CONTEXT_SAMPLES) // _HOP_SAMPLES
        self._samples = samples[hops * _HOP_SAMPLES :]
        flags = [np.zeros(0, np.bool_)]
        for first in range(0, hops, _MOST_HOPS):
            part = samples[first * _HOP_SAMPLES : min(first + _MOST_HOPS, hops) * _HOP_SAMPLES + _CONTEXT_SAMPLES]
            frames = np.lib.stride_tricks.sliding_window_view(part, _CONTEXT_SAMPLES + _HOP_SAMPLES)[::_HOP_SAMPLES]
            inputs = {"input": np.ascontiguousarray(frames), "h": self._hidden, "c": self._cell}
            speech, self._hidden, self._cell = self._session.run(["speech_probs", "hn", "cn"], inputs)
            flags.append(speech.reshape(-1) > _SPEECH)
        return np.concatenate(flags)


@cache
def _installed() -> SileroDetector | None:
    package = find_spec("silero_vad")
    for folder in (package.submodule_search_locations or ()) if package else ():
        path = Path(folder) / _FILE
        if path.is_file():
            with suppress(AuricleError):  # of another version: our own detector will do
                return SileroDetector(path)
    return None
