"""SubRip and WebVTT, read back by `srt` and `webvtt-py`."""

import io
import re
from datetime import timedelta
from itertools import pairwise

import pytest
import srt  # type: ignore[import-untyped]
import webvtt
from hypothesis import given, settings
from made import EMPTY, speech, transcript, transcripts

from auricle.formats import LINE_CHARACTERS, cues, write
from auricle.transcript import Transcript, Word

STAMP = re.compile(r"<(\d\d:\d\d:\d\d\.\d\d\d)>")


@pytest.mark.parametrize("result", EMPTY)
def test_nothing_said_is_no_caption(result: Transcript) -> None:
    assert write(result, "srt") == "\n"
    assert list(srt.parse(write(result, "srt"))) == []
    assert write(result, "vtt") == write(result, "vtt-words") == "WEBVTT\n"


@settings(deadline=None)
@given(transcripts())
def test_srt_captions_are_what_another_parser_reads(result: Transcript) -> None:
    captions = list(srt.parse(write(result, "srt")))
    assert [caption.index for caption in captions] == list(range(1, len(captions) + 1))
    check_captions(
        [(in_ms(caption.start), in_ms(caption.end), caption.content.split("\n")) for caption in captions], result
    )


@settings(deadline=None)
@given(transcripts())
def test_vtt_captions_are_what_another_parser_reads(result: Transcript) -> None:
    captions = vtt_captions(result, "vtt")
    check_captions([(start, end, [unescape(line) for line in lines]) for start, end, lines in captions], result)


@settings(deadline=None)
@given(transcripts())
def test_word_times_are_inside_their_caption_and_rise(result: Transcript) -> None:
    captions = vtt_captions(result, "vtt-words")
    for start, end, lines in captions:
        times = [vtt_ms(time) for line in lines for time in STAMP.findall(line)]
        assert all(a < b for a, b in pairwise([start, *times, end]))
    bare = [(start, end, [unescape(STAMP.sub("", line)) for line in lines]) for start, end, lines in captions]
    check_captions(bare, result)


def vtt_captions(result: Transcript, name: str) -> list[tuple[int, int, list[str]]]:
    captions = webvtt.from_buffer(io.StringIO(write(result, name))).captions if result.words else []
    return [(vtt_ms(caption.start), vtt_ms(caption.end), caption.raw_text.split("\n")) for caption in captions]


def check_captions(captions: list[tuple[int, int, list[str]]], result: Transcript) -> None:
    assert " ".join(" ".join(lines) for _, _, lines in captions) == " ".join(word.text for word in result.words)
    for start, end, lines in captions:
        assert start < end <= start + 7000
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
    assert write(transcript(words), "vtt-words") == (
        "WEBVTT\n\n01:01:01.000 --> 01:01:02.000\nhello <01:01:01.301>there\n\n"
        "01:01:05.000 --> 01:01:06.000\nr&amp;d <01:01:05.300>&lt;3 <01:01:05.600>--&gt;\n"
    )


def shown(words: list[Word]) -> list[tuple[int, int]]:
    return [(cue.start_ms, cue.end_ms) for cue in cues(words)]


def test_a_caption_lasts_a_second_at_least() -> None:
    assert shown([Word("yes", 1.0, 1.2, 1.0), Word("no", 2.0, 2.2, 1.0), Word("perhaps", 9.0, 11.5, 1.0)]) == [
        (1000, 2000),
        (2000, 3000),
        (9000, 11_500),
    ]


def test_a_caption_that_would_be_gone_in_a_flash_takes_the_next_words() -> None:
    (cue,) = cues([Word("yes", 1.0, 1.2, 1.0), Word("no", 1.8, 2.0, 1.0)])
    assert (cue.lines, cue.start_ms, cue.end_ms) == (("yes no",), 1000, 2000)


def test_a_flash_stays_one_when_the_next_caption_is_full() -> None:
    full = speech(f"{'x' * LINE_CHARACTERS} {'y' * LINE_CHARACTERS}", 1.8)
    assert shown([Word("yes", 1.0, 1.2, 1.0), *full]) == [(1000, 1800), (1800, 6050)]


def test_a_caption_can_be_read_while_it_is_shown() -> None:
    hasty = speech("it is a truth universally acknowledged that a single man", 0.0, 0.05)
    (cue,) = cues(hasty)
    assert cue.end_ms == 1000 * len(" ".join(word.text for word in hasty)) / 20
    first, _ = cues([*hasty, Word("in", 2.0, 2.2, 1.0)])
    assert first.end_ms == 2000


