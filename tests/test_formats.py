import csv
import io
import json
import re
from datetime import timedelta
from itertools import pairwise

import pytest
import srt  # type: ignore[import-untyped]
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle.audio import SourceInfo
from auricle.formats import FORMATS, LINE_CHARACTERS, cues, write
from auricle.transcript import Segment, Transcript, Word

SOURCE = SourceInfo("flac", 44_100, 2, 61.23456)


def transcript(*segments: list[Word]) -> Transcript:
    return Transcript(
        tuple(
            Segment(words[0].start, words[-1].end, tuple(words)) if words else Segment(0, 0, ()) for words in segments
        ),
        SOURCE,
        "tiny 0.1",
    )


def speech(text: str, start: float = 0.0, seconds_per_word: float = 0.3) -> list[Word]:
    """Words evenly spoken, without pauses."""
    return [
        Word(word, start + index * seconds_per_word, start + (index + 1) * seconds_per_word, 0.9)
        for index, word in enumerate(text.split())
    ]


@st.composite
def transcripts(draw: st.DrawFn, characters: str = "abcdefgh'&<>é-0123456789") -> Transcript:
    """Any words in any order of time: also too long ones, of no length, that overlap or run backwards."""
    texts = draw(st.lists(st.text(characters, min_size=1, max_size=60), max_size=60))
    now, segments, words = 0.0, [], list[Word]()
    for text in texts:
        start = max(0.0, now + draw(st.floats(-0.2, 1.5)))
        now = start + draw(st.floats(0, 1.2))
        words.append(Word(text, start, now, draw(st.floats(0, 1))))
        if draw(st.integers(0, 9)) == 0:
            segments.append(words)
            words = []
    return transcript(*segments, words)


EMPTY = [transcript(), transcript([]), transcript([Word(" ", 1.0, 2.0, 0.5)])]


@settings(deadline=None)
@pytest.mark.parametrize("name", FORMATS)
@given(result=transcripts())
def test_every_format_ends_with_exactly_one_newline(name: str, result: Transcript) -> None:
    text = write(result, name)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize("result", EMPTY)
def test_an_empty_transcript_is_valid_in_every_format(result: Transcript) -> None:
    assert write(result, "txt") == "\n"
    assert write(result, "srt") == "\n"
    assert list(srt.parse(write(result, "srt"))) == []
    assert write(result, "vtt") == "WEBVTT\n"
    assert json.loads(write(result, "json"))["duration"] == 61.235
    assert write(result, "tsv").startswith("start\tend\ttext\n")


def test_a_segment_without_words_is_no_row_of_the_table() -> None:
    assert write(transcript([]), "tsv") == "start\tend\ttext\n"


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=re.escape("'docx' is not known: use one of txt, json, srt, vtt, tsv.")):
        write(transcript(), "docx")


def test_txt_is_one_line() -> None:
    assert write(transcript(speech("hello there"), [], speech("again")), "txt") == "hello there again\n"


def test_tsv_has_whispers_columns_in_milliseconds() -> None:
    odd = [Word("a\tb", 65.0004, 65.5, 1.0)]
    rows = list(csv.reader(io.StringIO(write(transcript(speech("hello there", 1.2344), odd), "tsv")), delimiter="\t"))
    assert rows == [["start", "end", "text"], ["1234", "1834", "hello there"], ["65000", "65500", "a b"]]


@settings(deadline=None)
@given(transcripts())
def test_json_reads_back_as_the_same_words(result: Transcript) -> None:
    document = json.loads(write(result, "json"))
    assert document["text"] == result.text
    assert document["model"] == "tiny 0.1"
    assert document["source"] == {"codec": "flac", "rate": 44_100, "channels": 2, "duration": 61.235}
    assert [segment["id"] for segment in document["segments"]] == list(range(len(result.segments)))
    assert [segment["text"] for segment in document["segments"]] == [segment.text for segment in result.segments]
    words = [word for segment in document["segments"] for word in segment["words"]]
    assert [word["word"] for word in words] == [word.text for word in result.words]
    for read, word in zip(words, result.words, strict=True):
        assert (read["start"], read["end"]) == pytest.approx((word.start, word.end), abs=6e-4)
        assert read["confidence"] == pytest.approx(word.confidence, abs=6e-5)


