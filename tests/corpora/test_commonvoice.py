"""`auricle data commonvoice` on the official layout, with a real MP3 for each clip."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import Run

from auricle.manifest import read_manifest

HEADER = "client_id\tpath\tsentence_id\tsentence\tsentence_domain\tup_votes\tdown_votes\tage\tgender\taccents\tlocale"


def row(client: str, path: str, sentence: str, gender: str = "") -> str:
    return f"{client}\t{path}\t0ab\t{sentence}\t\t2\t0\ttwenties\t{gender}\t\ten"


@pytest.fixture
def release(tmp_path: Path, clips: Path) -> Path:
    folder = tmp_path / "en"
    (folder / "clips").mkdir(parents=True)
    mp3 = (clips / "formats/austen-0890-mono-22050.mp3").read_bytes()
    for name in ("common_voice_en_1.mp3", "common_voice_en_2.mp3", "common_voice_en_3.mp3"):
        (folder / "clips" / name).write_bytes(mp3)
    tables = {
        "train": [row("ab12", "common_voice_en_1.mp3", '"No, he said.', "male_masculine")],
        "dev": [row("cd34", "common_voice_en_2", "Así es.", "female"), row("ef", "common_voice_en_9.mp3", "Gone.")],
        "validated": [row("x", f"common_voice_en_{n}.mp3", "All.") for n in (1, 2, 3)],
    }
    for split, rows in tables.items():
        (folder / f"{split}.tsv").write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return folder


def test_each_split_becomes_a_manifest(auricle: Run, release: Path) -> None:
    result = auricle("data", "commonvoice", release)
    assert result.code == 0
    assert [line.partition(":")[0] for line in result.out.splitlines()] == [
        f"{release}/train.jsonl",
        f"{release}/dev.jsonl",
    ]
    (first,) = read_manifest(release / "train.jsonl")
    assert first.id == "common_voice_en_1"
    assert first.text == '"No, he said.'  # a quote in these tables is text, also where it is not closed
    assert (first.speaker, first.sex) == ("ab12", "M")
    assert first.duration == pytest.approx(5.3, abs=0.1)


def test_names_without_an_ending_and_clips_that_are_gone(auricle: Run, release: Path) -> None:
    result = auricle("data", "commonvoice", release, "--split", "dev")
    assert "1 left out; the first, common_voice_en_9: " in result.err
    (only,) = read_manifest(release / "dev.jsonl")
    assert (only.audio_filepath.name, only.text, only.sex) == ("common_voice_en_2.mp3", "Así es.", "F")


def test_validated_is_written_when_it_is_asked_for(auricle: Run, release: Path, tmp_path: Path) -> None:
    auricle("data", "commonvoice", release, "--split", "validated", "--output", tmp_path / "out")
    assert len(read_manifest(tmp_path / "out/validated.jsonl")) == 3


def test_the_releases_own_durations_are_taken(auricle: Run, release: Path) -> None:
    (release / "clip_durations.tsv").write_text("clip\tduration[ms]\ncommon_voice_en_1.mp3\t5123\n")
    auricle("data", "commonvoice", release)
    assert read_manifest(release / "train.jsonl")[0].duration == 5.123


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: [path.unlink() for path in folder.glob("*.tsv")], "has none of train.tsv, dev.tsv, test.tsv"),
        (lambda folder: (folder / "clips").rename(folder / "klips"), "has no clips/"),
        (lambda folder: (folder / "train.tsv").write_text("path\ttext\na\tb\n"), "has no column 'sentence'"),
        (lambda folder: (folder / "train.tsv").write_text(f"{HEADER}\nab\tc\n"), "train.tsv:2: the line has another"),
        (lambda folder: (folder / "train.tsv").write_bytes(b"path\tsentence\n\xff\t\xff\n"), "not a table of text"),
        (lambda folder: (folder / "train.tsv").write_text(f"{HEADER}\n"), "no recording with a text could be read"),
    ],
)
def test_what_is_not_a_release_is_one_line(auricle: Run, release: Path, damage: object, message: str) -> None:
    assert callable(damage)
    damage(release)
    result = auricle("data", "commonvoice", release)
    assert (result.code, len(result.err.splitlines())) == (1, 1)
    assert message in result.err


def test_a_split_that_is_not_there_is_named(auricle: Run, release: Path) -> None:
    result = auricle("data", "commonvoice", release, "--split", "other")
    assert result.code == 1
    assert "other.tsv: cannot read the table" in result.err
