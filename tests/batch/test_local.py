"""`auricle batch` with processes of this machine: what comes out, and what no disturbance changes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

import auricle
from auricle.batch.run import transcript_name

from .conftest import Command, contents, doing, rows, started


def joined(clips: Path, path: Path, times: int) -> Path:
    """A long recording: the clips, over and over, with pauses."""
    parts = [soundfile.read(clip, dtype="float32")[0] for clip in sorted(clips.glob("*.flac"))]
    pause = np.zeros(8_000, np.float32)
    soundfile.write(path, np.concatenate([part for clip in parts for part in (clip, pause)] * times), 16_000)
    return path


def test_each_recording_is_a_row_in_order_with_the_text_of_transcribe(
    command: Command, corpus: Path, clips: Path, toy_bundle: Path, tmp_path: Path
) -> None:
    joined(clips, corpus / "a" / "long.flac", 3)
    with tarfile.open(corpus / "b" / "more.tar", "w") as archive:
        archive.add(clips / "austen-0920.flac", "x/austen-0920.flac")
    done = command(corpus, "-o", tmp_path / "out", "--shards", 3, "--processes", 2, "-f", "srt", "--price", "36")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    found = rows(tmp_path / "out")
    names = [*sorted(str(path) for path in corpus.rglob("*.flac")), f"{corpus}/b/more.tar/x/austen-0920.flac"]
    assert [row["id"] for row in found] == names

    recognizer = auricle.load(toy_bundle, threads=1)
    by_id = {row["id"]: row for row in found}
    for path in corpus.rglob("*.flac"):
        expected = recognizer.transcribe(path)
        row = by_id[str(path)]
        assert row["text"] == expected.text
        assert [word["text"] for word in row["words"]] == [word.text for word in expected.words]
        starts = [(segment["start"], segment["end"]) for segment in row["segments"]]
        assert starts == [(round(segment.start, 3), round(segment.end, 3)) for segment in expected.segments]
        assert row["source"]["duration"] == round(expected.duration, 3)
        assert (tmp_path / "out" / transcript_name(str(path), "srt")).read_text().startswith("1\n")
    assert len(by_id[f"{corpus}/a/long.flac"]["segments"]) > 3
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["recordings"], manifest["errors"], len(manifest["shards"])) == (12, 0, 3)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Least confident recordings" in page
    assert "12 recordings" in page
    assert "3, 3 of them computed now" in done.stderr
    assert "cost" in done.stderr


def test_the_same_command_again_computes_nothing_and_more_recordings_only_their_shard(
    command: Command, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert command(corpus, "-o", out, "--shards", 2).returncode == 0
    before = contents(out)
    done = command(corpus, "-o", out, "--shards", 2)
    assert "2, 0 of them computed now" in done.stderr
    assert contents(out) == before
    (out / "shards" / "shard-000001.parquet").unlink()
    assert "2, 1 of them computed now" in command(corpus, "-o", out, "--shards", 2).stderr
    assert contents(out) == before


def test_the_results_of_another_command_are_not_mixed_in(command: Command, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert command(corpus / "a", "-o", out).returncode == 0
    before = contents(out)
    done = command(corpus / "b", "-o", out)
    assert done.returncode == 1
    assert done.stderr.startswith(f"auricle: {out} holds the results of another command (with another sources)")
    assert contents(out) == before


def test_damage_and_poison_are_rows_with_their_reason(
    command: Command, corpus: Path, poison: dict[str, str], tmp_path: Path
) -> None:
    (corpus / "a" / "austen-0881.flac").write_bytes((corpus / "a" / "austen-0880.flac").read_bytes()[:20_000])
    (corpus / "a" / "empty.wav").touch()
    shutil.copy(corpus / "a" / "austen-0880.flac", corpus / "b" / "poison.flac")
    done = command(corpus, "-o", tmp_path / "out", "--processes", 2, env=poison)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("auricle: 3 of 13 recordings have an error")
    errors = {Path(row["id"]).name: row["error"] for row in rows(tmp_path / "out") if row["error"]}
    assert set(errors) == {"austen-0881.flac", "empty.wav", "poison.flac"}
    assert "is empty (0 bytes)" in errors["empty.wav"]
    assert errors["poison.flac"].endswith(
        "poison.flac ended the process that read it, more than once: it is set aside."
    )
    assert all(row["text"] for row in rows(tmp_path / "out") if not row["error"])
    assert "3 with an error" in (tmp_path / "out" / "report.html").read_text()


def test_killed_workers_and_a_killed_driver_change_no_byte(
    command: Command, corpus: Path, clips: Path, toy_bundle: Path, tmp_path: Path
) -> None:
    joined(clips, corpus / "b" / "long.flac", 8)
    asked = [corpus, "--shards", 4, "--processes", 2]
    assert command(*asked, "-o", tmp_path / "undisturbed").returncode == 0
    whole = contents(tmp_path / "undisturbed")

    out = tmp_path / "out"
    with started(*asked, "-o", out, "--model", toy_bundle, cwd=tmp_path) as process:
        killed = 0
        while process.poll() is None and killed < 2:
            for child in doing(process.pid, "auricle.batch.child")[:1]:
                os.kill(child, signal.SIGKILL)
                killed += 1
            time.sleep(0.5)
        assert process.wait(600) == 0
    assert killed
    assert contents(out) == whole

    again = tmp_path / "again"
    with started(*asked, "-o", again, "--model", toy_bundle, cwd=tmp_path) as process:
        while process.poll() is None and not list(again.glob("manifest/*.json")):
            time.sleep(0.02)
        left = doing(process.pid, "auricle.batch.child")
        process.kill()
        process.wait(60)
    finished = {path.name: path.stat().st_mtime_ns for path in again.glob("manifest/*.json")}
    deadline = time.monotonic() + 300
    while any(Path(f"/proc/{child}").exists() for child in left) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [child for child in left if Path(f"/proc/{child}").exists()], "the children outlive their parent"
    (again / "manifest" / ".shard-000003.json.1.partial").write_bytes(b"{")  # as when it is killed while it writes
    done = command(*asked, "-o", again)
    assert f"4, {4 - len(finished)} of them computed now" in done.stderr
    assert {name: (again / "manifest" / name).stat().st_mtime_ns for name in finished} == finished
    assert contents(again) == whole


def test_it_reads_and_writes_what_fsspec_knows(command: Command, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = command(f"file://{corpus}/a", "-o", f"file://{out}", "-f", "txt")
    assert done.returncode == 0, done.stderr
    assert [Path(row["id"]).name for row in rows(out)] == sorted(path.name for path in (corpus / "a").iterdir())
    assert len(list(out.rglob("*.txt"))) == 5


def test_wrong_usage_and_missing_models_are_sentences(command: Command, corpus: Path, tmp_path: Path) -> None:
    assert command(corpus, "-o", tmp_path / "out", "--address", "x:1").returncode == 2
    done = command(tmp_path / "nowhere", "-o", tmp_path / "out")
    assert (done.returncode, done.stderr) == (
        1,
        f"auricle: {tmp_path}/nowhere: there is no such file or directory: check the name.\n",
    )
    (tmp_path / "file").touch()
    done = command(corpus, "-o", tmp_path / "file")
    assert done.returncode == 1
    assert done.stderr.startswith(f"auricle: {tmp_path}/file/")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("a/b.wav", "transcripts/a/b.wav.srt"),
        ("/a/../../b.wav", "transcripts/a/%2E%2E/%2E%2E/b.wav.srt"),
        ("s3://bucket/x y.wav", "transcripts/s3/bucket/x y.wav.srt"),
        ("a?.wav", "transcripts/a%3F.wav.srt"),
    ],
)
def test_transcripts_stay_below_their_folder(name: str, place: str) -> None:
    assert transcript_name(name, "srt") == place


def test_nothing_else_knows_of_the_extra() -> None:
    script = "import sys, auricle.cli.batch, auricle.recognizer; sys.stdout.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"ray", "pyarrow", "fsspec", "s3fs"}.intersection(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["batch", "x", "-o", "y"], "auricle batch"),
        (["evaluate", "-m", "x", "--engine", "local"], "--engine"),
        (["data", "check", "x", "--engine", "ray"], "--engine"),
    ],
)
def test_without_the_extra_one_line_says_what_to_install(arguments: list[str], what: str, tmp_path: Path) -> None:
    hide = "import sys; from importlib import util as u; f = u.find_spec; "
    hide += f"sys.argv = {['auricle', *arguments]}"
    hide += "; u.find_spec = lambda name, *a: None if name in {'pyarrow', 'ray'} else f(name, *a)"
    done = subprocess.run(
        [sys.executable, "-c", hide + "; from auricle.cli.app import main; main()"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    expected = f"auricle: {what} needs packages that are not installed: run \"pip install 'auricle[ray]'\".\n"
    assert done.stderr == expected
