"""Live recognition: words while they are still being said.

The network listens in both directions, so what is said next may change what was said before. The window that grows is
therefore recognised again and again, and its words are partial; they are final when a pause, or its length, ends it.
"""

from __future__ import annotations

import asyncio
import io
import queue
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from auricle.audio import Blocks, SourceInfo, Waveform
from auricle.audio.media import open_media
from auricle.audio.span import Span
from auricle.audio.track import Pieces, Track
from auricle.features import Array
from auricle.formats import word_values
from auricle.recognizer import LEAST_SECONDS
from auricle.segmentation import Plan, Window
from auricle.transcript import Transcript, Word

NAME = "the stream"
"""What messages call what is being sent."""
BLOCK_SECONDS = 0.5
"""How much has to be new before the growing window is recognised again."""
Finish: TypeAlias = Callable[[tuple[Word, ...], float | None], tuple[Word, ...]]
"""What is done to the words of a final caption; see `captions`."""
_MOST_WAITING_BYTES = 1 << 20  # half a minute of PCM at 16 kHz


@dataclass(frozen=True, slots=True)
class Caption:
    """The words of a window, times in seconds of the stream. A partial one is replaced by the next one."""

    is_final: bool
    start: float
    end: float
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """What is shown, one space between words."""
        return " ".join(word.shown for word in self.words if word.shown)

    def message(self) -> dict[str, Any]:
        """Return the caption as plain values, words as in OpenAI's verbose_json."""
        words = [word_values(word) for word in self.words]
        kind = "final" if self.is_final else "partial"
        return {
            "type": kind,
            "text": self.text,
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "words": words,
        }


def captions(
    blocks: Iterable[Array],
    plan: Plan,
    recognise: Callable[[Waveform], Transcript],
    *,
    rate: int,
    finish: Finish = lambda words, pause: words,
    is_behind: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Caption]:
    """Yield captions of what comes in `blocks` at `rate` Hz; those that are final, joined, are the whole of it.

    `finish` makes the words of each final one readable; what may still change is shown as it is recognised. Where a
    window was cut while somebody spoke, it is told how long the pause is in whose middle the cut is, else None.
    Partial ones are left out while more is waiting already (`is_behind`), and for as long as the last one took: a slow
    machine then gives fewer of them, and spends half its time on them at most.
    """
    shown, rested = "", 0.0
    for block in blocks:
        for window in plan.hear(block):
            yield from _final(window, recognise, finish, rate, shown)
            shown = ""
        started = clock()
        growing = None if is_behind() or started < rested else plan.growing()
        if growing is None:
            continue
        caption = _caption(growing, recognise, rate, is_final=False)
        rested = 2 * clock() - started
        if caption.text != shown:
            yield caption
            shown = caption.text
    for window in plan.end():
        yield from _final(window, recognise, finish, rate, shown)
        shown = ""


def _final(
    window: Window,
    recognise: Callable[[Waveform], Transcript],
    finish: Finish,
    rate: int,
    shown: str,
) -> Iterator[Caption]:
    """Yield the caption of a complete window, unless it has no words and there are none on the screen to take away."""
    caption = _caption(window, recognise, rate, is_final=True)
    if caption.words or shown:
        pause = 2 * (caption.end - caption.words[-1].end) if window.goes_on and caption.words else None
        yield replace(caption, words=finish(caption.words, pause))


def _caption(window: Window, recognise: Callable[[Waveform], Transcript], rate: int, *, is_final: bool) -> Caption:
    start, seconds = window.start / rate, len(window.samples) / rate
    words: tuple[Word, ...] = ()
    if seconds >= LEAST_SECONDS:
        heard = recognise(Waveform(window.samples, rate, SourceInfo("array", rate, 1, seconds)))
        words = tuple(replace(word, start=word.start + start, end=word.end + start) for word in heard.words)
    return Caption(is_final, start, start + seconds, words)


class Inlet(io.RawIOBase):
    """A file whose end is not there yet: filled on an event loop, read by one thread, which waits for what comes."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pieces: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._piece = b""
        self._is_over = False
        self._put_bytes = self._read_bytes = 0  # each is written by one side alone
        self._room = asyncio.Event()
        self.is_abandoned = False

    async def put(self, data: bytes) -> None:
        """Add bytes; where too many wait already, wait until some are read."""
        if data:
            self._put_bytes += len(data)
            self._pieces.put(data)
        while self.waiting_bytes > _MOST_WAITING_BYTES:
            self._room.clear()
            await self._room.wait()

    def end(self) -> None:
        """Let the reader find the file's end, after everything else."""
        self._pieces.put(b"")

    def abandon(self) -> None:
        """Tell the reader that nobody waits for it any longer."""
        self.is_abandoned = True
        self.end()

    @property
    def waiting_bytes(self) -> int:
        """How much could be read at once."""
        return self._put_bytes - self._read_bytes

    def readable(self) -> bool:
        """Say that this is for reading; seeking is not possible."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there, at least a byte; none at the end."""
        if not self._piece and not self._is_over:
            self._piece = self._pieces.get()
            self._is_over = not self._piece
        if self._is_over or self.is_abandoned:
            return 0
        count = min(len(buffer), len(self._piece))
        buffer[:count], self._piece = self._piece[:count], self._piece[count:]
        self._read_bytes += count
        self._loop.call_soon_threadsafe(self._room.set)
        return count


@contextmanager
def open_stream(inlet: Inlet, kind: str, *, pcm_rate: int, rate: int, most_seconds: float) -> Iterator[Blocks]:
    """Open "pcm" (16-bit little-endian mono at `pcm_rate` Hz) or "webm" as blocks at `rate` Hz that come as it does.

    Somewhat more than `most_seconds` is decoded and no more. Raises AudioError for what is no such stream.
    """
    if kind == "pcm":
        yield Blocks(Track(pcm_rate, None, _pcm(inlet, pcm_rate)), rate=rate, name=NAME, seconds=BLOCK_SECONDS)
        return
    with open_media(inlet, "matroska", Span(0.0, most_seconds + 1), NAME) as track:  # type: ignore[arg-type]
        yield Blocks(track, rate=rate, name=NAME, seconds=BLOCK_SECONDS)


def _pcm(inlet: Inlet, rate: int) -> Pieces:
    """Yield samples; a message may end within one."""
    rest, count = b"", 0
    while data := inlet.read(rate):
        data = rest + data
        whole = len(data) // 2 * 2
        rest = data[whole:]
        samples = np.frombuffer(data[:whole], "<i2").astype(np.float32) / 32_768
        count += len(samples)
        yield samples
    return SourceInfo("stream/pcm_s16", rate, 1, count / rate)
