"""From where a recording is to its windows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

from auricle import audio
from auricle.audio import SourceInfo
from auricle.batch.work import Recording
from auricle.errors import AudioError
from auricle.features import Array
from auricle.recognizer import LEAST_SECONDS
from auricle.segmentation import best_detector, plan_windows

Answer: TypeAlias = tuple[int, Array, bool] | SourceInfo | str
"""A window: its first sample's place, its samples, and whether it is all of the recording; at the end what that was, or
what is wrong with it."""

_IN_ORDER: dict[str, Any] = {"cache_type": "readahead", "block_size": 5 << 20}
"""How a remote file is opened that is read once, from its beginning to its end, and copied meanwhile."""


class Windows:
    """Cuts recordings into windows at `rate` Hz as `Recognizer` does, and holds no more than one of them."""

    def __init__(self, rate: int) -> None:
        self._rate, self._detector = rate, best_detector(rate)

    def __call__(self, recording: Recording) -> Iterator[Answer]:
        """Yield the windows, then what the recording was; or, as soon as it is known, why it cannot be read."""
        try:
            with ExitStack() as stack:
                blocks = audio.open_blocks(
                    _opened(stack, recording),
                    rate=self._rate,
                    offset=recording.offset,
                    duration=recording.duration,
                    name=recording.id,
                )
                stack.enter_context(blocks)
                for window in plan_windows(
                    _checked(iter(blocks), self._rate, recording.id), self._rate, self._detector
                ):
                    yield window.start, window.samples, window.is_whole
                yield blocks.source
        except AudioError as error:
            yield str(error)
        except Exception as error:  # those of every file system, and of what lies below it: one of a million recordings
            reason = " ".join(str(error).split()).rstrip(".") or "no reason given"
            yield f"{recording.id} cannot be read: {reason} ({type(error).__name__})."


def _checked(blocks: Iterator[Array], rate: int, name: str) -> Iterator[Array]:
    """Yield the blocks. Raises AudioError, as `Recognizer` does, for what is too short to be speech."""
    for index, block in enumerate(blocks):
        if index == 0 and len(block) < LEAST_SECONDS * rate:
            seconds = len(block) / rate
            raise AudioError(f"{name}: {seconds:.3f} s is too short to hold speech ({LEAST_SECONDS} s is the least).")
        yield block


def _opened(stack: ExitStack, recording: Recording) -> str | bytes | BinaryIO:
    """Return a path, the bytes of a member of a TAR file, or a remote file, which is copied while it is decoded."""
    if recording.begin is not None:
        return _member(recording, recording.begin, recording.size or 0)
    if "://" not in recording.uri:
        return recording.uri
    import fsspec

    system, path = fsspec.core.url_to_fs(recording.uri)
    options = _IN_ORDER if recording.uri.startswith(("s3://", "gs://")) else {}
    return cast("BinaryIO", stack.enter_context(system.open(path, "rb", **options)))


def _member(recording: Recording, begin: int, size: int) -> bytes:
    if "://" not in recording.uri:
        with Path(recording.uri).open("rb") as file:
            file.seek(begin)
            return file.read(size)
    import fsspec

    system, path = fsspec.core.url_to_fs(recording.uri)
    return cast("bytes", system.cat_file(path, start=begin, end=begin + size))
