"""Recordings as a stream of blocks: the same samples as the whole, and never much of them in memory."""

import io
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle import audio
from auricle.audio import Blocks, SourceInfo, files
from auricle.audio.files import with_head
from auricle.audio.track import Pieces, Track
from auricle.errors import AudioError

FORMATS = Path(__file__).parent / "clips" / "formats"
FILES = sorted(FORMATS.iterdir())
WAV = FORMATS / "austen-0890-pcm16.wav"
SECONDS = 5.3


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize("seconds", [0.05, 1.0, 60.0])
def test_the_blocks_joined_are_the_whole(path: Path, seconds: float) -> None:
    whole = audio.read(path)
    with audio.open_blocks(path, seconds=seconds) as blocks:
        parts = list(blocks)
        assert blocks.source == whole.source
    np.testing.assert_array_equal(np.concatenate(parts), whole.samples)
    size = round(seconds * 16_000)
    assert all(len(part) == size for part in parts[:-1])
    assert 1 <= len(parts[-1]) <= size
    assert {part.dtype for part in parts} == {np.dtype(np.float32)}


@pytest.mark.parametrize("path", [path for path in FILES if "16" not in path.name], ids=lambda path: path.name)
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_resampled_in_pieces_they_are_as_if_resampled_whole(path: Path, rate: int) -> None:
    native = audio.read(path, rate=audio.read(path).source.rate)
    expected = audio.from_array(native.samples, native.rate, rate=rate).samples
    np.testing.assert_allclose(audio.read(path, rate=rate).samples, expected, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(1, 3_000), min_size=1, max_size=8),
    st.sampled_from([8_000, 16_000, 22_050, 48_000]),
    st.sampled_from([0.01, 0.1, 1.0]),
)
def test_pieces_of_any_lengths_are_resampled_as_a_whole(lengths: list[int], rate: int, seconds: float) -> None:
    samples = np.random.default_rng(sum(lengths)).normal(0, 0.1, sum(lengths)).astype(np.float32)

    def pieces() -> Pieces:
        yield from np.split(samples, np.cumsum(lengths)[:-1])
        return SourceInfo("array", rate, 1, len(samples) / rate)

    expected = audio.from_array(samples, rate).samples if len(samples) > 10 else None
    if expected is not None:
        made = np.concatenate(list(Blocks(Track(rate, None, pieces()), rate=16_000, name="x", seconds=seconds)))
        np.testing.assert_allclose(made, expected, atol=1e-6)


def test_a_part_comes_in_blocks_as_well() -> None:
    with audio.open_blocks(WAV, seconds=0.5, offset=1.0, duration=2.2) as blocks:
        parts = list(blocks)
        assert blocks.promised == pytest.approx(2.2)
    np.testing.assert_array_equal(np.concatenate(parts), audio.read(WAV).samples[16_000:51_200])
    assert len(parts) == 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_header_promises_the_length(path: Path) -> None:
    with audio.open_blocks(path) as blocks:
        assert blocks.promised == pytest.approx(SECONDS, abs=0.1)


def test_a_header_that_does_not_know_the_length_promises_nothing() -> None:
    streamed = bytearray((FORMATS / "austen-0890-flac.flac").read_bytes())
    streamed[21] &= 0xF0
    streamed[22:26] = bytes(4)
    with audio.open_blocks(bytes(streamed)) as blocks:
        assert blocks.promised is None
        np.testing.assert_array_equal(np.concatenate(list(blocks)), audio.read(WAV).samples)
        assert blocks.source.duration == SECONDS


def test_what_is_in_memory_comes_in_blocks_too() -> None:
    waveform = audio.read(WAV)
    blocks = Blocks.of(waveform, seconds=2.0)
    assert blocks.promised == SECONDS
    parts = list(blocks)
    assert [len(part) for part in parts] == [32_000, 32_000, 20_800]
    np.testing.assert_array_equal(np.concatenate(parts), waveform.samples)
    assert blocks.source == waveform.source


def test_what_it_was_is_known_at_its_end_and_not_before() -> None:
    with audio.open_blocks(WAV, seconds=1.0) as blocks:
        next(iter(blocks))
        with pytest.raises(RuntimeError, match="not known yet"):
            _ = blocks.source


def test_it_is_decoded_once() -> None:
    blocks = audio.open_blocks(WAV)
    assert len(list(blocks)) == 1
    with pytest.raises(RuntimeError, match="already"):
        list(blocks)
    assert blocks.source.duration == SECONDS


def test_one_that_is_left_early_lets_go_of_its_file() -> None:
    # Python warns of files that are left open, and warnings are errors here.
    for block in audio.open_blocks(WAV, seconds=1.0):
        assert len(block) == 16_000
        break
    with audio.open_blocks(WAV):
        pass


