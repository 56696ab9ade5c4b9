"""Manifests: one utterance a line, as JSON, with the names that NeMo gave to the fields."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from auricle.errors import ManifestError


@dataclass(frozen=True, slots=True)
class Utterance:
    """One stretch of a recording and what is said in it.

    `audio_filepath` is absolute once read. `offset` and `duration` are seconds; `duration` is None when the manifest
    does not say and the whole rest of the file is meant. `text` is None for speech without a transcript, and empty
    where nobody speaks.
    """

    id: str
    audio_filepath: Path
    text: str | None = None
    offset: float = 0.0
    duration: float | None = None
    speaker: str | None = None
    sex: str | None = None


def read_manifest(path: str | Path) -> list[Utterance]:
    """Read a JSONL manifest; relative audio paths start at the manifest's folder, blank lines are skipped.

    Raises ManifestError, naming file and line, for anything that is not an utterance, and for an id that appears twice.
    """
    path = Path(path)
    utterances: list[Utterance] = []
    seen: dict[str, int] = {}
    for number, line in lines_of(path):
        utterance = utterance_of(line, path, number)
        if utterance.id in seen:
            raise ManifestError(
                f"{path}:{number}: the id {utterance.id!r} is already on line {seen[utterance.id]}; "
                'give each utterance an "id" of its own.'
            )
        seen[utterance.id] = number
        utterances.append(utterance)
    if not utterances:
        raise ManifestError(f"{path}: the manifest has no utterances.")
    return utterances


def lines_of(path: Path) -> list[tuple[int, str]]:
    """Return a manifest's lines that are not blank, each with its number. Raises ManifestError for what is no text."""
    try:
        # "-sig" for Windows' editors; not splitlines(), for which U+2028 ends a line and for JSON it does not.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise ManifestError(f"{path}: cannot read the manifest ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: a manifest is a text file in UTF-8, and this is not.") from error
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def read_manifests(paths: Iterable[str | Path]) -> list[Utterance]:
    """Read several manifests into one list. An id that two of them share is an error, as within one."""
    utterances: dict[str, Utterance] = {}
    for path in paths:
        for utterance in read_manifest(path):
            if utterance.id in utterances:
                raise ManifestError(f"{path}: the id {utterance.id!r} is in another manifest of this call already.")
            utterances[utterance.id] = utterance
    return list(utterances.values())


def write_manifest(utterances: Iterable[Utterance], path: str | Path) -> None:
    """Write utterances as JSONL; fields that are None are left out.

    Audio inside the manifest's folder is named relative to it, other audio by its absolute path.
    """
    path = Path(path)
    # A file name that is not UTF-8 comes as lone surrogates; with backslashes they are the very escapes that JSON has.
    text = "".join(_lines(utterances, path.parent.resolve()))
    path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def _lines(utterances: Iterable[Utterance], folder: Path) -> Iterator[str]:
    for utterance in utterances:
        row: dict[str, Any] = {
            "id": utterance.id,
            "audio_filepath": name_from(folder, utterance.audio_filepath),
            "offset": utterance.offset or None,
            "duration": utterance.duration,
            "text": utterance.text,
            "speaker": utterance.speaker,
            "sex": utterance.sex,
        }
        yield json.dumps({key: value for key, value in row.items() if value is not None}, ensure_ascii=False) + "\n"


def name_from(folder: Path, audio: Path) -> str:
    """Return how a manifest in `folder`, which is absolute, names a recording: relative to it where that is inside."""
    audio = audio.resolve()
    return (audio.relative_to(folder) if audio.is_relative_to(folder) else audio).as_posix()


def utterance_of(line: str, path: Path, number: int) -> Utterance:
    """Return what line `number` of the manifest at `path` says. Raises ManifestError."""
    where = f"{path}:{number}"
    row = _object(line, where)
    offset, duration = (_seconds(row, field, where) for field in ("offset", "duration"))
    if (duration is not None and duration <= 0) or (offset or 0) < 0:
        raise ManifestError(f'{where}: "duration" must be above zero and "offset" not below it.')
    return Utterance(
        id=row.get("id") or Path(row["audio_filepath"]).stem,
        audio_filepath=(path.parent / row["audio_filepath"]).resolve(),
        text=row.get("text"),
        offset=offset or 0.0,
        duration=duration,
        speaker=row.get("speaker"),
        sex=row.get("sex"),
    )


def _object(line: str, where: str) -> dict[str, Any]:
    """Return the line's JSON object, its strings checked to be strings."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a plain ValueError
        raise ManifestError(f"{where}: not a line of JSON ({getattr(error, 'msg', error)}).") from error
    audio = row.get("audio_filepath") if isinstance(row, dict) else None
    if not isinstance(audio, str) or not Path(audio).name or "\0" in audio:
        raise ManifestError(f'{where}: an utterance is a JSON object with "audio_filepath", the name of a file.')
    for field in ("id", "text", "speaker", "sex"):
        if row.get(field) is not None and not isinstance(row[field], str):
            raise ManifestError(f'{where}: "{field}" has the wrong type ({row[field]!r}).')
    return cast("dict[str, Any]", row)


def _seconds(row: dict[str, Any], field: str, where: str) -> float | None:
    value = row.get(field)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ManifestError(f'{where}: "{field}" has the wrong type ({value!r}).')
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not math.isfinite(seconds):
        raise ManifestError(f'{where}: "{field}" is not a number of seconds ({seconds}).')
    return seconds


def spread(utterances: Sequence[Utterance], limit: int | None) -> list[Utterance]:
    """Return at most `limit` utterances, taken evenly from the first to the last; without a limit, all of them."""
    count = min(limit or len(utterances), len(utterances))
    return [utterances[index * len(utterances) // count] for index in range(count)]
