"""Jobs over HTTP: who sees them, what they answer, and how they end."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from auricle.serving.jobs import JobStore, Wish
from serving.conftest import CLIPS, Running, upload

ONE, TWO = {"Authorization": "Bearer first-key-000"}, {"Authorization": "Bearer second-key-111"}


def _finished(client: httpx2.Client, identity: str, **options: Any) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while (job := client.get(f"/v1/jobs/{identity}", **options).json())["status"] in {"queued", "running"}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return dict(job)


def test_a_job_answers_what_a_transcription_would(http: httpx2.Client) -> None:
    form = {"response_format": "srt"}
    made = http.post("/v1/jobs", data=form, files=upload())
    assert made.status_code == 202
    job = _finished(http, made.json()["id"])
    assert job["status"] == "completed"
    assert job["progress"] == 1
    assert job["file"] == "austen-0880.flac"
    assert job["result"] == http.post("/v1/audio/transcriptions", data=form, files=upload()).text


def test_a_job_can_be_asked_for_plain_words(http: httpx2.Client) -> None:
    form = {"response_format": "text", "plain": "true"}
    job = _finished(http, http.post("/v1/jobs", data=form, files=upload()).json()["id"])
    assert job["result"] == http.post("/v1/audio/transcriptions", data=form, files=upload()).text
    assert job["result"] != http.post("/v1/audio/transcriptions", data={**form, "plain": ""}, files=upload()).text


def test_a_job_that_cannot_be_done_says_why(http: httpx2.Client) -> None:
    job = _finished(http, http.post("/v1/jobs", files={"file": ("notes.mp3", b"notes" * 99)}).json()["id"])
    assert job["status"] == "failed"
    assert job["error"]["message"].startswith("notes.mp3 is damaged or not a recording")


def test_a_job_is_its_keys_alone(running: Running) -> None:
    with running(api_keys="first-key-000,second-key-111") as url, httpx2.Client(base_url=url, timeout=60) as client:
        path = f"/v1/jobs/{client.post('/v1/jobs', files=upload(), headers=ONE).json()['id']}"
        assert client.get(path).status_code == 401
        assert client.get(path, headers=TWO).status_code == 404
        assert client.delete(path, headers=TWO).status_code == 404
        assert client.get(path, headers=ONE).status_code == 200
        assert client.delete(path, headers=ONE).status_code == 204
        assert client.get(path, headers=ONE).status_code == 404
        assert client.delete(path, headers=ONE).status_code == 404


def test_more_jobs_than_may_wait_are_told_to_come_back(running: Running) -> None:
    with running(max_jobs=0) as url, httpx2.Client(base_url=url, timeout=60) as client:
        answer = client.post("/v1/jobs", files=upload())
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "60"


@pytest.fixture
def store(tmp_path: Path) -> Any:
    found = JobStore(tmp_path)
    yield found
    found.close()


def _add(store: JobStore, owner: str = "me") -> str:
    with (CLIPS / "austen-0880.flac").open("rb") as file:
        return store.add(owner, Wish("a.flac", (), "json", ()), file).id


def test_jobs_of_an_older_server_wait_on(store: JobStore, tmp_path: Path) -> None:
    identity = _add(store)
    store.close()
    with sqlite3.connect(tmp_path / "jobs.sqlite") as database:
        for column in ("plain", "numbers"):
            database.execute(f"ALTER TABLE jobs DROP COLUMN {column}")
    database.close()
    again = JobStore(tmp_path)
    job = again.take()
    again.close()
    assert job is not None
    assert (job.id, job.plain, job.numbers) == (identity, False, True)


def test_ids_cannot_be_guessed(store: JobStore) -> None:
    ids = {_add(store) for _ in range(20)}
    assert len(ids) == 20
    assert all(len(one) >= 36 for one in ids)


def test_a_job_is_taken_once_and_in_order(store: JobStore) -> None:
    ids = [_add(store) for _ in range(3)]
    assert [getattr(store.take(), "id", None) for _ in range(4)] == [*ids, None]


def test_a_result_is_written_once(store: JobStore) -> None:
    identity = _add(store)
    store.take()
    store.finish(identity, result="first")
    store.finish(identity, result="second")
    job = store.get(identity, "me")
    assert job is not None
    assert job.result == "first"
    assert not store.recording(identity).exists()


def test_what_was_removed_while_it_ran_does_not_come_back(store: JobStore) -> None:
    identity = _add(store)
    store.take()
    assert store.remove(identity, "me")
    assert not store.advance(identity, 0.5)
    store.finish(identity, result="late")
    assert store.get(identity, "me") is None


def test_old_results_go(store: JobStore) -> None:
    identity, waiting = _add(store), _add(store)
    store.take()
    store.finish(identity, result="x")
    store.forget_before(time.time() + 1)
    assert store.get(identity, "me") is None
    assert store.get(waiting, "me") is not None
