"""What the children do, in this process: recordings to windows, windows to segments."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import fsspec
import numpy as np
import pytest
import soundfile

import auricle
from auricle.audio import SourceInfo
from auricle.batch.reading import Windows
from auricle.batch.recognising import Segments, Settings
from auricle.batch.work import Piece, Recording
from auricle.features import Array
from auricle.transcript import Segment

from .test_local import joined


@pytest.fixture(scope="module")
def segments(toy_bundle: Path) -> Segments:
    return Segments(Settings(str(toy_bundle)))


@pytest.mark.needs_embedded_model
def test_windows_of_the_embedded_model_have_the_words_of_the_whole(clips: Path, tmp_path: Path) -> None:
    """It reads a long recording from pause to pause, and a short one in one piece."""
    short, long = clips / "austen-0930.flac", joined(clips, tmp_path / "long.flac", 2)
    pieces = []
    for number, path in enumerate((short, long)):
        *windows, _ = Windows(16_000)(Recording(path.name, str(path)))
        pieces += [Piece(number, path.name, index, *one) for index, one in enumerate(windows) if isinstance(one, tuple)]
    (found,) = Segments(Settings())(pieces)
    recognizer = auricle.load(threads=1)
    for number, path in enumerate((short, long)):
        expected = recognizer.transcribe(path, plain=True)
        own = [segment for piece, segment in zip(pieces, found, strict=True) if piece.number == number]
        assert timed(own) == timed(expected.segments)


def timed(segments: Iterable[Segment]) -> list[list[tuple[str, float, float]]]:
    """The words and their times; how sure they are depends in the fourth digit on what was recognised beside them."""
    return [[(word.text, word.start, word.end) for word in segment.words] for segment in segments]


def test_windows_recognised_apart_are_the_segments_of_the_whole_to_the_last_digit(
    segments: Segments, toy_bundle: Path, clips: Path, tmp_path: Path
) -> None:
    path = joined(clips, tmp_path / "long.flac", 3)
    *windows, info = Windows(16_000)(Recording("long", str(path)))
    pieces = [Piece(0, "long", index, *window) for index, window in enumerate(windows) if isinstance(window, tuple)]
    (found,) = segments(pieces)
    expected = auricle.load(toy_bundle, threads=1).transcribe(path, plain=True)
    assert len(found) > 3
    assert info == expected.source
    assert [(one.start, one.end) for one in found] == [(one.start, one.end) for one in expected.segments]
    assert timed(found) == timed(expected.segments)


def read(recording: Recording) -> Array:
    """The samples of a recording of one window."""
    window, info = Windows(16_000)(recording)
    assert isinstance(window, tuple)
    assert isinstance(info, SourceInfo)
    start, samples, _ = window
    assert start == 0
    return samples


def refused(recording: Recording) -> str:
    """Why a recording cannot be read."""
    (error,) = Windows(16_000)(recording)
    assert isinstance(error, str)
    return error


def test_a_part_of_a_recording_and_a_member_of_a_file_are_read(clips: Path, tmp_path: Path) -> None:
    clip = clips / "austen-0880.flac"
    whole = read(Recording("whole", str(clip)))
    assert np.array_equal(read(Recording("part", str(clip), 1.0, 0.5)), whole[16_000:24_000])
    packed = tmp_path / "packed.tar"
    packed.write_bytes(b"x" * 100 + clip.read_bytes() + b"y" * 100)
    member = Recording("member", str(packed), begin=100, size=clip.stat().st_size)
    assert np.array_equal(read(member), whole)


def test_urls_are_read_whole_and_in_part(clips: Path) -> None:
    clip = clips / "austen-0880.flac"
    whole = read(Recording("whole", str(clip)))
    system = fsspec.filesystem("memory")
    system.pipe_file("/x/clip.flac", clip.read_bytes())
    system.pipe_file("/x/packed.tar", b"x" * 100 + clip.read_bytes())
    try:
        assert np.array_equal(read(Recording("clip", "memory:///x/clip.flac")), whole)
        member = Recording("clip", "memory:///x/packed.tar", begin=100, size=clip.stat().st_size)
        assert np.array_equal(read(member), whole)
        assert refused(Recording("gone", "memory:///x/gone.flac")).startswith("gone cannot be read: ")
    finally:
        system.rm("/x", recursive=True)


def test_what_cannot_be_read_is_a_sentence_that_names_it(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "moment.wav", np.zeros(99), 16_000)
    for name, said in (("moment.wav", "too short to hold speech"), ("none.wav", "does not exist")):
        error = refused(Recording(f"id of {name}", str(tmp_path / name)))
        assert error.startswith(f"id of {name}")
        assert said in error
