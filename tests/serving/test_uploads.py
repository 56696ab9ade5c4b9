"""Uploads that something happened to: never a 5xx, never a file left behind."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from serving.conftest import CLIPS, files_left, nothing_left

SOURCES = [path.read_bytes() for path in sorted((CLIPS / "formats").iterdir())]


def _truncated(content: bytes, dice: random.Random) -> bytes:
    return content[: dice.randrange(len(content))]


def _flipped(content: bytes, dice: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(dice.choice([1, 3, 30, 300])):
        changed[dice.randrange(dice.choice([64, 1024, len(changed)]))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _huge_header(content: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(64)
    return content[:at] + b"\xff" * dice.choice([2, 4, 8]) + content[at + 4 :]


def _wrong_type(content: bytes, dice: random.Random) -> bytes:
    head = dice.choice(
        [b"%PDF-1.7\n", b"PK\x03\x04", b"#!/bin/sh\n", b"\x1aE\xdf\xa3", b"\x00\x00\x00\x20ftypM4A ", b"fLaC"]
    )
    return head + content[dice.randrange(len(content)) :]


def _shuffled(content: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(content))
    return content[at:] + content[:at]


def _empty(content: bytes, dice: random.Random) -> bytes:
    return bytes(dice.choice([0, 1, 44, 1000]))


MUTATIONS: list[Callable[[bytes, random.Random], bytes]] = [
    _truncated, _flipped, _huge_header, _wrong_type, _shuffled, _empty,
]  # fmt: skip


def _mutated(number: int) -> bytes:
    dice = random.Random(number)
    return dice.choice(MUTATIONS)(dice.choice(SOURCES), dice)


def _check(http: httpx2.Client, numbers: range) -> None:
    before = files_left()

    def ask(number: int) -> int:
        dice = random.Random(number)
        path = dice.choice(["/classify", "/v1/audio/transcriptions"])
        name = dice.choice(["a.mp3", "b.wav", "", "../../x", "\u202e.exe", "c" * 300])
        form = {"stream": "true"} if dice.random() < 0.2 else {}
        answer = http.post(path, data=form, files={"file": (name, _mutated(number))})
        assert answer.status_code in {200, 400, 413}, (number, answer.status_code, answer.text)
        assert answer.status_code == 200 or answer.json()["error"]["message"]
        return answer.status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(ask, numbers))
    assert {200, 400} <= set(statuses)
    assert http.get("/health").status_code == 200
    assert nothing_left(before)


def test_damaged_uploads_are_answered_and_forgotten(http: httpx2.Client) -> None:
    _check(http, range(200))


@pytest.mark.slow
def test_two_thousand_damaged_uploads(http: httpx2.Client) -> None:
    _check(http, range(1000, 3000))


# Starlette leaves the file of a form that ends early to the garbage collector, which warns.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b",
        b"--b\r\n\r\n\r\n--b--",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\nabc',
        b"--b\r\nContent-Disposition: form-data" + b"; x=y" * 9999 + b"\r\n\r\n\r\n--b--",
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + b"a" * 2_000_000 + b"\r\n--b--",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n\r\n--b\r\n' * 3000,
    ],
    ids=["nothing", "begun", "nameless", "cut", "many-parameters", "large-field", "many-files"],
)
def test_damaged_forms_are_refused(http: httpx2.Client, body: bytes) -> None:
    before = files_left()
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = http.post("/classify", content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert nothing_left(before)


def test_a_large_upload_leaves_nothing(http: httpx2.Client, tmp_path: Path) -> None:
    before = files_left()
    content = (CLIPS / "formats" / "austen-0890-pcm16.wav").read_bytes() + bytes(40_000_000)  # spooled to disk
    assert http.post("/classify", files={"file": ("a.wav", content)}).status_code == 200
    assert nothing_left(before)
