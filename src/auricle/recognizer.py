"""The whole road, from a recording to a transcript. Every way of using auricle goes through here.

source ▸ audio ▸ segmentation ▸ features ▸ acoustic ▸ decoding ▸ transcript
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

import numpy.typing as npt

from auricle import audio
from auricle.acoustic import AcousticModel
from auricle.audio import Waveform
from auricle.bundle import ACOUSTIC, Bundle, embedded_bundle, read_bundle
from auricle.decoding import Decoder, GreedyDecoder
from auricle.errors import AudioError
from auricle.features import Array, log_mel
from auricle.segmentation import plan_windows
from auricle.transcript import Segment, Transcript, words_of

Source: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | npt.NDArray[Any] | Waveform

LEAST_SECONDS = 0.1
"""No word is shorter than this; less is a mistake (a wrong unit, an empty track) that should not pass as silence."""
_CLIPS_AT_ONCE = 16
_BATCH_SECONDS = 60.0


def load(model: str | os.PathLike[str] | None = None, *, threads: int | None = None) -> Recognizer:
    """Load a recogniser: the embedded English model, another built-in by name, or a bundle by path.

    `threads` bounds the cores that one call uses (None: all). Raises BundleError when there is no such model or it is
    damaged.
    """
    if model is None:
        return Recognizer(embedded_bundle(), threads=threads)
    name = os.fspath(model)
    is_name = os.sep not in name and "." not in name and not Path(name).exists()
    return Recognizer(embedded_bundle(name) if is_name else read_bundle(name), threads=threads)


@dataclass(frozen=True, slots=True)
class _Window:
    """A stretch of one of the recordings at hand: times in seconds, and its normalised features."""

    clip: int
    start: float
    end: float
    features: Array


class Recognizer:
    """A bundle at work. Construct once, call from as many threads as you like."""

    def __init__(self, bundle: Bundle, *, threads: int | None = None, decoder: Decoder | None = None) -> None:
        self.bundle = bundle
        self._acoustic = AcousticModel(
            bundle.files[ACOUSTIC], mel=bundle.features.mel, tokens=bundle.alphabet.tokens, threads=threads
        )
        self._decoder = decoder or GreedyDecoder(bundle.alphabet)

    def transcribe(self, source: Source, *, sample_rate: int | None = None) -> Transcript:
        """Recognise one recording of any length: a path, bytes, an open binary file, a Waveform or an array of samples.

        An array needs its `sample_rate` in Hz; it is [n] or [n, channels], float in [-1, 1] or integer.
        Raises AudioError when the recording cannot be read or is shorter than 0.1 s.
        """
        return next(self.transcribe_many([self.read(source, sample_rate=sample_rate)]))

    def transcribe_many(self, sources: Iterable[Source]) -> Iterator[Transcript]:
        """Recognise recordings in batches of like length and yield their transcripts in the order given.

        Arrays are not taken here, as they would each need a rate: wrap them with `Recognizer.read`.
        """
        waiting = iter(sources)
        while clips := [self.read(source) for source in islice(waiting, _CLIPS_AT_ONCE)]:
            yield from self._transcribe(clips)

    def stream(self, source: Source, *, sample_rate: int | None = None) -> Iterator[Segment]:
        """Recognise one recording and yield each segment as soon as it is there."""
        waveform = self.read(source, sample_rate=sample_rate)
        for window in self._windows(0, waveform):
            yield self._segment(window, self._acoustic.log_probs([window.features])[0])

    def log_probs(self, waveform: Waveform) -> Array:
        """Return the network's log-probabilities [frames', tokens] for a recording short enough for one window."""
        return self._acoustic.log_probs([self._features(waveform.samples)])[0]

    def read(self, source: Source, *, sample_rate: int | None = None) -> Waveform:
        """Return a recording at the model's rate. Raises AudioError as `transcribe` does."""
        rate = self.bundle.features.sample_rate
        if isinstance(source, Waveform):
            waveform = source
            if waveform.rate != rate:
                waveform = replace(audio.from_array(source.samples, source.rate, rate=rate), source=source.source)
        elif isinstance(source, str | os.PathLike | bytes) or hasattr(source, "read"):
            waveform = audio.read(cast("str | os.PathLike[str] | bytes | BinaryIO", source), rate=rate)
        elif sample_rate is None:
            raise AudioError("an array of samples does not say its rate: give sample_rate in Hz.")
        else:
            waveform = audio.from_array(source, sample_rate, rate=rate)
        if waveform.duration < LEAST_SECONDS:
            name = source if isinstance(source, str | os.PathLike) else "the recording"
            raise AudioError(
                f"{name}: {waveform.duration:.3f} s is too short to hold speech ({LEAST_SECONDS} s is the least)."
            )
        return waveform

    def _transcribe(self, clips: Sequence[Waveform]) -> Iterator[Transcript]:
        windows = [window for clip, waveform in enumerate(clips) for window in self._windows(clip, waveform)]
        segments: list[list[Segment]] = [[] for _ in clips]
        for batch in _batches(windows, self.bundle.features.hop_seconds):
            for window, log_probs in zip(batch, self._acoustic.log_probs([w.features for w in batch]), strict=True):
                segments[window.clip].append(self._segment(window, log_probs))
        for waveform, parts in zip(clips, segments, strict=True):
            ordered = tuple(sorted(parts, key=lambda segment: segment.start))
            yield Transcript(segments=ordered, source=waveform.source, model=self.bundle.name)

    def _windows(self, clip: int, waveform: Waveform) -> Iterator[_Window]:
        rate = waveform.rate
        for start, end in plan_windows(waveform.samples, rate):
            yield _Window(clip, start / rate, end / rate, self._features(waveform.samples[start:end]))

    def _features(self, samples: Array) -> Array:
        return self.bundle.normalization(log_mel(samples, self.bundle.features))

    def _segment(self, window: _Window, log_probs: Array) -> Segment:
        best = self._decoder.decode(log_probs)[0]
        words = words_of(best, log_probs, frame_seconds=self.bundle.frame_seconds, start=window.start, end=window.end)
        return Segment(window.start, window.end, words)


def _batches(windows: Iterable[_Window], hop_seconds: float) -> Iterator[list[_Window]]:
    """Group windows of like length, so that little of a batch is padding."""
    batch: list[_Window] = []
    for window in sorted(windows, key=lambda window: len(window.features)):
        if batch and (len(batch) + 1) * len(window.features) * hop_seconds > _BATCH_SECONDS:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch
