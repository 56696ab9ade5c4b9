"""Live captions over a WebSocket: a real server, the `websockets` client, real clips in pieces of 100 ms."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from typing import Any

import httpx2
import numpy as np
import pytest
import soundfile
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from auricle.metrics import word_errors
from auricle.serving import stream_routes
from serving.conftest import CLIPS, Held, Running, files_left, nothing_left

KEY = "correct-horse-battery"
START: dict[str, Any] = {"type": "start", "format": "pcm", "rate": 16_000}
END = json.dumps({"type": "end"})


def _pcm(name: str) -> bytes:
    samples, rate = soundfile.read(CLIPS / f"{name}.flac", dtype="int16")
    assert rate == 16_000
    return bytes(samples.astype("<i2").tobytes())


@contextmanager
def opened(url: str, **options: Any) -> Iterator[ClientConnection]:
    address = url.replace("http://", "ws://") + "/v1/audio/stream"
    with connect(address, proxy=None, **options) as socket:
        yield socket


def _rest(socket: ClientConnection, seconds: float = 60) -> list[dict[str, Any]]:
    """Everything that is still said, and then the code that closes."""
    messages = []
    try:
        while True:
            messages.append(json.loads(socket.recv(timeout=seconds)))
    except ConnectionClosed:
        return messages


def _refused(socket: ClientConnection, status: int) -> dict[str, Any]:
    last = _rest(socket)[-1]
    assert last["type"] == "error"
    assert set(last["error"]) == {"message", "type", "param", "code"}
    assert last["error"]["message"].endswith((".", "}"))
    for secret in ("/src/", "Traceback", ".py"):
        assert secret not in json.dumps(last)
    assert socket.close_code == 4000 + status
    return dict(last["error"])


def _sent(socket: ClientConnection, pcm: bytes, *, rate: int = 16_000, speed: float = 1.0) -> int | None:
    """Send in pieces of 100 ms; return how many bytes had been sent when the first partial came."""
    step, begin, first = 2 * rate // 10, time.monotonic(), None
    for number, at in enumerate(range(0, len(pcm), step), 1):
        socket.send(pcm[at : at + step])
        patience = max(0.0, begin + 0.1 * number / speed - time.monotonic())
        if first is None:
            try:
                message = json.loads(socket.recv(timeout=patience))
            except TimeoutError:
                continue
            assert message["type"] == "partial"
            assert message["words"]
            first = at + step
        time.sleep(max(0.0, begin + 0.1 * number / speed - time.monotonic()))
    return first


def _said(messages: list[dict[str, Any]]) -> str:
    return " ".join(message["text"] for message in messages if message["type"] == "final" and message["text"])


def _errors(expected: str, text: str) -> float:
    return word_errors(expected, text).rate


@pytest.mark.parametrize("name", ["austen-0870", "austen-0890"])
def test_words_come_while_they_are_said_and_end_as_the_files(
    server: str, heard: dict[str, str], recognizer: Any, name: str
) -> None:
    pcm = _pcm(name)
    with opened(server) as socket:
        socket.send(json.dumps(START))
        first = _sent(socket, pcm)
        socket.send(END)
        messages = _rest(socket)
        assert socket.close_code == 1000
    assert first is not None
    assert first < len(pcm) / 2
    assert _errors(heard[name], _said(messages)) <= 0.05
    done = messages[-1]
    assert done == {"type": "done", "text": _said(messages), "duration": round(len(pcm) / 32_000, 3)}
    words = [word for message in messages if message["type"] == "final" for word in message["words"]]
    expected = recognizer.transcribe(CLIPS / f"{name}.flac").words
    assert [word["word"] for word in words] == [word.text for word in expected]
    assert all(abs(word["start"] - other.start) < 0.1 for word, other in zip(words, expected, strict=True))
    assert all(0 <= word["confidence"] <= 1 for word in words)
    assert {message["type"] for message in messages} <= {"partial", "final", "done"}


def _alone(recognizer: Any, pcm: bytes, final: dict[str, Any]) -> str:
    """What the recogniser hears in the stretch that a final message speaks of, in plain words."""
    samples = np.frombuffer(pcm, "<i2")[round(final["start"] * 16_000) : round(final["end"] * 16_000)]
    return str(recognizer.transcribe(samples, sample_rate=16_000, plain=True).text)


def _plain(final: dict[str, Any]) -> str:
    return " ".join(word["word"] for word in final["words"])


def test_a_pause_fixes_what_came_before_it(server: str, recognizer: Any) -> None:
    noise = np.random.default_rng(0).normal(0, 20, 4 * 16_000).astype("<i2").tobytes()
    first, second = _pcm("austen-0890") + noise, _pcm("austen-0870")
    with opened(server) as socket:
        socket.send(json.dumps(START))
        socket.send(first)
        while (message := json.loads(socket.recv(timeout=30)))["type"] != "final":
            assert message["type"] == "partial"
        assert message["start"] == 0
        assert 4 < message["end"] < 7  # and nothing has ended yet
        assert _plain(message) == _alone(recognizer, first, message) != ""
        assert message["text"] == " ".join(word["written"] for word in message["words"] if word["written"])
        socket.send(second)
        socket.send(END)
        messages = _rest(socket)
    (later,) = [one for one in messages if one["type"] == "final"]
    assert message["end"] + 1 < later["start"] < len(first) / 32_000
    assert _plain(later) == _alone(recognizer, first + second, later) != ""
    assert messages[-1]["text"] == f"{message['text']} {later['text']}"


def test_finals_are_readable_unless_plain_words_are_asked_for(server: str, recognizer: Any) -> None:
    pcm = _pcm("austen-0890")
    found = {}
    for plain in (False, True):
        with opened(server) as socket:
            socket.send(json.dumps({**START, "plain": plain}))
            socket.send(pcm)
            socket.send(END)
            found[plain] = _rest(socket)[-2:]
    (readable, done), (plain_final, plain_done) = found[False], found[True]
    assert readable["text"] == done["text"] == recognizer.transcribe(CLIPS / "austen-0890.flac").text
    assert plain_final["text"] == plain_done["text"] == _plain(readable)
    assert readable["text"][0].isupper()
    assert all("written" not in word for word in plain_final["words"])


def test_speech_without_pauses_is_fixed_at_25_seconds(server: str, recognizer: Any) -> None:
    names = ["austen-0870", "austen-0890", "austen-0920", "austen-0880", "austen-0930", "austen-0870"]
    pcm = b"".join(map(_pcm, names))  # 31.8 s
    with opened(server) as socket:
        socket.send(json.dumps(START))
        for at in range(0, len(pcm), 32_000):
            socket.send(pcm[at : at + 32_000])
        socket.send(END)
        messages = _rest(socket)
    finals = [message for message in messages if message["type"] == "final"]
    assert len(finals) >= 2
    assert all(message["end"] - message["start"] <= 25 for message in finals)
    assert finals[-1]["end"] == pytest.approx(len(pcm) / 32_000, abs=1)
    assert [_plain(one) for one in finals] == [_alone(recognizer, pcm, one) for one in finals]
    assert all(one["start"] == pytest.approx(last["end"], abs=0.01) for last, one in pairwise(finals))


def test_sound_of_another_rate_in_pieces_of_odd_length(server: str, heard: dict[str, str]) -> None:
    import soxr

    samples, _ = soundfile.read(CLIPS / "austen-0880.flac", dtype="int16")
    pcm = soxr.resample(samples, 16_000, 48_000).astype("<i2").tobytes()
    with opened(server) as socket:
        socket.send(json.dumps({**START, "rate": 48_000}))
        for at in range(0, len(pcm), 4_801):
            socket.send(pcm[at : at + 4_801])
        socket.send(END)
        messages = _rest(socket)
    assert _errors(heard["austen-0880"], messages[-1]["text"]) <= 0.2
    assert messages[-1]["duration"] == pytest.approx(2.99, abs=0.01)


def test_webm_in_pieces_is_the_file(server: str, recognizer: Any) -> None:
    path = CLIPS / "formats" / "austen-0890-opus.webm"
    content = path.read_bytes()
    expected = recognizer.transcribe(path).text
    with opened(server) as socket:
        socket.send(json.dumps({"type": "start", "format": "webm"}))
        step = len(content) // 53  # 100 ms each
        for at in range(0, len(content), step):
            socket.send(content[at : at + step])
            time.sleep(0.05)
        socket.send(END)
        messages = _rest(socket)
        assert socket.close_code == 1000
    assert [message["type"] for message in messages].count("partial") >= 1
    assert _errors(expected, messages[-1]["text"]) <= 0.05


def test_webm_is_refused_where_nothing_opens_it(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_routes, "find_spec", lambda name: None)
    with opened(server) as socket:
        socket.send(json.dumps({"type": "start", "format": "webm"}))
        assert "PCM" in _refused(socket, 415)["message"]


@pytest.mark.parametrize("frame", [b"\x1aE\xdf\xa3" + bytes(range(256)) * 40, b"no webm" * 999])
def test_what_is_no_webm_is_refused(server: str, frame: bytes) -> None:
    with opened(server) as socket:
        socket.send(json.dumps({"type": "start", "format": "webm"}))
        socket.send(frame)
        socket.send(END)
        assert "damaged" in _refused(socket, 400)["message"]


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([b"sound"], None),
        (["not JSON"], None),
        (["[" * 100_000], None),
        (["[]"], None),
        ([{"type": "end"}], "type"),
        ([{**START, "rate": 10}], "rate"),
        ([{**START, "rate": "fast"}], "rate"),
        ([{**START, "format": "mp3"}], "format"),
        ([{**START, "volume": 3}], "volume"),
        ([{**START, "language": "de"}], "language"),
        ([{**START, "prompt": "x" * 81}], "prompt"),
        ([START, b"\0" * 320, "stop"], None),
        ([START, b"\0" * 320, {"type": "pause"}], None),
        ([START, START], None),
        ([START, {"type": "end"}], "file"),
    ],
)
def test_a_bad_message_is_said_once_and_ends_it(server: str, messages: list[Any], param: str | None) -> None:
    with opened(server) as socket:
        for message in messages:
            socket.send(json.dumps(message) if isinstance(message, dict) else message)
        assert _refused(socket, 400)["param"] == param


def test_a_message_that_is_too_large_ends_it(server: str) -> None:
    with opened(server) as socket:
        socket.send(json.dumps(START))
        socket.send(bytes(stream_routes.MESSAGE_BYTES + 1))
        _rest(socket)
        assert socket.close_code == 1009


def test_a_key_is_wanted_in_the_head_or_as_a_pages_subprotocol(running: Running) -> None:
    coded = base64.urlsafe_b64encode(KEY.encode()).decode().rstrip("=")
    wrong: list[dict[str, Any]] = [
        {},
        {"additional_headers": {"Authorization": f"Bearer {KEY}x"}},
        {"subprotocols": ["auricle", "auricle-key.AAAA"]},
        {"subprotocols": ["auricle", "auricle-key.!"]},
        {"subprotocols": ["auricle"]},
    ]
    right: list[dict[str, Any]] = [
        {"additional_headers": {"Authorization": f"Bearer {KEY}"}},
        {"subprotocols": ["auricle", f"auricle-key.{coded}"]},
    ]
    with running(api_keys=KEY) as url:
        for options in wrong:
            with opened(url, **options) as socket:
                assert _refused(socket, 401)["code"] == "invalid_api_key"
        for options in right:
            with opened(url, **options) as socket:
                assert socket.subprotocol == ("auricle" if "subprotocols" in options else None)
                socket.send(json.dumps(START))
                socket.send(bytes(32_000))
                socket.send(END)
                assert _rest(socket)[-1] == {"type": "done", "text": "", "duration": 1.0}


def test_pages_of_other_origins_stay_out_until_they_are_let_in(running: Running, server: str) -> None:
    with opened(server, origin="https://evil.example") as socket:
        assert _refused(socket, 403)["code"] == "unknown_origin"
    with opened(server, origin=server) as socket:
        socket.send("x")
        _refused(socket, 400)
    with (
        running(cors_origins="https://example.org") as url,
        opened(url, origin="https://example.org") as socket,
    ):
        socket.send("x")
        _refused(socket, 400)
    with (
        pytest.raises(InvalidStatus),
        opened(server, additional_headers={"Host": "evil.example"}),
    ):
        pass


@pytest.mark.parametrize("limit", [{"max_seconds": 2.0}, {"max_bytes": 64_000}], ids=["seconds", "bytes"])
def test_what_is_too_long_is_ended(running: Running, limit: dict[str, Any]) -> None:
    with running(**limit) as url, opened(url) as socket:
        socket.send(json.dumps(START))
        with suppress(ConnectionClosed):
            for _ in range(1000):
                socket.send(bytes(3_200))
                time.sleep(0.005)
        assert _refused(socket, 413)["code"] in {"audio_too_long", "too_large"}


@pytest.mark.parametrize("said", [[], [START], [START, bytes(32_000)]], ids=["nothing", "start", "sound"])
def test_who_falls_silent_is_hung_up_on(running: Running, said: list[Any]) -> None:
    with running(idle_seconds=0.5) as url, opened(url) as socket:
        for message in said:
            socket.send(json.dumps(message) if isinstance(message, dict) else message)
        assert _refused(socket, 408)["code"] == "stream_too_slow"


def test_a_stream_lives_longer_than_a_connection_that_asks_for_nothing(running: Running) -> None:
    with running(idle_seconds=0.5) as url, opened(url) as socket:
        socket.send(json.dumps(START))
        for _ in range(15):
            socket.send(bytes(3_200))
            time.sleep(0.1)
        socket.send(END)
        assert _rest(socket)[-1]["type"] == "done"


def _in_progress(url: str) -> float:
    lines = httpx2.get(f"{url}/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith("auricle_requests_in_progress")).split()[1])


def _until(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_stream_takes_a_place_and_gives_it_back(running: Running) -> None:
    with running(max_requests=1) as url:
        with opened(url) as first:
            first.send(json.dumps(START))
            _until(lambda: _in_progress(url) == 1)
            with opened(url) as second:
                assert _refused(second, 429)["type"] == "rate_limit_error"
        _until(lambda: _in_progress(url) == 0)
        with opened(url) as third:
            third.send("x")
            _refused(third, 400)


@pytest.mark.parametrize("sound", ["nothing", "silence", "speech", "webm"])
def test_a_client_that_vanishes_leaves_nothing_behind(running: Running, sound: str) -> None:
    webm = (CLIPS / "formats" / "austen-0890-opus.webm").read_bytes()
    content = {"nothing": b"", "silence": bytes(32_000), "speech": _pcm("austen-0870"), "webm": webm}[sound]
    kind = "webm" if sound == "webm" else "pcm"
    before, threads = files_left(), set(threading.enumerate())
    with running() as url:
        for _ in range(3):
            with opened(url) as socket:
                socket.send(json.dumps({**START, "format": kind}))
                for at in range(0, len(content) // 2, 6_400):
                    socket.send(content[at : at + 6_400])
                _until(lambda: _in_progress(url) == 1)
                socket.socket.close()
            _until(lambda: _in_progress(url) == 0)
        assert httpx2.get(f"{url}/health").status_code == 200
        assert nothing_left(before)
    assert set(threading.enumerate()) <= threads


def test_a_server_that_ends_hangs_up(running: Running) -> None:
    with ExitStack() as stack:
        with running() as url:
            socket = stack.enter_context(opened(url))
            socket.send(json.dumps(START))
            socket.send(_pcm("austen-0870"))
            assert json.loads(socket.recv(timeout=30))["type"] == "partial"
        _rest(socket)
        assert socket.close_code == 1012


def test_a_slow_machine_does_not_pile_up(running: Running, recognizer: Any, heard: dict[str, str]) -> None:
    held = Held(recognizer)
    with running(held) as url, opened(url) as socket:
        socket.send(json.dumps(START))
        pcm = _pcm("austen-0870")
        for at in range(0, len(pcm), 3_200):
            socket.send(pcm[at : at + 3_200])
        _until(lambda: held.clips == 1)
        time.sleep(0.5)
        assert held.clips == 1  # everything else has come by now, and waits for this one
        held.gate.set()
        socket.send(END)
        messages = _rest(socket)
        assert _errors(heard["austen-0870"], messages[-1]["text"]) <= 0.05
        assert held.clips <= 3


def test_a_mistake_of_ours_says_nothing_of_its_cause(running: Running, recognizer: Any) -> None:
    class Broken(Held):
        def transcribe_many(self, clips: Any, **options: Any) -> Any:
            if np.any(clips[0].samples):
                raise RuntimeError("the secret is in /srv/secret.py")
            return self.inner.transcribe_many(clips, **options)

    with running(Broken(recognizer)) as url, opened(url) as socket:
        socket.send(json.dumps(START))
        socket.send(_pcm("austen-0880"))
        socket.send(END)
        last = _rest(socket)[-1]
        assert last["error"]["type"] == "server_error"
        assert "secret" not in json.dumps(last)
        assert socket.close_code == 1011
