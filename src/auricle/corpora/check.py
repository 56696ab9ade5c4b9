"""Whether a manifest can be learnt from: each line read, each recording decoded, each text held against both."""

from __future__ import annotations

import json
import math
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np

from auricle import audio
from auricle.alphabet import ENGLISH, Alphabet
from auricle.bundle import Bundle
from auricle.corpora.collected import Progress, silent_progress
from auricle.corpora.findings import Finding, Kind, Report
from auricle.errors import AudioError, CorpusError, ManifestError
from auricle.features import FeatureConfig
from auricle.manifest import Utterance, lines_of, name_from, utterance_of

SILENT_PEAK = 10 ** (-50 / 20)
"""No sample above this is silence. The quietest of 5,340 clips of six corpora of speech peaks at -34 dB."""
CLIPPED_LEVEL = 0.99
CLIPPED_SHARE = 0.001
"""So much of a recording at full scale is clipped; 99 % of those clips have less than a fiftieth of it."""
DURATION_TOLERANCE = 0.1
"""Seconds that a manifest may be wrong by: more than rounding and codecs' padding, less than a word."""

_SPOKEN_SIGNS = frozenset("%&+=@#°§")  # and currencies: they are read aloud, as letters and digits are


@dataclass(frozen=True, slots=True)
class Limits:
    """What a network asks of a text and its recording: the characters it can write, and its frames."""

    alphabet: Alphabet = ENGLISH
    features: FeatureConfig = field(default_factory=FeatureConfig)
    stride: int = 4
    """Frames of features for each frame of the network's output."""

    @classmethod
    def of(cls, bundle: Bundle) -> Limits:
        """Return those of a model."""
        stride = round(bundle.frame_seconds / bundle.features.hop_seconds)
        return cls(bundle.alphabet, bundle.features, max(1, stride))

    def frames(self, samples: int) -> int:
        """Return how many frames the network writes for so many samples at its rate."""
        return math.ceil((1 + (samples - 1) // self.features.hop) / self.stride)


@dataclass(frozen=True, slots=True)
class Sound:
    """What was decoded: seconds of the utterance and of its whole file, peak, share of samples at full scale."""

    seconds: float
    file_seconds: float
    peak: float
    clipped: float


Hearing: TypeAlias = Callable[[Collection[Utterance], int], Generator[Sound | str, None, None]]
"""Yields for each utterance, in their order, what was decoded of it at a rate in Hz, or why that cannot be done."""


def hear(
    utterances: Collection[Utterance], rate: int, *, threads: int | None = None
) -> Generator[Sound | str, None, None]:
    """Decode in threads of this process: a `Hearing`."""
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        yield from pool.map(partial(listen, rate=rate), utterances)


def check(path: Path, limits: Limits, hearing: Hearing = hear, *, progress: Progress = silent_progress) -> Report:
    """Decode every recording of a manifest and return what is wrong with it.

    Raises ManifestError when the manifest cannot be read, or no line of it is an utterance.
    """
    findings: list[Finding] = []
    lines = lines_of(path)
    utterances = dict(_read(lines, path, findings))
    if not utterances:
        raise ManifestError(findings[0].detail if findings else f"{path}: the manifest has no utterances.")
    uses = Counter(utterance.audio_filepath for utterance in utterances.values())
    rate = limits.features.sample_rate
    seconds = 0.0
    with closing(hearing(utterances.values(), rate)) as sounds:
        for done, ((line, utterance), sound) in enumerate(zip(utterances.items(), sounds, strict=True), start=1):
            findings += _of_text(line, utterance, limits.alphabet)
            if isinstance(sound, str):
                findings.append(Finding(Kind.UNREADABLE, line, utterance.id, sound))
            else:
                seconds += sound.seconds
                findings += _of_sound(line, utterance, sound)
                findings += _of_both(line, utterance, sound, limits, is_whole=uses[utterance.audio_filepath] == 1)
            progress(done / len(utterances), "decoding")
    return Report(str(path), len(lines), seconds, tuple(sorted(findings, key=_order)))


def _order(finding: Finding) -> tuple[int, int]:
    return finding.line, list(Kind).index(finding.kind)


def cleaned(path: Path, report: Report, output: Path) -> str:
    """Return the manifest at `path` without what the report drops, with the durations that it mends.

    All other fields stay as they are, also those that auricle does not know. Recordings are named as seen from
    `output`. Raises CorpusError when nothing is left.
    """
    right = {finding.line: finding.seconds for finding in report.findings if finding.seconds is not None}
    folder = output.parent.resolve()
    rows: list[str] = []
    for number, line in lines_of(path):
        if number in report.dropped:
            continue
        row = json.loads(line)
        row["audio_filepath"] = name_from(folder, utterance_of(line, path, number).audio_filepath)
        if number in right:
            row["duration"] = right[number]
        rows.append(json.dumps(row, ensure_ascii=False) + "\n")
    if not rows:
        raise CorpusError(f"{path}: nothing is left to write to {output}, as each of its utterances has to be dropped.")
    return "".join(rows)


def utterances_of(path: Path, report: Report) -> dict[int, Utterance]:
    """Return the utterances that the report does not drop, by line."""
    return {number: utterance_of(line, path, number) for number, line in lines_of(path) if number not in report.dropped}


def _read(lines: list[tuple[int, str]], path: Path, findings: list[Finding]) -> Iterator[tuple[int, Utterance]]:
    seen: dict[str, int] = {}
    for number, line in lines:
        try:
            utterance = utterance_of(line, path, number)
        except ManifestError as error:
            findings.append(Finding(Kind.LINE, number, f"line {number}", str(error)))
            continue
        if utterance.id in seen:
            detail = f"line {number} has the id of line {seen[utterance.id]}."
            findings.append(Finding(Kind.DUPLICATE, number, utterance.id, detail))
            continue
        seen[utterance.id] = number
        yield number, utterance


def listen(utterance: Utterance, *, rate: int) -> Sound | str:
    """Decode an utterance's recording, or return why that cannot be done."""
    try:
        waveform = audio.read(utterance.audio_filepath, rate=rate, offset=utterance.offset, duration=utterance.duration)
    except AudioError as error:
        return str(error)
    level = np.abs(waveform.samples)
    return Sound(
        seconds=waveform.duration,
        file_seconds=waveform.source.duration,
        peak=float(level.max()),
        clipped=float((level >= CLIPPED_LEVEL).mean()),
    )


def _of_text(line: int, utterance: Utterance, alphabet: Alphabet) -> Iterator[Finding]:
    text = utterance.text or ""
    if not any(map(_is_spoken, text)):
        yield Finding(
            Kind.NO_TEXT, line, utterance.id, "the text is empty." if not text.strip() else f"it is {text!r}."
        )
    elif unknown := unwritable(text, alphabet):
        shown = " ".join(dict.fromkeys(unknown))
        yield Finding(Kind.CHARACTERS, line, utterance.id, f"{shown} in {text!r}", len(unknown))


def unwritable(text: str, alphabet: Alphabet) -> list[str]:
    """Return the characters of a text that are spoken and that the alphabet has no spelling for, each time they come.

    Letters, digits and signs that are read aloud (3, я, €, %) are; punctuation is not, and accents that the alphabet
    does without are not.
    """
    composed = unicodedata.normalize("NFC", text)
    # After a letter, where an apostrophe of whatever form would stay.
    letter = next(filter(str.isalpha, alphabet.characters), "")
    return [
        character
        for character in composed
        if _is_spoken(character) and alphabet.normalise(letter + character) == letter
    ]


def _is_spoken(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LN" or category == "Sc" or character in _SPOKEN_SIGNS


def _of_sound(line: int, utterance: Utterance, sound: Sound) -> Iterator[Finding]:
    decibels = 20 * math.log10(max(sound.peak, 1e-6))
    if sound.peak < SILENT_PEAK:
        yield Finding(Kind.SILENT, line, utterance.id, f"its loudest sample lies at {decibels:.0f} dB.", -decibels)
    if sound.clipped >= CLIPPED_SHARE:
        yield Finding(
            Kind.CLIPPED, line, utterance.id, f"{sound.clipped:.1%} of its samples lie at full scale.", sound.clipped
        )


def _of_both(line: int, utterance: Utterance, sound: Sound, limits: Limits, *, is_whole: bool) -> Iterator[Finding]:
    """Hold text, stated duration and sound against each other; `is_whole` where no other utterance is in the file."""
    seconds = sound.seconds
    left = sound.file_seconds - utterance.offset
    stated = utterance.duration
    # Less than there is may be meant: the rest belongs to others, or is left out on purpose where there is an offset.
    is_less = is_whole and utterance.offset == 0
    if stated is not None and (stated > left + DURATION_TOLERANCE or (is_less and stated < left - DURATION_TOLERANCE)):
        seconds = left
        detail = f"{left:.2f} s, not {stated:.2f} s."
        yield Finding(Kind.DURATION, line, utterance.id, detail, abs(left - stated), round(left, 4))
    tokens = limits.alphabet.encode(limits.alphabet.normalise(utterance.text or ""))
    # CTC writes one character a frame, and a blank between two that are the same.
    needed = len(tokens) + sum(first == second for first, second in pairwise(tokens))
    frames = limits.frames(round(seconds * limits.features.sample_rate))
    if needed > frames:
        detail = f"{seconds:.2f} s are {frames} frames, and {len(tokens)} characters need {needed}."
        yield Finding(Kind.TOO_SHORT, line, utterance.id, detail, needed / max(frames, 1))
