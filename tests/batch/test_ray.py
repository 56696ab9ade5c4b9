"""`auricle batch --engine ray` on a cluster of a head and two workers: what comes out, and what no loss changes."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import auricle
from auricle.audio import read

from .cluster import READER, WORKER, Cluster, Node, bucket_server
from .conftest import SCRIPT, contents, manifest_of_damage, poisoning, rows, started

pytest.importorskip("ray", reason="the extra ray is not installed")
pytest.importorskip("s3fs", reason="the extra ray is not installed")
pytest.importorskip("moto.server", reason="the development tools are not installed")
pytestmark = [pytest.mark.slow, pytest.mark.needs_embedded_model]

RECORDINGS = 60
SHARDS = 10
_PATIENCE_SECONDS = 600.0


class Archive:
    """A bucket of real speech and a cluster that can read it."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder

    def asked(self, output: Path, *, engine: str = "ray") -> list[str]:
        """The arguments of `auricle batch`."""
        place = ["--engine", "ray", "--address", self.cluster.address] if engine == "ray" else ["--processes", "2"]
        source = ["s3://speech/clips.jsonl", "--shards", str(SHARDS)]
        return [*source, "-o", str(output), *place]

    def batch(self, output: Path, *, engine: str = "ray") -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [SCRIPT, "batch", *self.asked(output, engine=engine)],
            env=self.cluster.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=2 * _PATIENCE_SECONDS,
        )


