"""The whole road with a small random network: what it says is nonsense, but it must be the same nonsense every way."""

import io
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

import auricle
from auricle import audio
from auricle.acoustic import AcousticModel
from auricle.audio import Blocks, SourceInfo, Waveform
from auricle.audio.track import Pieces, Track
from auricle.errors import AudioError, BundleError
from auricle.features import Array
from auricle.grouping import Prepared, batches_of
from auricle.recognizer import Recognizer, Source, load
from auricle.transcript import Segment, Transcript, Word

CLIPS = sorted((Path(__file__).parent / "clips").glob("*.flac"))
CLIP = CLIPS[2]


@pytest.fixture(scope="module")
def recognizer(toy_bundle: Path) -> Recognizer:
    return load(toy_bundle, threads=1)


@pytest.fixture(scope="module")
def long(recognizer: Recognizer) -> Waveform:
    """The clips one after another, twice: 49 seconds."""
    return audio.from_array(np.concatenate([audio.read(clip).samples for clip in CLIPS] * 2), 16_000)


def same(ours: Transcript, theirs: Transcript) -> None:
    assert ours.text == theirs.text
    for word, other in zip(ours.words, theirs.words, strict=True):
        assert (word.start, word.end) == pytest.approx((other.start, other.end), abs=1e-6)
        assert word.confidence == pytest.approx(other.confidence, abs=1e-3)


def test_path_bytes_file_array_and_waveform_are_one(recognizer: Recognizer) -> None:
    expected = recognizer.transcribe(CLIP)
    assert len(expected.words) > 3
    waveform = audio.read(CLIP)
    for source in (str(CLIP), CLIP.read_bytes(), io.BytesIO(CLIP.read_bytes()), waveform):
        same(recognizer.transcribe(source), expected)
    with CLIP.open("rb") as file:
        same(recognizer.transcribe(file), expected)
    same(recognizer.transcribe(waveform.samples, sample_rate=16_000), expected)
    same(recognizer.transcribe((waveform.samples * 32768).astype(np.int16), sample_rate=16_000), expected)


def test_a_transcript_says_where_it_comes_from(recognizer: Recognizer) -> None:
    transcript = recognizer.transcribe(CLIP)
    assert transcript.model == "toy"
    assert transcript.source == audio.read(CLIP).source
    assert transcript.duration == 5.3


def test_an_array_without_its_rate_is_refused(recognizer: Recognizer) -> None:
    with pytest.raises(AudioError, match=r"give sample_rate in Hz\.$"):
        recognizer.transcribe(np.zeros(16_000, np.float32))


def test_other_rates_are_resampled(recognizer: Recognizer) -> None:
    samples = soxr.resample(audio.read(CLIP).samples, 16_000, 48_000)
    read = recognizer.read(samples, sample_rate=48_000)
    assert read.rate == 16_000
    inner = slice(800, -800)
    np.testing.assert_allclose(read.samples[inner], audio.read(CLIP).samples[inner], atol=1e-2)
    assert recognizer.transcribe(samples, sample_rate=48_000).duration == pytest.approx(5.3)


def test_a_waveform_of_another_rate_keeps_what_it_was(recognizer: Recognizer) -> None:
    read = recognizer.read(audio.read(CLIP, rate=8_000))
    assert read.rate == 16_000
    assert read.source == audio.read(CLIP).source


def test_many_come_in_the_order_given_and_as_they_are_alone(recognizer: Recognizer) -> None:
    sources = [CLIPS[i] for i in (3, 0, 2, 4, 1, 0, 2)] * 3
    alone = {clip: recognizer.transcribe(clip) for clip in CLIPS}
    assert len({transcript.text for transcript in alone.values()}) == len(CLIPS)
    for source, transcript in zip(sources, recognizer.transcribe_many(sources), strict=True):
        same(transcript, alone[source])


