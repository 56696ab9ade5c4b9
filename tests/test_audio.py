"""The audio stage, on real recordings from real encoders."""

import io
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle import audio
from auricle.audio.mp3 import frames_of
from auricle.errors import AudioError

CLIPS = Path(__file__).parent / "clips"
WAV = CLIPS / "formats" / "austen-0890-pcm16.wav"
SECONDS = 5.3
# file, codec, rate, channels, least correlation with the 16 kHz WAV
FORMATS = [
    ("pcm16.wav", "wav/pcm_s16", 16_000, 1, 1.0),
    ("pcm8.wav", "wav/pcm_u8", 16_000, 1, 0.99),
    ("flac.flac", "flac", 16_000, 1, 1.0),
    ("vorbis.ogg", "ogg/vorbis", 16_000, 1, 0.97),
    ("opus.ogg", "ogg/opus", 16_000, 1, 0.95),
    ("mono-8000.mp3", "mp3", 8_000, 1, 0.9),
    ("mono-22050.mp3", "mp3", 22_050, 1, 0.97),
    ("stereo-44100.mp3", "mp3", 44_100, 2, 0.97),
    ("aac.m4a", "m4a/aac", 16_000, 1, 0.97),
    ("opus.webm", "webm/opus", 48_000, 1, 0.95),
]
ALL_FILES = pytest.mark.parametrize(("file", "codec", "rate", "channels", "least"), FORMATS)
LIBSNDFILE = [file for file, *_ in FORMATS if not file.endswith(("m4a", "webm"))]


def clip(file: str) -> Path:
    return CLIPS / "formats" / f"austen-0890-{file}"


def reference() -> np.ndarray:
    return audio.read(WAV).samples


def speech_bytes(suffix: str, subtype: str, channels: int = 1, rate: int = 16_000) -> bytes:
    buffer = io.BytesIO()
    samples = np.repeat(reference()[:, None], channels, axis=1)
    soundfile.write(buffer, samples, rate, format=suffix, subtype=subtype)
    return buffer.getvalue()


