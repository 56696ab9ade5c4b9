"""What a model is on disk: a directory, or one `.auricle` zip of it, described by `bundle.json`.

Its schema is 1, or 2 where there are phones.

A bundle is data. Reading one runs nothing from it: the graph is parsed by ONNX Runtime, the rest is JSON.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from auricle import archive
from auricle.alphabet import Alphabet
from auricle.errors import AuricleError, BundleError
from auricle.features import FeatureConfig, Normalization

SCHEMA = 1
SCHEMA_WITH_PHONES = 2  # what read schema 1 would take the phones for letters
SCHEMA_WITH_PRIOR = 3  # what read schema 2 would leave a clip's own mean in its features
MOST_PHONES = 254  # one is a byte, and two bytes are taken: the blank and the end of a word
_SCHEMAS = (SCHEMA, SCHEMA_WITH_PHONES, SCHEMA_WITH_PRIOR)  # no set: a file may say anything, lists too
ACOUSTIC = "acoustic.onnx"
LANGUAGE_MODEL = "lm.npz"  # what `auricle lm add` puts in
PRONUNCIATIONS = "pronunciations.npz"  # how the language model's words are said
SPELLER = "speller.onnx"  # letters from phones, for who reads without a language model
RECURRENT = "recurrent.npz"  # a second language model of the same words, for the texts that are found
_DESCRIPTION = "bundle.json"
_AT_EACH_START = {ACOUSTIC, LANGUAGE_MODEL, PRONUNCIATIONS, RECURRENT}
_LARGEST = 4 << 30  # bytes, unpacked
_EMBEDDED = resources.files("auricle") / "models"


@dataclass(frozen=True)
class Bundle:
    """A model, whole: how to make features, the network, how to write text, and where all of it comes from.

    `phones` are what the network writes beside letters, if it knows how words are said (ADR 11): the columns of its
    output are the blank and the letters, then a blank, the end of a word and the phones.
    `frame_seconds` is the time from one frame of the network's output to the next. `decoder` holds the decoder's
    defaults. `card` says what the model was trained on, how, and how well it does. `files` maps names to contents,
    `acoustic.onnx` among them.
    """

    name: str
    version: str
    created: str
    features: FeatureConfig
    normalization: Normalization
    alphabet: Alphabet
    frame_seconds: float
    files: Mapping[str, bytes] = field(repr=False)
    decoder: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)
    phones: tuple[str, ...] = ()

    @property
    def tokens(self) -> int:
        """Size of the network's output: letters and a blank, then phones, a blank of theirs and the end of a word."""
        return self.alphabet.tokens + (len(self.phones) + 2 if self.phones else 0)

    @property
    def _schema(self) -> int:
        if self.normalization.prior < math.inf:
            return SCHEMA_WITH_PRIOR
        return SCHEMA_WITH_PHONES if self.phones else SCHEMA

    def describe(self) -> dict[str, Any]:
        """Return `bundle.json` as plain values."""
        description: dict[str, Any] = {
            "schema": self._schema,
            "name": self.name,
            "version": self.version,
            "created": self.created,
            "sample_rate": self.features.sample_rate,
            "features": asdict(self.features),
            "normalization": {
                "mean": [float(f"{value:.6g}") for value in self.normalization.mean],
                "std": [float(f"{value:.6g}") for value in self.normalization.std],
                **({"prior": self.normalization.prior} if self.normalization.prior < math.inf else {}),
            },
            "alphabet": list(self.alphabet.characters),
            **({"phones": list(self.phones)} if self.phones else {}),
            "frame_seconds": self.frame_seconds,
            "decoder": dict(self.decoder),
            "card": dict(self.card),
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(self.files.items())},
        }
        return {**description, "checksum": _checksum(description)}


def read_bundle(path: str | Path, *, hold: bool = True) -> Bundle:
    """Read a bundle from a directory or a `.auricle` file and verify every checksum. Raises BundleError.

    Unless they are to be held, its `files` are read and verified when they are asked for, each time: who needs them
    once has them in memory no longer. They raise BundleError then.
    """
    path = Path(path)
    stored = _files_of(path)
    try:
        description = json.loads(stored.content(_DESCRIPTION))
    except KeyError:
        raise BundleError(f"{path}: not a model bundle: it has no {_DESCRIPTION}.") from None
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: {_DESCRIPTION} is not JSON: the bundle is damaged, get it again.") from error
    return _bundle(description, stored, path, hold=hold)


