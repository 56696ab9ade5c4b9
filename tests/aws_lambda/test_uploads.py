"""Large recordings by way of S3, against moto's server: announced, put, recognised once, and never for ever."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx2
import pytest

import auricle
from auricle.serving import aws_transcriber
from auricle.serving.aws_app import EntryPoint
from auricle.serving.aws_settings import UPLOAD_SECONDS, LambdaSettings
from auricle.serving.aws_store import PREFIX, Request, UploadStore, identity_of, open_store
from auricle.serving.aws_transcriber import Transcriber
from aws_lambda.conftest import CLIPS, MP3, Context
from aws_lambda.events import KINDS, answer_of, form, http_api, s3_put
from aws_lambda.s3 import RESULTS, UPLOADS, Buckets, buckets

SETTINGS = LambdaSettings(uploads_bucket=UPLOADS, results_bucket=RESULTS)


@pytest.fixture(scope="module")
def s3() -> Iterator[Buckets]:
    with buckets() as found:
        yield found


@pytest.fixture(scope="module")
def api(recognizer: auricle.Recognizer, s3: Buckets) -> Iterator[EntryPoint]:
    with closing(EntryPoint(SETTINGS, recognizer)) as entry:
        yield entry


@pytest.fixture
def store(s3: Buckets) -> UploadStore:
    return open_store(UPLOADS, RESULTS)


class Counting:
    """A recognizer that counts, and may have trouble."""

    def __init__(self, inner: auricle.Recognizer, trouble: BaseException | None = None) -> None:
        self.bundle, self.inner, self.trouble, self.count = inner.bundle, inner, trouble, 0

    def stream(self, source: Any, **options: Any) -> Any:
        self.count += 1
        if self.trouble:
            raise self.trouble
        return self.inner.stream(source, **options)


@pytest.fixture
def counting(recognizer: auricle.Recognizer) -> Counting:
    return Counting(recognizer)


def _call(api: EntryPoint, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    content = json.dumps(body).encode() if body is not None else b""
    reply = api(http_api(method, path, content, {"content-type": "application/json"}), Context())
    return reply["statusCode"], json.loads(answer_of(reply))


def _arrive(store: UploadStore, s3: Buckets, content: bytes, name: str = MP3.name) -> str:
    """Put a recording as the page would; return its id."""
    identity, url, headers = store.create(Request(name, len(content)))
    httpx2.put(url, content=content, headers=headers).raise_for_status()
    return identity


def _event(identity: str) -> dict[str, Any]:
    return s3_put(UPLOADS, quote(f"{PREFIX}{identity}"))


def _transcriber(counting: Counting, store: UploadStore, **settings: Any) -> Transcriber:
    return Transcriber(SETTINGS.model_copy(update=settings), counting, store)  # type: ignore[arg-type]


def test_a_recording_goes_up_and_its_transcript_comes_back(
    api: EntryPoint, s3: Buckets, store: UploadStore, counting: Counting, said: str
) -> None:
    content = MP3.read_bytes()
    status, place = _call(api, "POST", "/v1/uploads", {"name": "Übung 1.mp3", "size": len(content)})
    assert status == 201
    where = f"/v1/uploads/{place['id']}"
    assert _call(api, "GET", where)[1]["status"] == "waiting"
    httpx2.put(place["url"], content=content, headers=place["headers"]).raise_for_status()

    assert _transcriber(counting, store)(_event(place["id"]), Context()) == {PREFIX + place["id"]: "completed"}

    status, found = _call(api, "GET", where)
    assert (status, found["status"], found["progress"], found["error"]) == (200, "completed", 1.0, None)
    transcript = httpx2.get(found["result"]["json"]).json()
    assert transcript["text"] == said
    assert transcript["words"][0]["start"] >= 0
    assert httpx2.get(found["result"]["srt"]).text.startswith("1\n00:00:")
    assert s3.names(UPLOADS) == set()


def test_the_address_takes_that_one_recording_for_a_while(store: UploadStore) -> None:
    _, url, headers = store.create(Request("a.mp3", 1234))
    query = parse_qs(urlsplit(url).query)
    assert set(query["X-Amz-SignedHeaders"][0].split(";")) == {"content-length", "content-type", "host"}
    assert int(query["X-Amz-Expires"][0]) <= 3600
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert set(headers) == {"Content-Type"}  # a browser writes Content-Length itself


def test_words_to_expect_reach_the_decoder(s3: Buckets, api: EntryPoint, store: UploadStore, recognizer: Any) -> None:
    seen: list[Any] = []

    class Listening(Counting):
        def stream(self, source: Any, **options: Any) -> Any:
            seen.append(options["hot_words"])
            return super().stream(source, **options)

    content = MP3.read_bytes()
    place = _call(api, "POST", "/v1/uploads", {"name": "a.mp3", "size": len(content), "prompt": "hearted, ill"})[1]
    httpx2.put(place["url"], content=content, headers=place["headers"]).raise_for_status()
    _transcriber(Listening(recognizer), store)(_event(place["id"]), Context())
    assert seen == [("hearted", "ill")]


def test_an_event_that_comes_twice_is_done_once(s3: Buckets, store: UploadStore, counting: Counting) -> None:
    identity = _arrive(store, s3, MP3.read_bytes())
    transcriber = _transcriber(counting, store)
    outcomes = [transcriber(_event(identity), Context(f"invocation-{i}"))[PREFIX + identity] for i in range(3)]
    assert outcomes == ["completed", "skipped", "skipped"]
    s3.s3.put_object(Bucket=UPLOADS, Key=PREFIX + identity, Body=MP3.read_bytes())  # even if it lay there still
    assert transcriber(_event(identity), Context("again"))[PREFIX + identity] == "skipped"
    assert counting.count == 1


def test_an_event_that_comes_twice_at_the_same_time_is_done_once(
    s3: Buckets, store: UploadStore, counting: Counting
) -> None:
    identity = _arrive(store, s3, MP3.read_bytes())
    assert store.claim(identity, "the first")
    assert _transcriber(counting, store)(_event(identity), Context("the second")) == {PREFIX + identity: "skipped"}
    assert counting.count == 0
    assert store.progress(identity).status == "processing"  # type: ignore[union-attr]


def test_an_event_that_comes_late_does_not_begin_again(s3: Buckets, store: UploadStore, counting: Counting) -> None:
    identity = _arrive(store, s3, MP3.read_bytes())
    _transcriber(counting, store)(_event(identity), Context("in time"))
    s3.s3.put_object(Bucket=UPLOADS, Key=PREFIX + identity, Body=MP3.read_bytes())
    late = UploadStore(s3.s3, UPLOADS, RESULTS, clock=lambda: time.time() + 2 * UPLOAD_SECONDS)
    assert _transcriber(counting, late)(_event(identity), Context("late")) == {PREFIX + identity: "skipped"}
    assert counting.count == 1


def test_who_vanished_is_followed_by_another(s3: Buckets, counting: Counting) -> None:
    now = 1000.0
    store = UploadStore(s3.s3, UPLOADS, RESULTS, clock=lambda: now)
    identity = _arrive(store, s3, MP3.read_bytes())
    store.claim(identity, "vanished")
    now += UPLOAD_SECONDS
    assert store.claim(identity, "too early") is None
    now += 61
    assert _transcriber(counting, store)(_event(identity), Context("next")) == {PREFIX + identity: "completed"}


def test_two_that_take_over_at_the_same_time_do_not_both_get_it(s3: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    store = UploadStore(s3.s3, UPLOADS, RESULTS, clock=lambda: 1000.0)
    identity = _arrive(store, s3, b"x")
    store.claim(identity, "worker")
    late = UploadStore(s3.s3, UPLOADS, RESULTS, clock=lambda: 9000.0)
    inner = UploadStore._write_if

    def interrupted(self: UploadStore, key: str, claim: Any, **condition: str) -> bool:
        if "IfMatch" in condition:
            monkeypatch.setattr(UploadStore, "_write_if", inner)
            assert late.claim(identity, "the other")
        return inner(self, key, claim, **condition)

    monkeypatch.setattr(UploadStore, "_write_if", interrupted)
    assert late.claim(identity, "this one") is None


@pytest.mark.parametrize("content", [b"these are notes " * 50, MP3.read_bytes()[:300], b"\xff" * 5000])
def test_a_poisoned_file_ends_as_an_error_object(
    api: EntryPoint, s3: Buckets, store: UploadStore, counting: Counting, content: bytes
) -> None:
    identity = _arrive(store, s3, content, "notes.mp3")
    transcriber = _transcriber(counting, store)
    assert transcriber(_event(identity), Context()) == {PREFIX + identity: "failed"}  # no error: nothing to repeat
    found = _call(api, "GET", f"/v1/uploads/{identity}")[1]
    assert found["status"] == "failed"
    assert found["error"]["code"] == "invalid_audio"
    assert "notes.mp3" in found["error"]["message"]
    assert PREFIX + identity not in s3.names(UPLOADS)
    assert transcriber(_event(identity), Context("again")) == {PREFIX + identity: "skipped"}


def test_a_mistake_of_ours_ends_as_an_error_object_too(
    s3: Buckets, store: UploadStore, recognizer: auricle.Recognizer
) -> None:
    identity = _arrive(store, s3, MP3.read_bytes())
    broken = Counting(recognizer, RuntimeError("the secret is in /srv"))
    assert _transcriber(broken, store)(_event(identity), Context()) == {PREFIX + identity: "failed"}
    assert json.loads(s3.read(RESULTS, f"{identity}/error.json"))["code"] == "server_error"
    assert b"secret" not in s3.read(RESULTS, f"{identity}/error.json")


def test_what_ends_the_process_is_given_up_at_the_third_attempt(
    s3: Buckets, store: UploadStore, recognizer: auricle.Recognizer
) -> None:
    identity = _arrive(store, s3, MP3.read_bytes())
    deadly = Counting(recognizer, KeyboardInterrupt())  # the nearest to being killed in the midst of it
    transcriber = _transcriber(deadly, store)
    for _ in range(2):  # Lambda repeats an invocation under its id
        with pytest.raises(KeyboardInterrupt):
            transcriber(_event(identity), Context("the same"))
    assert transcriber(_event(identity), Context("the same")) == {PREFIX + identity: "failed"}
    assert json.loads(s3.read(RESULTS, f"{identity}/error.json"))["code"] == "gave_up"
    assert deadly.count == 2


def test_trouble_with_s3_is_for_lambda_to_repeat(
    s3: Buckets, store: UploadStore, counting: Counting, said: str
) -> None:
    from botocore.exceptions import EndpointConnectionError

    identity = _arrive(store, s3, MP3.read_bytes())
    transcriber = _transcriber(counting, store)
    with pytest.MonkeyPatch.context() as patch:
        error = EndpointConnectionError(endpoint_url="http://s3")
        patch.setattr(store, "fetch", lambda *_: (_ for _ in ()).throw(error))
        with pytest.raises(EndpointConnectionError):
            transcriber(_event(identity), Context("the same"))
    assert transcriber(_event(identity), Context("the same")) == {PREFIX + identity: "completed"}
    assert json.loads(s3.read(RESULTS, f"{identity}/transcript.json"))["text"] == said


def test_too_large_too_long_and_too_slow_are_said(
    s3: Buckets, api: EntryPoint, store: UploadStore, counting: Counting
) -> None:
    def code(identity: str) -> str:
        return str(json.loads(s3.read(RESULTS, f"{identity}/error.json"))["code"])

    content = MP3.read_bytes()
    large, long, slow = (_arrive(store, s3, content) for _ in range(3))
    _transcriber(counting, store, max_job_bytes=1000)(_event(large), Context())
    _transcriber(counting, store, max_job_seconds=3.0)(_event(long), Context())
    _transcriber(counting, store)(_event(slow), Context(seconds=10))
    assert [code(one) for one in (large, long, slow)] == ["too_large", "audio_too_long", "audio_too_long"]
    status, answer = _call(api, "POST", "/v1/uploads", {"name": "a.mp3", "size": SETTINGS.max_job_bytes + 1})
    assert (status, answer["error"]["code"]) == (413, "too_large")


def test_progress_is_told_while_it_is_made(
    s3: Buckets, api: EntryPoint, store: UploadStore, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws_transcriber, "_TELL_SECONDS", 0.0)
    told: list[tuple[str, float]] = []
    identity = _arrive(store, s3, MP3.read_bytes())
    inner = UploadStore.advance

    def advance(self: UploadStore, *args: Any) -> None:
        inner(self, *args)
        found = _call(api, "GET", f"/v1/uploads/{identity}")[1]
        told.append((found["status"], found["progress"]))

    monkeypatch.setattr(UploadStore, "advance", advance)
    _transcriber(counting, store)(_event(identity), Context())
    assert told
    assert all(status == "processing" and 0 < progress <= 0.99 for status, progress in told)


@pytest.mark.parametrize("key", ["other/file.mp3", "uploads/short", f"uploads/{'a' * 33}", f"uploads/{'../' * 11}"])
def test_objects_of_others_are_left_alone(s3: Buckets, store: UploadStore, counting: Counting, key: str) -> None:
    s3.s3.put_object(Bucket=UPLOADS, Key=key, Body=b"x")
    assert identity_of(key) is None
    assert _transcriber(counting, store)(s3_put(UPLOADS, quote(key)), Context()) == {key: "skipped"}
    assert key in s3.names(UPLOADS)
    s3.s3.delete_object(Bucket=UPLOADS, Key=key)


def test_nobodys_recording_is_404_and_a_bad_announcement_400(api: EntryPoint) -> None:
    assert _call(api, "GET", f"/v1/uploads/{'a' * 32}")[0] == 404
    assert _call(api, "GET", "/v1/uploads/..%2Frequest")[0] == 404
    assert _call(api, "POST", "/v1/uploads", {"name": "a.mp3", "size": 0})[1]["error"]["param"] == "size"
    assert _call(api, "POST", "/v1/uploads", {"size": 5})[0] == 400


def test_a_function_without_buckets_has_no_such_route(handler: EntryPoint) -> None:
    assert _call(handler, "POST", "/v1/uploads", {"name": "a.mp3", "size": 5})[0] == 404


def test_an_unreadable_container_says_so(
    s3: Buckets, store: UploadStore, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    path: Path = CLIPS / "formats" / "austen-0890-aac.m4a"
    identity = _arrive(store, s3, path.read_bytes(), path.name)
    _transcriber(counting, store)(_event(identity), Context())
    assert json.loads(s3.read(RESULTS, f"{identity}/error.json"))["code"] == "unsupported_format"


def test_every_kind_of_api_announces(api: EntryPoint) -> None:
    for make in KINDS.values():
        body = json.dumps({"name": "a.mp3", "size": 5}).encode()
        reply = api(make("POST", "/v1/uploads", body, {"Content-Type": "application/json"}), Context())
        assert reply["statusCode"] == 201
    assert form(None, a="b")[0]
