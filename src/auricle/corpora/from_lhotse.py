"""Any corpus that lhotse has a recipe for, through lhotse's own prepare_* functions (P. Żelasko and others, 2021).

The only module of this room that knows lhotse; it comes with the extra `train`.
"""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from auricle.corpora.collected import Collected, Progress, sex_of, silent_progress, timed, unique
from auricle.errors import CorpusError, MissingExtraError
from auricle.manifest import Utterance

_PREPARE = "prepare_"


def names() -> list[str]:
    """Return the names of lhotse's recipes that make manifests. Raises MissingExtraError without lhotse."""
    return [name.removeprefix(_PREPARE) for name in dir(_recipes()) if name.startswith(_PREPARE)]


def collect(
    name: str,
    folders: Sequence[Path],
    options: Mapping[str, str] | None = None,
    *,
    output: Path,
    progress: Progress = silent_progress,
) -> dict[str, Collected]:
    """Run a recipe on a corpus that is on disk, and return the utterances of each of its parts.

    `folders` are the recipe's folders in its own order, mostly one; `options` are further arguments of it, as Python
    would write their values ("2", "True", else text). A recipe that insists on a folder to write to gets `output`.
    Raises CorpusError when there is no such recipe or it fails, and MissingExtraError without lhotse.
    """
    prepare = _recipe(name)
    arguments: dict[str, Any] = {key: _value(value) for key, value in (options or {}).items()}
    parameters = inspect.signature(prepare).parameters
    if "output_dir" in parameters and parameters["output_dir"].default is inspect.Parameter.empty:
        arguments.setdefault("output_dir", output / "lhotse")
    try:
        made = prepare(*folders, **arguments)
    except Exception as error:  # a recipe may fail in any way; what it says is all there is to say
        raise CorpusError(f"lhotse's recipe {name!r}: {error or type(error).__name__}.") from error
    parts = {part or name: pair for part, pair in _parts(made)}
    if not parts:
        raise CorpusError(f"lhotse's recipe {name!r} found no recordings with texts in {_list(folders)}.")
    return {part: _collected(pair, f"{name} {part}", progress) for part, pair in parts.items()}


def _recipes() -> Any:
    try:
        import lhotse.recipes
    except ModuleNotFoundError as error:
        raise MissingExtraError("a recipe of lhotse's", "train") from error
    return lhotse.recipes


def _recipe(name: str) -> Any:
    known = names()
    name = name.replace("-", "_").lower()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "without a name, the command lists them."
        raise CorpusError(f"lhotse has no recipe {name!r}: {hint}")
    return getattr(_recipes(), _PREPARE + name)


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _list(folders: Sequence[Path]) -> str:
    return ", ".join(map(str, folders)) or "no folder"


def _parts(made: Any, name: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each pair of recordings and supervisions in what a recipe returned, at whatever depth, with its name."""
    if isinstance(made, Mapping):
        if {"recordings", "supervisions"} <= made.keys():
            yield name, made
            return
        for key, inner in made.items():
            yield from _parts(inner, f"{name}-{key}" if name else str(key))


def _collected(pair: Mapping[str, Any], where: str, progress: Progress) -> Collected:
    recordings = {recording.id: recording for recording in pair["recordings"]}
    utterances: list[Utterance] = []
    left_out: dict[str, str] = {}
    for supervision in pair["supervisions"]:
        found = _utterance(supervision, recordings.get(supervision.recording_id))
        if isinstance(found, Utterance):
            utterances.append(found)
        else:
            left_out[supervision.id] = found
    return timed(unique(utterances, where), left_out, where=where, progress=progress)


def _utterance(supervision: Any, recording: Any) -> Utterance | str:
    """Return a supervision as an utterance, or why that cannot be."""
    if recording is None:
        return f"there is no recording {supervision.recording_id!r}."
    if not (supervision.text or "").strip():
        return "it has no text."
    if len(recording.sources) != 1 or recording.sources[0].type != "file" or recording.transforms:
        return "its recording is not one file on disk."
    channels = supervision.channel if isinstance(supervision.channel, list) else [supervision.channel]
    if set(channels) != set(recording.channel_ids):
        return "it is one channel of several, which a manifest cannot say: split the channels first."
    return Utterance(
        id=supervision.id,
        audio_filepath=Path(recording.sources[0].source),
        text=supervision.text.strip(),
        offset=round(supervision.start, 4),
        duration=round(supervision.duration, 4),
        speaker=supervision.speaker or None,
        sex=sex_of(supervision.gender),
    )
