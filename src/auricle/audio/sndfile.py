"""WAV, FLAC, Ogg and MP3, decoded by libsndfile."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from auricle.audio.span import Span
from auricle.audio.track import Pieces, Track
from auricle.audio.waveform import SourceInfo, check_header, mix_down
from auricle.errors import AudioError

_PIECE_FRAMES = 1 << 17
_UNKNOWN = 1 << 62  # libsndfile's frames of a stream that does not know its length
_SUBTYPES = {"PCM_U8": "pcm_u8", "PCM_S8": "pcm_s8", "PCM_16": "pcm_s16", "PCM_24": "pcm_s24", "PCM_32": "pcm_s32"}
_SUBTYPES |= {"FLOAT": "pcm_f32", "DOUBLE": "pcm_f64", "ULAW": "mulaw", "ALAW": "alaw"}


@contextmanager
def open_sndfile(file: BinaryIO, span: Span, name: str) -> Iterator[Track]:
    """Open the wanted part for decoding, mixed down, at the recording's own rate.

    Opening, and decoding the pieces, raise AudioError.
    """
    import soundfile

    file.seek(0)
    target: BinaryIO | int = file
    with suppress(io.UnsupportedOperation):
        # By descriptor, libsndfile reads without Python in between, and soundfile draws no conclusions from the name.
        target = file.fileno()
        os.lseek(target, 0, os.SEEK_SET)
    with _naming_damage(name):
        sound = soundfile.SoundFile(target, closefd=False)
    with sound:
        with _naming_damage(name):
            check_header(sound.samplerate, sound.channels, name)
            start, stop = span.frames(sound.samplerate)
            if start and start >= sound.frames:
                raise AudioError(span.past_end(name, sound.frames / sound.samplerate))
        last = sound.frames if stop is None else min(stop, sound.frames)
        promised = (last - start) / sound.samplerate if 0 < last < _UNKNOWN else None
        yield Track(sound.samplerate, promised, _pieces(sound, start, stop, name))


def _pieces(sound: Any, start: int, stop: int | None, name: str) -> Pieces:
    codec = _codec_of(sound.format, sound.subtype)
    # An MP3 frame borrows bits from those before it, and mpg123 goes back too few of them to seek exactly.
    lead = min(start, sound.samplerate) if codec == "mp3" else 0
    with _naming_damage(name):
        if start:
            sound.seek(start - lead)
        # soundfile seeks after each read of a seekable file, which fails in a FLAC stream of unknown length.
        sound.seekable = lambda: False
        wanted = None if stop is None else stop - start + lead
        # Pieces, not one read: the header alone must not decide how much memory is taken.
        done = 0
        while wanted is None or done < wanted:
            count = _PIECE_FRAMES if wanted is None else min(_PIECE_FRAMES, wanted - done)
            block = sound.read(count, dtype="float32", always_2d=True)
            if not len(block):
                break
            yield mix_down(block)[max(lead - done, 0) :]
            done += len(block)
    # A FLAC stream may not know its own length.
    ended = wanted is None or done < wanted
    frames = start - lead + done if ended or sound.frames > _UNKNOWN else sound.frames
    return SourceInfo(codec, sound.samplerate, sound.channels, frames / sound.samplerate)


@contextmanager
def _naming_damage(name: str) -> Iterator[None]:
    """Turn libsndfile's errors into AudioError."""
    import soundfile

    try:
        yield
    except soundfile.LibsndfileError as error:
        reason = error.error_string.strip().removeprefix("Error : ").rstrip(".")
        raise AudioError(f"{name} is damaged or not a recording ({reason}): convert it to WAV or FLAC.") from error


def _codec_of(container: str, subtype: str) -> str:
    container = "wav" if container in {"WAV", "WAVEX", "RF64"} else container.lower()
    if container in {"mp3", "flac"}:
        return container
    return f"{container}/{_SUBTYPES.get(subtype, subtype.lower())}"
