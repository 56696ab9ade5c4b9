"""`auricle serve` as a process: signals, jobs that outlive it, and what it refuses to begin with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import soundfile

from serving.conftest import CLIPS, upload

SCRIPT = Path(sys.executable).with_name("auricle")
PATH = "/v1/audio/transcriptions"


@contextmanager
def serving(data: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], httpx2.Client]]:
    """Start the command and wait until it answers."""
    command = [str(SCRIPT), "serve", "--port", "0", "--threads", "1", "--data", str(data), *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            lines = iter(process.stderr.readline, "")
            url = next(json.loads(line)["url"] for line in lines if '"listening"' in line)
            while "startup complete" not in next(lines):
                pass
            with httpx2.Client(base_url=url, timeout=90) as client:
                yield process, client
        finally:
            process.kill()


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several minutes of speech: the five clips over and over."""
    path = tmp_path_factory.mktemp("talk") / "talk.flac"
    clips = [soundfile.read(clip)[0] for clip in sorted(CLIPS.glob("*.flac"))]
    soundfile.write(path, np.concatenate(clips * 10), 16_000)
    return path


def _finished(client: httpx2.Client, identity: str) -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while (job := client.get(f"/v1/jobs/{identity}").json())["status"] in {"queued", "running"}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return dict(job)


def _in_progress(client: httpx2.Client) -> float:
    return float(client.get("/metrics").text.split("\nauricle_requests_in_progress ")[1].split()[0])


def test_everything_accepted_is_answered_after_sigterm(tmp_path: Path, heard: dict[str, str]) -> None:
    names = sorted(heard) * 4
    with serving(tmp_path) as (process, client), ThreadPoolExecutor(len(names)) as pool:
        asked = [pool.submit(client.post, PATH, files=upload(f"{name}.flac")) for name in names]
        deadline = time.monotonic() + 30
        while sum(one.done() for one in asked) + _in_progress(client) < len(names):
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGTERM)
        assert [one.result().json()["text"] for one in asked] == [heard[name] for name in names]
        process.communicate(timeout=30)
        assert process.returncode == -signal.SIGTERM  # what a supervisor expects of a process that it ended


def test_jobs_survive_kill_9_and_are_done_once(
    tmp_path: Path, talk: Path, heard: dict[str, str], recognizer: Any
) -> None:
    with serving(tmp_path) as (process, client):
        first = client.post("/v1/jobs", files={"file": ("talk.flac", talk.read_bytes())})
        assert first.status_code == 202
        jobs = [first.json()["id"]]
        jobs += [client.post("/v1/jobs", files=upload(f"{name}.flac")).json()["id"] for name in sorted(heard)]
        assert client.get(f"/v1/jobs/{jobs[-1]}").json()["status"] == "queued"
        process.kill()
        process.wait(timeout=10)
    (tmp_path / "recordings" / "job_nobody").write_bytes(b"half an upload")
    with serving(tmp_path) as (_, client):
        done = [_finished(client, job) for job in jobs]
        assert [job["status"] for job in done] == ["completed"] * len(jobs)
        assert [job["result"]["text"] for job in done[1:]] == [heard[name] for name in sorted(heard)]
        assert done[0]["result"]["text"] == recognizer.transcribe(talk).text
        assert list((tmp_path / "recordings").iterdir()) == []
        audio = client.get("/metrics").text.split("\nauricle_audio_seconds_total ")[1].split()[0]
        assert float(audio) == pytest.approx(sum(job["result"]["duration"] for job in done) + 1, abs=2.5)


def test_a_second_server_does_not_touch_the_jobs_of_the_first(tmp_path: Path) -> None:
    with serving(tmp_path):
        second = subprocess.run(
            [SCRIPT, "serve", "--port", "0", "--data", tmp_path],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode not in {0, 2}
        assert "belongs to another server" in second.stderr


@pytest.mark.parametrize(
    ("flags", "variable", "message"),
    [
        (["--host", "256.1.1.1"], {}, "256.1.1.1:8000 cannot be listened on"),
        (["--port", "0", "--model", "no-such"], {}, "no-such"),
        (["--port", "0", "--api-keys", "/nowhere/keys"], {}, "/nowhere/keys cannot be read"),
        (["--port", "0"], {"AURICLE_API_KEYS": "short"}, "an API key has fewer than"),
        (["--port", "0"], {"AURICLE_MAX_BYTES": "many"}, "AURICLE_MAX_BYTES cannot be used"),
    ],
)
def test_what_cannot_begin_is_said_in_one_line(flags: list[str], variable: dict[str, str], message: str) -> None:
    done = subprocess.run(
        [SCRIPT, "serve", *flags],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **variable},
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.startswith("auricle: ")
    assert done.stderr.count("\n") == 1


def test_without_the_extra_one_line_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['fastapi'] = None; sys.argv = ['auricle', 'serve'];"
        "from auricle.cli.app import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert (
        done.stderr == "auricle: serving needs packages that are not installed: run \"pip install 'auricle[serve]'\".\n"
    )
