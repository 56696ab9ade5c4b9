"""Zip files that are quick to read, and the same bytes for the same contents."""

from __future__ import annotations

import zipfile
import zlib

_EPOCH = (1980, 1, 1, 0, 0, 0)  # a zip's earliest time
WORTH = 0.72  # deflated, a network's weights take nine tenths of their room, and forty times as long to read
_LEVEL = 6


def add(archive: zipfile.ZipFile, name: str, content: bytes, *, worth: float = WORTH) -> None:
    """Put a file into a zip that is being written: deflated if that leaves less than `worth` of it, else as it is.

    Numbers without much of a pattern shrink little, and take as long to unpack as others.
    """
    info = zipfile.ZipInfo(name, _EPOCH)
    # Unix on every system, and readable once it is unpacked.
    info.create_system, info.external_attr = 3, 0o644 << 16
    is_smaller = len(zlib.compress(content, _LEVEL)) < worth * len(content)
    archive.writestr(info, content, zipfile.ZIP_DEFLATED if is_smaller else zipfile.ZIP_STORED, _LEVEL)
