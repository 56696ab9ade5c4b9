"""The frames of an MP3, counted: headers that say how many there are may be wrong, missing, or of another file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from auricle.audio.files import bytes_at, with_head


def counted(file: BinaryIO, size: int) -> tuple[bool, BinaryIO]:
    """Return whether an MP3 is cut off, and the MP3 with a header that counts its frames rightly.

    libsndfile stops where that header says (the Xing header, or Info as LAME calls it), or, without one, where a guess
    from the first frame's bit rate does: minutes are lost from joined files and from those of variable bit rate.
    """
    frames, first, run, end = 0, None, 0, 0
    for position, length in frames_of(file, size):
        first = position if first is None else first
        run = run + 1 if position == end else 1
        frames, end = frames + 1, position + length
    if first is None:
        return False, file
    head = bytes_at(file, first, 64).ljust(64, b"\0")
    xing = max(head.find(b"Xing", 0, 52), head.find(b"Info", 0, 52))
    promised = int.from_bytes(head[xing + 8 : xing + 12], "big") if xing > 0 and head[xing + 7] & 1 else None
    sounding = frames - (xing > 0)  # the header's own frame holds no sound; some encoders count it
    if (end > size and run > 2) or (promised is not None and sounding < promised - 1):
        return True, file
    if promised is not None and sounding <= promised:
        return False, file
    start = first + frame_bytes(head) if xing > 0 else first
    return False, with_head(file, _xing_frame(head, sounding), start)


def frames_of(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Yield position and length of each frame; steps over tags and damage, but looks for the first near the start."""
    position, found = 0, False
    while position + 10 <= size:
        head = bytes_at(file, position, 10)
        if length := frame_bytes(head):
            found = True
            yield position, length
            position += length
        elif head[:3] == b"ID3":
            length = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
            position += 10 + length + (10 if head[5] & 0x10 else 0)
        elif (resumed := _next_frame(file, position + 1, size if found else position + 4096)) is not None:
            position = resumed
        else:
            return


def frame_bytes(header: bytes) -> int:
    """Return the length of the layer III frame that begins so (ISO 11172-3 and 13818-3), 0 if none does."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0
    version, bitrate, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or rate == 3 or bitrate in {0, 15}:
        return 0
    mpeg_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    mpeg_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    bits = 1000 * (mpeg_1 if version == 3 else mpeg_2)[bitrate - 1]
    hertz = (44_100, 48_000, 32_000)[rate] // (4, 1, 2, 1)[version]  # MPEG 2.5, none, 2, 1
    return (144 if version == 3 else 72) * bits // hertz + (header[2] >> 1 & 1)


def _next_frame(file: BinaryIO, start: int, stop: int) -> int | None:
    """The first position from which two like frames follow each other: one alone may be chance."""
    for base in range(start, stop, 1 << 16):
        data = bytes_at(file, base, (1 << 16) + 4)
        at = data.find(b"\xff")
        while 0 <= at < 1 << 16:
            length = frame_bytes(data[at : at + 4])
            if length:
                following = bytes_at(file, base + at + length, 4)
                if frame_bytes(following) and following[1] == data[at + 1]:
                    return base + at
            at = data.find(b"\xff", at + 1)
    return None


def _xing_frame(like: bytes, frames: int) -> bytes:
    """A silent frame for the front of a stream whose frames look like this one, saying how many follow."""
    header = bytes([0xFF, like[1] | 1, 0x90 | like[2] & 0x0C, like[3]])  # no CRC, and a bit rate with room to spare
    mono, mpeg_1 = like[3] >> 6 == 3, like[1] >> 3 & 3 == 3
    side_info = (17 if mpeg_1 else 9) if mono else (32 if mpeg_1 else 17)
    count = b"Xing" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big")
    return (header + bytes(side_info) + count).ljust(frame_bytes(header), b"\0")
