"""Where recordings are decoded and recognised, away from the event loop, in threads that are few and known.

Short clips are decoded whole and go to the batcher. Longer recordings are recognised while they are decoded, one piece
after another, on a thread of their own, so that an hour does not keep a sentence waiting.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np

from auricle.audio import Blocks, Waveform, open_blocks
from auricle.recognizer import Recognizer
from auricle.serving.batching import Batcher, HotWords
from auricle.serving.metrics import Metrics
from auricle.serving.problems import Problem
from auricle.serving.settings import Settings
from auricle.transcript import Segment, Transcript

SHORT_SECONDS = 25.0  # one window of the network


@dataclass(frozen=True, slots=True)
class Upload:
    """A recording as it came in: a file that has no name on this machine, and the name that its sender gave it."""

    file: BinaryIO
    name: str


@dataclass(frozen=True, slots=True)
class Style:
    """How a text is written: the bare words (`plain`), or readable, with or without `numbers` in figures."""

    plain: bool = False
    numbers: bool = True


READABLE: Final = Style()


class Desk:
    """Takes recordings and gives transcripts. Bounded by its threads; how many may wait is the gate's business."""

    def __init__(self, recognizer: Recognizer, settings: Settings, metrics: Metrics) -> None:
        self.recognizer = recognizer
        self._metrics, self._max_seconds = metrics, settings.max_seconds
        self._decoding = ThreadPoolExecutor(os.cpu_count() or 1, "decode")
        self._long = ThreadPoolExecutor(1, "recognise-long")
        self._live = ThreadPoolExecutor(
            settings.max_requests, "listen"
        )  # one for each stream, and started for one only
        self._batcher = Batcher(
            lambda clips, hot_words: recognizer.transcribe_many(clips, hot_words=hot_words, plain=True),
            metrics,
            workers=settings.workers,
            clips=settings.batch_clips,
        )
        metrics.watch_queue(lambda: len(self._batcher))

    async def transcript(self, upload: Upload, hot_words: HotWords, style: Style = READABLE) -> Transcript:
        """Recognise a recording. Raises AudioError and Problem, as everything here does, for one that cannot be."""
        clip = await self._clip(upload)
        if clip is not None:
            transcript = await self.recognise(clip, hot_words)
            if style.plain:
                return transcript
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._decoding, self._readable, transcript, style)
        async with self.segments(upload, hot_words, style) as (blocks, found):
            segments = [segment async for segment in found]
            return Transcript(tuple(segments), blocks.source, self.recognizer.bundle.name)

    async def recognise(self, clip: Waveform, hot_words: HotWords) -> Transcript:
        """Recognise a clip of at most `SHORT_SECONDS` together with others: its plain words."""
        return await asyncio.wrap_future(self._batcher.submit(clip, hot_words))

    def recognise_and_wait(self, clip: Waveform, hot_words: HotWords) -> Transcript:
        """Recognise a clip together with others, for a thread that has nothing else to do: its plain words."""
        return self._batcher.submit(clip, hot_words).result()

    def listen(self, work: Callable[[], None]) -> asyncio.Future[None]:
        """Run what recognises a stream on a thread of its own."""
        return asyncio.get_running_loop().run_in_executor(self._live, work)

    @asynccontextmanager
    async def segments(
        self, upload: Upload, hot_words: HotWords, style: Style = READABLE
    ) -> AsyncIterator[tuple[Blocks, AsyncIterator[Segment]]]:
        """Recognise a recording piece by piece; nothing is done ahead of what is asked for."""
        loop = asyncio.get_running_loop()
        blocks = await loop.run_in_executor(self._decoding, self._open, upload)

        async def found() -> AsyncIterator[Segment]:
            pieces = self.recognizer.stream(blocks, hot_words=hot_words, plain=style.plain, numbers=style.numbers)
            started = time.perf_counter()
            while (segment := await loop.run_in_executor(self._long, next, pieces, None)) is not None:
                yield segment
            self._refuse_longer(blocks.source.duration)
            busy = time.perf_counter() - started
            self._metrics.recognised(audio_seconds=blocks.source.duration, busy_seconds=busy)

        try:
            yield blocks, found()
        finally:
            await asyncio.shield(loop.run_in_executor(self._long, blocks.close))

    async def close(self) -> None:
        """Finish what was taken."""
        await asyncio.to_thread(self._live.shutdown)
        await asyncio.to_thread(self._batcher.close)
        await asyncio.to_thread(self._long.shutdown)
        self._decoding.shutdown()

    def _readable(self, transcript: Transcript, style: Style) -> Transcript:
        return self.recognizer.readable(transcript, numbers=style.numbers)

    async def _clip(self, upload: Upload) -> Waveform | None:
        return await asyncio.get_running_loop().run_in_executor(self._decoding, self._decode, upload)

    def _decode(self, upload: Upload) -> Waveform | None:
        """Return a short recording whole, and nothing for a longer one."""
        with self._open(upload) as blocks:
            samples = _at_most(blocks, SHORT_SECONDS)
            if samples is None:
                return None
            return self.recognizer.read(Waveform(samples, blocks.rate, blocks.source))

    def _open(self, upload: Upload) -> Blocks:
        upload.file.seek(0)
        rate = self.recognizer.bundle.features.sample_rate
        # A little more than is allowed is decoded and no more, whatever the header promises: what unpacks to days of
        # silence costs no more than the longest recording.
        blocks = open_blocks(upload.file, rate=rate, name=upload.name, duration=self._max_seconds + 1)
        if blocks.promised is not None and blocks.promised > self._max_seconds:
            blocks.close()
            self._refuse_longer(blocks.promised)
        return blocks

    def _refuse_longer(self, seconds: float) -> None:
        if seconds > self._max_seconds:
            message = f"The recording is longer than {self._max_seconds:g} s: send it to /v1/jobs, or in parts."
            raise Problem(413, message, code="audio_too_long", param="file")


def _at_most(blocks: Blocks, seconds: float) -> np.ndarray | None:
    """Return all samples, or nothing when they are more than `seconds`."""
    held: list[np.ndarray] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += len(block)
        if count > seconds * blocks.rate:
            return None
    return np.ascontiguousarray(np.concatenate(held))
