"""`auricle data huggingface`. With the optional package `datasets`, on sets made here; without it, what it says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from command import Run

from auricle.manifest import read_manifest


def test_without_the_package_it_says_what_to_install(auricle: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    result = auricle("data", "huggingface", "some/set", "--output", "out")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert 'run "pip install datasets"' in result.err


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    # Optional, and not among this project's own packages: `pip install datasets` to have these tests run.
    return pytest.importorskip("datasets")


@pytest.fixture
def saved(datasets: Any, clips: Path, tmp_path: Path) -> Path:
    """A set on disk as the hub has them: recordings as bytes, classes as numbers."""
    pyarrow: Any = pytest.importorskip("pyarrow")
    names = ("austen-0880", "austen-0890", "austen-0920")
    rows = {
        "audio": [{"bytes": (clips / f"{name}.flac").read_bytes(), "path": f"{name}.flac"} for name in names],
        "transcription": ["He was not an ill disposed young man", "Unless", " "],
        "speaker_id": [7, 8, 8],
        "gender": [0, 1, 1],
    }
    features = datasets.Features(
        audio=datasets.Audio(),
        transcription=datasets.Value("string"),
        speaker_id=datasets.Value("int64"),
        gender=datasets.ClassLabel(names=["male", "female"]),
    )
    # As a table: encoding audio takes torchcodec, which reading what is stored must not.
    table = pyarrow.Table.from_pydict(rows, schema=features.arrow_schema)
    splits = datasets.DatasetDict(train=datasets.Dataset(table))
    splits.save_to_disk(str(tmp_path / "set"))
    return tmp_path / "set"


@pytest.mark.filterwarnings("ignore")
def test_a_set_becomes_recordings_and_a_manifest(auricle: Run, saved: Path, clips: Path, tmp_path: Path) -> None:
    result = auricle("data", "huggingface", saved, "--output", tmp_path / "out")
    assert result.code == 0
    assert "1 left out; the first, train-0000002: it has no text." in result.err
    first, second = read_manifest(tmp_path / "out/train.jsonl")
    assert first.audio_filepath == tmp_path / "out/audio/train/train-0000000.flac"
    assert first.audio_filepath.read_bytes() == (clips / "austen-0880.flac").read_bytes()
    assert (first.text, first.speaker, first.sex) == ("He was not an ill disposed young man", "7", "M")
    assert (second.speaker, second.sex) == ("8", "F")
    assert second.duration == pytest.approx(5.3, abs=0.01)


@pytest.mark.filterwarnings("ignore")
def test_a_limit_and_the_refusals(auricle: Run, saved: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    auricle("data", "huggingface", saved, "--output", out, "--limit", 1)
    assert len(read_manifest(out / "train.jsonl")) == 1
    for options, message in (
        (("--split", "dev"), "has no split 'dev': it has train."),
        (("--text-column", "said"), "say with --text-column what is said; it has audio, transcription"),
    ):
        result = auricle("data", "huggingface", saved, "--output", out, *options)
        assert result.code == 1
        assert message in result.err
    result = auricle("data", "huggingface", tmp_path / "nowhere", "--output", out)
    assert (result.code, "cannot be loaded" in result.err) == (1, True)
