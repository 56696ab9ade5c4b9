"""What comes in a container (M4A, MP4, WebM, bare AAC), decoded by PyAV, which is the optional extra `media`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np

from auricle.audio.span import Span
from auricle.audio.track import Pieces, Track
from auricle.audio.waveform import SourceInfo, check_header, mix_down
from auricle.errors import AudioError, UnsupportedAudioError


def demuxer_of(head: bytes) -> str | None:
    """Return the container that only PyAV opens, by its first bytes, in FFmpeg's name for it.

    FFmpeg never guesses for itself: among what it knows are playlists, which make it open other files and addresses.
    """
    if head[4:8] in {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}:
        return "mov"
    if head[:4] == b"\x1aE\xdf\xa3":
        return "matroska"
    return "aac" if head[0] == 0xFF and head[1:2] in {b"\xf0", b"\xf1", b"\xf8", b"\xf9"} else None


@contextmanager
def open_media(file: BinaryIO, demuxer: str, span: Span, name: str) -> Iterator[Track]:
    """Open the wanted part of the first audio track for decoding, mixed down, at its own rate.

    Opening, and decoding the pieces, raise AudioError. That the end is missing is seen at the end.
    """
    try:
        import av
    except ImportError as error:
        raise UnsupportedAudioError(
            f"{name} needs packages that are not installed: run \"pip install 'auricle[media]'\", "
            "or convert the recording to WAV or FLAC."
        ) from error
    if file.seekable():
        file.seek(0)
    with _naming_damage(name):
        container = av.open(file, mode="r", format=demuxer, metadata_errors="ignore")
    with container:
        with _naming_damage(name):
            track = _track(container, name)
            seconds = _promised_seconds(container, track)
            start, stop = span.frames(track.rate)
        part = min(seconds, (stop or math.inf) / track.rate) - start / track.rate
        yield Track(track.rate, part if part > 0 else None, _pieces(container, track, span, name))


def _track(container: Any, name: str) -> Any:
    if not container.streams.audio:
        raise AudioError(f"{name} has no audio track: choose a recording with sound.")
    track = container.streams.audio[0]
    if track.codec_context is None:
        # PyAV then has no rate, no channels and no decoder for it.
        raise AudioError(f"{name} has an audio track of an unknown codec: convert the recording to WAV or FLAC.")
    check_header(track.rate or 0, track.channels, name)
    return track


def _pieces(container: Any, track: Any, span: Span, name: str) -> Pieces:
    start, stop = span.frames(track.rate)
    done = 0
    with _naming_damage(name):
        # Decoded from the beginning: a container's index leads to packets, not to samples.
        for block in _decoded(container, track):
            yield mix_down(block)[max(start - done, 0) : None if stop is None else max(stop - done, 0)]
            done += len(block)
            if stop is not None and done >= stop:
                break
        seconds, promised = done / track.rate, _promised_seconds(container, track)
        source = SourceInfo(_codec_of(container, track), track.rate, track.channels, seconds)
    if stop is not None and done >= stop:
        return replace(source, duration=max(seconds, promised))
    if seconds < 0.98 * promised - 0.5:
        raise AudioError(f"{name} is cut off after {seconds:.1f} of {promised:.1f} seconds: copy or download it again.")
    if start >= done > 0:
        raise AudioError(span.past_end(name, seconds))
    return source


def _decoded(container: Any, track: Any) -> Iterator[np.ndarray]:
    """Yield samples [n, channels], about a second of them at a time: a frame may hold as little as 20 ms."""
    import av

    to_float = av.AudioResampler(format="fltp")
    held: list[np.ndarray] = []
    for frame in itertools.chain(container.decode(track), [None]):
        held += [part.to_ndarray().T for part in to_float.resample(frame)]
        if sum(map(len, held)) >= track.rate:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)


@contextmanager
def _naming_damage(name: str) -> Iterator[None]:
    """Turn what PyAV raises about damaged files into AudioError."""
    import av

    try:
        yield
    except AudioError:
        raise
    except (av.FFmpegError, ValueError, IndexError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).strip().rstrip(".")
        raise AudioError(f"{name} is damaged or cut off ({reason}): copy or export the recording again.") from error


def _promised_seconds(container: Any, track: Any) -> float:
    """How long the container says its sound is; 0 when it does not, guesses, or speaks of the picture."""
    if container.format.name == "aac":
        return 0.0
    if track.duration is not None and track.time_base is not None:
        return float(track.duration * track.time_base)
    alone = len(container.streams) == 1 and container.duration is not None
    return container.duration / 1e6 if alone else 0.0


def _codec_of(container: Any, track: Any) -> str:
    codec: str = track.codec_context.codec.canonical_name
    if container.format.name == "aac":
        return "aac"
    if container.format.name == "mov":
        return f"{'mp4' if container.streams.video else 'm4a'}/{codec}"
    return f"{'webm' if codec in {'opus', 'vorbis'} else 'mkv'}/{codec}"
