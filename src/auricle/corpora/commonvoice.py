"""Mozilla Common Voice: one language's folder, with clips/ and a table for each split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from auricle.corpora.collected import Collected, Progress, sex_of, silent_progress, timed, unique
from auricle.corpora.tables import read_table
from auricle.errors import CorpusError
from auricle.manifest import Utterance

SPLITS = ("train", "dev", "test")
"""The official split. `validated` is all of them and more, so it is read only when it is asked for."""


def splits_of(folder: Path) -> list[str]:
    """Return those of train, dev and test that the folder has. Raises CorpusError when it has none."""
    found = [split for split in SPLITS if (folder / f"{split}.tsv").is_file()]
    if not found:
        raise CorpusError(
            f"{folder} has none of train.tsv, dev.tsv, test.tsv: give the folder of one language, such as "
            "cv-corpus-21.0-2025-03-14/en."
        )
    return found


def collect(folder: Path, split: str, *, progress: Progress = silent_progress) -> Collected:
    """Return the utterances of one table, such as "dev" for dev.tsv.

    Ids are the clips' names, speakers the client_id. Durations come from clip_durations.tsv where the release has one.
    Raises CorpusError.
    """
    table = folder / f"{split}.tsv"
    if not (folder / "clips").is_dir():
        raise CorpusError(f"{folder} has no clips/: give the folder of one language, and unpack all of it.")
    seconds = _durations(folder / "clip_durations.tsv")
    utterances: list[Utterance] = []
    left_out: dict[str, str] = {}
    for row in read_table(table, needs=("path", "sentence")):
        name = row["path"] if Path(row["path"]).suffix else f"{row['path']}.mp3"  # early releases leave it out
        utterance = Utterance(
            id=Path(name).stem,
            audio_filepath=folder / "clips" / name,
            text=row["sentence"].strip(),
            duration=seconds.get(name),
            speaker=row.get("client_id") or None,
            sex=sex_of(row.get("gender")),
        )
        if utterance.text:
            utterances.append(utterance)
        else:
            left_out[utterance.id] = "it has no text."
    return timed(unique(utterances, str(table)), left_out, where=str(table), progress=progress)


def _durations(path: Path) -> Mapping[str, float]:
    """Return seconds for each clip, or nothing where the release does not have the table."""
    if not path.is_file():
        return {}
    rows = read_table(path, needs=("clip",))
    column = next((name for name in rows[0] if name.startswith("duration")), "") if rows else ""
    return {row["clip"]: int(row[column]) / 1000 for row in rows if row.get(column, "").isdigit() and int(row[column])}
