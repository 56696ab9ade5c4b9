"""What a network makes of phones: all of what it made of recordings, and pieces of it put together for a text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from auricle.decoding.alignment import align
from auricle.features import Array
from auricle.manifest import Utterance, spread
from auricle.training.data import Clips
from auricle.training.loop import prepare
from auricle.training.module import SpeechModule
from auricle.training.network import DeepSpeech2

_FEWEST = 3
"""Pieces of a phone between its two neighbours that are enough to draw from; with fewer, the left one may be any."""
_LONGEST = 14
"""Frames of a piece: a quarter of a second. Pauses are longer, and say nothing about spelling."""
_CLIPS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Heard:
    """What a network made of one recording: probabilities of phones [frames, phones] in float16, and what was said."""

    probs: NDArray[np.float16]
    phones: tuple[int, ...]
    letters: tuple[int, ...]


@torch.inference_mode()
def heard(network: DeepSpeech2, clips: Clips) -> Iterator[Heard]:
    """Yield what the network makes of each of the clips, augmented as they come, in order of their length."""
    examples = sorted(clips.examples.values(), key=lambda example: clips.store.frames(example.utterance.id))
    for begin in range(0, len(examples), _CLIPS_AT_ONCE):
        some = examples[begin : begin + _CLIPS_AT_ONCE]
        batch = clips[[example.utterance.id for example in some]]
        log_probs, lengths = network(batch.features, batch.lengths)
        phones = log_probs[:, :, network.alphabets[0] :].exp().half()
        for example, clip, length in zip(some, phones, lengths.tolist(), strict=True):
            yield Heard(clip[:length].numpy(), example.phones, example.tokens)


class Sounds:
    """Pieces of what a network made of recordings, each of one phone between two others."""

    def __init__(self, recordings: Iterable[Heard]) -> None:
        """Cut recordings between the phones that were said, by forced alignment, halfway between each two."""
        self._pieces: list[NDArray[np.float16]] = []
        self._places: dict[tuple[int, ...], list[int]] = {}
        for recording in recordings:
            if recording.phones:
                self._cut(recording)

    def __len__(self) -> int:
        return len(self._pieces)

    @property
    def phones(self) -> frozenset[int]:
        """The phones, and the end of a word, that there is a piece of."""
        return frozenset(key[0] for key in self._places if len(key) == 1)

    def said(self, phones: Sequence[int], random: np.random.Generator) -> Array:
        """Return what the network might have made of phones, all of them known: probabilities [frames, phones]."""
        parts = [
            self._pieces[places[int(random.integers(len(places)))]]
            for places in (self._like(one) for one in _between(phones))
        ]
        return np.concatenate(parts).astype(np.float32)

    def _like(self, key: tuple[int, int, int]) -> list[int]:
        """Return the pieces to draw a phone from: those between its neighbours, or before its next one, or all."""
        same = self._places.get(key, [])
        return same if len(same) >= _FEWEST else self._places.get(key[1:]) or self._places[key[1:2]]

    def _cut(self, recording: Heard) -> None:
        log_probs = np.log(np.maximum(recording.probs.astype(np.float32), 1e-8))
        found = align(log_probs, recording.phones)
        cuts = [
            (last + first + 1) // 2 for last, first in zip(found.last_frames[:-1], found.first_frames[1:], strict=True)
        ]
        ends = [0, *cuts, len(recording.probs)]
        for place, key in enumerate(_between(recording.phones)):
            for known in (key, key[1:], key[1:2]):
                self._places.setdefault(known, []).append(len(self._pieces))
            piece = recording.probs[ends[place] : ends[place + 1]]
            # Of the silence before a text, what is next to it; of a pause in it and after it, the beginning.
            self._pieces.append(piece[:_LONGEST] if place else piece[-_LONGEST:])


def _between(phones: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield each phone between the one before and the one after it; 0 stands for what is outside the text."""
    padded = (0, *phones, 0)
    yield from zip(padded[:-2], padded[1:-1], padded[2:], strict=True)


def recordings_of(  # noqa: PLR0917
    module: SpeechModule,
    utterances: Sequence[Utterance],
    noise: Sequence[Utterance],
    pronunciations: Mapping[str, Sequence[Sequence[str]]],
    hours: float,
    cache: Path,
    *,
    tell: Callable[[float], None] = lambda share: None,
) -> list[Heard]:
    """Return what a module's network makes of so many hours of recordings, spread evenly over all that are given.

    They are augmented as the module's recipe says. Raises TrainingError when none of them can be heard.
    """
    every = sum(utterance.duration or 0.0 for utterance in utterances) / 3600
    some = spread(utterances, max(1, round(len(utterances) * min(1.0, hours / max(every, 1e-9)))))
    corpus, _ = prepare(
        module.recipe, some, [], cache, noise=noise, pronunciations=pronunciations, workers=torch.get_num_threads()
    )
    clips = Clips(corpus.examples, corpus.store, module.normalization, module.recipe, 0, noise=corpus.noise)
    found = list[Heard]()
    for one in heard(module.network.eval(), clips):
        found.append(one)
        if len(found) % _CLIPS_AT_ONCE == 0:
            tell(len(found) / len(corpus.examples))
    return found
