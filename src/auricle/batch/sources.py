"""What a SOURCE of the command line stands for: its recordings, one at a time."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from glob import iglob
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from auricle.batch.listing import Found
from auricle.batch.naming import naming
from auricle.batch.work import Recording
from auricle.errors import CorpusError
from auricle.manifest import utterance_of

SUFFIXES = frozenset(
    f".{name}"
    for names in (
        "aac aif aiff amr au caf flac m4a m4b mka mkv mov mp2 mp3",
        "mp4 mpga oga ogg opus w64 wav wave webm wma",
    )
    for name in names.split()
)
"""The files of a directory, and the members of a TAR file, that are taken for recordings."""
_WILD = frozenset("*?[")


def recordings_of(source: str) -> Iterator[Found]:
    """Yield the recordings of a file, a directory, a glob, a manifest (.jsonl), a TAR file, or a URL of one of these.

    An id is the name as it was given or found; a member of a TAR file is `FILE.tar/MEMBER`, an utterance of a manifest
    has the one it states, or else the name of its file without the suffix. Raises CorpusError for a source that is not
    there or holds nothing, and ManifestError for a line that is no utterance.
    """
    found = _remote(source) if "://" in source else _local(source)
    count = 0
    for count, one in enumerate(found, start=1):  # noqa: B007
        yield one
    if not count:
        raise CorpusError(f"{source}: no recordings are there: check the name.")


def _local(source: str) -> Iterator[Found]:
    if os.path.isdir(source):  # noqa: PTH112 - a name that is no path, for being too long, is one of nothing
        yield from _folder(source)
    elif os.path.exists(source):  # noqa: PTH110
        yield from _file(source, str(Path(source).resolve()), explicit=True)
    elif _WILD.intersection(source):
        for name in iglob(source, recursive=True):  # noqa: PTH207 - Path.glob is not for absolute patterns
            if os.path.isfile(name):  # noqa: PTH113
                yield from _file(name, str(Path(name).resolve()), explicit=False)
    else:
        raise CorpusError(f"{source}: there is no such file or directory: check the name.")


def _folder(source: str) -> Iterator[Found]:
    """Walk a folder and those below it, without a list of them; the order is the listing's affair."""
    waiting = [source]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif PurePosixPath(entry.name).suffix.lower() in SUFFIXES | {".tar"}:
                        yield from _file(entry.path, os.path.realpath(entry.path), explicit=False)
        except OSError as error:
            raise CorpusError(f"{error.filename} cannot be listed: {error.strerror or error}.") from error


def _remote(source: str) -> Iterator[Found]:
    if source.startswith(("http://", "https://")):  # a web server has no directories
        yield from _file(source, source, explicit=True)
        return
    with naming(source, "cannot be listed", CorpusError):
        import fsspec

        system, path = fsspec.core.url_to_fs(source, use_listings_cache=False)
        if _WILD.intersection(path):
            for name, about in cast("dict[str, dict[str, Any]]", system.glob(path, detail=True)).items():
                if about["type"] == "file":
                    yield from _file(system.unstrip_protocol(name), system.unstrip_protocol(name), explicit=False)
        elif system.isdir(path):
            for folder, _, files in system.walk(path):
                for name in files:
                    url = system.unstrip_protocol(f"{folder.rstrip('/')}/{name}")
                    if PurePosixPath(name).suffix.lower() in SUFFIXES | {".tar"}:
                        yield from _file(url, url, explicit=False)
        else:
            yield from _file(source, source, explicit=True)


def _file(name: str, uri: str, *, explicit: bool) -> Iterator[Found]:
    """Yield a recording, or those that a file lists or holds. Only what was named itself is taken for a manifest."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".jsonl" and explicit:
        yield from _manifest(name, uri)
    elif suffix == ".tar":
        yield from _tar(name, uri)
    elif name.lower().endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")):
        raise CorpusError(f"{name} is compressed as a whole, so that no member can be read alone: make a plain .tar.")
    else:
        yield Found(Recording(name, uri), name)


def _manifest(name: str, uri: str) -> Iterator[Found]:
    """Read a manifest line by line. Names are relative to it, and may be URLs."""
    remote = "://" in uri
    with ExitStack() as stack:
        for number, line in enumerate(_opened(stack, uri, name), start=1):
            text = line.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape").strip()
            if not text:
                continue
            utterance = utterance_of(text, Path(name if remote else uri), number)
            audio = cast("str", json.loads(text)["audio_filepath"])
            if "://" not in audio:
                audio = f"{uri.rpartition('/')[0]}/{audio}" if remote else str(utterance.audio_filepath)
            yield Found(Recording(utterance.id, audio, utterance.offset, utterance.duration))


def _tar(name: str, uri: str) -> Iterator[Found]:
    """Read a TAR file's headers, and remember where the members are: of those, nothing is read."""
    with ExitStack() as stack:
        try:
            with tarfile.open(fileobj=_opened(stack, uri, name), mode="r:") as archive:
                for member in archive:
                    archive.members = []  # type: ignore[attr-defined]  # which would otherwise grow with the archive
                    if member.isfile() and PurePosixPath(member.name).suffix.lower() in SUFFIXES:
                        place = {"begin": member.offset_data, "size": member.size}
                        yield Found(Recording(f"{name}/{member.name}", uri, **place), name)
        except tarfile.TarError as error:
            raise CorpusError(f"{name} is no TAR file, or a damaged one ({error}): make it again.") from error


def _opened(stack: ExitStack, uri: str, name: str) -> IO[bytes]:
    with naming(name, "cannot be read", CorpusError):
        if "://" not in uri:
            return stack.enter_context(Path(uri).open("rb"))
        import fsspec

        system, path = fsspec.core.url_to_fs(uri)
        # Headers of a TAR file are small and far from each other: what is read ahead would be thrown away.
        options: dict[str, Any] = {"cache_type": "bytes", "block_size": 1 << 16} if uri.endswith(".tar") else {}
        return cast("IO[bytes]", stack.enter_context(system.open(path, "rb", **options)))
