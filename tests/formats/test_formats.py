"""What all formats keep."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from made import EMPTY, speech, transcript, transcripts

from auricle.formats import FORMATS, suffix, write
from auricle.recognizer import load
from auricle.transcript import Transcript


@settings(deadline=None)
@pytest.mark.parametrize("name", FORMATS)
@given(result=transcripts())
def test_every_format_ends_with_exactly_one_newline(name: str, result: Transcript) -> None:
    text = write(result, name)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("result", EMPTY)
def test_nothing_said_is_written_as_well(name: str, result: Transcript) -> None:
    assert write(result, name).endswith("\n")


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    known = "txt, json, srt, vtt, vtt-words, tsv, textgrid, ctm, stm"
    with pytest.raises(ValueError, match=re.escape(f"'docx' is not known: use one of {known}.")):
        write(transcript(), "docx")


def test_files_end_as_their_readers_expect() -> None:
    assert [suffix(name) for name in FORMATS] == [
        "txt", "json", "srt", "vtt", "vtt", "tsv", "TextGrid", "ctm", "stm",
    ]  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_every_word_of_a_real_recording_is_written(name: str, toy_bundle: Path, clips: Path) -> None:
    toy = load(toy_bundle, threads=1)
    plain = toy.transcribe(clips / "austen-0890.flac", plain=True)
    readable = toy.readable(plain)
    assert len(plain.words) > 3
    shown = readable.shown_words if name in {"txt", "srt", "vtt", "vtt-words", "tsv"} else plain.words
    for result, words in ((plain, plain.words), (readable, shown)):
        text = re.sub(r"<[\d:.]+>", "", write(result, name, name="austen-0890"))
        at = 0
        for word in words:  # in their order, whatever stands between
            at = text.index(word.text, at) + len(word.text)


def test_one_line_for_all_that_is_said() -> None:
    assert write(transcript(speech("hello there"), [], speech("again")), "txt") == "hello there again\n"
