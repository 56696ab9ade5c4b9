"""Tables, read back by `csv` and by the definitions that NIST gives of CTM and STM (SCTK, doc/infmts.htm)."""

import csv
import io
import re

import pytest
from hypothesis import given, settings
from made import EMPTY, speech, transcript, transcripts

from auricle.formats import write
from auricle.transcript import Transcript, Word

# CTM :== <F> <C> <BT> <DUR> word [ <CONF> ]
CTM = re.compile(r"(?!;;)(\S+) (\S+) (\d+\.\d+) (\d+\.\d+) (\S+) ([01]\.\d+)")
# STM :== <F> <C> <S> <BT> <ET> [ <LABEL> ] transcript . . .
STM = re.compile(r"(?!;;)(\S+) (\S+) (\S+) (\d+\.\d+) (\d+\.\d+)(?: (<[^<>\s]+>))?((?: \S+)+)")


def lines(text: str) -> list[str]:
    assert text.endswith("\n")
    return text[:-1].split("\n")


def test_tsv_has_whispers_columns_in_milliseconds() -> None:
    odd = [Word("a\tb", 65.0004, 65.5, 1.0)]
    rows = list(csv.reader(io.StringIO(write(transcript(speech("hello there", 1.2344), odd), "tsv")), delimiter="\t"))
    assert rows == [["start", "end", "text"], ["1234", "1834", "hello there"], ["65000", "65500", "a b"]]


def test_a_segment_without_words_is_no_row_of_a_table() -> None:
    assert write(transcript([]), "tsv") == "start\tend\ttext\n"
    assert len(lines(write(transcript([], speech("a"), []), "stm"))) == 1


@pytest.mark.parametrize("result", EMPTY)
@pytest.mark.parametrize("name", ["ctm", "stm"])
def test_nothing_said_is_a_comment(name: str, result: Transcript) -> None:
    assert write(result, name, name="talk") == ";; talk has no words\n"


def test_ctm_and_stm_as_they_are_written() -> None:
    result = transcript(speech("hello there", 1.0), speech("again", 65.0))
    assert write(result, "ctm", name="talk") == (
        "talk 1 1.000 0.300 hello 0.9000\ntalk 1 1.300 0.300 there 0.9000\ntalk 1 65.000 0.300 again 0.9000\n"
    )
    assert write(result, "stm", name="talk") == (
        "talk 1 unknown 1.000 1.600 hello there\ntalk 1 unknown 65.000 65.300 again\n"
    )


@settings(deadline=None)
@given(transcripts())
def test_ctm_is_a_line_a_word_in_order_of_time(result: Transcript) -> None:
    if not result.words:
        return
    matches = [CTM.fullmatch(line) for line in lines(write(result, "ctm", name="talk"))]
    rows = [match.groups() for match in matches if match]
    assert len(rows) == len(matches)
    expected = sorted(result.words, key=lambda word: word.start)
    for (file, channel, begin, duration, text, confidence), word in zip(rows, expected, strict=True):
        assert (file, channel, text) == ("talk", "1", word.text)
        assert float(begin) == pytest.approx(word.start, abs=6e-4)
        assert float(duration) == pytest.approx(word.end - word.start, abs=6e-4)
        assert float(confidence) == pytest.approx(word.confidence, abs=6e-5)
    assert sorted(float(row[2]) for row in rows) == [float(row[2]) for row in rows]


@settings(deadline=None)
@given(transcripts())
def test_stm_is_a_line_a_segment_and_its_text_is_no_label(result: Transcript) -> None:
    segments = sorted((s for s in result.segments if s.words), key=lambda segment: segment.start)
    if not segments:
        return
    matches = [STM.fullmatch(line) for line in lines(write(result, "stm", name="talk"))]
    rows = [match.groups() for match in matches if match]
    assert len(rows) == len(matches)
    for (file, channel, speaker, begin, end, label, text), segment in zip(rows, segments, strict=True):
        assert (file, channel, speaker) == ("talk", "1", "unknown")
        assert float(begin) < float(end)
        assert label in {None, "<O>"}
        assert text.split() == segment.text.split()


@pytest.mark.parametrize(
    ("name", "field"), [("my talk", "my_talk"), (";;a", "__a"), ("", "recording"), ("caf\udce9", "caf?"), ("é", "é")]
)
def test_a_name_is_one_field(name: str, field: str) -> None:
    for format_name, pattern in (("ctm", CTM), ("stm", STM)):
        (line,) = lines(write(transcript(speech("a")), format_name, name=name))
        match = pattern.fullmatch(line)
        assert match
        assert match[1] == field
        assert line.encode()


def test_a_word_is_one_field() -> None:
    (line,) = lines(write(transcript([Word("new\tyork city", 1.0, 2.0, 0.5)]), "ctm"))
    assert line == "recording 1 1.000 1.000 new_york_city 0.5000"