@pytest.fixture(scope="module")
def archive(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    folder = tmp_path_factory.mktemp("archive")
    with ExitStack() as stack:
        client, environment = stack.enter_context(bucket_server())
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
        client.create_bucket(Bucket="speech")
        client.put_object(Bucket="speech", Key="speech.flac", Body=joined(clips))
        client.put_object(Bucket="speech", Key="damaged.flac", Body=b"fLaC and no more")
        lines = "\n".join(json.dumps(line) for line in listed())
        client.put_object(Bucket="speech", Key="clips.jsonl", Body=lines.encode())
        monkeypatch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PYTHONPATH", str(poisoning(folder / "site")))
        cluster = Cluster()
        stack.callback(cluster.close)
        yield Archive(cluster, folder)


@pytest.fixture(scope="module")
def undisturbed(archive: Archive) -> dict[str, bytes]:
    """Every file of the same batch by the engine of this machine."""
    done = archive.batch(archive.folder / "undisturbed", engine="local")
    assert done.returncode == 1, done.stderr
    return contents(archive.folder / "undisturbed")


def joined(clips: Path) -> bytes:
    """All clips in one file, nearly as long as a window can be."""
    parts = [soundfile.read(clip, dtype="int16")[0] for clip in sorted(clips.glob("*.flac"))]
    file = io.BytesIO()
    soundfile.write(file, np.concatenate(parts), 16_000, format="flac")
    return file.getvalue()


def listed() -> list[dict[str, Any]]:
    """A manifest of parts of real speech, none like another, and in its middle of a damaged recording."""
    made: list[dict[str, Any]] = [
        {"id": f"part-{index * 37 % RECORDINGS:02d}", "audio_filepath": "speech.flac", "offset": round(0.2 * index, 1)}
        for index in range(RECORDINGS)
    ]
    return [*made[:30], {"id": "damaged", "audio_filepath": "damaged.flac"}, *made[30:]]


def wait_for(output: Path, shards: int, process: subprocess.Popen[str]) -> None:
    """Return when so many shards are finished."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while len(list(output.glob("manifest/*.json"))) < shards:
        assert process.poll() is None, "the batch has ended before it could be disturbed"
        assert time.monotonic() < deadline, "the batch does not go on"
        time.sleep(0.02)


def node_with_reader(cluster: Cluster, process: subprocess.Popen[str]) -> Node:
    """Return the node on which recordings are read, as soon as there is one; it may soon have read them all."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for node in cluster.nodes:
            if node.workers(READER):
                return node
        time.sleep(0.1)
    raise AssertionError("nobody has read anything")


def test_recordings_of_a_bucket_have_the_texts_of_transcribe_in_order_and_the_damaged_one_its_reason(
    archive: Archive, undisturbed: dict[str, bytes], clips: Path
) -> None:
    output = archive.folder / "whole"
    done = archive.batch(output)
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"1 of {RECORDINGS + 1} recordings have an error" in done.stderr.splitlines()[-1]
    found = rows(output)
    assert [row["id"] for row in found] == [line["id"] for line in listed()]
    (damaged,) = [row for row in found if row["error"]]
    assert damaged["id"] == "damaged"
    assert damaged["error"].startswith("damaged is damaged")
    recognizer, speech = auricle.load(threads=1), joined(clips)
    for row, line in zip(found, listed(), strict=True):
        if line["id"] != "damaged":
            part = read(speech, offset=line["offset"])
            expected = recognizer.transcribe(part.samples, sample_rate=part.rate)
            assert row["text"] == expected.text, row["id"]
    assert contents(output) == undisturbed


def test_a_killed_worker_and_a_lost_node_change_no_byte(archive: Archive, undisturbed: dict[str, bytes]) -> None:
    output = archive.folder / "losses"
    with started(*archive.asked(output), cwd=archive.folder, env=archive.cluster.environment) as process:
        reading = node_with_reader(archive.cluster, process)
        wait_for(output, 1, process)
        os.kill(next(pid for node in archive.cluster.nodes for pid in node.workers(WORKER)), signal.SIGKILL)
        wait_for(output, 3, process)
        archive.cluster.lose(reading)  # and with it what has been read and nobody has recognised yet
        printed, said = process.communicate(timeout=_PATIENCE_SECONDS)
    archive.cluster.add()
    assert process.returncode == 1, said
    assert printed == ""
    assert f"1 of {RECORDINGS + 1} recordings have an error" in said.splitlines()[-1]
    assert contents(output) == undisturbed


def test_a_killed_driver_costs_no_finished_shard(archive: Archive, undisturbed: dict[str, bytes]) -> None:
    output = archive.folder / "again"
    with started(*archive.asked(output), cwd=archive.folder, env=archive.cluster.environment) as process:
        wait_for(output, 3, process)
        process.kill()
        process.wait()
    finished = {path: path.stat().st_mtime_ns for name in ("manifest", "shards") for path in output.glob(f"{name}/*")}
    count = len(list(output.glob("manifest/*.json")))
    assert 3 <= count < SHARDS
    done = archive.batch(output)
    assert done.returncode == 1
    assert f"{SHARDS}, {SHARDS - count} of them computed now" in done.stderr
    assert all(path.stat().st_mtime_ns == time for path, time in finished.items() if path.suffix == ".json")
    assert contents(output) == undisturbed


def run(archive: Archive, words: list[str]) -> subprocess.CompletedProcess[str]:
    """What auricle says when it ends well, in the environment of the cluster."""
    done = subprocess.run(
        [str(SCRIPT), *words],
        env=archive.cluster.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_an_evaluation_by_the_cluster_hears_what_one_process_hears(archive: Archive, clips: Path) -> None:
    here = ["evaluate", "--manifest", str(clips / "clips.jsonl"), "--json"]
    heard: list[list[tuple[str, str]]] = []
    for words in (here, [*here, "--engine", "ray", "--address", archive.cluster.address]):
        (one,) = json.loads(run(archive, words).stdout)["manifests"]
        heard.append([(row["id"], row["hypothesis"]) for row in one["rows"]])
    assert heard[0] == heard[1]
    assert len(heard[0]) == 5


def test_a_check_by_the_cluster_finds_to_the_byte_what_this_machine_finds(
    archive: Archive, clips: Path, toy_bundle: Path
) -> None:
    manifest, cleaned = manifest_of_damage(clips, archive.folder / "damaged"), archive.folder / "cleaned.jsonl"
    asked = ["data", "check", str(manifest), "--align", "--model", str(toy_bundle), "--json", "-o", str(cleaned)]
    found = []
    for engine in (["local", "--processes", "2"], ["ray", "--address", archive.cluster.address]):
        done = run(archive, [*asked, "--engine", *engine])
        said = [line for line in done.stderr.splitlines() if line.startswith("auricle: ")]  # Ray says things too
        found.append((done.stdout, said, cleaned.read_bytes()))
        cleaned.unlink()
    assert found[1] == found[0]
    assert "poison.flac ended the process that read it, more than once" in found[1][0]
    assert len(json.loads(found[1][0])["scores"]) == 8
