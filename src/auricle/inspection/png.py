"""A matrix as a PNG image, with nothing but zlib (PNG specification, third edition; colour type 3)."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

# From silence to loud: dark blue, violet, orange, pale yellow. Lightness rises all the way, for print and for all eyes.
_ANCHORS = np.array([(13, 16, 43), (59, 28, 108), (134, 38, 117), (207, 70, 84), (245, 140, 56), (252, 246, 186)])


def palette() -> npt.NDArray[np.uint8]:
    """Return 256 colours [256, 3]."""
    at = np.linspace(0, 1, len(_ANCHORS))
    steps = np.linspace(0, 1, 256)
    colours = np.stack([np.interp(steps, at, _ANCHORS[:, channel]) for channel in range(3)], axis=1)
    return np.asarray(np.round(colours), dtype=np.uint8)


def png(values: npt.NDArray[np.float32]) -> bytes:
    """Return an image of values [rows, columns], the first row at the top, dark for low and light for high.

    The darkest and lightest half per cent of the values share the ends of the scale.
    """
    low, high = np.percentile(values, (0.5, 99.5))
    scaled = np.clip((values - low) / max(float(high - low), 1e-6), 0, 1)
    pixels = np.round(255 * scaled).astype(np.uint8)
    rows, columns = pixels.shape
    unfiltered = np.zeros((rows, 1), np.uint8)  # each row begins with the number of its filter
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"PLTE", palette().tobytes())
        + _chunk(b"IDAT", zlib.compress(np.hstack((unfiltered, pixels)).tobytes(), 9))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
