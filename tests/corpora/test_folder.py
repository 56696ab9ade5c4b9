"""`auricle data folder`: audio beside text, and audio with a table."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command import Run

from auricle.manifest import read_manifest


@pytest.fixture
def folder(tmp_path: Path, clips: Path) -> Path:
    folder = tmp_path / "mine"
    (folder / "ann").mkdir(parents=True)
    shutil.copy(clips / "austen-0880.flac", folder / "ann/one.flac")
    shutil.copy(clips / "formats/austen-0890-opus.ogg", folder / "two.OGG")
    return folder


def test_recordings_with_a_text_beside_them(auricle: Run, folder: Path) -> None:
    (folder / "ann/one.txt").write_bytes(b"\xef\xbb\xbfHe was not\r\nan ill disposed man.\r\n")
    (folder / "two.txt").write_text("Unless")
    result = auricle("data", "folder", folder)
    assert (result.code, result.err) == (0, "")
    assert result.out == f"{folder}/manifest.jsonl: 2 utterances, 8.3 s\n"
    first, second = read_manifest(folder / "manifest.jsonl")
    assert (first.id, first.text) == ("ann/one", "He was not an ill disposed man.")
    assert second.id == "two"
    assert second.duration == pytest.approx(5.3, abs=0.02)


def test_without_text_they_are_left_out_and_said(auricle: Run, folder: Path) -> None:
    (folder / "two.txt").write_text("Unless")
    result = auricle("data", "folder", folder)
    assert result.code == 0
    assert "1 left out; the first, ann/one: there is no one.txt beside one.flac." in result.err


def test_a_damaged_recording_is_left_out_and_said(auricle: Run, folder: Path) -> None:
    (folder / "two.txt").write_text("Unless")
    (folder / "ann/one.txt").write_text("He was")
    (folder / "ann/one.flac").write_bytes(b"nothing of the kind")
    result = auricle("data", "folder", folder)
    assert "1 left out; the first, ann/one: " in result.err
    assert [utterance.id for utterance in read_manifest(folder / "manifest.jsonl")] == ["two"]


def test_a_table_in_a_manifests_words(auricle: Run, folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "list.tsv"
    table.write_text(
        "audio_filepath\ttext\tid\toffset\tduration\tspeaker\tsex\n"
        'ann/one.flac\t"not an\ta\t0.5\t1.25\tann\tfemale\n'
        "ann/one.flac\till disposed\tb\t1.75\t\t\t\n"
    )
    assert auricle("data", "folder", folder, "--table", table, "-o", tmp_path / "m.jsonl").code == 0
    a, b = read_manifest(tmp_path / "m.jsonl")
    assert (a.id, a.text, a.offset, a.duration, a.speaker, a.sex) == ("a", '"not an', 0.5, 1.25, "ann", "F")
    assert b.offset == 1.75
    assert b.duration == pytest.approx(1.24, abs=0.01)  # what is left of the recording


def test_a_csv_with_names_of_its_own(auricle: Run, folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text('wav,sentence\ntwo.OGG,"Unless, to be ""rather"" cold"\n')
    columns = ("--column", "audio_filepath=wav", "--column", "text=sentence")
    assert auricle("data", "folder", folder, "--table", table, *columns).code == 0
    (only,) = read_manifest(folder / "manifest.jsonl")
    assert (only.id, only.text) == ("two", 'Unless, to be "rather" cold')


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("text\nhello\n", (), "has no column 'audio_filepath'; it has text."),
        ("audio_filepath\ttext\n\thello\n", (), "list.tsv:2: the row names no recording."),
        ("audio_filepath\ttext\toffset\na.wav\thello\tsoon\n", (), "list.tsv:2: offset is not a number of seconds"),
        ("audio_filepath\ttext\na.wav\thello\n", (), "a.wav is not there"),
        ("audio_filepath\ttext\na.wav\thi\na.wav\tho\n", (), "have the same id, 'a'"),
        ("audio_filepath\ttext\na.wav\thello\n", ("--column", "speaker=who"), "has no column 'who'"),
        ("audio_filepath\ttext\na.wav\thello\n", ("--column", "spoken=who"), "a manifest has no field 'spoken'"),
        ("", (), "has no column 'audio_filepath'; it has nothing."),
    ],
)
def test_a_table_that_cannot_be_read_is_one_line(
    auricle: Run, folder: Path, content: str, options: tuple[str, ...], message: str
) -> None:
    table = folder.parent / "list.tsv"
    table.write_text(content)
    result = auricle("data", "folder", folder, "--table", table, *options)
    assert (result.code, len(result.err.splitlines())) == (1, 1)
    assert message in result.err


def test_folders_that_hold_nothing_are_one_line(auricle: Run, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, message in (
        (tmp_path / "empty", "has no recordings"),
        (tmp_path / "missing", "is not a folder"),
        (folder, "no recording has a text; the first, ann/one: there is no one.txt"),
        (folder, "there is no one.txt beside one.flac"),
    ):
        result = auricle("data", "folder", path)
        assert (result.code, len(result.err.splitlines())) == (1, 1)
        assert message in result.err


def test_two_recordings_of_one_name_are_refused(auricle: Run, folder: Path) -> None:
    shutil.copy(folder / "ann/one.flac", folder / "ann/one.wav")
    (folder / "ann/one.txt").write_text("He was")
    result = auricle("data", "folder", folder)
    assert result.code == 1
    assert "one.flac" in result.err
    assert "one.wav have the same id" in result.err


def test_a_text_that_is_not_utf_8_is_named(auricle: Run, folder: Path) -> None:
    (folder / "ann/one.txt").write_bytes(b"caf\xe9")
    result = auricle("data", "folder", folder)
    assert result.code == 1
    assert "one.txt: cannot read the text" in result.err