def correlation(a: np.ndarray, b: np.ndarray, most_shift: int = 1600) -> tuple[float, int]:
    """Highest normalised cross-correlation and the shift, in samples, where it is found."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    size = 1 << (len(a) + len(b)).bit_length()
    cross = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)
    shifts = np.arange(-most_shift, most_shift + 1)
    best = int(np.argmax(cross[shifts]))
    return float(cross[shifts][best] / np.sqrt((a @ a) * (b @ b))), int(shifts[best])


def tone(hertz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


def refusal(source: object, named: str, **options: object) -> str:
    """The message with which `source` is refused; checked to be one sentence about `named`."""
    with pytest.raises(AudioError) as caught:
        audio.read(source, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert named in message
    assert "\n" not in message
    assert message.endswith(".")
    assert not message.endswith("..")
    return message


# What comes out


@ALL_FILES
def test_every_format_decodes_to_the_same_speech(file: str, codec: str, rate: int, channels: int, least: float) -> None:
    waveform = audio.read(clip(file))
    assert waveform.samples.dtype == np.float32
    assert waveform.rate == 16_000
    assert waveform.duration == pytest.approx(SECONDS, abs=0.08)
    found, shift = correlation(waveform.samples, reference())
    assert found >= least - 1e-6
    # A millisecond: words keep their times whatever the encoder. FFmpeg's WebM demuxer counts the delay it should skip
    # at the rate before encoding, here 16 kHz, and so skips a third of it.
    assert abs(shift) <= (80 if file == "opus.webm" else 16)


@ALL_FILES
def test_source_tells_what_the_recording_was(file: str, codec: str, rate: int, channels: int, least: float) -> None:
    source = audio.read(clip(file)).source
    assert (source.codec, source.rate, source.channels) == (codec, rate, channels)
    assert source.duration == pytest.approx(SECONDS, abs=0.08)


@pytest.mark.parametrize(
    ("subtype", "codec", "least"),
    [
        ("PCM_24", "wav/pcm_s24", 1.0),
        ("PCM_32", "wav/pcm_s32", 1.0),
        ("FLOAT", "wav/pcm_f32", 1.0),
        ("DOUBLE", "wav/pcm_f64", 1.0),
        ("ALAW", "wav/alaw", 0.99),
        ("ULAW", "wav/mulaw", 0.99),
    ],
)
def test_wav_of_every_sample_type_decodes(subtype: str, codec: str, least: float) -> None:
    waveform = audio.read(speech_bytes("WAV", subtype))
    assert waveform.source.codec == codec
    found, shift = correlation(waveform.samples, reference())
    assert shift == 0
    assert found >= least - 1e-6


def test_wav_samples_come_through_unchanged() -> None:
    expected, _ = soundfile.read(WAV, dtype="int16")
    np.testing.assert_array_equal(reference(), expected / np.float32(32768))


def test_a_tone_above_the_new_band_vanishes() -> None:
    out = audio.from_array(tone(10_000, 44_100), 44_100).samples
    assert 20 * np.log10(rms(out[1600:-1600]) / rms(tone(10_000, 44_100))) < -60


def test_a_tone_inside_the_band_keeps_its_level() -> None:
    out = audio.from_array(tone(1_000, 44_100), 44_100).samples
    assert len(out) == 16_000
    assert rms(out[1600:-1600]) == pytest.approx(rms(tone(1_000, 44_100)), rel=1e-3)


def test_channels_are_mixed_down_to_their_mean(tmp_path: Path) -> None:
    left, right = tone(300, 16_000), tone(700, 16_000)
    stereo = np.stack([left, right], axis=1)
    np.testing.assert_allclose(audio.from_array(stereo, 16_000).samples, (left + right) / 2, atol=1e-7)
    soundfile.write(tmp_path / "stereo.wav", stereo, 16_000, subtype="FLOAT")
    np.testing.assert_allclose(audio.read(tmp_path / "stereo.wav").samples, (left + right) / 2, atol=1e-7)


def test_silence_is_a_recording() -> None:
    assert not audio.from_array(np.zeros(16_000, np.float32), 16_000).samples.any()


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("int8", -128, 127), ("int16", -32768, 32767), ("int32", -(2**31), 2**31 - 1)]
)
def test_signed_integers_are_divided_by_their_full_range(dtype: str, low: int, high: int) -> None:
    out = audio.from_array(np.array([low, 0, high], dtype), 16_000).samples
    np.testing.assert_allclose(out, [-1.0, 0.0, high / -low], rtol=1e-7)


def test_unsigned_bytes_are_offset_binary() -> None:
    out = audio.from_array(np.array([0, 128, 192], np.uint8), 16_000).samples
    np.testing.assert_array_equal(out, [-1.0, 0.0, 0.5])


def test_an_array_is_copied_not_shared() -> None:
    mine = tone(300, 16_000)
    waveform = audio.from_array(mine, 16_000)
    mine[:] = 0
    assert rms(waveform.samples) > 0.3


# Parts of recordings


@pytest.mark.parametrize("file", [*LIBSNDFILE, "aac.m4a", "opus.webm"])
@pytest.mark.parametrize(("start", "count"), [(1, 1000), (12_345, 5_000), (30_001, 4_000)])
def test_a_part_is_exact_to_the_sample(file: str, start: int, count: int) -> None:
    rate = audio.read(clip(file)).source.rate
    whole = audio.read(clip(file), rate=rate).samples
    part = audio.read(clip(file), rate=rate, offset=start / rate, duration=count / rate)
    # Opus carries state from frame to frame for ever; what a seek forgets of it is 55 dB down.
    tolerance = 2e-3 if file == "opus.ogg" else 1e-6
    np.testing.assert_allclose(part.samples, whole[start : start + count], atol=tolerance)
    assert part.source.duration == pytest.approx(SECONDS, abs=0.08)


def test_a_part_of_an_mp3_of_low_bit_rate_is_exact() -> None:
    # Its frames borrow bits from many before them, and mpg123 alone goes back too few.
    buffer = io.BytesIO()
    speech = audio.read(WAV, rate=8_000).samples
    soundfile.write(
        buffer, speech, 8_000, format="MP3", subtype="MPEG_LAYER_III", bitrate_mode="CONSTANT", compression_level=0.99
    )
    data = buffer.getvalue()
    whole = audio.read(data, rate=8_000).samples
    for start in range(1_000, 40_000, 1_300):
        part = audio.read(data, rate=8_000, offset=start / 8_000, duration=0.1).samples
        np.testing.assert_allclose(part, whole[start : start + 800], atol=1e-6)


def test_a_part_past_the_end_stops_at_the_end() -> None:
    part = audio.read(WAV, offset=5.0, duration=60.0)
    np.testing.assert_array_equal(part.samples, reference()[80_000:])
    assert part.source.duration == SECONDS


@pytest.mark.parametrize("file", ["pcm16.wav", "opus.webm"])
def test_a_part_that_begins_after_the_end_is_refused(file: str) -> None:
    assert "earlier offset" in refusal(clip(file), file, offset=9.0)


@pytest.mark.parametrize("options", [{"offset": -1.0}, {"offset": float("nan")}, {"duration": 0.0}])
def test_a_part_that_cannot_be_is_refused(options: dict[str, float]) -> None:
    refusal(WAV, "pcm16.wav", **options)


# Where recordings come from


@pytest.mark.parametrize("file", ["pcm16.wav", "stereo-44100.mp3", "opus.ogg", "opus.webm"])
def test_path_string_bytes_and_file_object_are_one(file: str) -> None:
    expected = audio.read(clip(file)).samples
    for source in (str(clip(file)), clip(file).read_bytes(), io.BytesIO(clip(file).read_bytes())):
        np.testing.assert_array_equal(audio.read(source).samples, expected)
    with clip(file).open("rb") as opened:
        np.testing.assert_array_equal(audio.read(opened).samples, expected)


def test_a_pipe_is_read_to_its_end(pipe: io.BufferedReader) -> None:
    assert not pipe.seekable()
    np.testing.assert_array_equal(audio.read(pipe).samples, reference())


def test_a_named_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    feeder = threading.Thread(target=lambda: fifo.write_bytes(WAV.read_bytes()))
    feeder.start()
    np.testing.assert_array_equal(audio.read(fifo).samples, reference())
    feeder.join()


def test_standard_input_has_its_name_in_messages() -> None:
    code = "import sys\nfrom auricle import audio\ntry: audio.read(sys.stdin.buffer)\nexcept ValueError as e: print(e)"
    run = subprocess.run([sys.executable, "-c", code], input=b"no sound", capture_output=True, check=True)
    assert run.stdout.decode().startswith("standard input ")


def test_the_caller_may_name_the_source() -> None:
    refusal(b"no sound at all", "talk.mp3", name="talk.mp3")


def test_the_suffix_does_not_matter(tmp_path: Path) -> None:
    misnamed = tmp_path / "speech.raw"
    misnamed.write_bytes(WAV.read_bytes())
    np.testing.assert_array_equal(audio.read(misnamed).samples, reference())


def test_threads_do_not_disturb_each_other() -> None:
    files = [file for file, *_ in FORMATS] * 3
    alone = {file: audio.read(clip(file)).samples for file in files}
    with ThreadPoolExecutor(4) as pool:
        for file, waveform in zip(files, pool.map(lambda file: audio.read(clip(file)), files), strict=True):
            np.testing.assert_array_equal(waveform.samples, alone[file])


# Lengths that headers get wrong


@pytest.mark.parametrize(
    ("riff", "size"), [(0, 0), (36, 0), (0xFFFFFFFF,) * 2, (0x7FFFFFFF,) * 2, (0x7FFFF024, 0x7FFFF000), (0, 0xFFFFFFFF)]
)
def test_a_wav_streamed_without_its_length_is_read_to_its_end(riff: int, size: int) -> None:
    streamed = bytearray(WAV.read_bytes())
    at = streamed.index(b"data") + 4
    streamed[at : at + 4] = size.to_bytes(4, "little")
    streamed[4:8] = riff.to_bytes(4, "little")
    np.testing.assert_array_equal(audio.read(bytes(streamed)).samples, reference())


def test_a_flac_streamed_without_its_length_is_read_to_its_end() -> None:
    streamed = bytearray(clip("flac.flac").read_bytes())
    streamed[21] &= 0xF0  # the 36 bits of STREAMINFO that count samples
    streamed[22:26] = bytes(4)
    waveform = audio.read(bytes(streamed))
    np.testing.assert_array_equal(waveform.samples, reference())
    assert waveform.source.duration == SECONDS


def test_a_wav_that_says_it_is_empty_is_believed_whatever_notes_follow() -> None:
    empty = wav_of(np.zeros(0, np.float32)) + b"LIST\x08\0\0\0INFOabcd"
    empty = empty[:4] + (len(empty) - 8).to_bytes(4, "little") + empty[8:]
    assert "no samples" in refusal(empty, "<bytes>")


def mp3_without_xing(file: str) -> bytes:
    data = clip(file).read_bytes()
    assert b"Info" in data[:64] or b"Xing" in data[:64]
    return data[mp3_starts(data)[1] :]


def mp3_starts(data: bytes) -> list[int]:
    return [position for position, _ in frames_of(io.BytesIO(data), len(data))]


def test_an_mp3_without_a_header_is_read_to_its_end() -> None:
    waveform = audio.read(mp3_without_xing("stereo-44100.mp3"))
    assert waveform.duration == pytest.approx(SECONDS, abs=0.08)
    assert correlation(waveform.samples, reference())[0] > 0.97


def test_an_mp3_of_falling_bit_rate_without_a_header_is_read_to_its_end(tmp_path: Path) -> None:
    # libsndfile guesses the length from the first frame's bit rate and stops there.
    buffer = io.BytesIO()
    speech = np.concatenate([reference(), np.zeros(160_000, np.float32)])
    soundfile.write(
        buffer, speech, 16_000, format="MP3", subtype="MPEG_LAYER_III", bitrate_mode="VARIABLE", compression_level=0.0
    )
    data = buffer.getvalue()
    waveform = audio.read(data[mp3_starts(data)[1] :])
    assert waveform.duration == pytest.approx(15.3, abs=0.2)


def test_joined_mp3s_are_read_to_the_end_of_the_last() -> None:
    # libsndfile believes the first header and stops after the first recording.
    waveform = audio.read(clip("stereo-44100.mp3").read_bytes() * 2)
    assert waveform.duration == pytest.approx(2 * SECONDS, abs=0.12)
    assert correlation(waveform.samples[-84_000:], reference()[-84_000:])[0] > 0.95


def test_an_mp3_with_tags_around_it_is_whole() -> None:
    tagged = b"ID3\x03\x00\x00\x00\x00\x00\x64" + bytes(100) + clip("mono-22050.mp3").read_bytes()
    tagged += b"TAG" + b"Sense and Sensibility".ljust(125, b"\0")
    np.testing.assert_allclose(audio.read(tagged).samples, audio.read(clip("mono-22050.mp3")).samples, atol=1e-6)


# Refusals


def test_a_missing_file_is_named() -> None:
    assert "does not exist" in refusal(CLIPS / "none.wav", "none.wav")


def test_a_directory_is_named() -> None:
    assert "directory" in refusal(CLIPS, str(CLIPS))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_named(tmp_path: Path) -> None:
    forbidden = tmp_path / "secret.wav"
    forbidden.write_bytes(WAV.read_bytes())
    forbidden.chmod(0)
    assert "permissions" in refusal(forbidden, "secret.wav")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 bytes"),
        (b"Dear diary, today I renamed a text file.\n" * 10, "not a recording"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", "not a recording"),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", "not a recording"),
        (b"\x1aE\xdf\xa3" + bytes(200), "damaged"),
        (b"\0\0\0\x18ftypM4A " + bytes(200), "damaged"),
    ],
)
def test_what_is_not_a_recording_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "odd.wav").write_bytes(content)
    assert words in refusal(tmp_path / "odd.wav", "odd.wav")
    assert words in refusal(content, "<bytes>")


def wav_of(samples: np.ndarray, rate: int = 16_000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def test_a_recording_without_samples_is_refused() -> None:
    assert "no samples" in refusal(wav_of(np.zeros(0, np.float32)), "<bytes>")
    with pytest.raises(AudioError, match="no samples"):
        audio.from_array(np.zeros(0, np.float32), 16_000)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 2])
def test_nan_and_infinity_never_get_out(bad: float, channels: int) -> None:
    samples = np.repeat(tone(300, 16_000)[:, None], channels, axis=1)
    samples[777] = bad
    samples[778, 0] = -bad
    assert "NaN" in refusal(wav_of(samples), "<bytes>")
    with pytest.raises(AudioError, match="NaN"):
        audio.from_array(samples, 16_000)


def test_a_double_too_large_for_float32_is_refused() -> None:
    with pytest.raises(AudioError, match="infinity"):
        audio.from_array(np.array([0.0, 1e300]), 16_000)


@pytest.mark.parametrize("file", [file for file, *_ in FORMATS])
def test_a_recording_cut_in_the_middle_is_refused(file: str, tmp_path: Path) -> None:
    data = clip(file).read_bytes()
    cut = tmp_path / file
    cut.write_bytes(data[: len(data) // 2 + 5])
    words = refusal(cut, file)
    assert "cut off" in words or "damaged" in words


@pytest.mark.parametrize("file", ["mono-8000.mp3", "mono-22050.mp3", "stereo-44100.mp3"])
@pytest.mark.parametrize("lost", [3, 2000, 9000])
def test_a_cut_mp3_is_refused_and_nothing_is_printed(file: str, lost: int, capfd: pytest.CaptureFixture[str]) -> None:
    assert "cut off" in refusal(clip(file).read_bytes()[:-lost], "<bytes>")
    assert capfd.readouterr() == ("", "")


def test_an_mp3_that_ends_between_frames_short_of_its_count_is_refused() -> None:
    data = clip("mono-22050.mp3").read_bytes()
    assert "cut off" in refusal(data[: mp3_starts(data)[100]], "<bytes>")


def test_an_mp3_without_a_header_cut_inside_a_frame_is_refused() -> None:
    assert "cut off" in refusal(mp3_without_xing("stereo-44100.mp3")[:-20], "<bytes>")


def test_good_recordings_are_read_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    for file, *_ in FORMATS:
        audio.read(clip(file))
    assert capfd.readouterr() == ("", "")


def test_a_container_without_pyav_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert "pip install 'auricle[media]'" in refusal(clip("aac.m4a"), "aac.m4a")
    audio.read(clip("stereo-44100.mp3"))


def test_a_video_without_sound_is_refused(tmp_path: Path) -> None:
    import av

    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as container:
        track = container.add_stream("mpeg4", rate=10)
        track.width = track.height = 64
        for _ in range(5):
            container.mux(track.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(track.encode(None))
    assert "no audio track" in refusal(path, "silent.mp4")


@pytest.mark.parametrize("rate", [0, 1, 999, 768_001, 0x7FFFFFFF])
def test_absurd_sample_rates_are_refused(rate: int) -> None:
    data = bytearray(WAV.read_bytes())
    data[24:28] = rate.to_bytes(4, "little")
    refusal(bytes(data), "<bytes>")
    with pytest.raises(AudioError, match="samples a second"):
        audio.from_array(tone(300, 16_000), rate)


def test_too_many_channels_are_refused() -> None:
    assert "65 channels" in refusal(speech_bytes("WAV", "PCM_U8", channels=65), "<bytes>")
    with pytest.raises(AudioError, match="channels last"):
        audio.from_array(np.zeros((2, 16_000), np.float32), 16_000)


@pytest.mark.parametrize("array", [np.zeros((2, 2, 2)), np.float32(1.0), np.zeros(9, bool), np.zeros(9, complex)])
def test_arrays_that_are_no_samples_are_refused(array: np.ndarray) -> None:
    with pytest.raises(AudioError, match="the array"):
        audio.from_array(array, 16_000)


def test_a_rate_that_cannot_be_wanted_is_refused() -> None:
    refusal(WAV, "pcm16.wav", rate=0)


# Anything at all

HEADS = [
    b"",
    b"ID3\x03\0\0\0\0\0\0",
    b"\xff\xfb\x90\x00",
    b"fLaC\0\0\0\x22",
    b"OggS\0\x02",
    b"\x1aE\xdf\xa3",
    b"\xff\xf1",
]
HEADS += [b"\0\0\0\x18ftypM4A ", b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0", b"FORM\0\0\0\x10AIFF"]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(HEADS), st.binary(max_size=2000))
def test_random_bytes_raise_nothing_but_audio_error(head: bytes, rest: bytes) -> None:
    try:
        waveform = audio.read(head + rest)
    except AudioError:
        return
    assert len(waveform.samples)
    assert np.isfinite(waveform.samples).all()


def test_a_track_of_an_unknown_codec_is_refused() -> None:
    content = clip("opus.webm").read_bytes()
    assert b"A_OPUS" in content
    with pytest.raises(AudioError, match="unknown codec"):
        audio.read(content.replace(b"A_OPUS", b"A_XPUS"))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([file for file, *_ in FORMATS]), st.data())
def test_damaged_recordings_raise_nothing_but_audio_error(file: str, data: st.DataObject) -> None:
    content = bytearray(clip(file).read_bytes()[:12_000])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        waveform = audio.read(bytes(content))
    except AudioError:
        return
    assert len(waveform.samples)
    assert np.isfinite(waveform.samples).all()
