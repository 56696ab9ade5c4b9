"""New recordings out of pieces of old ones, cut between words: what somebody said, in an order in which nobody said it.

A network that remembers hears a small corpus until it knows its sentences by heart, and then learns them rather than
their sounds. Words from other recordings of the same speaker are the cure of Lam et al., 2021 ("On-the-fly aligned data
augmentation for sequence-to-sequence ASR"); here whole pieces of a few words are set one after another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from auricle import audio
from auricle.corpora.collected import Collected, Progress, silent_progress
from auricle.corpora.mismatch import LEAST_SCORE
from auricle.errors import AuricleError, CorpusError
from auricle.features import Array
from auricle.manifest import Utterance

if TYPE_CHECKING:
    from auricle.recognizer import Recognizer
    from auricle.transcript import Word

RATE = 16000
"""Samples a second of what is written."""

_TOGETHER = 400  # recordings of a speaker whose pieces are in memory, and mixed with each other
_HOP = RATE // 200
_BEFORE, _AFTER = 0.02, 0.01  # seconds into the words at both sides that a cut may lie: letters are heard late
_PAUSE = 0.3  # seconds; in a longer one the cut is anywhere in what is quiet, so that no piece has all of it
_QUIET = 6.0  # decibels above a pause's quietest moment that are quiet, too
_WORDS = range(1, 8)  # of a piece, where a cut is as quiet as _DEEP allows
_DEEP = -14.0  # decibels against the recording's loud speech: closed lips and pauses, hardly vowels
_MANY, _SHALLOW = 7, -8.0  # words after which a cut may be as loud as this
_MOST = 12  # words after which it may be anywhere
_SHORTEST = 0.125  # seconds of a piece
_FADE = 80  # samples over which one piece becomes the next
_SECONDS = (3.0, 15.0)  # a recording ends with the piece that reaches a length drawn from here


@dataclass(frozen=True, slots=True)
class Cut:
    """A place between two words: its sample, and how loud it is there, in decibels against loud speech."""

    sample: int
    level: float


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples [n] in which some words are said, and those words."""

    samples: Array
    text: str


def splice(
    utterances: Sequence[Utterance],
    recognizer: Recognizer,
    output: Path,
    *,
    times: int = 1,
    seed: int = 0,
    progress: Progress = silent_progress,
) -> Collected:
    """Cut recordings between words and write FLAC files below `output`, each of pieces of one speaker in random order.

    In each of so many `times` all of a speaker's pieces are used once, and cut anew. Left out, with the reason, is what
    names no speaker or cannot be aligned with its text. A seed gives the same files again. Raises CorpusError when a
    file cannot be written, and when nothing remains.
    """
    if times < 1:
        raise CorpusError("give --times of 1 or more: there is nothing to write otherwise.")
    left_out = {one.id: "it has no speaker, and pieces of two do not fit." for one in utterances if not one.speaker}
    spliced: list[Utterance] = []
    done = 0
    for number, group in enumerate(_groups(utterances)):
        said: list[tuple[Array, Sequence[Word]]] = []
        for utterance in group:
            found = _heard(utterance, recognizer)
            if isinstance(found, str):
                left_out[utterance.id] = found
            else:
                said.append(found)
            done += 1
            progress(done / (len(utterances) or 1), "splicing")
        # Other recordings with the same seed are other clips, and one run may learn from both.
        source = crc32("\n".join(utterance.id for utterance in group).encode())
        for time in range(times):
            rng = np.random.default_rng([seed, number, time])
            parts = [piece for samples, words in said for piece in pieces(samples, words, rng)]
            for index, (samples, text) in enumerate(_recordings(parts, rng)):
                name = f"{number:05d}-{time}-{index:04d}"
                path = output / "audio" / f"{number // 100:03d}" / f"{name}.flac"
                _write(path, samples)
                spliced.append(
                    replace(
                        group[0],
                        id=f"spliced-{seed}-{source:08x}-{name}",
                        audio_filepath=path.resolve(),
                        text=text,
                        offset=0.0,
                        duration=round(len(samples) / RATE, 4),
                    )
                )
    if not spliced:
        first = next((f": {name}: {reason}" for name, reason in left_out.items()), ".")
        raise CorpusError(f"there is nothing to splice{first}")
    return Collected(tuple(spliced), left_out)


