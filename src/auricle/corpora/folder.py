"""Your own recordings: audio beside text files of the same name, or a folder of audio and one table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from auricle.corpora.collected import AUDIO_SUFFIXES, Collected, Progress, sex_of, silent_progress, timed, unique
from auricle.corpora.tables import read_table
from auricle.errors import CorpusError
from auricle.manifest import Utterance

FIELDS = ("audio_filepath", "text", "id", "offset", "duration", "speaker", "sex")
"""A table's columns: a manifest's names. The first two are needed."""


def collect(folder: Path, *, progress: Progress = silent_progress) -> Collected:
    """Return each recording below `folder` that has its text beside it: `talk.wav` and `talk.txt`.

    The id is the path below `folder` without its ending. Raises CorpusError when there is no such pair, and for two
    recordings of one name.
    """
    if not folder.is_dir():
        raise CorpusError(f"{folder} is not a folder: give the one that has the recordings.")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())
    if not found:
        raise CorpusError(f"{folder} has no recordings ({', '.join(sorted(AUDIO_SUFFIXES))}): give another folder.")
    left_out: dict[str, str] = {}
    utterances = unique(_with_text(found, folder, left_out), str(folder))
    if not utterances:
        name, reason = next(iter(left_out.items()))
        raise CorpusError(f"{folder}: no recording has a text; the first, {name}: {reason}")
    return timed(utterances, left_out, where=str(folder), progress=progress)


def _with_text(found: list[Path], folder: Path, left_out: dict[str, str]) -> Iterator[Utterance]:
    for path in found:
        beside = path.with_suffix(".txt")
        name = path.relative_to(folder).with_suffix("").as_posix()
        try:
            text = " ".join(beside.read_text(encoding="utf-8-sig").split())
        except FileNotFoundError:
            left_out[name] = f"there is no {beside.name} beside {path.name}."
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise CorpusError(f"{beside}: cannot read the text ({error}): a text is in UTF-8.") from error
        if text:
            yield Utterance(name, path, text)
        else:
            left_out[name] = f"{beside.name} is empty."


def collect_table(
    folder: Path, table: Path, columns: Mapping[str, str] | None = None, *, progress: Progress = silent_progress
) -> Collected:
    """Return the rows of a table whose recordings are named relative to `folder`.

    Its columns are named like a manifest's fields (`FIELDS`), or `columns` says what the table calls a field:
    {"text": "sentence"}. `offset` and `duration` are seconds. Raises CorpusError.
    """
    names = {field: field for field in FIELDS} | dict(columns or {})
    if unknown := [field for field in names if field not in FIELDS]:
        raise CorpusError(f"a manifest has no field {unknown[0]!r}: choose from {', '.join(FIELDS)}.")
    left_out: dict[str, str] = {}
    utterances: list[Utterance] = []
    # A column that was named on purpose must be there, an optional one need not.
    needs = list(dict.fromkeys([names["audio_filepath"], names["text"], *(columns or {}).values()]))
    for number, row in enumerate(read_table(table, needs=needs), start=2):
        values = {field: row.get(name, "").strip() for field, name in names.items()}
        utterance = _row(values, folder, f"{table}:{number}")
        if utterance.text:
            utterances.append(utterance)
        else:
            left_out[utterance.id] = "it has no text."
    return timed(unique(utterances, str(table)), left_out, where=str(table), progress=progress)


def _row(values: Mapping[str, str], folder: Path, where: str) -> Utterance:
    path = values["audio_filepath"]
    if not Path(path).name:
        raise CorpusError(f"{where}: the row names no recording.")
    return Utterance(
        id=values["id"] or Path(path).with_suffix("").as_posix(),
        audio_filepath=folder / path,
        text=values["text"],
        offset=_seconds(values["offset"], where, "offset") or 0.0,
        duration=_seconds(values["duration"], where, "duration") or None,
        speaker=values["speaker"] or None,
        sex=sex_of(values["sex"]),
    )


def _seconds(value: str, where: str, name: str) -> float | None:
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise CorpusError(f"{where}: {name} is not a number of seconds ({value!r}).")
    return seconds