def test_with_two_cores_the_network_is_ahead_of_the_search_and_texts_are_the_same(
    recognizer: Recognizer, toy_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search of the first batch ends only once the network has begun with the last, on another thread."""
    sources = [CLIPS[i % 5] for i in range(12)]
    expected = list(recognizer.transcribe_many(sources))
    together = load(toy_bundle, threads=2)
    last, threads = threading.Event(), []
    log_probs, words = AcousticModel.log_probs, Recognizer._words

    def counted(self: AcousticModel, batch: Sequence[Array]) -> list[Array]:
        threads.append(threading.current_thread())
        if len(threads) == 6:
            last.set()
        return log_probs(self, batch)

    def waiting(self: Recognizer, *args: Any) -> tuple[Word, ...]:
        assert last.wait(20), "the network waits for the search"
        return words(self, *args)

    monkeypatch.setattr(AcousticModel, "log_probs", counted)
    monkeypatch.setattr(Recognizer, "_words", waiting)
    for ours, theirs in zip(together.transcribe_many(sources), expected, strict=True):
        same(ours, theirs)
    assert len(threads) == 6
    assert threading.current_thread() not in threads


def test_one_core_is_one_thread(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    log_probs = AcousticModel.log_probs

    def counted(self: AcousticModel, batch: Sequence[Array]) -> list[Array]:
        threads.append(threading.current_thread())
        return log_probs(self, batch)

    monkeypatch.setattr(AcousticModel, "log_probs", counted)
    list(recognizer.transcribe_many([CLIP] * 8))
    assert threads == [threading.current_thread()] * 2


def test_what_the_search_raises_comes_out_and_nothing_is_left_running(
    toy_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no words today")

    monkeypatch.setattr(Recognizer, "_words", broken)
    with pytest.raises(RuntimeError, match="no words today"):
        list(load(toy_bundle, threads=2).transcribe_many([CLIP] * 8))
    assert not any(thread.name.startswith("acoustic") for thread in threading.enumerate())


def test_many_are_read_as_they_are_asked_for(recognizer: Recognizer) -> None:
    endless = iter(lambda: CLIP, None)
    assert next(recognizer.transcribe_many(endless)).text == recognizer.transcribe(CLIP).text
    assert list(recognizer.transcribe_many([])) == []


def test_a_clips_text_does_not_depend_on_its_neighbours(recognizer: Recognizer, long: Waveform) -> None:
    # The course project recurred over the batch: every clip heard the others.
    noise = audio.from_array(np.random.default_rng(0).normal(0, 0.3, 200_000).astype(np.float32), 16_000)
    silence = audio.from_array(np.zeros(3_000, np.float32), 16_000)
    expected = recognizer.transcribe(CLIP)
    for neighbours in ([noise], [silence, noise, silence], [long], [*CLIPS]):
        first, *_ = recognizer.transcribe_many([CLIP, *neighbours])
        *_, last = recognizer.transcribe_many([*neighbours, CLIP])
        same(first, expected)
        same(last, expected)


def test_a_long_recording_is_cut_into_windows_in_order(recognizer: Recognizer, long: Waveform) -> None:
    transcript = recognizer.transcribe(long)
    assert len(transcript.segments) > 1
    assert transcript.segments[0].start == 0.0
    assert transcript.segments[-1].end == pytest.approx(long.duration)
    assert all(a.end == b.start for a, b in pairwise(transcript.segments))
    assert all(segment.end - segment.start <= 25 for segment in transcript.segments)
    assert all(
        segment.start <= word.start < word.end <= segment.end
        for segment in transcript.segments
        for word in segment.words
    )
    assert all(a.end <= b.start + 1e-6 for a, b in pairwise(transcript.words))
    assert 25 < transcript.words[-1].end <= long.duration


def test_a_stream_yields_the_segments_of_the_transcript(recognizer: Recognizer, long: Waveform) -> None:
    assert tuple(recognizer.stream(long)) == recognizer.transcribe(long).segments


def test_a_long_file_an_array_and_a_pipe_are_one(recognizer: Recognizer, long: Waveform, tmp_path: Path) -> None:
    gap = np.zeros(6 * 16_000, np.float32)
    samples = np.concatenate([gap, long.samples, gap, long.samples, gap])
    path = tmp_path / "long.wav"
    soundfile.write(path, samples, 16_000, subtype="FLOAT")
    expected = recognizer.transcribe(samples, sample_rate=16_000)
    assert len(expected.segments) >= 4
    with path.open("rb") as file:
        for source in (path, file, recognizer.open(path)):
            assert recognizer.transcribe(source).segments == expected.segments
    assert recognizer.transcribe(path).source == SourceInfo("wav/pcm_f32", 16_000, 1, len(samples) / 16_000)


def test_what_is_not_spoken_is_not_recognised(recognizer: Recognizer, long: Waveform) -> None:
    gap = np.zeros(20 * 16_000, np.float32)
    transcript = recognizer.transcribe(np.concatenate([gap, long.samples, gap]), sample_rate=16_000)
    assert 19 < transcript.segments[0].start < 20.3
    assert transcript.segments[-1].end < 20 + long.duration + 1
    assert transcript.duration == pytest.approx(40 + long.duration)


@pytest.mark.parametrize("level", [0.0, 0.1])
def test_a_minute_of_silence_or_noise_says_nothing(recognizer: Recognizer, level: float) -> None:
    noise = np.random.default_rng(0).normal(0, level, 60 * 16_000).astype(np.float32)
    transcript = recognizer.transcribe(noise, sample_rate=16_000)
    assert (transcript.segments, transcript.text, transcript.duration) == ((), "", 60.0)


def test_a_recording_without_an_end_is_recognised_as_it_comes(recognizer: Recognizer, long: Waveform) -> None:
    def endless() -> Pieces:
        yield from repeat(long.samples)
        return long.source

    with Blocks(Track(16_000, None, endless()), rate=16_000, name="radio") as radio:
        segments = list(islice(recognizer.stream(radio), 40))
    assert segments[-1].end > 400
    assert all(a.end <= b.start for a, b in pairwise(segments))
    words = [word for segment in segments for word in segment.words]
    assert all(a.end <= b.start + 1e-6 for a, b in pairwise(words))


def test_damage_far_into_a_recording_is_told_after_what_comes_before(recognizer: Recognizer, long: Waveform) -> None:
    def damaged() -> Pieces:
        for _ in range(2):
            yield long.samples
        raise AudioError("radio is cut off.")

    heard: list[Segment] = []
    with pytest.raises(AudioError, match="cut off"):
        heard.extend(recognizer.stream(Blocks(Track(16_000, None, damaged()), rate=16_000, name="radio")))
    assert heard[-1].end > 60


def test_blocks_of_another_rate_are_refused(recognizer: Recognizer) -> None:
    with audio.open_blocks(CLIP, rate=8_000) as blocks, pytest.raises(AudioError, match="8000 Hz, and the model hears"):
        recognizer.transcribe(blocks)


def test_many_long_ones_come_in_order_with_short_ones_and_empty_ones(recognizer: Recognizer, long: Waveform) -> None:
    nothing = audio.from_array(np.zeros(30 * 16_000, np.float32), 16_000)
    sources: list[Source] = [CLIP, nothing, long, nothing, nothing, CLIP, long, nothing]
    texts = [transcript.text for transcript in recognizer.transcribe_many(sources)]
    clip, speech = recognizer.transcribe(CLIP).text, recognizer.transcribe(long).text
    assert texts == [clip, "", speech, "", "", clip, speech, ""]


def test_silence_has_a_segment_and_no_words(recognizer: Recognizer) -> None:
    transcript = recognizer.transcribe(np.zeros(32_000, np.float32), sample_rate=16_000)
    assert transcript.text == ""
    assert [(s.start, s.end, s.words) for s in transcript.segments] == [(0.0, 2.0, ())]


def test_threads_share_a_recognizer(recognizer: Recognizer) -> None:
    alone = [recognizer.transcribe(clip) for clip in CLIPS]
    with ThreadPoolExecutor(4) as pool:
        for ours, theirs in zip(pool.map(recognizer.transcribe, CLIPS), alone, strict=True):
            same(ours, theirs)


def test_log_probs_cover_the_clip(recognizer: Recognizer) -> None:
    log_probs = recognizer.log_probs(recognizer.read(CLIP))
    assert len(log_probs) == pytest.approx(5.3 / recognizer.bundle.frame_seconds, abs=1)


def test_a_hundredth_of_a_second_is_refused(recognizer: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"^the recording: 0\.010 s is too short"):
        recognizer.transcribe(np.zeros(160, np.float32), sample_rate=16_000)
    soundfile.write(tmp_path / "blip.wav", np.zeros(160, np.float32), 16_000)
    with pytest.raises(AudioError, match=r"blip\.wav: 0\.010 s"):
        recognizer.transcribe(tmp_path / "blip.wav")


def test_batches_hold_every_window_and_not_much_more_than_a_minute() -> None:
    frames = np.random.default_rng(0).integers(10, 2500, 300)
    windows = [Prepared(i, 0.0, 1.0, np.zeros((n, 1), np.float32)) for i, n in enumerate(frames)]
    batches = list(batches_of(windows, 0.01, 4))
    assert sorted(window.clip for batch in batches for window in batch) == list(range(300))
    padded = [len(batch) * max(len(window.features) for window in batch) * 0.01 for batch in batches]
    assert max(padded) <= 60
    assert max(map(len, batches)) == 4
    assert sum(padded) < 1.1 * frames.sum() * 0.01


def test_a_name_is_a_model_of_the_package_and_anything_else_a_path(toy_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no model is called 'klingon': .*built in \("):
        load("klingon")
    for path in ("./klingon", "klingon.auricle", str(tmp_path / "klingon")):
        with pytest.raises(BundleError, match="there is no such model bundle"):
            load(path)
    assert load(str(toy_bundle)).bundle.name == "toy"


def test_a_folder_beside_us_goes_before_a_model_of_that_name(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from auricle.bundle import write_bundle

    monkeypatch.chdir(tmp_path)
    write_bundle(recognizer.bundle, tmp_path / "mine")
    assert load("mine").transcribe(CLIP).text == recognizer.transcribe(CLIP).text


def test_the_package_offers_what_it_names() -> None:
    assert all(getattr(auricle, name) is not None for name in auricle.__all__)
    assert auricle.load is load
    with pytest.raises(AttributeError, match="no attribute 'unload'"):
        _ = auricle.unload
