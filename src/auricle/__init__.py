"""auricle: speech to text that its user can own.

>>> import auricle
>>> auricle.load().transcribe("talk.mp3").text  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auricle.errors import AuricleError
    from auricle.recognizer import Recognizer, load
    from auricle.transcript import Segment, Transcript, Word

__version__ = "0.1.0"
__all__ = ["AuricleError", "Recognizer", "Segment", "Transcript", "Word", "__version__", "load"]

_HOMES = {
    "AuricleError": "auricle.errors",
    "Recognizer": "auricle.recognizer",
    "Segment": "auricle.transcript",
    "Transcript": "auricle.transcript",
    "Word": "auricle.transcript",
    "load": "auricle.recognizer",
}


def __getattr__(name: str) -> Any:
    # Lazily, so that `import auricle` costs nothing until something is recognised.
    if name not in _HOMES:
        raise AttributeError(f"module 'auricle' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
