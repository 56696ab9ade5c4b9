"""From a path, bytes or a file object to a Waveform: choose who decodes, and see that the end is there."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import BinaryIO

from auricle.audio.endings import whole
from auricle.audio.media import demuxer_of, read_media
from auricle.audio.sndfile import read_sndfile
from auricle.audio.span import Span
from auricle.audio.waveform import Waveform, waveform_of
from auricle.errors import AudioError


def read(
    source: str | os.PathLike[str] | bytes | BinaryIO,
    *,
    rate: int = 16_000,
    offset: float = 0.0,
    duration: float | None = None,
    name: str | None = None,
) -> Waveform:
    """Decode a recording, mix its channels down to their mean and resample it, band-limited, to `rate` Hz.

    `source` is a path, the bytes of a file, or a binary file object, which is read to its end and may be a pipe. `name`
    is what messages call it; without one, a path is its own name. `offset` and `duration` choose a part, in seconds of
    the recording and exact to the sample, with the end rounded so that neighbouring parts meet; a part that reaches
    past the end stops there.

    Raises AudioError, one sentence naming the recording, for anything that cannot be read, is cut off, holds no samples
    or holds NaN or infinity. Safe in threads.

    >>> read("tests/clips/austen-0880.flac").source.codec  # doctest: +SKIP
    'flac'
    """
    name = name or _name(source)
    if not (math.isfinite(offset) and offset >= 0 and (duration is None or (math.isfinite(duration) and duration > 0))):
        raise AudioError(f"{name}: offset has to be zero or more seconds, and duration more than zero.")
    span = Span(offset, duration)
    with _open(source, name) as file:
        try:
            head = file.read(64)
            if not head:
                raise AudioError(f"{name} is empty (0 bytes): choose a file that holds a recording.")
            demuxer = demuxer_of(head)
            if demuxer:
                mono, info = read_media(file, demuxer, span, name)
            else:
                mono, info = read_sndfile(whole(file, head, name), span, name)
        except OSError as error:
            raise AudioError(f"{name} cannot be read: {error.strerror or error}.") from error
    return waveform_of(mono, info, rate, name)


def _name(source: object) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    if isinstance(source, bytes):
        return "<bytes>"
    name = getattr(source, "name", None)
    if not isinstance(name, str):
        return "standard input" if name == 0 else "<file>"
    return "standard input" if name == "<stdin>" else name


def _open(source: str | os.PathLike[str] | bytes | BinaryIO, name: str) -> BinaryIO:
    """The recording as a seekable file at its beginning; pipes and the caller's own file objects are read to memory."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        if not isinstance(source, str | os.PathLike):
            return io.BytesIO(source.read())
        file = Path(source).open("rb")  # noqa: SIM115 - the caller closes it
        if file.seekable():
            return file
        with file:
            return io.BytesIO(file.read())
    except FileNotFoundError as error:
        raise AudioError(f"{name} does not exist: check the path.") from error
    except IsADirectoryError as error:
        raise AudioError(f"{name} is a directory: name one of the recordings in it.") from error
    except PermissionError as error:
        raise AudioError(f"{name} may not be read by this user: change its permissions.") from error
    except (OSError, ValueError) as error:  # ValueError: a closed file, a null byte in a path
        raise AudioError(f"{name} cannot be opened: {str(error).rstrip('.')}.") from error
