"""What a restorer is on disk: a `.restorer` zip of `restorer.json` (schema 1 or 2) and `restorer.onnx`. No code."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from auricle.errors import RestorationError
from auricle.restoration.features import KINDS
from auricle.restoration.types import MARKS

SCHEMA = 2
"""Schema 1 had no `kinds`; a file without them is still written as one."""
_SCHEMAS = (1, SCHEMA)
_DESCRIPTION, _GRAPH = "restorer.json", "restorer.onnx"
_LARGEST = 256 << 20  # bytes, unpacked
_EMBEDDED = resources.files("auricle") / "models"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a zip's earliest time: the same restorer gives the same bytes


@dataclass(frozen=True)
class RestorerModel:
    """A restorer, whole.

    `rows` is the size of the table that words are hashed into, `context` how many words on either side can change what
    is said of a word. `biases` [8] are added to the scores of MARKS. `stored` maps words to forms of their own. `graph`
    is the ONNX network: input `rows [T, 6]` int32, output `scores [T, 12]`, of MARKS and then of CASES. `card` says
    what it was trained on, how, and how well it does. `kinds` has for known words their place in `features.KINDS`.
    """

    name: str
    version: str
    created: str
    rows: int
    context: int
    biases: tuple[float, ...]
    stored: Mapping[str, str]
    graph: bytes = field(repr=False)
    card: Mapping[str, Any] = field(default_factory=dict)
    kinds: Mapping[str, int] = field(default_factory=dict, repr=False)

    def describe(self) -> dict[str, Any]:
        """Return `restorer.json` as plain values."""
        of_kind: dict[str, list[str]] = {KINDS[kind]: [] for kind in self.kinds.values()}
        for word in sorted(self.kinds):
            of_kind[KINDS[self.kinds[word]]].append(word)
        return {
            "schema": SCHEMA if self.kinds else 1,
            "name": self.name,
            "version": self.version,
            "created": self.created,
            "rows": self.rows,
            "context": self.context,
            "marks": list(MARKS),
            "biases": [round(bias, 4) for bias in self.biases],
            "stored": dict(sorted(self.stored.items())),
            "card": dict(self.card),
            "graph": hashlib.sha256(self.graph).hexdigest(),
            **({"kinds": {kind: " ".join(words) for kind, words in sorted(of_kind.items())}} if self.kinds else {}),
        }


def read_restorer(path: str | Path) -> RestorerModel:
    """Read a restorer and verify its checksum. Raises RestorationError naming the file."""
    path = Path(path)
    try:
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
            if sum(info.file_size for info in archive.infolist()) > _LARGEST:
                raise RestorationError(f"{path}: what this unpacks to is larger than a restorer can be.")
            description, graph = json.loads(archive.read(_DESCRIPTION)), archive.read(_GRAPH)
    except OSError as error:
        raise RestorationError(f"{path}: cannot read the restorer ({error.strerror or error}).") from error
    except RestorationError:
        raise
    except Exception as error:  # zipfile lets out those of every decompressor and parser below it
        raise RestorationError(f"{path}: not a restorer, or a damaged one ({error}): get it again.") from error
    return _model(description, graph, path)


def find_restorer(restorer: str | os.PathLike[str] | None = None) -> RestorerModel:
    """Read the embedded English restorer, or one by path. Raises RestorationError."""
    if restorer is not None:
        return read_restorer(os.fspath(restorer))
    with resources.as_file(_EMBEDDED / "english.restorer") as path:
        return read_restorer(path)


def to_bytes(model: RestorerModel) -> bytes:
    """Return the file of a restorer; the same restorer gives the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in ((_DESCRIPTION, json.dumps(model.describe(), indent=1).encode()), (_GRAPH, model.graph)):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system, info.external_attr = 3, 0o644 << 16  # Unix, and readable once it is unpacked
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def write_restorer(model: RestorerModel, path: str | Path) -> None:
    """Write a restorer; the file is whole or not there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(to_bytes(model))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _model(description: Any, graph: bytes, path: Path) -> RestorerModel:
    schema = description.get("schema") if isinstance(description, dict) else None
    if schema not in _SCHEMAS:
        raise RestorationError(
            f"{path}: restorer schema {schema!r} is not known to this auricle (it reads 1 to {SCHEMA}): update auricle."
        )
    if hashlib.sha256(graph).hexdigest() != description.get("graph"):
        raise RestorationError(f"{path}: the network does not match its checksum: the file is damaged, get it again.")
    try:
        if tuple(description["marks"]) != MARKS or len(description["biases"]) != len(MARKS):
            raise ValueError("its marks are others")
        return RestorerModel(
            name=str(description["name"]),
            version=str(description["version"]),
            created=str(description["created"]),
            rows=int(description["rows"]),
            context=int(description["context"]),
            biases=tuple(map(float, description["biases"])),
            stored={str(word): str(form) for word, form in description["stored"].items()},
            graph=graph,
            card=dict(description["card"]),
            kinds=_kinds(description.get("kinds", {})),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RestorationError(f"{path}: {_DESCRIPTION} is not that of a restorer ({error}).") from error


def _kinds(lists: Mapping[str, str]) -> dict[str, int]:
    """Return the place in KINDS of each word; there may be a hundred thousand, and no time to look at each."""
    found: dict[str, int] = {}
    for kind, words in lists.items():
        found.update(dict.fromkeys(words.split(), KINDS.index(kind)))
    return found
