"""What the network heard, as values: everything that the pictures show, and nothing about how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from auricle.alphabet import BLANK
from auricle.audio import SourceInfo, Waveform
from auricle.errors import AudioError
from auricle.features import Array, FeatureConfig, log_mel
from auricle.recognizer import LEAST_SECONDS, Recognizer
from auricle.segmentation import LONGEST_SECONDS
from auricle.transcript import Word

CONSIDERED = 0.05
"""A character below this probability is not worth ink."""


@dataclass(frozen=True, eq=False)
class Inspection:
    """A stretch of a recording, from `start` seconds into it, as the network received it and what it answered.

    `log_mel` is [frames, mel], the natural log before normalisation; `probabilities` [frames', tokens] has token 0, the
    blank, first and one row every `frame_seconds`. `labels` name the tokens. Word times are those of the recording.
    """

    name: str
    model: str
    source: SourceInfo
    start: float
    waveform: Waveform
    config: FeatureConfig
    log_mel: Array = field(repr=False)
    probabilities: Array = field(repr=False)
    frame_seconds: float
    labels: tuple[str, ...]
    words: tuple[Word, ...]

    @property
    def end(self) -> float:
        """Where the stretch ends, in seconds of the recording."""
        return self.start + self.waveform.duration

    @property
    def is_part(self) -> bool:
        """Whether the recording has more than is shown."""
        return self.start > 0 or self.end < self.source.duration - 0.05

    @property
    def text(self) -> str:
        """What was recognised."""
        return " ".join(word.text for word in self.words)

    def bumps(self) -> Iterator[Bump]:
        """Yield the stretches in which a character, not the blank, is at least `CONSIDERED`."""
        best = self.probabilities.argmax(axis=1)
        for token in range(self.probabilities.shape[1]):
            if token == BLANK:
                continue
            column = self.probabilities[:, token]
            for first, last in _stretches(column >= CONSIDERED):
                top = first + int(column[first : last + 1].argmax())
                yield Bump(token, first, last, top, bool((best[first : last + 1] == token).any()))

    def spelled(self) -> Iterator[tuple[int, int]]:
        """Yield token and frame of each character on the best path, at the frame where it is likeliest."""
        best = self.probabilities.argmax(axis=1)
        first = 0
        for token, run in groupby(best.tolist()):
            last = first + len(list(run)) - 1
            if token != BLANK:
                yield token, first + int(self.probabilities[first : last + 1, token].argmax())
            first = last + 1


@dataclass(frozen=True, slots=True)
class Bump:
    """A rise of a token's probability from frame `first` to `last`, highest at `top`.

    `heard` says that the token was the likeliest of all in one of these frames at least.
    """

    token: int
    first: int
    last: int
    top: int
    heard: bool


def look(recognizer: Recognizer, waveform: Waveform, *, name: str, start: float = 0.0) -> Inspection:
    """Recognise up to 25 seconds of a recording, from `start` on, and return all that was seen on the way.

    25 seconds are one window: the longest stretch that the network ever sees at once. Raises AudioError when there is
    nothing at `start`.
    """
    rate = waveform.rate
    first = round(start * rate)
    samples = waveform.samples[first : first + int(LONGEST_SECONDS * rate)]
    if len(samples) < LEAST_SECONDS * rate:
        raise AudioError(f"{name} has nothing at {start:g} s, it ends at {waveform.duration:.2f} s: start earlier.")
    part = Waveform(samples, rate, waveform.source)
    bundle = recognizer.bundle
    words = recognizer.transcribe(part, plain=True).words
    return Inspection(
        name=name,
        model=bundle.name,
        source=waveform.source,
        start=first / rate,
        waveform=part,
        config=bundle.features,
        log_mel=log_mel(samples, bundle.features),
        probabilities=np.exp(recognizer.log_probs(part)),
        frame_seconds=bundle.frame_seconds,
        labels=("blank", *(character if character != " " else "␣" for character in bundle.alphabet.characters)),
        words=tuple(
            Word(word.text, first / rate + word.start, first / rate + word.end, word.confidence) for word in words
        ),
    )


def _stretches(flags: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield first and last index of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    yield from zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True)
