"""Hot words from the command line to the text."""

from pathlib import Path

import pytest
from command import Run

pytestmark = pytest.mark.needs_embedded_model


def test_a_hot_word_changes_the_text_of_a_clip_and_a_stream(auricle: Run, clips: Path, tmp_path: Path) -> None:
    clip = clips / "formats" / "austen-0890-vorbis.ogg"  # "... is to be ill disposed", of which "ill" is not heard
    words = tmp_path / "words.txt"
    words.write_text("ill disposed\t3\n\nMansfield\n")
    for arguments in ((), ("--no-lm",)):
        assert "ill disposed" not in auricle("transcribe", clip, *arguments).out
        after = auricle("transcribe", clip, "--hot-words", words, *arguments)
        assert (after.code, after.err) == (0, "")
        assert "ill disposed" in after.out
        assert "mansfield" not in after.out.lower()


def test_what_is_said_is_not_lost_by_hot_words_that_are_not(auricle: Run, clips: Path) -> None:
    clip = clips / "austen-0880.flac"
    plain = auricle("transcribe", clip, "--beam", "64").out
    assert auricle("transcribe", clip, "--beam", "64", "--hot-word", "Xylographer's Quizzical Jubilee").out == plain


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"fine\nR2D2\n", "hot word 'R2D2' cannot be written in the model's alphabet"),
        (b"fine\tvery\n", "line 1: 'very' is not a reward: give a number"),
        (b"\xff\xfe", "cannot read the hot words"),
    ],
)
def test_what_is_no_hot_word_is_one_sentence(
    auricle: Run, clips: Path, tmp_path: Path, content: bytes, message: str
) -> None:
    words = tmp_path / "words.txt"
    words.write_bytes(content)
    result = auricle("transcribe", clips / "austen-0880.flac", "--hot-words", words)
    assert result.code == 1
    assert message in result.err
    assert result.out == ""
