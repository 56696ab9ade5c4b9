"""`auricle data label`: what is sure becomes a text, and everything else is left out with its reason."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest
from command import Run

from auricle.audio import SourceInfo
from auricle.corpora.label import label
from auricle.errors import CorpusError
from auricle.manifest import Utterance, read_manifest
from auricle.transcript import Segment, Transcript, Word


@pytest.fixture
def manifest(tmp_path: Path, clips: Path) -> Path:
    """Two clips without a text, one with, one that is too short and one that is not there."""
    first, second = clips / "austen-0880.flac", clips / "austen-0890.flac"
    rows = [
        {"id": "one", "audio_filepath": str(first), "speaker": "reader"},
        {"id": "known", "audio_filepath": str(second), "text": "what somebody wrote"},
        {"id": "short", "audio_filepath": str(first), "duration": 0.05},
        {"id": "gone", "audio_filepath": str(clips / "gone.flac")},
        {"id": "part", "audio_filepath": str(second), "offset": 0.5, "duration": 2.0},
    ]
    path = tmp_path / "unlabelled.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("engine", [(), ("--engine", "local", "--processes", 1)])
def test_texts_are_what_transcribe_writes(
    auricle: Run, manifest: Path, clips: Path, tmp_path: Path, engine: tuple[object, ...]
) -> None:
    if engine:
        pytest.importorskip("pyarrow")
    output = tmp_path / "new" / "labelled.jsonl"
    result = auricle("data", "label", manifest, "-o", output, "--least-confidence", 0, "--beam", 16, *engine)
    assert result.code == 0
    assert result.out.startswith(f"{output}: 2 utterances, ")
    assert "2 left out; the first, short: " in result.err
    one, part = read_manifest(output)
    assert (one.id, one.speaker, one.audio_filepath) == ("one", "reader", clips / "austen-0880.flac")
    assert (part.offset, part.duration) == (0.5, 2.0)
    assert one.duration == pytest.approx(2.99, abs=0.01)
    said = auricle("transcribe", "--plain", "--beam", 16, one.audio_filepath)
    assert one.text == said.out.strip()
    assert part.text


def test_what_is_not_sure_is_left_out(auricle: Run, manifest: Path, tmp_path: Path) -> None:
    output = tmp_path / "labelled.jsonl"
    result = auricle("data", "label", manifest, "-o", output, "--least-confidence", 1, "--no-lm")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "no text is sure enough; of 4 recordings the first, one: a confidence of 0." in result.err
    assert not output.exists()


def test_the_mean_of_the_words_decides() -> None:
    utterances = [Utterance(name, Path(f"{name}.flac"), duration=1.0) for name in ("sure", "unsure", "silent")]

    def heard() -> Generator[Transcript | str, None, None]:
        for confidences in ([1.0, 0.7, 0.9], [1.0, 0.7, 0.3], []):
            words = tuple(Word("oh", 0.0, 0.5, confidence) for confidence in confidences)
            yield Transcript((Segment(0.0, 1.0, words),), SourceInfo("flac", 16_000, 1, 1.0), "toy")

    found = label(utterances, heard(), least_confidence=0.8)
    assert [(one.id, one.text) for one in found.utterances] == [("sure", "oh oh oh")]
    assert found.left_out == {"unsure": "a confidence of 0.67, below 0.8.", "silent": "no word was recognised."}
    with pytest.raises(CorpusError, match="no text is sure enough; of 3 recordings the first, sure: a confidence of"):
        label(utterances, heard(), least_confidence=0.9)


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([{"id": "x", "audio_filepath": "x.flac", "text": ""}], (), "every recording has a text: there is none to"),
        ([{"id": "x", "audio_filepath": "x.flac"}], ("--model", "none.auricle"), "none.auricle"),
        ([{"id": "x", "audio_filepath": "x.flac"}], ("-o", "/proc/x.jsonl"), "/proc/x.jsonl cannot be written"),
        ([{"id": "x", "audio_filepath": "x.flac"}], (), "no text is sure enough; of 1 recordings the first, x: "),
    ],
)
def test_one_line_says_what_is_wrong(
    auricle: Run, tmp_path: Path, rows: list[dict[str, str]], options: tuple[str, ...], message: str
) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = () if "-o" in options else ("-o", tmp_path / "x.jsonl")
    result = auricle("data", "label", path, *output, *options)
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert message in result.err
    assert not (tmp_path / "x.jsonl").exists()
