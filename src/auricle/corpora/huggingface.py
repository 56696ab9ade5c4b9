"""Data sets of the Hugging Face hub, or of a folder in its form, through the optional package `datasets`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from auricle.corpora.collected import Collected, Progress, sex_of, silent_progress, timed
from auricle.errors import CorpusError
from auricle.manifest import Utterance

_TEXTS = ("text", "sentence", "transcription", "transcript", "normalized_text", "raw_transcription")
_SPEAKERS = ("speaker_id", "speaker", "client_id")
_SEXES = ("sex", "gender")
_ROWS = 64  # with their recordings in memory at once


def collect(
    name: str,
    output: Path,
    *,
    config: str | None = None,
    splits: Sequence[str] = (),
    text: str | None = None,
    limit: int | None = None,
    progress: Progress = silent_progress,
) -> dict[str, Collected]:
    """Return the utterances of each split of a data set, their recordings as files below `output`.

    `name` is the hub's, or a folder that `save_to_disk` wrote or `load_dataset` reads; `config` chooses one of a set's
    variants (often the language), `splits` some of its splits (default: all), `limit` the first utterances of each.
    `text` is the column with what is said; else the usual names are tried. Recordings are written as they are stored,
    never decoded. Raises CorpusError, also where `datasets` is not installed.
    """
    loaded = _load(name, config)
    chosen = list(splits) or list(loaded)
    if missing := [split for split in chosen if split not in loaded]:
        raise CorpusError(f"{name} has no split {missing[0]!r}: it has {', '.join(loaded)}.")
    return {
        split: _split(
            loaded[split], f"{name}, {split}", output / "audio" / split, text=text, limit=limit, progress=progress
        )
        for split in chosen
    }


def _load(name: str, config: str | None) -> dict[str, Any]:
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise CorpusError('data sets of the hub need a package that is missing: run "pip install datasets".') from error
    try:
        if (Path(name) / "dataset_dict.json").is_file() or (Path(name) / "state.json").is_file():
            loaded = datasets.load_from_disk(name)
        else:
            loaded = datasets.load_dataset(name, config)
    except Exception as error:  # the hub, the network, the disk and the set's own form can all fail
        raise CorpusError(f"{name} cannot be loaded: {error}.".replace("..", ".")) from error
    return dict(loaded) if isinstance(loaded, Mapping) else {"train": loaded}


def _split(
    rows: Any, where: str, folder: Path, *, text: str | None, limit: int | None, progress: Progress
) -> Collected:
    import datasets

    heard = next((column for column, kind in rows.features.items() if isinstance(kind, datasets.Audio)), None)
    if heard is None:
        raise CorpusError(f"{where}: no column holds recordings; it has {', '.join(rows.features)}.")
    said = text or _first(_TEXTS, rows.features)
    if said is None or said not in rows.features:
        raise CorpusError(f"{where}: say with --text-column what is said; it has {', '.join(rows.features)}.")
    count = min(limit or len(rows), len(rows))
    utterances: list[Utterance] = []
    left_out: dict[str, str] = {}
    for index, row in enumerate(islice(_stored(rows), count)):
        key = f"{folder.name}-{index:07d}"
        words = str(row[said] or "").strip()
        path = _recording(row[heard] or {}, folder, key)
        if words and path:
            utterances.append(_utterance(key, path, words, row, rows.features))
        else:
            left_out[key] = "it has no recording." if words else "it has no text."
        progress((index + 1) / count, f"writing {folder.name}")
    return timed(utterances, left_out, where=where, progress=progress)


def _stored(rows: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows as they are stored. Decoding takes further packages, and would make plain samples of an MP3."""
    for table in rows.with_format("arrow").iter(batch_size=_ROWS):
        yield from table.to_pylist()


def _utterance(key: str, path: Path, words: str, row: Mapping[str, Any], features: Mapping[str, Any]) -> Utterance:
    return Utterance(
        id=key,
        audio_filepath=path,
        text=words,
        speaker=_named(row, _first(_SPEAKERS, features), features),
        sex=sex_of(_named(row, _first(_SEXES, features), features)),
    )


def _recording(stored: Mapping[str, Any], folder: Path, key: str) -> Path | None:
    """Return the file of a recording: the one that the row names, or a new one with the bytes that it holds."""
    named = Path(stored.get("path") or "")
    content = stored.get("bytes")
    if content is None:
        return named.resolve() if named.is_file() else None
    path = folder / f"{key}{named.suffix}"
    try:
        if not path.is_file() or path.stat().st_size != len(content):
            folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise CorpusError(f"{path} cannot be written: {error.strerror or error}.") from error
    return path


def _first(names: Iterable[str], features: Mapping[str, Any]) -> str | None:
    return next((name for name in names if name in features), None)


def _named(row: Mapping[str, Any], column: str | None, features: Mapping[str, Any]) -> str | None:
    """Return a row's value as text; classes are stored as numbers, and their names with the column."""
    if column is None or row[column] is None:
        return None
    value = row[column]
    return str(
        features[column].int2str(value) if isinstance(value, int) and hasattr(features[column], "int2str") else value
    )
