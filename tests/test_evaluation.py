import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auricle import evaluation
from auricle.audio import SourceInfo, Waveform
from auricle.errors import AudioError
from auricle.evaluation import evaluate
from auricle.manifest import Utterance
from auricle.metrics import ErrorCounts
from auricle.report import Failure
from auricle.restoration import Written
from auricle.transcript import Segment, Transcript, Word

RATE = 16_000


class Parrot:
    """Stands in for a network: it knows clips by their length in tenths of a second and says what it was told to.

    It notes how many waveforms each call brings, and lets its `clock` pass two seconds per transcript.
    """

    def __init__(self, told: dict[int, str]) -> None:
        self.told = told
        self.calls: list[list[float]] = []
        self.now = 0.0

    def transcribe_many(self, sources: Iterable[Waveform]) -> Iterator[Transcript]:
        waveforms = list(sources)
        self.calls.append([round(waveform.duration, 3) for waveform in waveforms])
        for waveform in waveforms:
            self.now += 2.0
            assert waveform.rate == RATE
            text = self.told.get(round(waveform.duration * 10), "")
            words = tuple(Word(word, 0.0, 0.1, 1 / (index + 1)) for index, word in enumerate(text.split()))
            yield Transcript((Segment(0.0, 0.1, words),), waveform.source, "parrot 1.0")

    def clock(self) -> float:
        return self.now


def clip(folder: Path, name: str, seconds: float, text: str | None, speaker: str | None = None) -> Utterance:
    path = folder / f"{name}.wav"
    soundfile.write(path, np.full(round(seconds * RATE), 0.1, dtype=np.float32), RATE)
    return Utterance(name, path, text, duration=seconds, speaker=speaker)


def test_rows_are_in_order_whatever_order_was_recognised(tmp_path: Path) -> None:
    utterances = [
        clip(tmp_path, "short", 0.5, "The  CAT sat", "ann"),
        clip(tmp_path, "long", 1.5, "on the mat"),
        clip(tmp_path, "silence", 0.7, ""),
    ]
    parrot = Parrot({5: "the cat SAT down", 15: "on a mat", 7: ""})
    report = evaluate(utterances, parrot, clock=parrot.clock)
    assert parrot.calls == [[1.5, 0.7, 0.5]]
    assert [row.id for row in report.rows] == ["short", "long", "silence"]
    first, second, third = report.rows
    assert (first.reference, first.hypothesis) == ("the cat sat", "the cat sat down")
    assert first.words == ErrorCounts(0, 0, 1, 3)
    assert first.characters == ErrorCounts(0, 0, 5, 11)
    assert (first.speaker, first.duration) == ("ann", 0.5)
    assert first.confidence == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert second.words == ErrorCounts(1, 0, 0, 3)
    assert (third.words, third.confidence) == (ErrorCounts(), None)
    assert report.wer.value == pytest.approx(2 / 6)
    assert (report.substitutions, report.deletions, report.insertions) == (1, 0, 1)
    assert report.model == "parrot 1.0"


def test_readable_text_is_scored_where_the_reference_is_readable_and_words_stay_plain(tmp_path: Path) -> None:
    class Shouting:
        def restore(self, words: Sequence[str], pauses: object = None) -> list[Written]:
            parrot.now += 50.0
            return [
                Written(word.capitalize(), "." if place + 1 == len(words) else "") for place, word in enumerate(words)
            ]

    parrot = Parrot({5: "he saw ann", 7: "he did so", 9: "twenty five"})
    utterances = [
        clip(tmp_path, "printed", 0.5, "He saw Ann."),
        clip(tmp_path, "plain", 0.7, "he did so"),
        clip(tmp_path, "figures", 0.9, "25?"),
    ]
    report = evaluate(utterances, parrot, restorer=Shouting(), clock=parrot.clock)
    printed, plain, figures = report.rows
    assert (printed.hypothesis, printed.words.errors) == ("he saw ann", 1), "the full stop is lower_case's own"
    assert printed.readable is not None
    assert printed.readable.text == "He Saw Ann."
    assert plain.readable is None
    assert figures.readable is not None
    assert figures.readable.text == "25."
    assert report.readable is not None
    scores = report.readable.scores
    assert scores["capitals"].precision == pytest.approx(2 / 3)
    assert scores["capitals"].recall == 1.0
    assert (scores["."].precision, scores["."].recall) == (0.5, 1.0)
    assert (scores["?"].value, scores["numbers"].recall) == (0.0, 1.0)
    assert report.recognition_seconds == pytest.approx(6.0)
    assert evaluate(utterances, parrot).readable is None


def test_recognition_is_timed_apart_from_everything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parrot = Parrot({})

    def read(*_: object, **__: object) -> Waveform:
        parrot.now += 0.25
        return Waveform(np.zeros(4 * RATE, np.float32), RATE, SourceInfo("wav", RATE, 1, 4.0))

    def progress(_: float) -> None:
        parrot.now += 100.0

    monkeypatch.setattr("auricle.audio.read", read)
    utterances = [Utterance(str(index), tmp_path / "a.wav", "oh") for index in range(3)]
    report = evaluate(utterances, parrot, progress=progress, clock=parrot.clock)
    assert report.recognition_seconds == pytest.approx(6.0)
    assert report.reading_seconds == pytest.approx(0.75)
    assert report.audio_seconds == pytest.approx(12.0)
    assert report.real_time_factor == pytest.approx(0.5)


