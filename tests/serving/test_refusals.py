"""What the server does not do, and how it says so."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import numpy as np
import openai
import pytest
import soundfile

from auricle.errors import AudioError
from serving.conftest import Running, files_left, nothing_left, upload

PATH = "/v1/audio/transcriptions"
KEYS = "first-key-000, second-key-111"


def _error(answer: httpx2.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"].endswith(".")
    for secret in ("/tmp", "/src/", "Traceback", ".py", "File "):
        assert secret not in answer.text
    return dict(error)


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"response_format": "mp3"}, "response_format"),
        ({"language": "de"}, "language"),
        ({"stream": "perhaps"}, "stream"),
        ({"prompt": "word," + "x" * 81}, "prompt"),
        ({"response_format": "verbose_json", "timestamp_granularities[]": "letter"}, "timestamp_granularities[]"),
    ],
)
def test_a_wrong_field_is_named(http: httpx2.Client, form: dict[str, str], param: str) -> None:
    assert _error(http.post(PATH, data=form, files=upload()), 400)["param"] == param


def test_a_missing_file_is_named(http: httpx2.Client) -> None:
    assert _error(http.post(PATH, data={"model": "w"}), 400)["param"] == "file"
    assert _error(http.post("/classify"), 400)["param"] == "file"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "notes.mp3 is empty"),
        (b"these are notes " * 50, "notes.mp3 is damaged or not a recording"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "notes.mp3"),
    ],
)
def test_what_is_no_recording_is_said_by_its_own_name(http: httpx2.Client, content: bytes, message: str) -> None:
    assert message in _error(http.post(PATH, files={"file": ("../../etc/notes.mp3", content)}), 400)["message"]


def test_unknown_routes_and_methods_answer_in_the_same_shape(http: httpx2.Client) -> None:
    assert _error(http.get("/v1/nothing"), 404)["code"] == "not_found"
    assert _error(http.get(PATH), 405)["code"] == "method_not_allowed"
    assert _error(http.get("/web/../app.py"), 404)
    assert _error(http.get("/web/%2e%2e/app.py"), 404)


@pytest.mark.parametrize("path", [PATH, "/classify", "/v1/models", "/metrics"])
def test_keys_open_the_api_and_nothing_else_does(running: Running, path: str) -> None:
    method = "POST" if path in {PATH, "/classify"} else "GET"
    files = upload() if method == "POST" else None
    with running(api_keys=KEYS) as url, httpx2.Client(base_url=url, timeout=60) as client:
        for header in ({}, {"Authorization": "Bearer first-key-00"}, {"Authorization": "Basic first-key-000"}):
            assert _error(client.request(method, path, files=files, headers=header), 401)["code"] == "invalid_api_key"
        for key in KEYS.split(", "):
            answer = client.request(method, path, files=files, headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == 200
        assert [client.get(open_).status_code for open_ in ("/", "/health", "/ready", "/docs")] == [200] * 4


def test_keys_are_read_from_a_file(running: Running, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# the team\nthe-team-key\n\n")
    with running(api_keys_file=path) as url:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="the-team-key") as client:
            assert list(client.models.list())
        with (
            openai.OpenAI(base_url=f"{url}/v1", api_key="# the team") as client,
            pytest.raises(openai.AuthenticationError),
        ):
            client.models.list()


@pytest.mark.parametrize("announced", [True, False])
def test_a_large_upload_is_refused_while_it_is_read(running: Running, announced: bool) -> None:
    before = files_left()
    sent = 0

    def chunks() -> Any:
        nonlocal sent
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        for part in [head, *[bytes(65_536)] * 1600]:
            sent += len(part)
            yield part

    headers = {"Content-Type": "multipart/form-data; boundary=b"} | (
        {"Content-Length": str(2 << 30)} if announced else {}
    )
    with running(max_bytes=2_000_000) as url, httpx2.Client(base_url=url, timeout=60) as client:
        if announced:
            connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
            connection.putrequest("POST", PATH)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            assert connection.getresponse().status == 413  # nothing was sent
            connection.close()
        else:
            try:
                assert _error(client.post(PATH, content=chunks(), headers=headers), 413)["code"] == "too_large"
            except (httpx2.WriteError, httpx2.RemoteProtocolError, httpx2.ReadError):
                assert sent < 80_000_000  # the server hung up on what never ends
        assert nothing_left(before)
        assert client.post(PATH, files=upload()).status_code == 200


def test_a_long_recording_is_refused_before_all_of_it_is_decoded(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "silence.flac"  # an hour of it is small: a bomb
    with soundfile.SoundFile(path, "w", 8000, 1) as file:
        for _ in range(60):
            file.write(np.zeros(60 * 8000, np.float32))
    with running(max_seconds=60, max_bytes=50_000_000) as url, httpx2.Client(base_url=url, timeout=60) as client:
        started = time.monotonic()
        answer = client.post(PATH, files={"file": ("silence.flac", path.read_bytes())})
        assert _error(answer, 413)["code"] == "audio_too_long"
        assert time.monotonic() - started < 10
        assert _error(client.post(PATH, data={"stream": "true"}, files={"file": ("s", path.read_bytes())}), 413)


def test_a_slow_upload_is_hung_up_on(running: Running) -> None:
    with running(idle_seconds=0.5) as url:
        host = urlsplit(url)
        kind = "Content-Type: multipart/form-data; boundary=b"
        slow = f"POST {PATH} HTTP/1.1\r\nHost: {host.netloc}\r\n{kind}\r\nContent-Length: 99\r\n\r\n--b\r\n"
        for head in (b"", slow.encode()):
            with socket.create_connection((str(host.hostname), int(host.port or 0)), timeout=20) as connection:
                connection.sendall(head)
                answer = connection.recv(4096)
                assert answer.startswith(b"HTTP/1.1 408") if head else answer == b""


def test_a_connection_that_rests_is_not_hung_up_on(server: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=20)
    for pause in (6.5, 0):  # uvicorn's default is 5 s, as long as httpx keeps a connection: a race that either may lose
        connection.request("GET", "/health")
        answer = connection.getresponse()
        assert (answer.status, answer.will_close) == (200, False)
        answer.read()
        before = connection.sock
        time.sleep(pause)
    assert connection.sock is before
    connection.close()


class _Slow:
    """A recogniser that waits until it is told to go on."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.gate = inner, threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def transcribe_many(self, clips: Any, **options: Any) -> Any:
        if len(clips[0].samples) != 16_000 or np.any(clips[0].samples):  # the server warms up with a second of silence
            assert self.gate.wait(60)
        return self.inner.transcribe_many(clips, **options)


