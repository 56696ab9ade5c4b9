"""Spoken sentences from written ones, by a synthesiser: words and spellings that no recording at hand has.

Speech so made teaches a network words, hardly voices: give it less weight than recordings of people. Who speaks, say
`corpora.voices`.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from auricle.corpora.collected import Collected, Progress, silent_progress
from auricle.corpora.voices import RATE, Hibari, Voice
from auricle.errors import CorpusError
from auricle.manifest import Utterance

_QUIETEST, _LOUDEST = 0.1, 0.9  # the largest sample
_WORDS = range(3, 31)
_SECONDS = (1.0, 16.0)
_LETTERS_A_SECOND = (5.0, 26.0)  # beyond them something was left out, or spelled out
_EDGE, _SILENT = 0.15, 0.005  # seconds kept around what is louder than this
_TOGETHER = 16  # sentences a process takes at a time
# What is written is what is said: no digits, initials, numerals or signs that a voice reads in its own way.
_PLAIN = re.compile(r"(?:[^\W\d_]|[ ,.;:!?'\"()\u2018\u2019\u201c\u201d\u2014-])+")
_READ_OTHERWISE = re.compile(
    r"\b[A-Z]{2,}\b|\b(?![aAIO]\b)[A-Za-z]\b(?<!'[a-z])(?<!\u2019[a-z])|\b[a-z]{1,5}\.\s+[a-z]"
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as it is given to the voice, with its punctuation and capitals, and as a recogniser writes it."""

    spoken: str
    text: str


@dataclass(frozen=True, slots=True)
class _Task:
    number: int
    sentence: Sentence
    path: Path
    seed: int
    voice: Voice


def speakable(sentence: Sentence) -> bool:
    """Say whether a voice can be trusted to say a sentence as its text has it: of usual length, and words alone."""
    return (
        len(sentence.text.split()) in _WORDS
        and _PLAIN.fullmatch(sentence.spoken) is not None
        and _READ_OTHERWISE.search(sentence.spoken) is None
    )


def synthesize(
    sentences: Sequence[Sentence],
    output: Path,
    *,
    hours: float,
    seed: int = 0,
    voice: Voice | None = None,
    processes: int | None = None,
    progress: Progress = silent_progress,
) -> Collected:
    """Speak sentences in a random order until there are `hours` of them, as FLAC files below `output`.

    `voice` is hibari's where none is given. Each sentence has a pace and a loudness of its own. A seed gives the same
    sentences by the same voices, and of hibari's the same files, however many processes there are; Kokoro's breath is
    drawn anew. Left out is what came out too long or too short for its text. Raises CorpusError: for a voice whose
    package or files are missing, for no hours, when a file cannot be written, when a process ends on its own, and when
    the sentences last less long.
    """
    if not hours > 0:
        raise CorpusError("give --hours above 0: there is nothing to say otherwise.")
    voice = voice or Hibari()
    voice.check()
    chosen = [sentence for sentence in sentences if speakable(sentence)]
    random.Random(seed).shuffle(chosen)
    utterances: list[Utterance] = []
    left_out: dict[str, str] = {}
    spoken = 0.0
    for utterance, reason in _spoken(_tasks(chosen, output, seed, voice), processes or os.cpu_count() or 1):
        if reason:
            left_out[utterance.id] = reason
            continue
        utterances.append(utterance)
        spoken += utterance.duration or 0.0
        progress(min(spoken / (hours * 3600), 1.0), "speaking")
        if spoken >= hours * 3600:
            return Collected(tuple(utterances), left_out)
    raise CorpusError(
        f"{len(chosen):,} of {len(sentences):,} sentences can be spoken, and they last {spoken / 3600:.2f} hours, not "
        f"{hours:g}: give more text, or fewer --hours."
    )


def _tasks(chosen: Sequence[Sentence], output: Path, seed: int, voice: Voice) -> list[_Task]:
    return [
        _Task(number, sentence, output / "audio" / f"{number // 1000:03d}" / f"{number:06d}.flac", seed, voice)
        for number, sentence in enumerate(chosen)
    ]


def _spoken(tasks: Sequence[_Task], processes: int) -> Iterator[tuple[Utterance, str]]:
    """Yield what became of each task, in order; little more is spoken than is asked for."""
    groups = [tasks[begin : begin + _TOGETHER] for begin in range(0, len(tasks), _TOGETHER)]
    if processes == 1:
        for group in groups:
            yield from _speak_all(group)
        return
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
    try:
        ahead = 4 * processes
        waiting = [pool.submit(_speak_all, group) for group in groups[:ahead]]
        for index in range(len(groups)):
            yield from waiting.pop(0).result()
            waiting.extend(pool.submit(_speak_all, group) for group in groups[index + ahead : index + ahead + 1])
    except BrokenProcessPool:
        raise CorpusError(
            "a process that spoke was ended from outside, perhaps for want of memory: try again."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _speak_all(tasks: Sequence[_Task]) -> list[tuple[Utterance, str]]:
    return [_speak(task) for task in tasks]


def _speak(task: _Task) -> tuple[Utterance, str]:
    import soundfile

    rng = np.random.default_rng([task.seed, task.number])
    source = crc32(task.sentence.spoken.encode())  # another text with the same seed is other clips
    name = f"synthetic-{task.voice.name}-{task.seed}-{task.number:06d}-{source:08x}"
    try:
        said = task.voice.say(task.sentence.spoken, rng)
    except ValueError as error:
        return Utterance(id=name, audio_filepath=task.path), f"it cannot be said: {error}"
    samples = _trimmed(said.samples)
    seconds = len(samples) / RATE
    utterance = Utterance(
        id=name,
        audio_filepath=task.path.resolve(),
        text=task.sentence.text,
        duration=round(seconds, 4),
        speaker=said.speaker,
        sex=said.sex,
    )
    pace_of_text = len(task.sentence.text) / max(seconds, 1e-3)
    if not _SECONDS[0] <= seconds <= _SECONDS[1] or not _LETTERS_A_SECOND[0] <= pace_of_text <= _LETTERS_A_SECOND[1]:
        return utterance, f"it lasts {seconds:.1f} s with {len(task.sentence.text)} letters."
    samples *= np.exp(rng.uniform(np.log(_QUIETEST), np.log(_LOUDEST))) / np.abs(samples).max()
    try:
        task.path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(task.path, samples, RATE, subtype="PCM_16")
    except (OSError, soundfile.LibsndfileError) as error:
        raise CorpusError(f"{task.path} cannot be written: {error}.".replace("..", ".")) from error
    return utterance, ""


def _trimmed(samples: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    loud = np.flatnonzero(np.abs(samples) > _SILENT)
    if not loud.size:
        return samples[:0]
    edge = round(_EDGE * RATE)
    trimmed: np.ndarray[Any, np.dtype[np.float32]] = samples[max(loud[0] - edge, 0) : loud[-1] + edge].copy()
    return trimmed
