"""`auricle data lhotse`: real recipes of lhotse on their own layout."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from command import Run

from auricle.manifest import read_manifest

from .openslr import archive

pytest.importorskip("lhotse")
pytestmark = pytest.mark.filterwarnings("ignore")  # lhotse's own


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    with tarfile.open(fileobj=io.BytesIO(archive("dev-clean-2"))) as tar:
        tar.extractall(tmp_path, filter="data")
    return tmp_path / "LibriSpeech"


def test_a_recipe_makes_a_manifest_for_each_part(auricle: Run, corpus: Path, tmp_path: Path) -> None:
    result = auricle("data", "lhotse", "librispeech", corpus, "--output", tmp_path / "out")
    assert result.code == 0
    assert f"{tmp_path}/out/dev-clean-2.jsonl: 2 utterances, 6.3 s, 1 speaker" in result.out
    first = next(u for u in read_manifest(tmp_path / "out/dev-clean-2.jsonl") if u.id == "1272-128104-0000")
    assert (first.text, first.speaker) == ("HE WAS NOT AN ILL DISPOSED YOUNG MAN", "1272")
    assert first.audio_filepath == corpus / "dev-clean-2/1272/128104/1272-128104-0000.flac"
    assert first.duration == pytest.approx(2.99, abs=0.01)


def test_options_reach_the_recipe(auricle: Run, corpus: Path, tmp_path: Path) -> None:
    options = ("--option", "normalize_text=lower", "--option", "num_jobs=2")
    assert auricle("data", "lhotse", "librispeech", corpus, "-o", tmp_path / "out", *options).code == 0
    assert {u.text and u.text.islower() for u in read_manifest(tmp_path / "out/dev-clean-2.jsonl")} == {True}


def test_without_a_name_the_recipes_are_listed(auricle: Run) -> None:
    names = auricle("data", "lhotse").out.splitlines()
    assert {"librispeech", "commonvoice", "tedlium", "aishell"} <= set(names)


def test_failures_are_one_line(auricle: Run, corpus: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (("libbrispeech", corpus), "did you mean librispeech"),
        (("librispeech", tmp_path / "nowhere"), "lhotse's recipe 'librispeech': No such directory"),
        (("librispeech", tmp_path), "lhotse's recipe 'librispeech': Could not find any"),
        (("librispeech",), "lhotse's recipe 'librispeech': prepare_librispeech() missing 1 required"),
        (("librispeech", corpus, "--option", "jobs"), "--option is given as NAME=VALUE"),
    ):
        result = auricle("data", "lhotse", *arguments)
        assert result.code == 1
        assert result.err.splitlines()[-1].startswith("auricle: ")
        assert message in result.err


def test_without_lhotse_it_says_what_to_install(auricle: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lhotse.recipes", None)
    result = auricle("data", "lhotse")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "pip install 'auricle[train]'" in result.err


def test_segments_keep_their_times_and_what_cannot_be_said_is_left_out(clips: Path, tmp_path: Path) -> None:
    from lhotse import Recording, SupervisionSegment

    from auricle.corpora import from_lhotse

    one = Recording.from_file(clips / "austen-0880.flac", recording_id="one")
    two = Recording.from_file(clips / "formats/austen-0890-stereo-44100.mp3", recording_id="two")

    def segment(name: str, recording: str, channel: int | list[int] = 0, text: str | None = "oh") -> object:
        return SupervisionSegment(name, recording, 0.5, 1.25, channel, text, speaker="ann", gender="Female")

    supervisions = [
        segment("a", "one"),
        segment("both", "two", [0, 1]),
        segment("left", "two", 0),
        segment("lost", "three"),
        segment("mute", "one", text=None),
    ]
    recipes = SimpleNamespace(prepare_x=lambda: {"a": {"b": {"recordings": [one, two], "supervisions": supervisions}}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(from_lhotse, "_recipes", lambda: recipes)
        found = from_lhotse.collect("x", [], output=tmp_path)
    assert list(found) == ["a-b"]
    first, second = found["a-b"].utterances
    assert (first.id, first.offset, first.duration, first.speaker, first.sex) == ("a", 0.5, 1.25, "ann", "F")
    assert second.id == "both"
    assert {name: reason.split()[0] for name, reason in found["a-b"].left_out.items()} == {
        "left": "it",
        "lost": "there",
        "mute": "it",
    }
    assert "one channel of several" in found["a-b"].left_out["left"]
