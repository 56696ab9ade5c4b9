"""Features of clips, computed once."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auricle import audio
from auricle.alphabet import ENGLISH
from auricle.errors import TrainingError
from auricle.features import FeatureConfig, log_mel
from auricle.manifest import Utterance, read_manifest
from auricle.training.data import examples_of
from auricle.training.store import FeatureStore

CONFIG = FeatureConfig()
UTTERANCES = read_manifest(Path(__file__).parents[1] / "clips" / "clips.jsonl")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return FeatureStore.open(UTTERANCES, CONFIG, tmp_path_factory.mktemp("store"))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The recordings that were read."""
    read, seen = audio.read, []

    def counted(source: Path, **options: float) -> audio.Waveform:
        seen.append(source)
        return read(source, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(audio, "read", counted)
    return seen


def test_a_store_gives_the_features_of_each_clip(store: FeatureStore) -> None:
    for utterance in UTTERANCES:
        expected = log_mel(audio.read(utterance.audio_filepath).samples, CONFIG)
        assert store.frames(utterance.id) == len(expected)
        assert store[utterance.id].dtype == np.float32
        np.testing.assert_allclose(store[utterance.id], expected, atol=0.008)  # float16
    assert UTTERANCES[0].id in store
    assert "nobody" not in store


def test_features_are_computed_once(tmp_path: Path, reads: list[Path]) -> None:
    first = FeatureStore.open(UTTERANCES, CONFIG, tmp_path)
    assert reads == [utterance.audio_filepath for utterance in UTTERANCES]
    second = FeatureStore.open(UTTERANCES, CONFIG, tmp_path)
    assert len(reads) == len(UTTERANCES)
    np.testing.assert_array_equal(first[UTTERANCES[3].id], second[UTTERANCES[3].id])


def test_another_configuration_is_computed_anew_and_another_list_where_it_is_new(
    tmp_path: Path, reads: list[Path]
) -> None:
    FeatureStore.open(UTTERANCES[:2], CONFIG, tmp_path)
    assert FeatureStore.open(UTTERANCES[:1], FeatureConfig(mel=40), tmp_path)[UTTERANCES[0].id].shape[1] == 40
    assert len(reads) == 3
    heard: list[int] = []
    grown = FeatureStore.open(UTTERANCES, CONFIG, tmp_path, progress=heard.append)
    assert reads[3:] == [utterance.audio_filepath for utterance in UTTERANCES[2:]]
    assert heard == [2, *[1] * (len(UTTERANCES) - 2)]
    for utterance in UTTERANCES:
        expected = log_mel(audio.read(utterance.audio_filepath).samples, CONFIG)
        np.testing.assert_allclose(grown[utterance.id], expected, atol=0.008)
    assert UTTERANCES[2].id not in FeatureStore.open(UTTERANCES[:2], CONFIG, tmp_path)
    assert len(reads) == 2 * len(UTTERANCES) + 1  # this test's own


def test_a_clip_is_known_by_its_recording_whatever_it_is_called(tmp_path: Path, reads: list[Path]) -> None:
    FeatureStore.open(UTTERANCES[:1], CONFIG, tmp_path)
    again = [replace(UTTERANCES[0], id=name, text="other words") for name in ("one", "two")]
    store = FeatureStore.open(again, CONFIG, tmp_path)
    np.testing.assert_array_equal(store["one"], store["two"])
    assert len(reads) == 1


def test_a_changed_recording_is_computed_again(tmp_path: Path, reads: list[Path]) -> None:
    path = tmp_path / "clip.flac"
    shutil.copy(UTTERANCES[0].audio_filepath, path)
    utterance = Utterance("one", path, "text")
    before = FeatureStore.open([utterance], CONFIG, tmp_path / "store").frames("one")
    shutil.copy(UTTERANCES[1].audio_filepath, path)
    assert FeatureStore.open([utterance], CONFIG, tmp_path / "store").frames("one") != before
    stamp = path.stat().st_mtime_ns + 1_000_000_000
    os.utime(path, ns=(stamp, stamp))  # the same size, written again
    FeatureStore.open([utterance], CONFIG, tmp_path / "store")
    assert len(reads) == 3


def test_a_part_of_a_recording_is_a_clip_of_its_own(tmp_path: Path) -> None:
    path = UTTERANCES[0].audio_filepath
    parts = [Utterance("a", path, offset=0.0, duration=1.0), Utterance("b", path, offset=1.0, duration=2.0)]
    store = FeatureStore.open(parts, CONFIG, tmp_path)
    assert (store.frames("a"), store.frames("b")) == (100, 200)


def test_what_cannot_be_read_is_kept_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no sound at all")
    bad, gone = Utterance("bad", tmp_path / "bad.wav", "a"), Utterance("gone", tmp_path / "gone.wav", "a")
    heard: list[int] = []
    store = FeatureStore.open([bad, *UTTERANCES, gone], CONFIG, tmp_path / "store", progress=heard.append)
    assert store.failures.keys() == {"bad", "gone"}
    assert "not a recording" in store.failures["bad"]
    assert "does not exist" in store.failures["gone"]
    assert "bad" not in store
    assert sum(heard) == len(UTTERANCES) + 2
    _, left_out = examples_of([bad, gone, UTTERANCES[0]], store, ENGLISH, 4)
    assert left_out == store.failures


def test_a_manifest_without_one_readable_clip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none of the 1 clips can be read; the first: .*gone\.wav"):
        FeatureStore.open([Utterance("gone", tmp_path / "gone.wav", "a")], CONFIG, tmp_path / "store")
    assert not list((tmp_path / "store").iterdir())


def test_what_cannot_be_read_is_not_tried_again_until_it_changes(tmp_path: Path, reads: list[Path]) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no sound at all")
    clips = [Utterance("bad", tmp_path / "bad.wav", "a"), UTTERANCES[0]]
    FeatureStore.open(clips, CONFIG, tmp_path / "store")
    assert "not a recording" in FeatureStore.open(clips, CONFIG, tmp_path / "store").failures["bad"]
    assert len(reads) == 2
    shutil.copy(UTTERANCES[1].audio_filepath, tmp_path / "bad.wav")
    assert not FeatureStore.open(clips, CONFIG, tmp_path / "store").failures


@pytest.mark.parametrize(
    ("reason", "raised"), [(KeyboardInterrupt(), KeyboardInterrupt), (OSError(28, "No space left"), TrainingError)]
)
def test_what_was_computed_when_a_run_was_broken_off_stays(
    tmp_path: Path, reads: list[Path], reason: BaseException, raised: type[BaseException]
) -> None:
    heard: list[int] = []

    def stop(clips: int) -> None:
        heard.append(clips)
        if len(heard) == 3:
            raise reason

    with pytest.raises(raised):
        FeatureStore.open(UTTERANCES, CONFIG, tmp_path, progress=stop)
    assert not list(tmp_path.glob("*.partial"))
    store = FeatureStore.open(UTTERANCES, CONFIG, tmp_path)
    assert reads == [utterance.audio_filepath for utterance in UTTERANCES]
    assert [store.frames(utterance.id) for utterance in UTTERANCES[:2]] == [710, 299]
    assert len(store[UTTERANCES[4].id]) == 329


def test_what_is_done_is_written_while_the_rest_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[Path]
) -> None:
    monkeypatch.setattr("auricle.training.store._CLIPS_A_SHARD", 2)
    shards: list[int] = []
    store = FeatureStore.open(
        UTTERANCES, CONFIG, tmp_path, progress=lambda _: shards.append(len(list(tmp_path.glob("*.json"))))
    )
    assert shards == [number // 2 for number in range(len(UTTERANCES))]
    again = FeatureStore.open(UTTERANCES, CONFIG, tmp_path)
    assert len(reads) == len(UTTERANCES)
    for utterance in UTTERANCES:
        np.testing.assert_array_equal(again[utterance.id], store[utterance.id])


def test_a_shard_that_was_never_finished_is_not_read(tmp_path: Path, reads: list[Path]) -> None:
    FeatureStore.open(UTTERANCES[:2], CONFIG, tmp_path)
    (index,) = tmp_path.glob("*.json")
    index.unlink()
    FeatureStore.open(UTTERANCES[:2], CONFIG, tmp_path)
    (tmp_path / index.name).with_suffix(".f16").unlink()
    FeatureStore.open(UTTERANCES[:2], CONFIG, tmp_path)
    assert len(reads) == 6


def test_a_disk_too_full_for_the_index_leaves_no_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(TrainingError, match=r"cannot keep the clips' features there \(No space left on device\)"):
        FeatureStore.open(UTTERANCES[:2], CONFIG, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"file/store: cannot keep the clips' features there \(Not a directory\)"):
        FeatureStore.open(UTTERANCES[:1], CONFIG, tmp_path / "file" / "store")


def test_several_processes_compute_what_one_does(tmp_path: Path, store: FeatureStore) -> None:
    shared = FeatureStore.open(UTTERANCES, CONFIG, tmp_path, workers=2)
    for utterance in UTTERANCES:
        np.testing.assert_array_equal(shared[utterance.id], store[utterance.id])


def test_the_stores_format_is_what_runs_before_wrote(tmp_path: Path) -> None:
    FeatureStore.open(UTTERANCES[:2], CONFIG, tmp_path)
    (index,) = tmp_path.glob("*.json")
    held = json.loads(index.read_text())
    assert list(held["spans"].values()) == [[0, 710], [710, 1009]]
    assert held["failures"] == {}
    assert np.fromfile(index.with_suffix(".f16"), np.float16).size == 1009 * CONFIG.mel
