"""A recording as a stream of blocks at the wanted rate, so that no more of it than that is ever in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Self

import numpy as np

from auricle.audio.track import Pieces, Track, track_of
from auricle.audio.waveform import SourceInfo, Waveform, check_finite, check_wanted_rate
from auricle.errors import AudioError

BLOCK_SECONDS = 10.0


class Blocks:
    """A recording that is decoded while it is iterated over, which can be done once.

    Yields mono float32 samples at `rate` Hz, finite and nominally in [-1, 1]: `seconds` of them in each block, what is
    left in the last, and at least one sample in all. Joined, the blocks are what `audio.read` returns, which is made of
    them. Close it, or use it in a `with` block; it closes itself at its end.

    `promised` is how long the header says that the recording is, in seconds, and None where it does not say. `source`
    is known when the last block is out.

    Iterating raises AudioError, one sentence naming the recording, wherever the damage is met: a recording that is cut
    off or holds NaN may have yielded good blocks before.
    """

    def __init__(
        self, track: Track, *, rate: int, name: str, seconds: float = BLOCK_SECONDS, closing: ExitStack | None = None
    ) -> None:
        self.rate, self.name, self.promised = rate, name, track.promised
        self._track, self._size = track, max(1, round(seconds * rate))
        self._closing = closing or ExitStack()
        self._source: SourceInfo | None = None
        self._begun = False

    @classmethod
    def of(cls, waveform: Waveform, *, name: str = "the recording", seconds: float = BLOCK_SECONDS) -> Self:
        """Return the blocks of what is in memory already."""
        return cls(track_of(waveform), rate=waveform.rate, name=name, seconds=seconds)

    @property
    def source(self) -> SourceInfo:
        """What the recording was. Raises RuntimeError before its end, as its length may not be known earlier."""
        if self._source is None:
            raise RuntimeError(f"{self.name} has not been decoded to its end: what it was is not known yet.")
        return self._source

    def read(self) -> Waveform:
        """Decode all of it. Raises AudioError."""
        samples = np.concatenate(list(self._pieces()))
        return Waveform(np.ascontiguousarray(samples), self.rate, self.source)

    def close(self) -> None:
        """Let go of the file."""
        self._track.pieces.close()
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[np.ndarray]:
        held: list[np.ndarray] = []
        count = 0
        for piece in self._pieces():
            held.append(piece)
            count += len(piece)
            if count >= self._size:
                together = np.concatenate(held)
                left = count % self._size
                yield from np.split(together[: count - left], (count - left) // self._size)
                held, count = [together[count - left :]], left
        if count:
            yield np.concatenate(held)

    def _pieces(self) -> Iterator[np.ndarray]:
        """Yield what is decoded, checked and resampled as it comes."""
        if self._begun:
            raise RuntimeError(f"{self.name} has been decoded already: open it again.")
        self._begun = True
        with self:
            count = 0
            for piece in self._resampled() if self._track.rate != self.rate else self._checked():
                count += len(piece)
                yield piece
            if not count:
                raise AudioError(
                    f"{self.name} is shorter than one sample at {self.rate} Hz: choose a longer recording."
                )

    def _resampled(self) -> Iterator[np.ndarray]:
        """Resample piece by piece: sample for sample what `soxr.resample` makes of the whole."""
        import soxr

        check_wanted_rate(self.rate, self.name)
        stream = soxr.ResampleStream(self._track.rate, self.rate, 1, dtype="float32", quality="HQ")
        for piece in self._checked():
            yield check_finite(stream.resample_chunk(piece), self.name)
        yield check_finite(stream.resample_chunk(np.zeros(0, np.float32), last=True), self.name)

    def _checked(self) -> Iterator[np.ndarray]:
        count = 0
        for piece in self._remembering(self._track.pieces):
            count += len(piece)
            yield check_finite(piece, self.name)
        if not count:
            raise AudioError(f"{self.name} holds no samples: choose a recording with sound in it.")

    def _remembering(self, pieces: Pieces) -> Iterator[np.ndarray]:
        try:
            self._source = yield from pieces
        except OSError as error:
            raise AudioError(f"{self.name} cannot be read: {error.strerror or error}.") from error
