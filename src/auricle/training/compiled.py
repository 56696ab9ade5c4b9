"""The inner loops that are written in C, compiled for this processor when they are first needed.

These are the recurrence of a GRU layer (`recurrence.c`) and the CTC loss (`ctc.c`, behind `ctc`). They are optional:
without a C compiler, or with AURICLE_COMPILE=0 in the environment, `library` and `kernel` return None, and tensor
operations make the same numbers, more slowly. docs/adr/0008-compiled-recurrence.md has the reasons.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

_FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared")
_BFLOAT16 = ("-DPRODUCTS_BFLOAT16",)
_PANEL = 64
_COMPILE_SECONDS = 60


class Kernel:
    """A `recurrence.Recurrence` over tensors of which the states and sums are float32."""

    def __init__(self, compiled: ctypes.CDLL) -> None:
        self._compiled = compiled

    def recur(self, gates: Tensor, biases: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `Recurrence.recur`."""
        directions, steps, batch, width = gates.shape
        hidden = width // 3
        product = self._packed(weight.transpose(1, 2))
        states = biases.new_empty(directions, steps + 1, batch, hidden)
        narrowed = gates.new_empty(directions, steps + 1, batch, hidden)
        states[:, 0], narrowed[:, 0] = 0, 0
        saved = biases.new_empty(directions, steps, batch, 4 * hidden)
        space = biases.new_empty(batch * _padded(width))
        for tensors in zip(gates, biases, product, states, narrowed, saved, strict=True):
            self._call("recur", (*tensors, space), (steps, batch, hidden))
        return states, narrowed, saved

    def recur_backward(
        self, grad: Tensor, weight: Tensor, states: Tensor, saved: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `Recurrence.recur_backward`."""
        directions, steps, batch, hidden = grad.shape
        product = self._packed(weight)
        recurrent = product.new_empty(directions, steps, batch, 3 * hidden)
        inputs = torch.empty_like(recurrent)
        biases = grad.new_zeros(directions, 4 * hidden)
        for tensors in zip(grad, product, states, saved, recurrent, inputs, biases, strict=True):
            space = grad.new_zeros(batch * (hidden + _padded(hidden)))
            self._call("recur_backward", (*tensors, space), (steps, batch, hidden))
        return recurrent, inputs, biases

    def _packed(self, matrices: Tensor) -> Tensor:
        """Lay out the weights [2, depth, columns] for products with them from the left."""
        directions, depth, columns = matrices.shape
        matrices = matrices.contiguous()
        packed = matrices.new_empty(directions, depth * _padded(columns))
        for tensors in zip(matrices, packed, strict=True):
            self._call("pack", tensors, (depth, columns))
        return packed

    def _call(self, name: str, tensors: Sequence[Tensor], sizes: Sequence[int]) -> None:
        call(self._compiled, name, tensors, sizes)


def call(compiled: ctypes.CDLL, name: str, tensors: Sequence[Tensor], sizes: Sequence[int]) -> None:
    """Call a function of C with the places of contiguous tensors, and then with sizes."""
    assert all(tensor.is_contiguous() for tensor in tensors)
    places = [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]
    getattr(compiled, name)(*places, *(ctypes.c_long(size) for size in sizes))


def kernel(products: torch.dtype) -> Kernel | None:
    """Return the compiled recurrence, or None where it cannot be had or tensor operations are the quicker.

    With AMX they are: its products are eight times as fast, and PyTorch's reach it. AURICLE_COMPILE=0 switches it off.
    """
    quick = torch.cpu._is_avx512_bf16_supported() and not torch.cpu._is_amx_tile_supported()
    if products not in {torch.bfloat16, torch.float32} or (products == torch.bfloat16 and not quick):
        return None
    found = library("recurrence.c", _BFLOAT16 if products == torch.bfloat16 else ())
    return Kernel(found) if found else None


def _padded(columns: int) -> int:
    return -(-columns // _PANEL) * _PANEL


def library(source: str, flags: tuple[str, ...] = ()) -> ctypes.CDLL | None:
    """Return what a source file of this folder compiles to, or None where that cannot be had or is switched off."""
    return None if os.environ.get("AURICLE_COMPILE") == "0" else _compiled(source, flags)


@lru_cache
def _compiled(source: str, flags: tuple[str, ...]) -> ctypes.CDLL | None:
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        return None
    path = Path(__file__).with_name(source)
    command = [compiler, *_FLAGS, *flags]
    folder = _cache()
    try:
        # Another processor, compiler or source is another file: a home folder may be shared between machines.
        version = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=_COMPILE_SECONDS)
        sources = [one.read_text(encoding="utf-8") for one in (path, *sorted(path.parent.glob("*.h")))]
        key = [*command, _processor(), platform.machine(), version.stdout.decode(), *sources]
        kept = folder / f"{path.stem}-{hashlib.sha256('|'.join(key).encode()).hexdigest()[:16]}.so"
        if not kept.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as partial:
                built = Path(partial) / kept.name
                subprocess.run(
                    [*command, "-o", str(built), str(path)], capture_output=True, check=True, timeout=_COMPILE_SECONDS
                )
                built.replace(kept)
        return ctypes.CDLL(str(kept))
    except (OSError, subprocess.SubprocessError):
        return None


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "auricle"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith("flags")), "")
