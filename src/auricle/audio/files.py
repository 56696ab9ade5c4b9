"""A recording as a seekable file at its beginning, wherever it comes from, without much of it in memory."""

from __future__ import annotations

import io
import os
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from auricle.errors import AudioError

_MEMORY_BYTES = 32 << 20
_CHUNK_BYTES = 1 << 20


def name_of(source: object) -> str:
    """Return what messages call a recording that was given no name."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    if isinstance(source, bytes):
        return "<bytes>"
    name = getattr(source, "name", None)
    if not isinstance(name, str):
        return "standard input" if name == 0 else "<file>"
    return "standard input" if name == "<stdin>" else name


def open_source(source: str | os.PathLike[str] | bytes | BinaryIO, name: str) -> BinaryIO:
    """Open a path or bytes; pipes and the caller's own file objects are read to their end, and copied.

    What is copied lies in memory up to 32 MB and in an unnamed temporary file beyond. Raises AudioError.
    """
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        if not isinstance(source, str | os.PathLike):
            return _copied(source)
        file = Path(source).open("rb")  # noqa: SIM115 - the caller closes it
        if file.seekable():
            return file
        with file:
            return _copied(file)
    except FileNotFoundError as error:
        raise AudioError(f"{name} does not exist: check the path.") from error
    except IsADirectoryError as error:
        raise AudioError(f"{name} is a directory: name one of the recordings in it.") from error
    except PermissionError as error:
        raise AudioError(f"{name} may not be read by this user: change its permissions.") from error
    except (OSError, ValueError) as error:  # ValueError: a closed file, a null byte in a path
        raise AudioError(f"{name} cannot be opened: {str(error).rstrip('.')}.") from error


def bytes_at(file: BinaryIO, position: int, count: int) -> bytes:
    """Return `count` bytes from a position of the file, fewer at its end."""
    file.seek(position)
    return file.read(count)


def with_head(file: BinaryIO, head: bytes, start: int) -> BinaryIO:
    """Return the file as if `head` stood for everything before byte `start`. Closing it leaves the file open."""
    return cast("BinaryIO", _Headed(file, head, start))


def _copied(file: BinaryIO) -> BinaryIO:
    copy: BinaryIO = io.BytesIO()
    while chunk := file.read(_CHUNK_BYTES):
        if copy.tell() <= _MEMORY_BYTES < copy.tell() + len(chunk):
            beginning = cast("io.BytesIO", copy).getbuffer()
            copy = cast("BinaryIO", TemporaryFile())  # noqa: SIM115 - the caller closes it
            copy.write(beginning)
        copy.write(chunk)
    copy.seek(0)
    return copy


class _Headed(io.RawIOBase):
    def __init__(self, file: BinaryIO, head: bytes, start: int) -> None:
        self._file, self._head, self._start, self._at = file, head, start, 0
        self._size = len(head) + file.seek(0, os.SEEK_END) - start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else self._at + size
        data = self._head[self._at : end]
        if end > len(self._head):
            first = max(self._at, len(self._head))
            data += bytes_at(self._file, first - len(self._head) + self._start, max(0, end - first))
        self._at += len(data)
        return data

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)