def find_bundle(model: str | os.PathLike[str] | None = None, *, hold: bool = True) -> Bundle:
    """Read the embedded English model, another built-in one by name, or a bundle by path, as `read_bundle` does.

    Raises BundleError.
    """
    if model is None:
        return embedded_bundle(hold=hold)
    name = os.fspath(model)
    return embedded_bundle(name, hold=hold) if is_name(name) else read_bundle(name, hold=hold)


def is_name(model: str | os.PathLike[str]) -> bool:
    """Return whether this is a built-in model's name and not a path."""
    name = os.fspath(model)
    return os.sep not in name and "." not in name and not Path(name).exists()


def embedded_bundle(name: str = "english", *, hold: bool = True) -> Bundle:
    """Read a bundle that ships inside the package, as `read_bundle` does. Raises BundleError naming those that do."""
    source = _EMBEDDED / f"{name}.auricle"
    with resources.as_file(source) as path:
        if not path.is_file():
            known = ", ".join(embedded_names()) or "none"
            raise BundleError(f"no model is called {name!r}: give a path, or one of those built in ({known}).")
        # What is taken out of a zipped package is there for this moment only.
        return read_bundle(path, hold=hold or path != source)


def embedded_names() -> list[str]:
    """Return the names of the bundles that ship inside the package."""
    entries = _EMBEDDED.iterdir() if _EMBEDDED.is_dir() else ()
    return sorted(entry.name.removesuffix(".auricle") for entry in entries if entry.name.endswith(".auricle"))


def write_bundle(bundle: Bundle, path: str | Path) -> None:
    """Write a bundle as one `.auricle` file, or as a directory when `path` has another suffix or none.

    A file is whole or not there. Raises BundleError for a directory that holds anything else, and for a file in the
    bundle whose name is a path.
    """
    path = Path(path)
    _refuse_paths(bundle.files, path)
    # The description goes last: a directory without one was never finished.
    contents = {**bundle.files, _DESCRIPTION: json.dumps(bundle.describe(), indent=1).encode()}
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".auricle":
        _write_zip(contents, path)
        return
    path.mkdir(exist_ok=True)
    if others := sorted({entry.name for entry in path.iterdir()} - set(contents)):
        raise BundleError(f"{path}: holds {others[0]!r}, which is not of this bundle: choose an empty directory.")
    for name, content in contents.items():
        (path / name).write_bytes(content)


def _write_zip(contents: Mapping[str, bytes], path: Path) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        with zipfile.ZipFile(partial, "w") as target:
            for name, content in contents.items():
                archive.add(target, name, content, worth=archive.WORTH if name in _AT_EACH_START else 1.0)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Files:
    """What is in a directory or a zip: names in their order, and contents as they are asked for."""

    path: Path
    names: tuple[str, ...]
    is_directory: bool

    def content(self, name: str) -> bytes:
        """Return a file's content. Raises KeyError for one that was not there, and BundleError for what is damaged."""
        if name not in self.names:
            raise KeyError(name)
        with _damage_told(self.path):
            if self.is_directory:
                return (self.path / name).read_bytes()
            with zipfile.ZipFile(self.path) as zipped:
                return zipped.read(name)


class _Verified(Mapping[str, bytes]):
    """The files of a bundle, each read when it is asked for and compared with its checksum."""

    def __init__(self, stored: _Files, checksums: Mapping[str, str]) -> None:
        self._stored, self._checksums = stored, dict(checksums)

    def __getitem__(self, name: str) -> bytes:
        checksum = self._checksums[name]
        content = self._stored.content(name)
        if hashlib.sha256(content).hexdigest() != checksum:
            raise BundleError(
                f"{self._stored.path}: {name} does not match its checksum: the bundle is damaged, get it again."
            )
        return content

    def __contains__(self, name: object) -> bool:
        return name in self._checksums  # without reading it

    def __iter__(self) -> Iterator[str]:
        return iter(self._checksums)

    def __len__(self) -> int:
        return len(self._checksums)


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except BundleError:
        raise
    except OSError as error:
        raise BundleError(f"{path}: cannot read the model bundle ({error.strerror or error}).") from error
    except Exception as error:  # zipfile lets out those of every decompressor and parser below it
        raise BundleError(f"{path}: not a model bundle, or a damaged one ({error}): get it again.") from error


