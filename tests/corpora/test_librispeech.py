"""`auricle data librispeech` against a server with OpenSLR's layout, and against what is on disk already."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest
from command import Result, Run

from auricle.corpora.librispeech import PARTS as PUBLISHED
from auricle.errors import CorpusError
from auricle.manifest import read_manifest

from .openslr import PARTS, OpenSlr, archive


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def one_line(result: Result, *parts: str) -> None:
    """The command failed, and said so in one line."""
    assert result.code == 1
    assert result.err.rstrip("\n").splitlines()[-1].startswith("auricle: ")
    assert "Traceback" not in result.err
    for part in parts:
        assert part in result.err


def mini(auricle: Run, openslr: OpenSlr, root: Path, *more: object) -> Result:
    return auricle(
        "data", "librispeech", "--subset", "mini", "--root", root, "--url", openslr.url, *openslr.sums, *more
    )


def dev(auricle: Run, openslr: OpenSlr, root: Path, md5: str | None = None) -> Result:
    arguments = ("--subset", "dev-clean-2", "--root", root, "--url", openslr.url)
    return auricle("data", "librispeech", *arguments, "--md5", md5 or openslr.md5("dev-clean-2"))


def test_mini_is_fetched_unpacked_and_written_as_two_manifests(auricle: Run, openslr: OpenSlr, root: Path) -> None:
    result = mini(auricle, openslr, root)
    assert result.code == 0
    assert [line.partition(":")[0] for line in result.out.splitlines()] == [f"{root}/{part}.jsonl" for part in PARTS]
    assert "train-clean-5.jsonl: 3 utterances, 18.4 s, 2 speakers" in result.out
    first, second = read_manifest(root / "dev-clean-2.jsonl")
    assert first.id == "1272-128104-0000"
    assert first.text == "HE WAS NOT AN ILL DISPOSED YOUNG MAN"
    assert (first.speaker, first.sex) == ("1272", "M")
    assert first.duration == pytest.approx(2.99, abs=0.01)
    assert first.audio_filepath == root / "LibriSpeech/dev-clean-2/1272/128104/1272-128104-0000.flac"
    assert second.audio_filepath.is_file()
    assert {u.speaker: u.sex for u in read_manifest(root / "train-clean-5.jsonl")} == {"19": "F", "1272": "M"}


def test_paths_are_relative_so_that_the_folder_can_be_moved(auricle: Run, openslr: OpenSlr, root: Path) -> None:
    dev(auricle, openslr, root)
    row = json.loads((root / "dev-clean-2.jsonl").read_text().splitlines()[0])
    assert row["audio_filepath"] == "LibriSpeech/dev-clean-2/1272/128104/1272-128104-0000.flac"


def test_half_a_download_is_gone_on_with_by_the_next_call(auricle: Run, openslr: OpenSlr, root: Path) -> None:
    whole = len(openslr.files["/resources/31/dev-clean-2.tar.gz"])
    half = whole // 2
    # The connection breaks, and then is refused: the first try after it and all others bring nothing.
    openslr.breaks_after = [half, 0, 0, 0, 0]
    result = dev(auricle, openslr, root)
    one_line(result, f"the connection ended after {half:,} of {whole:,} bytes", "the same command goes on after")
    assert (root / "dev-clean-2.tar.gz.partial").stat().st_size == half
    assert not (root / "dev-clean-2.tar.gz").exists()
    openslr.breaks_after, openslr.asked, openslr.sent = [], [], 0
    assert dev(auricle, openslr, root).code == 0
    assert openslr.asked == [("dev-clean-2.tar.gz", f"bytes={half}-")]
    assert openslr.sent == whole - half
    assert len(read_manifest(root / "dev-clean-2.jsonl")) == 2
    assert not (root / "dev-clean-2.tar.gz.partial").exists()


def test_a_connection_that_breaks_is_taken_up_again_by_itself(auricle: Run, openslr: OpenSlr, root: Path) -> None:
    openslr.breaks_after = [10_000, 20_000]
    assert dev(auricle, openslr, root).code == 0
    assert [wanted for _, wanted in openslr.asked] == [None, "bytes=10000-", "bytes=30000-"]


def test_a_server_without_ranges_sends_all_of_it_again(auricle: Run, openslr: OpenSlr, root: Path) -> None:
    openslr.knows_ranges = False
    openslr.breaks_after = [10_000]
    assert dev(auricle, openslr, root).code == 0
    assert len(read_manifest(root / "dev-clean-2.jsonl")) == 2


def test_a_whole_partial_file_is_not_fetched_again(auricle: Run, openslr: OpenSlr, root: Path) -> None:
    root.mkdir()
    content = openslr.files["/resources/31/dev-clean-2.tar.gz"]
    (root / "dev-clean-2.tar.gz.partial").write_bytes(content)
    assert dev(auricle, openslr, root).code == 0
    assert openslr.sent == 0


def test_a_partial_file_of_something_longer_is_fetched_anew(auricle: Run, openslr: OpenSlr, root: Path) -> None:
    root.mkdir()
    content = openslr.files["/resources/31/dev-clean-2.tar.gz"]
    (root / "dev-clean-2.tar.gz.partial").write_bytes(content + b"more")
    assert dev(auricle, openslr, root).code == 0
    assert openslr.sent == len(content)


def test_what_arrives_corrupted_is_refused_and_removed(auricle: Run, openslr: OpenSlr, root: Path) -> None:
    right = openslr.md5("dev-clean-2")
    name = "/resources/31/dev-clean-2.tar.gz"
    damaged = bytearray(openslr.files[name])
    damaged[len(damaged) // 2] ^= 1
    openslr.files[name] = bytes(damaged)
    result = dev(auricle, openslr, root, md5=right)
    one_line(result, "dev-clean-2.tar.gz arrived damaged", f"not {right}")
    assert not list(root.iterdir())


def test_without_md5_the_published_sum_decides(auricle: Run, openslr: OpenSlr, root: Path) -> None:
    result = auricle("data", "librispeech", "--subset", "dev-clean-2", "--root", root, "--url", openslr.url)
    one_line(result, "not 6d7ab67ac6a1d2c993d050e16d61080d")


def test_an_archive_on_disk_is_taken_without_asking_the_server(auricle: Run, openslr: OpenSlr, root: Path) -> None:
    root.mkdir()
    (root / "dev-clean-2.tar.gz").write_bytes(openslr.files["/resources/31/dev-clean-2.tar.gz"])
    assert dev(auricle, openslr, root).code == 0
    assert openslr.asked == []
    assert len(read_manifest(root / "dev-clean-2.jsonl")) == 2


def test_a_damaged_archive_on_disk_is_refused_and_left_alone(auricle: Run, openslr: OpenSlr, root: Path) -> None:
    root.mkdir()
    (root / "dev-clean-2.tar.gz").write_bytes(b"half of it")
    one_line(dev(auricle, openslr, root), "dev-clean-2.tar.gz is damaged", "remove it to fetch it again")
    assert (root / "dev-clean-2.tar.gz").read_bytes() == b"half of it"


@pytest.mark.parametrize("inside", ["LibriSpeech", "."])
def test_an_unpacked_corpus_is_taken_as_it_is(auricle: Run, openslr: OpenSlr, root: Path, inside: str) -> None:
    dev(auricle, openslr, root)
    (root / "dev-clean-2.tar.gz").unlink()
    (root / "dev-clean-2.jsonl").unlink()
    openslr.asked = []
    given = root / ("." if inside == "LibriSpeech" else "LibriSpeech")
    assert dev(auricle, openslr, given).code == 0
    assert openslr.asked == []
    assert len(read_manifest(given / "dev-clean-2.jsonl")) == 2


def test_a_second_run_changes_nothing(auricle: Run, openslr: OpenSlr, root: Path) -> None:
    def state() -> dict[str, str]:
        files = (path for path in root.rglob("*") if path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    mini(auricle, openslr, root)
    before, openslr.asked = state(), []
    assert mini(auricle, openslr, root).code == 0
    assert (state(), openslr.asked) == (before, [])


def test_an_archive_cannot_write_outside_its_folder(auricle: Run, openslr: OpenSlr, root: Path) -> None:
    hostile = archive("dev-clean-2", extra={"../../escaped.txt": b"out"})
    openslr.files["/resources/31/dev-clean-2.tar.gz"] = hostile
    one_line(dev(auricle, openslr, root), "dev-clean-2.tar.gz cannot be unpacked", "escaped.txt")
    assert not list(root.parent.rglob("escaped.txt"))
    assert [path.name for path in root.iterdir()] == ["dev-clean-2.tar.gz"]


def test_an_archive_that_ends_too_early_leaves_no_folder(auricle: Run, openslr: OpenSlr, root: Path) -> None:
    name = "/resources/31/dev-clean-2.tar.gz"
    openslr.files[name] = openslr.files[name][:-50_000]
    one_line(dev(auricle, openslr, root), "cannot be unpacked")
    assert not (root / "LibriSpeech").exists()


def test_the_archive_of_another_part_is_refused(auricle: Run, openslr: OpenSlr, root: Path) -> None:
    openslr.files["/resources/31/dev-clean-2.tar.gz"] = archive("train-clean-5")
    one_line(dev(auricle, openslr, root), "has no LibriSpeech/dev-clean-2")


def test_a_recording_that_is_missing_is_left_out_and_said(auricle: Run, openslr: OpenSlr, root: Path) -> None:
    dev(auricle, openslr, root)
    (root / "LibriSpeech/dev-clean-2/1272/128104/1272-128104-0001.flac").unlink()
    result = dev(auricle, openslr, root)
    assert result.code == 0
    assert "1 left out; the first, 1272-128104-0001" in result.err
    assert "has 1 utterances, and OpenSLR's has 1,089" in result.err


def test_a_folder_without_transcripts_is_refused(auricle: Run, openslr: OpenSlr, root: Path) -> None:
    (root / "LibriSpeech/dev-clean-2").mkdir(parents=True)
    one_line(dev(auricle, openslr, root), "dev-clean-2 has no transcripts")


def test_a_server_that_is_down_is_one_line(auricle: Run, openslr: OpenSlr, root: Path) -> None:
    openslr.is_down = True
    one_line(dev(auricle, openslr, root), "the server answers 503 Service Unavailable", "check --url")


def test_a_server_that_does_not_have_it_is_asked_once(auricle: Run, openslr: OpenSlr, root: Path) -> None:
    del openslr.files["/resources/31/dev-clean-2.tar.gz"]
    one_line(dev(auricle, openslr, root, md5="0" * 32), "the server answers 404 Not Found")
    assert len(openslr.asked) == 1


@pytest.mark.parametrize("url", ["nowhere", "http://127.0.0.1:1/resources", "ftp://"])
def test_an_address_that_leads_nowhere_is_one_line(auricle: Run, root: Path, url: str) -> None:
    result = auricle("data", "librispeech", "--subset", "dev-clean-2", "--root", root, "--url", url)
    one_line(result, url, "--url")


def test_a_subset_that_does_not_exist_is_told_the_others(auricle: Run, root: Path) -> None:
    result = auricle("data", "librispeech", "--subset", "train-clean-1000", "--root", root)
    one_line(result, "no subset 'train-clean-1000'", "mini, train-960, train-clean-5")


def test_a_sum_must_say_its_part_where_there_are_two(auricle: Run, root: Path) -> None:
    result = auricle("data", "librispeech", "--subset", "mini", "--root", root, "--md5", "0" * 32)
    assert result.code == 2
    assert "train-clean-5=SUM" in result.err


def test_a_root_that_cannot_be_written_is_one_line(auricle: Run, openslr: OpenSlr, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    one_line(dev(auricle, openslr, tmp_path / "file" / "below"), "cannot be written")


def test_each_published_sum_is_an_md5_of_its_own() -> None:
    sums = [part.md5 for part in PUBLISHED.values()]
    assert all(len(md5) == 32 and set(md5) <= set("0123456789abcdef") for md5 in sums)
    assert len(set(sums)) == 9


def test_an_old_python_is_told_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from auricle.corpora.librispeech import unpack

    monkeypatch.delattr(tarfile, "data_filter")
    with pytest.raises(CorpusError, match=r"needs Python 3\.11\.4"):
        unpack(tmp_path / "a.tar.gz", PUBLISHED["dev-clean-2"], tmp_path)
