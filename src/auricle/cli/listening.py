"""Clips of manifests as a network hears them, for commands that try settings of a search on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from auricle import audio
from auricle.cli.terminal import Bar, complain
from auricle.corpora.noise import add_noise
from auricle.errors import AudioError, AuricleError
from auricle.manifest import Utterance, read_manifests, spread
from auricle.segmentation import LONGEST_SECONDS

if TYPE_CHECKING:
    from auricle.audio import Waveform
    from auricle.language.tune import Clip
    from auricle.recognizer import Recognizer

_DECIBELS = (-3.0, 15.0)  # from louder than the speech to hardly heard


def listen(
    recognizer: Recognizer,
    manifests: Sequence[Path],
    *,
    limit: int | None,
    hearings: int = 1,
    noise: Sequence[Path] = (),
    again: bool = False,
) -> tuple[list[Clip], list[Clip]]:
    """Return log-probabilities and texts of clips, and those of the same clips in noise, where there is any.

    `noise` are manifests of recordings; which of them, and how loud, is drawn, and the same each time. What cannot be
    read, or is longer than one window, is left out, and told unless it was before (`again`). Raises AuricleError when
    nothing is left, and as manifests and noise do.
    """
    noises = [_read(recognizer, one) for one in read_manifests(noise)]
    rng = np.random.default_rng(0)
    utterances = spread(read_manifests(manifests), limit)
    clips: list[Clip] = []
    in_noise: list[Clip] = []
    left_out: list[str] = []
    with Bar("listening") as bar:
        for index, utterance in enumerate(utterances):
            bar.tell(index / len(utterances))
            text = recognizer.bundle.alphabet.normalise(utterance.text or "")
            try:
                waveform = _read(recognizer, utterance)
            except AudioError as error:
                left_out.append(str(error))
                continue
            if not text or waveform.duration > LONGEST_SECONDS:
                left_out.append(f"{utterance.id}: {'too long for one window' if text else 'no text'}")
                continue
            clips.append((recognizer.log_probs(waveform, phones=True, hearings=hearings), text))
            if noises:
                other = noises[rng.integers(len(noises))].samples
                mixed = replace(waveform, samples=add_noise(waveform.samples, other, rng.uniform(*_DECIBELS)))
                in_noise.append((recognizer.log_probs(mixed, phones=True, hearings=hearings), text))
    if left_out and not again:
        complain(f"{len(left_out)} utterances are left out; the first: {left_out[0]}")
    if not clips:
        raise AuricleError("there is no utterance to tune on: give a manifest with texts and readable recordings.")
    return clips, in_noise


def _read(recognizer: Recognizer, utterance: Utterance) -> Waveform:
    rate = recognizer.bundle.features.sample_rate
    return recognizer.read(
        audio.read(utterance.audio_filepath, rate=rate, offset=utterance.offset, duration=utterance.duration)
    )
