"""What every source of speech hands on: utterances with their durations, and what had to be left out and why."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from auricle import audio
from auricle.errors import AudioError, CorpusError
from auricle.manifest import Utterance, write_manifest

Progress: TypeAlias = Callable[[float, str], None]
"""Hears what share of a step, in [0, 1], is done, and what the step is."""

# What a folder's file has to end in to be taken for a recording; what it really is, its content says.
AUDIO_SUFFIXES = frozenset(
    {".aac", ".aif", ".aiff", ".flac", ".m4a", ".mka", ".mp3", ".mp4", ".oga", ".ogg", ".opus", ".wav", ".webm"}
)
_SEXES = {"f": "F", "female": "F", "female_feminine": "F", "w": "F", "woman": "F"}
_SEXES |= {"m": "M", "male": "M", "male_masculine": "M", "man": "M"}


@dataclass(frozen=True, slots=True)
class Collected:
    """Utterances in the corpus's order, and for the id of each one that was left out the reason."""

    utterances: tuple[Utterance, ...]
    left_out: Mapping[str, str]

    @property
    def seconds(self) -> float:
        """Seconds of speech, of those whose duration is known."""
        return sum(utterance.duration or 0.0 for utterance in self.utterances)


def silent_progress(share: float, label: str) -> None:
    """Hear of progress and say nothing."""


def timed(
    utterances: Sequence[Utterance],
    left_out: Mapping[str, str] | None = None,
    *,
    where: str,
    progress: Progress = silent_progress,
) -> Collected:
    """Return the utterances with durations, those without one read from their recordings' headers.

    What cannot be opened is left out. Raises CorpusError, naming `where`, when nothing remains.
    """
    reasons = dict(left_out or {})
    kept: list[Utterance] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for index, result in enumerate(pool.map(_timed, utterances), start=1):
            if isinstance(result, Utterance):
                kept.append(result)
            else:
                reasons[utterances[index - 1].id] = result
            progress(index / len(utterances), "reading durations")
    if not kept:
        first = next((f": {name}: {reason}" for name, reason in reasons.items()), ": it has none.")
        raise CorpusError(f"{where}: no recording with a text could be read{first}")
    return Collected(tuple(kept), reasons)


def save(collected: Collected, path: Path) -> None:
    """Write the utterances as a manifest, whole or not at all. Raises CorpusError when that cannot be done."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_manifest(collected.utterances, partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise CorpusError(f"{path} cannot be written: {error.strerror or error}.") from error


def sex_of(name: str | None) -> str | None:
    """Return "F" or "M" for the ways in which corpora write them; None for no answer and for all other answers."""
    return _SEXES.get((name or "").strip().lower())


def unique(utterances: Iterable[Utterance], where: str) -> list[Utterance]:
    """Return the utterances. Raises CorpusError, naming `where`, when two of them share an id."""
    seen: dict[str, Utterance] = {}
    for utterance in utterances:
        if utterance.id in seen:
            first, second = seen[utterance.id].audio_filepath, utterance.audio_filepath
            raise CorpusError(f"{where}: {first} and {second} have the same id, {utterance.id!r}: rename one of them.")
        seen[utterance.id] = utterance
    return list(seen.values())


def _timed(utterance: Utterance) -> Utterance | str:
    """Return the utterance with its duration in seconds, or why it has none."""
    if utterance.duration is not None:
        return utterance if utterance.audio_filepath.is_file() else f"{utterance.audio_filepath} is not there."
    if not utterance.audio_filepath.is_file():
        return f"{utterance.audio_filepath} is not there."
    try:
        with audio.open_blocks(utterance.audio_filepath, offset=utterance.offset) as blocks:
            # Some containers do not say how long they are before their end.
            seconds = blocks.promised or blocks.read().duration
    except AudioError as error:
        return str(error)
    return replace(utterance, duration=round(seconds, 4))
