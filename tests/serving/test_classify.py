"""The contract of the project this grew from, as its users call it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import httpx2
import pytest

from auricle import Recognizer
from serving.conftest import CLIPS

MP3 = "austen-0890-mono-22050.mp3"


def test_curl_with_an_mp3(server: str, clips: Path, recognizer: Recognizer) -> None:
    path = clips / "formats" / MP3
    done = subprocess.run(
        ["curl", "-sS", "--fail", "-F", f"file=@{path}", f"{server}/classify"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    answer = json.loads(done.stdout)
    assert answer == {"file": MP3, "predicted": recognizer.transcribe(path).plain_text}


def test_readable_text_has_to_be_asked_for(http: httpx2.Client, clips: Path, recognizer: Recognizer) -> None:
    path = clips / "formats" / MP3
    readable = recognizer.transcribe(path).text
    for plain, expected in (("false", readable), ("true", recognizer.transcribe(path).plain_text)):
        answer = http.post("/classify", files={"file": (MP3, path.read_bytes())}, data={"plain": plain})
        assert answer.json()["predicted"] == expected
    assert readable[0].isupper()


@pytest.mark.parametrize("path", sorted((CLIPS / "formats").iterdir()), ids=lambda path: path.name)
def test_every_format_is_understood(http: httpx2.Client, path: Path) -> None:
    answer = http.post("/classify", files={"file": (path.name, path.read_bytes())})
    assert answer.status_code == 200, answer.text
    assert "rother" in answer.json()["predicted"] or "rather" in answer.json()["predicted"]
