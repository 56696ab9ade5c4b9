"""Is the end of the recording there? Checked per container, before libsndfile quietly reads what is left of it."""

from __future__ import annotations

import os
from typing import BinaryIO

from auricle.audio import mp3
from auricle.audio.files import bytes_at, with_head
from auricle.errors import AudioError


def whole(file: BinaryIO, head: bytes, name: str) -> BinaryIO:
    """Return the file, fit for libsndfile; AudioError where the end is missing and it would quietly read what is there.

    This also keeps such MP3s away from mpg123, which would print its warnings on the user's terminal. Those about other
    damage, and about a seek to a frame that borrows bits, are left alone: libsndfile has no switch for them, and
    silencing them means swapping the process's standard error, which no thread may do.
    """
    size = file.seek(0, os.SEEK_END)
    cut_off = False
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        cut_off, file = _measured_wav(file, size)
    elif head[:4] == b"OggS":
        cut_off = _ogg_is_cut_off(file, size)
    elif head[:3] == b"ID3" or mp3.frame_bytes(head):
        cut_off, file = mp3.counted(file, size)
    if cut_off:
        raise AudioError(f"{name} is cut off before its end: copy or download the recording again.")
    return file


def _measured_wav(file: BinaryIO, size: int) -> tuple[bool, BinaryIO]:
    """Whether a WAV is cut off, and the WAV with a header that libsndfile understands.

    Programs that write to a pipe cannot know the length: they leave 0, where libsndfile sees no samples, or something
    close to 2 or 4 GiB. A header that is a few bytes off is common and harmless.
    """
    position = 12
    while position + 8 <= size:
        chunk = bytes_at(file, position, 8)
        length = int.from_bytes(chunk[4:], "little")
        position += 8
        if chunk[:4] == b"data":
            riff = int.from_bytes(bytes_at(file, 4, 4), "little")
            if length == 0 and riff + 8 <= position < size:
                unknown = b"\xff" * 4
                header = b"RIFF" + unknown + bytes_at(file, 8, position - 12) + unknown
                return False, with_head(file, header, position)
            return length < 0x7FFF_0000 and position + length > size + 1024, file
        position += length + length % 2
    return False, file


def _ogg_is_cut_off(file: BinaryIO, size: int) -> bool:
    tail = bytes_at(file, max(size - 65_307, 0), 65_307)  # the longest page there can be (RFC 3533)
    page = tail[tail.rfind(b"OggS") :]
    return len(page) < 27 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])
