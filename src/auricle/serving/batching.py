"""Micro-batching: clips of like length that wait at the same time are recognised together.

Nobody waits for company. A worker that is free takes the oldest clip and those most like it; under load more of them
have gathered by then, and batches grow by themselves.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeAlias

from auricle.audio import Waveform
from auricle.serving.metrics import Metrics
from auricle.transcript import Transcript

HotWords: TypeAlias = tuple[str, ...]
Recognise: TypeAlias = Callable[[Sequence[Waveform], HotWords], Iterable[Transcript]]

_PADDED_SECONDS = 120.0  # the most that a batch is, its padding included: bounds memory, and the wait for the next one


@dataclass(frozen=True, slots=True, eq=False)
class _Clip:
    waveform: Waveform
    hot_words: HotWords
    answer: Future[Transcript] = field(default_factory=Future)

    @property
    def seconds(self) -> float:
        return len(self.waveform.samples) / self.waveform.rate


class Batcher:
    """Threads that recognise short clips. Safe in threads; `close` finishes what was submitted."""

    def __init__(self, recognise: Recognise, metrics: Metrics, *, workers: int, clips: int) -> None:
        self._recognise, self._metrics, self._most = recognise, metrics, clips
        self._waiting: list[_Clip] = []
        self._changed = threading.Condition()
        self._closed = False
        # Where nobody closes it (AWS Lambda), a process that has to end does not wait for them.
        self._threads = [
            threading.Thread(target=self._work, name=f"recognise-{i}", daemon=True) for i in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        """Clips that wait."""
        return len(self._waiting)

    def submit(self, waveform: Waveform, hot_words: HotWords = ()) -> Future[Transcript]:
        """Queue a clip. Raises RuntimeError when the batcher is closed."""
        clip = _Clip(waveform, hot_words)
        with self._changed:
            if self._closed:
                raise RuntimeError("the batcher is closed.")
            self._waiting.append(clip)
            self._changed.notify()
        return clip.answer

    def close(self) -> None:
        """Recognise what waits, then end the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while batch := self._take():
            alive = [clip for clip in batch if clip.answer.set_running_or_notify_cancel()]
            if alive:
                self._answer(alive)

    def _take(self) -> list[_Clip]:
        """Wait for clips and take a batch; nothing once the batcher is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            batch = alike(self._waiting, self._most) if self._waiting else []
            self._waiting = [clip for clip in self._waiting if clip not in batch]
            return batch

    def _answer(self, batch: Sequence[_Clip]) -> None:
        started = time.perf_counter()
        try:
            found = list(self._recognise([clip.waveform for clip in batch], batch[0].hot_words))
            for clip, transcript in zip(batch, found, strict=True):
                clip.answer.set_result(transcript)
        except Exception as error:
            if len(batch) > 1:  # one clip's trouble is not its neighbours'
                for clip in batch:
                    if not clip.answer.done():
                        self._answer([clip])
                return
            batch[0].answer.set_exception(error)
        self._metrics.batch_clips.observe(len(batch))
        self._metrics.recognised(
            audio_seconds=sum(clip.seconds for clip in batch), busy_seconds=time.perf_counter() - started
        )


def alike(waiting: Sequence[_Clip], most: int) -> list[_Clip]:
    """Return the clip that has waited longest and up to `most - 1` others nearest to it in length, same hot words."""
    oldest = waiting[0]
    batch: list[_Clip] = []
    longest = 0.0
    peers = (clip for clip in waiting if clip.hot_words == oldest.hot_words)
    for clip in sorted(peers, key=lambda clip: abs(clip.seconds - oldest.seconds)):
        longest = max(longest, clip.seconds)
        if len(batch) == most or (batch and longest * (len(batch) + 1) > _PADDED_SECONDS):
            break
        batch.append(clip)
    return batch