@settings(deadline=None)
@given(transcripts(characters="abcdefgh'&<>é"))
def test_srt_captions_are_what_another_parser_reads(result: Transcript) -> None:
    captions = list(srt.parse(write(result, "srt")))
    assert [caption.index for caption in captions] == list(range(1, len(captions) + 1))
    check_captions(
        [(in_ms(caption.start), in_ms(caption.end), caption.content.split("\n")) for caption in captions], result
    )


@settings(deadline=None)
@given(transcripts())
def test_vtt_captions_are_what_another_parser_reads(result: Transcript) -> None:
    text = write(result, "vtt")
    captions = webvtt.from_buffer(io.StringIO(text)).captions if result.words else []
    check_captions(
        [
            (vtt_ms(caption.start), vtt_ms(caption.end), [unescape(line) for line in caption.raw_text.split("\n")])
            for caption in captions
        ],
        result,
    )


def check_captions(captions: list[tuple[int, int, list[str]]], result: Transcript) -> None:
    assert " ".join(" ".join(lines) for _, _, lines in captions) == " ".join(word.text for word in result.words)
    for start, end, lines in captions:
        assert start < end
        assert 1 <= len(lines) <= 2
        assert all(len(line) <= LINE_CHARACTERS or " " not in line for line in lines)
    for (_, end, _), (start, _, _) in pairwise(captions):
        assert end <= start


def in_ms(time: timedelta) -> int:
    return round(time / timedelta(milliseconds=1))


def vtt_ms(time: str) -> int:
    hours, minutes, seconds = time.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000 + round(float(seconds) * 1000)


def unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def test_captions_as_they_are_written() -> None:
    words = [*speech("hello there", 3661.0005), *speech("r&d <3 -->", 3665.0)]
    assert write(transcript(words), "srt") == (
        "1\n01:01:01,000 --> 01:01:02,000\nhello there\n\n2\n01:01:05,000 --> 01:01:06,000\nr&d <3 -->\n"
    )
    assert write(transcript(words), "vtt") == (
        "WEBVTT\n\n01:01:01.000 --> 01:01:02.000\nhello there\n\n01:01:05.000 --> 01:01:06.000\nr&amp;d &lt;3 --&gt;\n"
    )


def test_a_caption_lasts_a_second_if_the_next_one_allows() -> None:
    words = [Word("yes", 1.0, 1.2, 1.0), Word("no", 1.8, 2.0, 1.0), Word("perhaps", 9.0, 11.5, 1.0)]
    assert [(cue.start_ms, cue.end_ms) for cue in cues(words)] == [(1000, 1800), (1800, 2800), (9000, 11_500)]


def test_captions_of_words_without_length_are_still_shown_one_after_the_other() -> None:
    captions = cues(speech("never at the same time " * 10, start=2.0, seconds_per_word=0.0))
    assert [(cue.start_ms, cue.end_ms) for cue in captions] == [
        (2000, 2001),
        (2001, 2002),
        (2002, 2003),
        (2003, 3003),
    ]


def test_a_pause_of_exactly_half_a_second_does_not_end_a_caption() -> None:
    assert len(cues([Word("so", 0.0, 0.5, 1.0), Word("then", 1.0, 1.5, 1.0)])) == 1
    assert len(cues([Word("so", 0.0, 0.5, 1.0), Word("then", 1.01, 1.5, 1.0)])) == 2


def test_long_speech_is_cut_at_its_longest_pause_near_the_middle() -> None:
    first = "it is a truth universally acknowledged that a single man in possession"
    second = "of a good fortune must be in want of a wife"
    words = speech(first)
    words += speech(second, start=words[-1].end + 0.4)
    assert [" ".join(cue.lines) for cue in cues(words)] == [first, second]


def test_long_speech_without_pauses_is_cut_evenly() -> None:
    captions = cues(speech("one two three four five " * 20))
    assert all(40 <= len(" ".join(cue.lines)) <= 2 * LINE_CHARACTERS + 1 for cue in captions)


def test_two_lines_are_even_and_the_lower_one_is_the_longer() -> None:
    (cue,) = cues(speech("there was no possibility of taking a walk that day"))
    assert cue.lines == ("there was no possibility", "of taking a walk that day")


def test_a_word_longer_than_a_line_has_one_to_itself() -> None:
    long = "x" * 50
    assert [cue.lines for cue in cues(speech(f"a {long} b"))] == [("a",), (long, "b")]
    assert [cue.lines for cue in cues(speech(f"{long} {long}"))] == [(long, long)]