def _files_of(path: Path) -> _Files:
    with _damage_told(path):
        if path.is_dir():
            return _Files(path, tuple(sorted(entry.name for entry in path.iterdir() if entry.is_file())), True)
        if not path.exists():
            raise BundleError(f"{path}: there is no such model bundle.")
        with zipfile.ZipFile(path) as zipped:
            if sum(info.file_size for info in zipped.infolist()) > _LARGEST:
                raise BundleError(f"{path}: what this bundle unpacks to is larger than a model can be.")
            return _Files(path, tuple(zipped.namelist()), False)


def _bundle(description: Any, stored: _Files, path: Path, *, hold: bool) -> Bundle:
    if not isinstance(description, dict) or description.get("schema") not in _SCHEMAS:
        schema = description.get("schema") if isinstance(description, dict) else None
        raise BundleError(
            f"{path}: bundle schema {schema!r} is not known to this auricle "
            f"(it reads {_SCHEMAS[0]} to {_SCHEMAS[-1]}): update auricle."
        )
    stated = description.pop("checksum", None)
    if stated != _checksum(description):
        raise BundleError(f"{path}: {_DESCRIPTION} does not match its checksum: the bundle is damaged, get it again.")
    files: Mapping[str, bytes] = _Verified(stored, _checksums(description.get("files"), stored.names, path))
    if hold:
        files = dict(files)
    try:
        bundle = Bundle(
            name=description["name"],
            version=description["version"],
            created=description["created"],
            features=FeatureConfig(**description["features"]),
            normalization=_normalization(description["normalization"]),
            alphabet=Alphabet(tuple(description["alphabet"])),
            frame_seconds=float(description["frame_seconds"]),
            files=files,
            decoder=dict(description["decoder"]),
            card=dict(description["card"]),
            phones=_phones(description),
        )
    except (KeyError, TypeError, ValueError, AuricleError) as error:
        raise BundleError(f"{path}: {_DESCRIPTION} is not that of a bundle ({error}).") from error
    _check_numbers(bundle, path)
    return bundle


def _normalization(stored: Mapping[str, Any]) -> Normalization:
    mean, std = (np.array(stored[key], dtype=np.float32) for key in ("mean", "std"))
    return Normalization(mean, std, prior=float(stored.get("prior", math.inf)))


def _phones(description: Mapping[str, Any]) -> tuple[str, ...]:
    phones = description.get("phones", [])
    if not isinstance(phones, list) or not all(isinstance(phone, str) for phone in phones):
        raise ValueError("its phones are not a list of names")
    if len(set(phones)) != len(phones) or len(phones) > MOST_PHONES:
        raise ValueError(f"its phones are not each there once, {MOST_PHONES} at most")
    return tuple(phones)


def _check_numbers(bundle: Bundle, path: Path) -> None:
    mean, std, mel = bundle.normalization.mean, bundle.normalization.std, bundle.features.mel
    if mean.shape != (mel,) or std.shape != (mel,):
        raise BundleError(f"{path}: the normalisation does not have one value for each of {mel} mel bands.")
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
        raise BundleError(f"{path}: the normalisation divides by zero or is not finite: export the model again.")
    if not bundle.normalization.prior > 0:
        raise BundleError(f"{path}: a prior of {bundle.normalization.prior} frames cannot be: export the model again.")
    if not 0 < bundle.frame_seconds < math.inf:
        raise BundleError(f"{path}: a frame of {bundle.frame_seconds} seconds cannot be: export the model again.")


def _refuse_paths(names: Iterable[str], path: Path) -> None:
    if bad := [name for name in names if name in {"", "..", "."} or "/" in name or "\\" in name]:
        raise BundleError(f"{path}: {bad[0]!r} is not the name of a file in a bundle: get it again.")


def _checksums(stated: Any, names: Iterable[str], path: Path) -> Mapping[str, str]:
    """Return the checksums that a description states, if they are those of the bundle's files."""
    own = [name for name in names if name != _DESCRIPTION]
    _refuse_paths(own, path)
    if not isinstance(stated, dict) or sorted(stated) != sorted(own) or ACOUSTIC not in stated:
        raise BundleError(f"{path}: the bundle's files are not those that its {_DESCRIPTION} lists: get it again.")
    return stated


def _checksum(description: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()
