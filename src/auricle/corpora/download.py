"""Large files over HTTP: half a download is gone on with, and nothing damaged is ever taken for the whole."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from auricle.corpora.collected import Progress, silent_progress
from auricle.errors import CorpusError

_PIECE = 1 << 20
_TIMEOUT_SECONDS = 60.0
_USELESS_TRIES = 3  # broken connections in a row that brought nothing, before it is given up
_RANGE_NOT_SATISFIABLE = 416


def download(url: str, target: Path, *, md5: str | None, progress: Progress = silent_progress) -> None:
    """Fetch `url` into the file `target`, which appears only when all of it is there and `md5` (hexadecimal) agrees.

    Until then it grows in `target` with ".partial" at the end of its name, and the next call goes on from there (an
    HTTP range request, RFC 9110 section 14); within a call, a broken connection is taken up again by itself. What
    arrived whole but differs from `md5` is removed. Raises CorpusError.
    """
    partial = target.with_name(target.name + ".partial")
    useless = 0
    while True:
        before = _size(partial)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _fetch(url, partial, progress)
            break
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            useless = 0 if _size(partial) > before else useless + 1
            if useless >= _USELESS_TRIES or _is_final(error):
                raise CorpusError(_gave_up(url, partial, error)) from error
        except OSError as error:
            raise CorpusError(f"{partial} cannot be written: {error.strerror or error}.") from error
    if md5 and (found := md5_of(partial, progress)) != md5.lower():
        partial.unlink()
        raise CorpusError(
            f"{url} arrived damaged, or is another file than was published (md5 {found}, not {md5.lower()}): "
            "it was removed, try again, or give --md5 if you know better."
        )
    partial.replace(target)


def md5_of(path: Path, progress: Progress = silent_progress) -> str:
    """Return the MD5 sum of a file in hexadecimal. Raises CorpusError when it cannot be read."""
    digest = hashlib.md5(usedforsecurity=False)
    try:
        size = max(1, path.stat().st_size)
        done = 0
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
                done += len(piece)
                progress(done / size, f"checking {path.name.removesuffix('.partial')}")
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror or error}.") from error
    return digest.hexdigest()


def _fetch(url: str, partial: Path, progress: Progress) -> None:
    """Bring `partial` to its end with one request. Raises ConnectionError when the connection ends before it."""
    have = _size(partial)
    try:
        request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except ValueError as error:
        raise CorpusError(f"{url!r} is not an address: give --url as https://host/path.") from error
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != _RANGE_NOT_SATISFIABLE or not have:
            raise
        # All of it was here already, or it belonged to another file.
        if error.headers.get("Content-Range", "") != f"bytes */{have}":
            partial.unlink()
            _fetch(url, partial, progress)
        return
    with response:
        goes_on = response.status == http.client.PARTIAL_CONTENT
        if goes_on and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise CorpusError(
                f"{url}: the server sends another part than was asked for: remove {partial} and try again."
            )
        length = response.headers.get("Content-Length")
        start = have if goes_on else 0  # a server that knows no ranges sends everything again
        whole = start + int(length) if length else None
        name = url.rpartition("/")[2]
        with partial.open("ab" if goes_on else "wb") as file:
            for done in _copied(response, file, start):
                if whole:
                    progress(done / whole, f"{name} {done / 1e6:,.0f} of {whole / 1e6:,.0f} MB")
    if whole is not None and _size(partial) < whole:
        raise ConnectionError(f"the connection ended after {_size(partial):,} of {whole:,} bytes")


def _copied(response: BinaryIO, file: BinaryIO, done: int) -> Iterator[int]:
    """Copy what comes into the file, and yield how many bytes it has after each piece."""
    while piece := response.read(_PIECE):
        file.write(piece)
        done += len(piece)
        yield done


def _is_final(error: Exception) -> bool:
    """Tell whether asking again is of no use: the server has answered, and refused."""
    return isinstance(error, urllib.error.HTTPError) and error.code < http.client.INTERNAL_SERVER_ERROR


def _gave_up(url: str, partial: Path, error: Exception) -> str:
    reason = f"the server answers {error.code} {error.reason}" if isinstance(error, urllib.error.HTTPError) else ""
    reason = reason or str(getattr(error, "reason", "") or error) or type(error).__name__
    size = _size(partial)
    advice = f"the same command goes on after the {size / 1e6:,.1f} MB in {partial}" if size else "check --url"
    return f"{url} cannot be fetched ({reason}): {advice}."


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