def cuts(samples: Array, words: Sequence[Word], rng: np.random.Generator) -> list[Cut]:
    """Return the quietest place between each word and the next in samples [n]: one fewer than there are words."""
    frames = max(len(samples) // _HOP, 1)
    power = np.square(np.resize(samples, frames * _HOP).reshape(frames, _HOP)).mean(axis=1)
    level = 10 * np.log10(np.convolve(power, np.full(4, 0.25), "same") + 1e-9)
    level -= np.percentile(level, 85)
    found: list[Cut] = []
    for before, after in pairwise(words):
        begin = min(max(round((before.end - _BEFORE) * RATE / _HOP), 0), frames - 1)
        between = level[begin : max(round((after.start + _AFTER) * RATE / _HOP), begin + 1)]
        where = int(between.argmin())
        if len(between) > _PAUSE * RATE / _HOP:
            where = int(rng.choice(np.flatnonzero(between < between.min() + _QUIET)))
        found.append(Cut((begin + where) * _HOP, float(between[where])))
    return found


def pieces(samples: Array, words: Sequence[Word], rng: np.random.Generator) -> Iterator[Piece]:
    """Yield samples [n] in pieces of one to seven words, more where no word ends quietly enough, as all words are."""
    begin, first, wanted = 0, 0, rng.choice(_WORDS)
    for index, cut in enumerate(cuts(samples, words, rng), start=1):
        many = index - first
        enough = (many >= wanted and cut.level < _DEEP) or (many >= _MANY and cut.level < _SHALLOW) or many >= _MOST
        if enough and cut.sample - begin > _SHORTEST * RATE:
            yield Piece(samples[begin : cut.sample], _text(words[first:index]))
            begin, first, wanted = cut.sample, index, rng.choice(_WORDS)
    yield Piece(samples[begin:], _text(words[first:]))


def join(parts: Sequence[Array]) -> Array:
    """Return parts, samples [n] each, one after another, each faded into the next within five milliseconds."""
    joined = [parts[0]]
    for part in parts[1:]:
        last = joined[-1]
        n = min(_FADE, len(last), len(part))
        ramp = np.linspace(0, 1, n, dtype=np.float32)
        joined[-1] = last[: len(last) - n]
        joined.append(np.concatenate((last[len(last) - n :] * (1 - ramp) + part[:n] * ramp, part[n:])))
    return np.concatenate(joined)


def _groups(utterances: Sequence[Utterance]) -> Iterator[list[Utterance]]:
    speakers: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        if utterance.speaker:
            speakers.setdefault(utterance.speaker, []).append(utterance)
    for theirs in speakers.values():
        for begin in range(0, len(theirs), _TOGETHER):
            yield theirs[begin : begin + _TOGETHER]


def _heard(utterance: Utterance, recognizer: Recognizer) -> tuple[Array, Sequence[Word]] | str:
    """Return a recording's samples, and its words with their times; or why it has none."""
    try:
        waveform = audio.read(utterance.audio_filepath, rate=RATE, offset=utterance.offset, duration=utterance.duration)
        aligned = recognizer.align(waveform, utterance.text or "")
    except AuricleError as error:
        return str(error)
    if aligned.score < LEAST_SCORE:
        return f"its text is not what is heard: a score of {aligned.score:.2f}, below {LEAST_SCORE:g}."
    return waveform.samples, aligned.words


def _recordings(parts: Sequence[Piece], rng: np.random.Generator) -> Iterator[tuple[Array, str]]:
    """Yield the samples and the text of pieces set one after another in random order."""
    taken: list[Piece] = []
    wanted = rng.uniform(*_SECONDS) * RATE
    order = rng.permutation(len(parts))
    for index in order:
        taken.append(parts[index])
        if sum(len(piece.samples) for piece in taken) < wanted and index != order[-1]:
            continue
        yield join([piece.samples for piece in taken]), " ".join(piece.text for piece in taken)
        taken, wanted = [], rng.uniform(*_SECONDS) * RATE


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


def _write(path: Path, samples: Array) -> None:
    import soundfile

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.clip(samples, -1, 1), RATE, subtype="PCM_16")
    except (OSError, soundfile.LibsndfileError) as error:
        raise CorpusError(f"{path} cannot be written: {error}.".replace("..", ".")) from error
