"""`auricle align` on real speech with the model that ships."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import Run

from auricle.manifest import read_manifest

pytestmark = pytest.mark.needs_embedded_model


@pytest.fixture
def said(clips: Path) -> dict[str, str]:
    return {path.audio_filepath.stem: path.text or "" for path in read_manifest(clips / "clips.jsonl")}


def test_the_table_has_each_word_of_the_text_in_order(auricle: Run, clips: Path, said: dict[str, str]) -> None:
    result = auricle("align", clips / "austen-0890.flac", "--text", said["austen-0890"])
    assert (result.code, result.err) == (0, "")
    score, header, *rows = result.out.splitlines()
    assert score.startswith("# score ")
    assert header == "start\tend\tconfidence\ttext"
    cells = [row.split("\t") for row in rows]
    assert " ".join(row[3] for row in cells) == said["austen-0890"].lower().replace(",", "").replace(".", "")
    times = [float(time) for row in cells for time in row[:2]]
    assert times == sorted(times)
    assert times[-1] <= soundfile.info(clips / "austen-0890.flac").duration


def test_words_of_joined_clips_fall_into_their_own_clip(
    auricle: Run, clips: Path, said: dict[str, str], tmp_path: Path
) -> None:
    names = ["austen-0880", "austen-0930", "austen-0890"]
    samples = [soundfile.read(clips / f"{name}.flac")[0] for name in names]
    soundfile.write(tmp_path / "joined.flac", np.concatenate(samples), 16_000)
    (tmp_path / "joined.txt").write_text(" ".join(said[name] for name in names))
    result = auricle("align", tmp_path / "joined.flac", "--text-file", tmp_path / "joined.txt", "--format", "json")
    words = json.loads(result.out)["words"]
    seams = np.cumsum([0, *(len(part) / 16_000 for part in samples)])
    position = 0
    for clip, name in enumerate(names):
        for word in words[position : position + len(said[name].split())]:
            assert seams[clip] - 0.1 <= (word["start"] + word["end"]) / 2 <= seams[clip + 1] + 0.1, word
        position += len(said[name].split())
    assert position == len(words)


def test_another_text_scores_far_worse(auricle: Run, clips: Path, said: dict[str, str]) -> None:
    def score(name: str) -> float:
        out = auricle("align", clips / "austen-0880.flac", "--text", said[name], "-f", "json").out
        return float(json.loads(out)["score"])

    right = score("austen-0880")
    assert right <= 0
    assert score("austen-0890") < right - 1


def test_characters_are_given_when_asked_for(auricle: Run, clips: Path, said: dict[str, str], tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    arguments = ("--text", said["austen-0890"], "--characters", "-f", "json", "-o", target)
    assert auricle("align", clips / "austen-0890.flac", *arguments).out == ""
    aligned = json.loads(target.read_text())
    assert "".join(c["text"] for c in aligned["characters"]) == "".join(w["text"] for w in aligned["words"])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "give the text once"),
        (("--text", "a", "--text-file", "b"), 2, "give the text once"),
        (("--text", "…"), 1, "the text has no character of the model's alphabet"),
        (("--text", "word " * 500), 1, "the text is too long for the recording"),
        (("--text-file", "/nowhere.txt"), 1, "/nowhere.txt: cannot read the text"),
    ],
)
def test_what_cannot_be_aligned_is_one_sentence(
    auricle: Run, clips: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = auricle("align", clips / "austen-0890.flac", *arguments)
    assert result.code == code
    assert message in result.err
    assert result.out == ""
