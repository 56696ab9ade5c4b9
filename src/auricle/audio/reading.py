"""From a path, bytes or a file object to samples: choose who decodes, and see that the end is there."""

from __future__ import annotations

import math
import os
from contextlib import ExitStack
from typing import BinaryIO

from auricle.audio.blocks import BLOCK_SECONDS, Blocks
from auricle.audio.endings import whole
from auricle.audio.files import name_of, open_source
from auricle.audio.media import demuxer_of, open_media
from auricle.audio.sndfile import open_sndfile
from auricle.audio.span import Span
from auricle.audio.track import Track
from auricle.audio.waveform import Waveform, check_wanted_rate
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
    with open_blocks(source, rate=rate, offset=offset, duration=duration, name=name) as blocks:
        return blocks.read()


def open_blocks(
    source: str | os.PathLike[str] | bytes | BinaryIO,
    *,
    rate: int = 16_000,
    seconds: float = BLOCK_SECONDS,
    offset: float = 0.0,
    duration: float | None = None,
    name: str | None = None,
) -> Blocks:
    """Open a recording of any length to decode it block by block, each of `seconds`; all else is as `read` has it.

    Every kind of file is decoded as it is asked for. Memory is that of a few blocks: pipes and file objects, which have
    to be read to their end before anything is known of them, go to a temporary file from 32 MB on. Raises AudioError
    here for what is seen at once, and while iterating for the rest: the sound in a container (M4A, WebM), and damage
    inside any file, are only known when they are decoded.

    >>> with open_blocks("tests/clips/austen-0880.flac", seconds=1) as blocks:  # doctest: +SKIP
    ...     [len(block) for block in blocks]
    [16000, 16000, 15840]
    """
    name = name or name_of(source)
    if not (math.isfinite(offset) and offset >= 0 and (duration is None or (math.isfinite(duration) and duration > 0))):
        raise AudioError(f"{name}: offset has to be zero or more seconds, and duration more than zero.")
    check_wanted_rate(rate, name)
    with ExitStack() as stack:
        track = _open_track(stack, source, Span(offset, duration), name)
        return Blocks(track, rate=rate, name=name, seconds=seconds, closing=stack.pop_all())


def _open_track(stack: ExitStack, source: str | os.PathLike[str] | bytes | BinaryIO, span: Span, name: str) -> Track:
    file = stack.enter_context(open_source(source, name))
    try:
        head = file.read(64)
        if not head:
            raise AudioError(f"{name} is empty (0 bytes): choose a file that holds a recording.")
        demuxer = demuxer_of(head)
        if demuxer:
            return stack.enter_context(open_media(file, demuxer, span, name))
        return stack.enter_context(open_sndfile(whole(file, head, name), span, name))
    except OSError as error:
        raise AudioError(f"{name} cannot be read: {error.strerror or error}.") from error
