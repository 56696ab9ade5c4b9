"""JSON, read back by the type that OpenAI's client gives to `verbose_json`."""

import json

import pytest
from hypothesis import given, settings
from made import EMPTY, SOURCE, speech, transcript, transcripts
from openai.types.audio import TranscriptionVerbose

from auricle.formats import write
from auricle.transcript import Segment, Transcript, Word


@settings(deadline=None)
@given(transcripts())
def test_openais_own_type_reads_the_same_words(result: Transcript) -> None:
    document = TranscriptionVerbose.model_validate_json(write(result, "json"), strict=True)
    assert document.text == result.text
    assert document.duration == 61.235
    assert document.language == "english"
    assert document.segments is not None
    assert [segment.id for segment in document.segments] == list(range(len(result.segments)))
    for segment, said in zip(document.segments, result.segments, strict=True):
        assert segment.text == said.text
        assert (segment.start, segment.end) == pytest.approx((said.start, said.end), abs=6e-4)
        assert segment.avg_logprob <= 0
    assert document.words is not None
    for word, heard in zip(document.words, result.words, strict=True):
        assert word.word == heard.text
        assert (word.start, word.end) == pytest.approx((heard.start, heard.end), abs=6e-4)


@settings(deadline=None)
@given(transcripts())
def test_what_auricle_knows_besides_is_there(result: Transcript) -> None:
    document = json.loads(write(result, "json"))
    assert document["task"] == "transcribe"
    assert document["model"] == "tiny 0.1"
    assert document["source"] == {"codec": "flac", "rate": 44_100, "channels": 2, "duration": 61.235}
    confidences = [word["confidence"] for word in document["words"]]
    assert confidences == pytest.approx([word.confidence for word in result.words], abs=6e-5)


@pytest.mark.parametrize("result", EMPTY)
def test_nothing_said_is_a_document(result: Transcript) -> None:
    document = TranscriptionVerbose.model_validate_json(write(result, "json"), strict=True)
    assert document.text.strip() == ""


def segment_of(*words: Word) -> dict[str, object]:
    (segment,) = json.loads(write(Transcript((Segment(12.344, 15.0, words),), SOURCE, "toy"), "json"))["segments"]
    return dict(segment)


def test_a_segments_figures() -> None:
    segment = segment_of(Word("ab", 12.5, 13.0, 0.5), Word("cdef", 13.0, 14.0, 0.25))
    # ln 0.5 for two characters, twice that for four
    assert segment["avg_logprob"] == pytest.approx(-0.6931 * (2 + 8) / 6, abs=1e-4)
    assert (segment["seek"], segment["no_speech_prob"]) == (1234, 0.0)
    assert segment_of()["no_speech_prob"] == 1.0
    assert segment_of(Word("a", 13.0, 14.0, 0.0))["avg_logprob"] == pytest.approx(-9.21, abs=0.01)


def test_what_is_said_over_and_over_shows_in_the_compression() -> None:
    said = speech("he was not an ill disposed young man", 12.5)
    ratio, again = segment_of(*said)["compression_ratio"], segment_of(*said * 20)["compression_ratio"]
    assert isinstance(ratio, float)
    assert isinstance(again, float)
    assert ratio < 1.2
    assert again > 2.4


def test_it_is_json_for_people_as_well() -> None:
    text = write(transcript([Word("café", 0.0, 1.0, 0.5)]), "json")
    assert '"word": "café"' in text