def test_the_surplus_of_a_full_queue_is_told_to_come_back(
    running: Running, recognizer: Any, heard: dict[str, str]
) -> None:
    slow = _Slow(recognizer)
    with running(slow, max_requests=5) as url, httpx2.Client(base_url=url, timeout=90) as client:
        with ThreadPoolExecutor(5) as pool:
            accepted = [pool.submit(client.post, PATH, files=upload()) for _ in range(5)]
            deadline = time.monotonic() + 30
            while "in_progress 5.0" not in client.get("/metrics").text:
                assert time.monotonic() < deadline
            for _ in range(3):
                answer = client.post(PATH, files=upload())
                assert _error(answer, 429)["type"] == "rate_limit_error"
                assert int(answer.headers["retry-after"]) >= 1
            assert client.get("/health").status_code == 200
            slow.gate.set()
            assert [one.result().json()["text"] for one in accepted] == [heard["austen-0880"]] * 5
        assert client.post(PATH, files=upload()).status_code == 200
        assert 'auricle_rejections_total{reason="server_is_full"} 3.0' in client.get("/metrics").text


def test_one_broken_clip_does_not_spoil_its_batch(running: Running, recognizer: Any, heard: dict[str, str]) -> None:
    class Choosy(_Slow):
        def transcribe_many(self, clips: Any, **options: Any) -> Any:
            if any(len(clip.samples) == 32_000 for clip in clips):
                raise AudioError("this one cannot be recognised.")
            return super().transcribe_many(clips, **options)

    choosy = Choosy(recognizer)
    wav = Path(__file__).with_name("two-seconds.wav")
    with running(choosy) as url, httpx2.Client(base_url=url, timeout=90) as client, ThreadPoolExecutor(4) as pool:
        import io

        buffer = io.BytesIO()
        soundfile.write(buffer, np.ones(32_000) * 0.1, 16_000, format="WAV")
        good = [pool.submit(client.post, PATH, files=upload()) for _ in range(3)]
        bad = pool.submit(client.post, PATH, files={"file": (wav.name, buffer.getvalue())})
        choosy.gate.set()
        assert [one.result().json()["text"] for one in good] == [heard["austen-0880"]] * 3
        assert _error(bad.result(), 400)["message"] == "this one cannot be recognised."


def test_a_mistake_of_ours_says_nothing_of_its_cause(running: Running, recognizer: Any) -> None:
    class Broken(_Slow):
        def transcribe_many(self, clips: Any, **options: Any) -> Any:
            if np.any(clips[0].samples):
                raise RuntimeError("the secret is in /srv/secret.py")
            return self.inner.transcribe_many(clips, **options)

    with running(Broken(recognizer)) as url, httpx2.Client(base_url=url, timeout=60) as client:
        answer = client.post(PATH, files=upload())
        assert _error(answer, 500)["type"] == "server_error"
        assert "secret" not in answer.text
        assert answer.headers["x-request-id"]


def test_another_sites_pages_stay_out_until_they_are_let_in(running: Running, http: httpx2.Client) -> None:
    origin = {"Origin": "https://example.org"}
    assert "access-control-allow-origin" not in http.post(PATH, files=upload(), headers=origin).headers
    assert _error(http.get("/v1/models", headers={"Host": "evil.example:80"}), 421)["code"] == "unknown_host"
    with (
        running(cors_origins="https://example.org", api_keys=KEYS) as url,
        httpx2.Client(base_url=url, timeout=60) as client,
    ):
        asked = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        assert client.options(PATH, headers=asked).status_code == 200
        refused = client.post(PATH, files=upload(), headers=origin)  # the page is to read why
        assert refused.headers["access-control-allow-origin"] == "https://example.org"
        other = client.get("/v1/models", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


def test_answers_carry_careful_headers_and_an_id(http: httpx2.Client) -> None:
    headers = http.get("/", headers={"X-Request-ID": "mine-7"}).headers
    assert headers["x-request-id"] == "mine-7"
    assert http.get("/", headers={"X-Request-ID": "not mine"}).headers["x-request-id"] != "not mine"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "server" not in headers
