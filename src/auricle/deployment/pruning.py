"""What of the installed packages a function never reads."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

_FOLDERS: Final = {"tests", "__pycache__", "include"}
_ENDINGS: Final = {".pyi", ".pxd", ".pyx", ".h", ".hpp", ".c", ".a", ".lib", ".exe", ".pyc"}
# Of a distribution's own record, its name, version and licences stay.
_KEPT_METADATA: Final = {"METADATA", "licenses"}
_PARTS: Final = (
    "bin",
    "auricle/cli",
    "auricle/corpora",
    "auricle/deployment",
    "auricle/training",
    # Tools to make and change models.
    "onnxruntime/backend",
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    "numpy/_pyinstaller",
    "numpy/f2py",
    # What ONNX Runtime's tools need, and its inference does not.
    "coloredlogs",
    "flatbuffers",
    "google",
    "humanfriendly",
    "mpmath",
    "sympy",
    # A compiler of C declarations; soundfile's are compiled.
    "pycparser",
)


def prune(folder: Path) -> None:
    """Remove from a folder of installed packages what a function does without."""
    for part in _PARTS:
        shutil.rmtree(folder / part, ignore_errors=True)
    for path in sorted(folder.rglob("*"), reverse=True):  # what is inside comes before its folder
        if path.is_dir():
            if path.name in _FOLDERS:
                shutil.rmtree(path)
            elif not any(path.iterdir()):
                path.rmdir()
        elif path.suffix in _ENDINGS or _is_record(path.relative_to(folder)):
            path.unlink()


def _is_record(path: Path) -> bool:
    return path.parts[0].endswith(".dist-info") and path.parts[1] not in _KEPT_METADATA