def nan_at_the_end(seconds: float = 30.0) -> bytes:
    samples = np.zeros(int(16_000 * seconds), np.float32)
    samples[-1] = np.nan
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16_000, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def test_damage_is_met_where_it_is() -> None:
    with audio.open_blocks(nan_at_the_end(), name="talk.wav", seconds=1.0) as blocks:
        good: list[int] = []
        with pytest.raises(AudioError, match=r"^talk\.wav holds samples that are not numbers"):
            good.extend(len(block) for block in blocks)
        assert good == [16_000] * len(good)
        assert len(good) >= 16


@pytest.mark.parametrize("file", ["aac.m4a", "opus.webm", "flac.flac"])
def test_an_end_that_is_missing_is_told(file: str, tmp_path: Path) -> None:
    data = (FORMATS / f"austen-0890-{file}").read_bytes()
    cut = tmp_path / file
    cut.write_bytes(data[: len(data) // 2 + 5])
    with pytest.raises(AudioError, match=f"{file} is (cut off|damaged)"), audio.open_blocks(cut) as blocks:
        list(blocks)


def test_what_is_wrong_at_once_is_told_on_opening() -> None:
    for source, words in ((FORMATS / "none.wav", "does not exist"), (b"", "0 bytes"), (b"Dear diary" * 9, "not a rec")):
        with pytest.raises(AudioError, match=words):
            audio.open_blocks(source)
    with pytest.raises(AudioError, match="rate"):
        audio.open_blocks(WAV, rate=0)


def test_no_samples_are_no_recording() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(0), 16_000, format="WAV")
    with pytest.raises(AudioError, match="holds no samples"):
        list(audio.open_blocks(buffer.getvalue()))
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(1), 48_000, format="WAV")
    with pytest.raises(AudioError, match="shorter than one sample at 16000 Hz"):
        list(audio.open_blocks(buffer.getvalue()))


def test_a_disk_that_fails_while_decoding_is_told() -> None:
    def pieces() -> Pieces:
        yield np.zeros(16_000, np.float32)
        raise OSError(5, "Input/output error")

    with pytest.raises(AudioError, match=r"^talk\.wav cannot be read: Input/output error\.$"):
        list(Blocks(Track(16_000, None, pieces()), rate=16_000, name="talk.wav"))


# Memory


@pytest.mark.parametrize("kind", ["path", "pipe", "streamed WAV", "MP3 without a count"])
def test_memory_does_not_grow_with_the_recording(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_MEMORY_BYTES", 1 << 20)
    path = tmp_path / "long.wav"
    speech = np.tile(audio.read(WAV).samples, 60)  # more than five minutes: 20 MB as float32
    mp3 = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "VARIABLE"} if kind.startswith("MP3") else {}
    soundfile.write(path, speech, 16_000, **mp3)
    if kind == "streamed WAV":
        data = bytearray(path.read_bytes())
        at = data.index(b"data") + 4
        data[at : at + 4] = data[4:8] = bytes(4)
        path.write_bytes(data)
    elif kind.startswith("MP3"):
        data = bytearray(path.read_bytes())
        second = data.index(data[:3], 4)
        path.write_bytes(data[second:])
    del speech
    tracemalloc.start()
    try:
        with path.open("rb") as file, audio.open_blocks(file if kind == "pipe" else path, seconds=5.0) as blocks:
            seconds = sum(len(block) for block in blocks) / 16_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seconds == pytest.approx(60 * SECONDS, abs=0.2)
    assert peak < 6e6


@pytest.mark.parametrize("in_memory", [0, 1000, 1 << 20])
def test_a_pipe_is_read_to_its_end_through_a_temporary_file(
    in_memory: int, pipe: io.BufferedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_MEMORY_BYTES", in_memory)
    monkeypatch.setattr(files, "_CHUNK_BYTES", 999)
    np.testing.assert_array_equal(audio.read(pipe).samples, audio.read(WAV).samples)


@given(st.binary(max_size=30), st.binary(max_size=30), st.data())
def test_a_file_with_another_head_reads_as_one(head: bytes, body: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(body)))
    expected = io.BytesIO(head + body[start:])
    joined = with_head(io.BytesIO(body), head, start)
    assert joined.read() == expected.read()
    for _ in range(5):
        position, count = data.draw(st.integers(0, 70)), data.draw(st.integers(0, 70))
        assert joined.seek(position) == expected.seek(position)
        assert joined.read(count) == expected.read(count)
        assert joined.tell() == expected.tell()
    assert joined.seek(0, os.SEEK_END) == expected.seek(0, os.SEEK_END)
    buffer = bytearray(7)
    joined.seek(0)
    assert bytes(buffer[: joined.readinto(buffer)]) == expected.getvalue()[:7]  # type: ignore[attr-defined]
