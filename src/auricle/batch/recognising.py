"""From windows to segments, with one recogniser for each process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auricle.batch.work import Piece
from auricle.recognizer import load
from auricle.segmentation import Window
from auricle.transcript import Segment


@dataclass(frozen=True, slots=True)
class Settings:
    """What is recognised with: a built-in model or a bundle by path, and how its decoder is to search."""

    model: str | None = None
    language_model: bool = True
    beam: int | None = None


class Segments:
    """Recognises windows together, on one core. Raises BundleError for a model that cannot be loaded."""

    def __init__(self, settings: Settings) -> None:
        self._recognizer = load(settings.model, threads=1, language_model=settings.language_model, beam=settings.beam)

    def __call__(self, pieces: Sequence[Piece]) -> Iterator[tuple[Segment, ...]]:
        """Yield once: the segment of each piece, in their order, with plain words and the recording's own times."""
        windows = (Window(piece.start, piece.samples, is_whole=piece.is_whole) for piece in pieces)
        yield tuple(self._recognizer.segments(windows))
