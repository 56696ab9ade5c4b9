from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import fsspec
import pytest

from auricle.batch.listing import Listing
from auricle.batch.sources import recordings_of
from auricle.batch.work import Recording
from auricle.errors import CorpusError, ManifestError


def ids(*sources: object) -> list[str]:
    return [found.recording.id for source in sources for found in recordings_of(str(source))]


def test_a_folder_gives_its_recordings_and_nothing_else(corpus: Path) -> None:
    (corpus / "notes.txt").write_text("no recording")
    (corpus / "a" / "other.jsonl").write_text("no manifest of ours")
    assert len(ids(corpus)) == 10
    assert sorted(ids(f"{corpus}/*/austen-0880.flac")) == [f"{corpus}/{name}/austen-0880.flac" for name in "ab"]
    assert ids(corpus / "a" / "austen-0880.flac") == [f"{corpus}/a/austen-0880.flac"]


def test_what_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    for source in (tmp_path / "missing.wav", tmp_path, f"{tmp_path}/*.wav"):
        with pytest.raises(CorpusError, match="check the name"):
            ids(source)
    with pytest.raises(CorpusError, match="make a plain"):
        ids(made(tmp_path / "all.tar.gz"))


def made(path: Path) -> Path:
    path.write_bytes(b"0")
    return path


def test_a_manifest_is_read_line_by_line_with_its_parts_and_ids(clips: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "m.jsonl"
    lines = [
        {"id": "one", "audio_filepath": str(clips / "austen-0880.flac"), "offset": 1.0, "duration": 0.5},
        {"audio_filepath": "sub/two.wav"},
        {"audio_filepath": "https://example.org/three.mp3"},
    ]
    manifest.write_text("\n\n".join(map(json.dumps, lines)))
    assert [found.recording for found in recordings_of(str(manifest))] == [
        Recording("one", str(clips / "austen-0880.flac"), 1.0, 0.5),
        Recording("two", str(tmp_path / "sub" / "two.wav")),
        Recording("three", "https://example.org/three.mp3"),
    ]
    with manifest.open("a") as file:
        file.write("\nnot JSON\n")
    with pytest.raises(ManifestError, match=r"m\.jsonl:6"):
        ids(manifest)


def test_members_of_a_tar_are_found_by_their_place(clips: Path, tmp_path: Path) -> None:
    path = tmp_path / "shard.tar"
    with tarfile.open(path, "w") as archive:
        for clip in sorted(clips.glob("*.flac")):
            archive.add(clip, clip.name)
            archive.add(clips / "README.md", clip.with_suffix(".txt").name)
    found = [one.recording for one in recordings_of(str(path))]
    assert [one.id for one in found] == [f"{path}/{clip.name}" for clip in sorted(clips.glob("*.flac"))]
    for one, clip in zip(found, sorted(clips.glob("*.flac")), strict=True):
        assert one.begin is not None
        assert one.size is not None
        assert path.read_bytes()[one.begin : one.begin + one.size] == clip.read_bytes()
    path.write_bytes(b"no TAR file at all" * 100)
    with pytest.raises(CorpusError, match="no TAR file"):
        ids(path)


def test_urls_are_listed_by_fsspec(clips: Path) -> None:
    system = fsspec.filesystem("memory")
    for name in ("/archive/x/one.flac", "/archive/two.flac", "/archive/readme.txt"):
        system.pipe_file(name, (clips / "austen-0880.flac").read_bytes())
    system.pipe_file("/archive/m.jsonl", b'{"audio_filepath": "x/one.flac"}\n')
    try:
        assert sorted(ids("memory://archive")) == ["memory:///archive/two.flac", "memory:///archive/x/one.flac"]
        assert ids("memory://archive/*.flac") == ["memory:///archive/two.flac"]
        (found,) = recordings_of("memory://archive/m.jsonl")
        assert found.recording.uri == "memory://archive/x/one.flac"
        with pytest.raises(CorpusError, match="no recordings"):
            ids("memory://nowhere/*.flac")
    finally:
        system.rm("/archive", recursive=True)


def test_an_unknown_kind_of_url_is_a_sentence() -> None:
    with pytest.raises(CorpusError, match="cannot be listed"):
        ids("nosuch://place/")


@pytest.fixture
def listing(tmp_path: Path) -> Listing:
    return Listing(tmp_path / "listing.db")


def test_the_order_does_not_depend_on_the_file_system(corpus: Path, listing: Listing) -> None:
    listing.fill([recordings_of(str(corpus))], shards=3, shard_recordings=1000)
    listed = [recording.id for shard in listing.shards for recording in listing.recordings(shard)]
    assert listed == sorted(map(str, corpus.rglob("*.flac")))
    assert [shard.last - shard.first for shard in listing.shards] == [3, 3, 4]
    assert [listing.shard_of(number).index for number in range(10)] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2]
    listing.close()


def test_what_is_added_at_the_end_changes_the_last_shard_alone(corpus: Path, tmp_path: Path) -> None:
    def prints(name: str) -> list[str]:
        listing = Listing(tmp_path / name)
        listing.fill([recordings_of(str(corpus))], shards=None, shard_recordings=4)
        found = [listing.fingerprint(shard) for shard in listing.shards]
        listing.close()
        return found

    before = prints("before.db")
    shutil.copy(corpus / "a" / "austen-0880.flac", corpus / "c.flac")
    after = prints("after.db")
    assert len(before) == len(after) == 3
    assert before[:2] == after[:2]
    assert before[2] != after[2]


def test_a_recording_that_two_sources_name_counts_once(corpus: Path, listing: Listing) -> None:
    sources = [recordings_of(str(corpus)), recordings_of(f"{corpus}/a/*.flac")]
    listing.fill(sources, shards=None, shard_recordings=1000)
    assert listing.count == 10
    listing.close()


def test_two_recordings_of_one_id_are_refused(clips: Path, tmp_path: Path, listing: Listing) -> None:
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"id": "x", "audio_filepath": "a.wav"}\n{"id": "x", "audio_filepath": "b.wav"}\n')
    with pytest.raises(CorpusError, match=r"a\.wav and .*b\.wav have both the id 'x'"):
        listing.fill([recordings_of(str(manifest))], shards=None, shard_recordings=1000)
    listing.close()


def test_names_that_are_not_utf8_come_back(tmp_path: Path, clips: Path, listing: Listing) -> None:
    name = b"caf\xe9.flac".decode(errors="surrogateescape")
    shutil.copy(clips / "austen-0880.flac", tmp_path / name)
    listing.fill([recordings_of(str(tmp_path))], shards=None, shard_recordings=1000)
    (task,) = listing.tasks(listing.shards)
    assert Path(task.recordings[0].uri).read_bytes()[:4] == b"fLaC"
    listing.close()