def test_no_caption_lasts_longer_than_seven_seconds() -> None:
    slow = speech("one two three four five six", 0.0, 2.5)
    assert all(end - start <= 7000 for start, end in shown(slow))
    assert shown([Word("oooo", 1.0, 20.0, 1.0)]) == [(1000, 8000)]


def test_captions_of_words_without_length_are_still_shown_one_after_the_other() -> None:
    captions = shown(speech("never at the same time " * 10, start=2.0, seconds_per_word=0.0))
    assert captions[:3] == [(2000, 2001), (2001, 2002), (2002, 2003)]
    assert captions[3][0] == 2003


def test_a_pause_of_exactly_half_a_second_does_not_end_a_caption() -> None:
    assert len(cues([Word("so", 0.0, 0.5, 1.0), Word("then", 1.0, 1.5, 1.0)])) == 1
    assert len(cues([Word("so", 0.0, 0.5, 1.0), Word("then", 1.01, 1.5, 1.0)])) == 2


def test_long_speech_is_cut_at_its_longest_pause_near_the_middle() -> None:
    first = "it is a truth universally acknowledged that a single man in possession"
    second = "of a good fortune must be in want of a wife"
    words = speech(first, seconds_per_word=0.2)
    words += speech(second, start=words[-1].end + 0.4, seconds_per_word=0.2)
    assert [" ".join(cue.lines) for cue in cues(words)] == [first, second]


def test_long_speech_is_cut_at_the_end_of_a_sentence_before_that_of_a_clause() -> None:
    words = speech("he was not an ill disposed young man, no. he might have been made, himself, still more respectable")
    assert [" ".join(cue.lines)[-3:] for cue in cues(words)] == ["no.", "ble"]
    words = speech("had he married a more amiable woman, he might have been made still more respectable than he was")
    assert [" ".join(cue.lines)[-6:] for cue in cues(words)] == ["woman,", "he was"]


def test_long_speech_without_pauses_is_cut_evenly() -> None:
    captions = cues(speech("one two three four five " * 20))
    assert all(40 <= len(" ".join(cue.lines)) <= 2 * LINE_CHARACTERS + 1 for cue in captions)


def test_two_lines_are_even_and_the_lower_one_is_the_longer() -> None:
    (cue,) = cues(speech("there was no possibility of taking a walk that day"))
    assert cue.lines == ("there was no possibility", "of taking a walk that day")


def test_no_line_ends_in_an_article_or_a_preposition_that_could_go_to_the_next() -> None:
    (cue,) = cues(speech("there came a letter for the old man of the sea"))
    assert cue.lines == ("there came a letter", "for the old man of the sea")
    text = "they went up to the castle in the morning with a friend of the king and came to the end of a long road "
    for captions in (cues(speech(text * 9, seconds_per_word=speed)) for speed in (0.15, 0.3, 0.6)):
        lines = [line for caption in captions for line in caption.lines]
        assert " ".join(lines).split() == (text * 9).split()
        assert {line.split()[-1] for line in lines} & {"a", "the", "in", "of", "to", "with"} == set()


def test_a_speaker_who_searches_for_a_word_does_not_end_a_caption() -> None:
    words = [*speech("it was the"), *speech("house", start=1.9)]
    assert [cue.lines for cue in cues(words)] == [("it was the house",)]
    words = [*speech("it was the"), *speech("house", start=2.5)]
    assert [cue.lines for cue in cues(words)] == [("it was the",), ("house",)]


def test_a_line_ends_with_a_clause_rather_than_a_little_more_evenly() -> None:
    (cue,) = cues(speech("when he came home, there was nobody in the house"))
    assert cue.lines == ("when he came home,", "there was nobody in the house")


def test_a_title_is_no_end_of_a_sentence() -> None:
    words = speech(
        "and so it was that he went to see old Mr. Bennet who lived near there, in a house of his own by the sea"
    )
    first, *_ = cues(words)
    assert first.lines[-1].endswith("there,")


def test_a_word_longer_than_a_line_has_one_to_itself() -> None:
    long = "x" * 50
    assert [cue.lines for cue in cues(speech(f"a {long} b"))] == [("a",), (long, "b")]
    assert [cue.lines for cue in cues(speech(f"{long} {long}"))] == [(long, long)]
