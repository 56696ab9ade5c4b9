"""From windows to segments, with one recogniser for each process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from auricle.audio import SourceInfo, Waveform
from auricle.batch.work import Piece
from auricle.recognizer import load
from auricle.transcript import Segment, Word


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
        self._rate = self._recognizer.bundle.features.sample_rate

    def __call__(self, pieces: Sequence[Piece]) -> Iterator[tuple[Segment, ...]]:
        """Yield once: the segment of each piece, in their order, with plain words and the recording's own times."""
        sounds = (Waveform(piece.samples, self._rate, self._info(piece)) for piece in pieces)
        heard = self._recognizer.transcribe_many(sounds, plain=True)
        yield tuple(self._segment(piece, found.words) for piece, found in zip(pieces, heard, strict=True))

    def _info(self, piece: Piece) -> SourceInfo:
        return SourceInfo("array", self._rate, 1, len(piece.samples) / self._rate)

    def _segment(self, piece: Piece, words: Sequence[Word]) -> Segment:
        start, end = piece.start / self._rate, (piece.start + len(piece.samples)) / self._rate
        seconds = len(piece.samples) / self._rate
        return Segment(start, end, tuple(self._moved(word, start, end, seconds) for word in words))

    def _moved(self, word: Word, start: float, end: float, seconds: float) -> Word:
        """Return a word of a window of so many seconds at its time in the recording.

        It is computed as `auricle.transcript` does, from the frame: a pause that is longer by the last digit of a float
        can be another sentence to what makes the text readable.
        """
        frame, half = self._recognizer.bundle.frame_seconds, 0.5 * self._recognizer.bundle.frame_seconds
        first, last = round((word.start + half) / frame), round((word.end - half) / frame)
        begins = end if word.start >= seconds else min(max(start, start + frame * first - half), end)
        ends = end if word.end >= seconds else min(start + frame * last + half, end)
        return replace(word, start=begins, end=ends)
