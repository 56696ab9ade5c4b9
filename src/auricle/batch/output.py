"""Where results go: a directory of this machine, or any file system that fsspec knows. Files are whole or not there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from auricle.batch.listing import Shard
from auricle.batch.naming import naming
from auricle.errors import AuricleError

_SETTINGS, _MANIFEST = "batch.json", "manifest.json"
_PARTIAL = ".partial"


class Destination:
    """A place named by a path or a URL. Raises AuricleError, a sentence naming it, where something cannot be done."""

    def __init__(self, place: str) -> None:
        self.place = place.removeprefix("file://").rstrip("/") or "/"
        self._system: Any = None
        if "://" in self.place:
            with naming(place, "cannot be used"):
                import fsspec

                self._system, self._path = fsspec.core.url_to_fs(self.place, use_listings_cache=False)

    def put(self, name: str, content: str | bytes) -> None:
        """Write a file; what is there already is replaced at once."""
        data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
        with naming(f"{self.place}/{name}", "cannot be written"):
            if self._system:
                self._placed(name, lambda path: self._system.pipe_file(path, data))
            else:
                with self._partial(name) as partial:
                    partial.write_bytes(data)

    def move_in(self, file: Path, name: str) -> None:
        """Put a local file there."""
        with naming(f"{self.place}/{name}", "cannot be written"):
            if self._system:
                self._placed(name, lambda path: self._system.put_file(str(file), path))
            else:
                with self._partial(name) as partial:
                    shutil.copyfile(file, partial)
        file.unlink()

    def get(self, name: str) -> bytes | None:
        """Return a file's content, or nothing where there is none."""
        with naming(f"{self.place}/{name}", "cannot be read"):
            try:
                if self._system:
                    return cast("bytes", self._system.cat_file(f"{self._path}/{name}"))
                return Path(self.place, name).read_bytes()
            except FileNotFoundError:
                return None

    def open(self, name: str) -> IO[bytes]:
        """Open a file to read parts of it."""
        with naming(f"{self.place}/{name}", "cannot be read"):
            if self._system:
                return cast("IO[bytes]", self._system.open(f"{self._path}/{name}", "rb"))
            return Path(self.place, name).open("rb")

    def names(self, folder: str) -> set[str]:
        """Return the names of the files of a folder; none where there is no such folder."""
        with naming(f"{self.place}/{folder}", "cannot be listed"):
            try:
                if self._system:
                    listed = self._system.ls(f"{self._path}/{folder}", detail=False)
                    return {str(name).rstrip("/").rpartition("/")[2] for name in listed}
                return {entry.name for entry in os.scandir(Path(self.place, folder))}
            except FileNotFoundError:
                return set()

    def tidy(self) -> None:
        """Remove what a process that was killed while it wrote has left; object stores show no such thing."""
        if not self._system:
            with naming(self.place, "cannot be tidied"):
                for left in Path(self.place).rglob(f".*.[0-9]*{_PARTIAL}"):
                    left.unlink(missing_ok=True)

    def _placed(self, name: str, write: Callable[[str], None]) -> None:
        """Write a file, which an object store shows when it is whole; other file systems may want its folder first."""
        path = f"{self._path}/{name}"
        try:
            write(path)
        except FileNotFoundError:
            self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
            write(path)

    @contextmanager
    def _partial(self, name: str) -> Iterator[Path]:
        path = Path(self.place, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}{_PARTIAL}")
        try:
            yield partial
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


class Ledger:
    """Which shards of a destination are finished. One is when its entry is there, which is written last."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination

    def claim(self, settings: dict[str, Any]) -> None:
        """Take a destination for a command's settings. Raises AuricleError where it holds the results of others."""
        content = json.dumps(settings, indent=1, sort_keys=True) + "\n"
        there = self._destination.get(_SETTINGS)
        if there is None:
            self._destination.put(_SETTINGS, content)
        elif there.decode(errors="replace") != content:
            raise AuricleError(
                f"{self._destination.place} holds the results of {_differences(there, settings)}: "
                "repeat that command to complete it, or choose another --output."
            )
        else:
            self._destination.tidy()

    def finished(self, shards: Iterator[tuple[Shard, str]]) -> Iterator[tuple[Shard, bool]]:
        """Yield each shard, given with its fingerprint, and whether it is finished as it is listed now."""
        entries, tables = self._destination.names("manifest"), self._destination.names("shards")
        for shard, fingerprint in shards:
            is_there = f"{shard.name}.json" in entries and f"{shard.name}.parquet" in tables
            yield shard, is_there and self.entry(shard).get("fingerprint") == fingerprint

    def entry(self, shard: Shard) -> dict[str, Any]:
        """Return what was noted of a finished shard."""
        try:
            found = json.loads(self._destination.get(f"manifest/{shard.name}.json") or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def note(self, shard: Shard, entry: dict[str, Any]) -> None:
        """Write down that a shard is finished."""
        self._destination.put(f"manifest/{shard.name}.json", json.dumps(entry, sort_keys=True) + "\n")

    def conclude(self, shards: Iterator[Shard]) -> dict[str, Any]:
        """Write the manifest of all shards, and return it."""
        entries = {shard.name: self.entry(shard) for shard in shards}
        manifest = {
            "recordings": sum(entry["recordings"] for entry in entries.values()),
            "errors": sum(entry["errors"] for entry in entries.values()),
            "seconds": round(sum(entry["seconds"] for entry in entries.values()), 3),
            "shards": entries,
        }
        self._destination.put(_MANIFEST, json.dumps(manifest, indent=1) + "\n")
        return manifest


def _differences(there: bytes, settings: dict[str, Any]) -> str:
    try:
        other = json.loads(there)
        names = [name for name in settings if other.get(name) != settings[name]]
    except (ValueError, AttributeError):
        names = []
    return f"another command (with another {', '.join(names)})" if names else "something else"
