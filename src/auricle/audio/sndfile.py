"""WAV, FLAC, Ogg and MP3, decoded by libsndfile."""

from __future__ import annotations

import io
import os
from typing import Any, BinaryIO

import numpy as np

from auricle.audio.span import Span
from auricle.audio.waveform import SourceInfo, check_header, mix_down
from auricle.errors import AudioError

_BLOCK_FRAMES = 1 << 18
_SUBTYPES = {"PCM_U8": "pcm_u8", "PCM_S8": "pcm_s8", "PCM_16": "pcm_s16", "PCM_24": "pcm_s24", "PCM_32": "pcm_s32"}
_SUBTYPES |= {"FLOAT": "pcm_f32", "DOUBLE": "pcm_f64", "ULAW": "mulaw", "ALAW": "alaw"}


def read_sndfile(file: BinaryIO, span: Span, name: str) -> tuple[np.ndarray, SourceInfo]:
    """Decode the wanted part, mixed down, at the recording's own rate. Raises AudioError."""
    import soundfile

    file.seek(0)
    target: BinaryIO | int = file
    if not isinstance(file, io.BytesIO):
        # By descriptor, libsndfile reads without Python in between, and soundfile draws no conclusions from the name.
        target = file.fileno()
        os.lseek(target, 0, os.SEEK_SET)
    try:
        with soundfile.SoundFile(target, closefd=False) as sound:
            return _read_blocks(sound, span, name)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.strip().removeprefix("Error : ").rstrip(".")
        raise AudioError(f"{name} is damaged or not a recording ({reason}): convert it to WAV or FLAC.") from error


def _read_blocks(sound: Any, span: Span, name: str) -> tuple[np.ndarray, SourceInfo]:
    check_header(sound.samplerate, sound.channels, name)
    codec = _codec_of(sound.format, sound.subtype)
    start, stop = span.frames(sound.samplerate)
    if start and start >= sound.frames:
        raise AudioError(span.past_end(name, sound.frames / sound.samplerate))
    # An MP3 frame borrows bits from those before it, and mpg123 goes back too few of them to seek exactly.
    lead = min(start, sound.samplerate) if codec == "mp3" else 0
    if start:
        sound.seek(start - lead)
    # soundfile seeks after each read of a seekable file, which fails in a FLAC stream of unknown length.
    sound.seekable = lambda: False
    wanted = None if stop is None else stop - start + lead
    # Blocks, not one read: the header alone must not decide how much memory is taken.
    blocks, done = [np.zeros(0, np.float32)], 0
    while wanted is None or done < wanted:
        count = _BLOCK_FRAMES if wanted is None else min(_BLOCK_FRAMES, wanted - done)
        block = sound.read(count, dtype="float32", always_2d=True)
        if not len(block):
            break
        blocks.append(mix_down(block))
        done += len(block)
    mono = np.concatenate(blocks)[lead:]
    # A FLAC stream may not know its own length.
    ended = wanted is None or done < wanted
    frames = start - lead + done if ended or sound.frames > 1 << 62 else sound.frames
    return mono, SourceInfo(codec, sound.samplerate, sound.channels, frames / sound.samplerate)


def _codec_of(container: str, subtype: str) -> str:
    container = "wav" if container in {"WAV", "WAVEX", "RF64"} else container.lower()
    if container in {"mp3", "flac"}:
        return container
    return f"{container}/{_SUBTYPES.get(subtype, subtype.lower())}"