def test_offset_and_duration_choose_the_part_that_is_read(tmp_path: Path) -> None:
    whole = clip(tmp_path, "whole", 2.0, None)
    parts = [
        Utterance("part", whole.audio_filepath, "five", offset=0.25, duration=0.5),
        Utterance("rest", whole.audio_filepath, "twelve", offset=0.8),
    ]
    report = evaluate(parts, Parrot({5: "five", 12: "twelve"}))
    assert [row.duration for row in report.rows] == pytest.approx([0.5, 1.2])
    assert report.wer.value == 0.0


def test_what_cannot_be_scored_is_listed_and_does_not_end_the_run(tmp_path: Path) -> None:
    (tmp_path / "noise.wav").write_text("this is not a recording")
    utterances = [
        Utterance("gone", tmp_path / "gone.wav", "hello"),
        clip(tmp_path, "untold", 0.3, None),
        clip(tmp_path, "good", 0.5, "hello"),
        Utterance("noise", tmp_path / "noise.wav", "hello", duration=9.0),
    ]
    shares: list[float] = []
    report = evaluate(utterances, Parrot({5: "hello"}), progress=shares.append)
    assert [row.id for row in report.rows] == ["good"]
    assert [failure.id for failure in report.failures] == ["gone", "untold", "noise"]
    assert "gone.wav" in report.failures[0].message
    assert report.failures[1] == Failure("untold", "the manifest has no text to compare with.")
    assert shares[-1] == 1.0


def test_an_error_of_the_recognizer_is_not_hidden(tmp_path: Path) -> None:
    class Broken:
        def transcribe_many(self, sources: Iterable[Waveform]) -> Iterator[Transcript]:
            raise AudioError("from the recognizer.")

    with pytest.raises(AudioError, match="from the recognizer"):
        evaluate([clip(tmp_path, "a", 0.5, "oh")], Broken())


def test_a_recognizer_that_loses_a_clip_is_found_out(tmp_path: Path) -> None:
    class Forgetful(Parrot):
        def transcribe_many(self, sources: Iterable[Waveform]) -> Iterator[Transcript]:
            return super().transcribe_many(list(sources)[1:])

    with pytest.raises(ValueError, match="shorter"):
        evaluate([clip(tmp_path, "a", 0.5, "oh"), clip(tmp_path, "b", 0.6, "oh")], Forgetful({}))


def test_audio_is_held_a_chunk_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    utterances = [clip(tmp_path, str(index), 0.1 * (index + 1), "oh") for index in range(6)]
    monkeypatch.setattr(evaluation, "_CHUNK_CLIPS", 4)
    monkeypatch.setattr(evaluation, "_CHUNK_SECONDS", 1.05)
    parrot = Parrot({})
    shares: list[float] = []
    report = evaluate(utterances, parrot, progress=shares.append)
    assert parrot.calls == [[0.6, 0.5], [0.4, 0.3, 0.2, 0.1]]
    assert len(report.rows) == 6
    assert shares == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1.0, 1.0])


def test_the_normaliser_is_the_callers_and_sees_both_texts(tmp_path: Path) -> None:
    def letters(text: str) -> str:
        return " ".join("".join(c for c in text if c.isalpha() or c == " ").split())

    utterance = clip(tmp_path, "a", 0.5, "Well, well.")
    parrot = Parrot({5: "Well well!"})
    assert evaluate([utterance], parrot, normalise=letters).wer.value == 0.0
    assert evaluate([utterance], parrot).wer.value == 1.0
    assert evaluate([utterance], parrot, normalise=letters).rows[0].reference == "Well well"


def test_a_run_without_anything_to_score_has_no_rate(tmp_path: Path) -> None:
    report = evaluate([Utterance("gone", tmp_path / "gone.wav", "hello")], Parrot({}))
    assert math.isnan(report.wer.value)
    assert math.isnan(report.real_time_factor)
    assert report.model == ""
    document = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert document["wer"] == {"value": None, "low": None, "high": None}
    assert document["failures"][0]["id"] == "gone"
    assert evaluate([], Parrot({})).rows == ()


def test_readable_texts_are_scored_by_their_plain_words(tmp_path: Path) -> None:
    class Readable(Parrot):
        def transcribe_many(self, sources: Iterable[Waveform]) -> Iterator[Transcript]:
            for transcript in super().transcribe_many(sources):
                words = [replace(word, written="" if place else "$25.") for place, word in enumerate(transcript.words)]
                yield replace(transcript, segments=(Segment(0.0, 0.1, tuple(words)),))

    text = "twenty five dollars"
    found = evaluate([clip(tmp_path, "a", 1.0, text)], Readable({10: text}))
    assert [(row.hypothesis, row.words.errors) for row in found.rows] == [(text, 0)]
