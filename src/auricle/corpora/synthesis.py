"""Spoken sentences from written ones, by a synthesiser: words and spellings that no recording at hand has.

The synthesiser is `hibari-tts` (Apache-2.0, a package of its own): one voice, some hundred times faster than speech on
one core. Speech so made teaches a network words, hardly voices: give it less weight than recordings of people.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from auricle.corpora.collected import Collected, Progress, silent_progress
from auricle.errors import CorpusError
from auricle.manifest import Utterance

RATE = 16000
"""Samples a second of what is written."""

_LOWEST, _HIGHEST = 0.76, 1.2  # times the voice's own pitch and formants: about a man's and a child's
_SLOWEST, _FASTEST = 0.85, 1.2  # times its own pace
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
    processes: int | None = None,
    progress: Progress = silent_progress,
) -> Collected:
    """Speak sentences in a random order until there are `hours` of them, as FLAC files below `output`.

    Each has a pitch, a pace and a loudness of its own; pitch and formants move together, as a tape's do. A seed gives
    the same files, however many processes there are. Left out is what came out too long or too short for its text.
    Raises CorpusError: without `hibari-tts`, for no hours, when a file cannot be written, when a process ends on its
    own, and when the sentences last less long.
    """
    if not hours > 0:
        raise CorpusError("give --hours above 0: there is nothing to say otherwise.")
    if find_spec("hibari") is None:
        raise CorpusError('synthetic speech needs a package that is missing: run "pip install hibari-tts".')
    chosen = [sentence for sentence in sentences if speakable(sentence)]
    random.Random(seed).shuffle(chosen)
    utterances: list[Utterance] = []
    left_out: dict[str, str] = {}
    spoken = 0.0
    for utterance, reason in _spoken(_tasks(chosen, output, seed), processes or os.cpu_count() or 1):
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


def _tasks(chosen: Sequence[Sentence], output: Path, seed: int) -> list[_Task]:
    return [
        _Task(number, sentence, output / "audio" / f"{number // 1000:03d}" / f"{number:06d}.flac", seed)
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
    import soxr

    rng = np.random.default_rng([task.seed, task.number])
    height = float(np.exp(rng.uniform(np.log(_LOWEST), np.log(_HIGHEST))))
    pace = float(rng.uniform(_SLOWEST, _FASTEST))
    voice = _voice()
    # Played at another rate, as a tape, it is higher and quicker; it is spoken slower to make up for that.
    said = voice(task.sentence.spoken, speed=pace / height, seed=int(rng.integers(2**31)))
    samples = _trimmed(soxr.resample(said, voice.sample_rate * height, RATE))
    seconds = len(samples) / RATE
    source = crc32(task.sentence.spoken.encode())  # another text with the same seed is other clips
    utterance = Utterance(
        id=f"synthetic-{task.seed}-{task.number:06d}-{source:08x}",
        audio_filepath=task.path.resolve(),
        text=task.sentence.text,
        duration=round(seconds, 4),
        speaker=f"hibari-{voice.voice}-{round(height * 20) * 5:03d}",
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


@cache
def _voice() -> Any:
    from hibari import Hibari

    return Hibari(threads=1)


def _trimmed(samples: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    loud = np.flatnonzero(np.abs(samples) > _SILENT)
    if not loud.size:
        return samples[:0]
    edge = round(_EDGE * RATE)
    trimmed: np.ndarray[Any, np.dtype[np.float32]] = samples[max(loud[0] - edge, 0) : loud[-1] + edge].copy()
    return trimmed
