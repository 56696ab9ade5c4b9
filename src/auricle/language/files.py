"""Text files, compressed or not, with errors that name them."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from auricle.errors import LanguageModelError


@contextmanager
def reading(path: Path, what: str) -> Iterator[IO[str]]:
    """Open a UTF-8 file, .xz and .gz unpacked. Raises LanguageModelError for what goes wrong until the block ends."""
    try:
        with _open(path) as file:
            yield file
    except UnicodeDecodeError as error:
        raise LanguageModelError(f"{path}: {what} is a file in UTF-8, and this is not.") from error
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error) as error:
        raise LanguageModelError(f"{path}: the file is damaged ({error}): get it again.") from error
    except OSError as error:
        raise LanguageModelError(f"{path}: cannot read {what} ({error.strerror or error}).") from error


@contextmanager
def writing(path: Path) -> Iterator[IO[str]]:
    """Write a UTF-8 file: whole or not at all. Raises LanguageModelError when that cannot be done."""
    partial = path.with_name(path.name + ".partial")
    try:
        try:
            with partial.open("w", encoding="utf-8", newline="\n") as file:
                yield file
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise LanguageModelError(f"{path} cannot be written: {error.strerror or error}.") from error


def _open(path: Path) -> IO[str]:
    if path.suffix == ".xz":
        return lzma.open(path, "rt", encoding="utf-8-sig")
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")
