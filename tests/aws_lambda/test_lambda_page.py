"""The page on one host, the function behind a gateway on another, S3 on a third; in a real browser."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from serving.browser import chromium

import auricle
from auricle.deployment.deploy import page_files
from auricle.serving.aws_app import EntryPoint
from auricle.serving.aws_settings import DIRECT_BYTES, PAYLOAD_BYTES, LambdaSettings
from auricle.serving.aws_store import open_store
from auricle.serving.aws_transcriber import Transcriber
from aws_lambda.conftest import CLIPS, MP3, Context
from aws_lambda.events import Event, answer_of, http_api, s3_put
from aws_lambda.gateway import Gateway, gateway, page_host
from aws_lambda.s3 import RESULTS, UPLOADS, Buckets, buckets
from aws_lambda.stack import written

SETTINGS = LambdaSettings(uploads_bucket=UPLOADS, results_bucket=RESULTS)
POST = ("POST", "/v1/audio/transcriptions")


@pytest.fixture(scope="module")
def s3() -> Iterator[Buckets]:
    with buckets() as found:
        yield found


@contextmanager
def notifying(s3: Buckets, transcriber: Transcriber) -> Iterator[list[str]]:
    """Tell the other function of each upload, twice, as S3 may; gives what became of them."""
    outcomes: list[str] = []
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            for key in s3.names(UPLOADS) - seen:
                seen.add(key)
                for invocation in ("one", "two"):
                    outcomes.append(transcriber(s3_put(UPLOADS, key), Context(f"{invocation}-{key}"))[key])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield outcomes
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def outcomes(s3: Buckets, recognizer: auricle.Recognizer) -> Iterator[list[str]]:
    with notifying(s3, Transcriber(SETTINGS, recognizer, open_store(UPLOADS, RESULTS))) as found:
        yield found


@pytest.fixture(scope="module")
def entry(s3: Buckets, recognizer: auricle.Recognizer) -> Iterator[EntryPoint]:
    with closing(EntryPoint(SETTINGS, recognizer)) as found:
        yield found


@pytest.fixture
def api(entry: EntryPoint) -> Iterator[Gateway]:
    with gateway(entry) as found:
        yield found


def _policy(api: Gateway, s3: Buckets) -> str:
    """The template's policy, with the addresses of here for those of AWS."""
    config = written("PageHeaders")["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
    text = str(config["ContentSecurityPolicy"]["ContentSecurityPolicy"]["Fn::Sub"])
    return re.sub(r"https://\S*execute-api[^\s;]*", api.url, re.sub(r"https://\S*\.s3\.[^\s;]*", s3.url, text))


@pytest.fixture
def host(api: Gateway, s3: Buckets, entry: EntryPoint) -> Iterator[str]:
    facts = json.loads(answer_of(entry(http_api("GET", "/config.json"), Context())))
    files = {key: (content, kind) for key, content, kind in page_files({**facts, "api": api.url}, b"{}")}
    with page_host(files, _policy(api, s3)) as url:
        api.page = url
        yield url


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def page(browser: Chrome, host: str, outcomes: list[str]) -> Chrome:
    _log(browser, "performance")
    _log(browser, "browser")
    browser.get(host)
    _wait(browser, lambda: "AWS Lambda" in _text(browser, "lead"))
    return browser


def _wait(browser: Chrome, condition: Callable[[], Any], seconds: float = 60) -> Any:
    return WebDriverWait(browser, seconds, poll_frequency=0.05).until(lambda _: condition())


def _text(browser: Chrome, name: str) -> str:
    return str(browser.find_element(By.ID, name).text)


def _log(browser: Chrome, kind: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = browser.get_log(kind)  # type: ignore[no-untyped-call]
    return entries


def _give(browser: Chrome, path: Path) -> None:
    browser.find_element(By.ID, "file").send_keys(str(path))
    browser.find_element(By.ID, "submit").click()


def _says(browser: Chrome, text: str) -> bool:
    return text in _text(browser, "error")


def _words(browser: Chrome) -> str:
    """Wait for the end; return the words that are shown."""
    shown = (browser.find_element(By.ID, "result"), browser.find_element(By.ID, "error"))
    _wait(browser, lambda: any(one.is_displayed() for one in shown))
    assert _text(browser, "error") == ""
    script = "return [...document.querySelectorAll('#words button')].map(b => b.firstChild.data).join(' ')"
    return str(browser.execute_script(script))


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of more than the page sends at once."""
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    clips = np.concatenate([soundfile.read(clip)[0] for clip in sorted(CLIPS.glob("*.flac"))])
    soundfile.write(path, np.resize(clips, 5_000_000 // 2), 16_000, subtype="PCM_16")
    return path


def test_a_small_recording_goes_straight_to_a_function_that_was_woken(
    page: Chrome, api: Gateway, outcomes: list[str], said: str
) -> None:
    _wait(page, lambda: _text(page, "status") == "The recogniser is awake.")
    before = len(outcomes)
    _give(page, MP3)
    assert _words(page) == said
    assert len(api.asked("GET", "/ready")) == 1
    assert len(api.asked(*POST)) == 1
    assert (api.refused, len(outcomes)) == ([], before)


def test_what_the_function_cannot_open_is_converted_in_the_browser(
    page: Chrome, api: Gateway, recognizer: auricle.Recognizer
) -> None:
    _give(page, CLIPS / "formats" / "austen-0890-opus.webm")
    found = _words(page)
    (event,) = api.asked(*POST)
    body = base64.b64decode(event["body"])
    assert b'filename="austen-0890-opus.wav"' in body
    wav = body[body.index(b"RIFF") : body.rindex(b"\r\n--")]
    header = np.frombuffer(wav[22:34], "<u2")
    assert (header[0], int.from_bytes(wav[24:28], "little")) == (1, 16_000)
    assert found == recognizer.transcribe(wav).text
    assert len(found.split()) > 5


def test_a_large_recording_goes_by_s3_and_is_done_once(
    page: Chrome, api: Gateway, outcomes: list[str], talk: Path, recognizer: auricle.Recognizer
) -> None:
    assert talk.stat().st_size > DIRECT_BYTES
    before = len(outcomes)
    told: set[str] = set()
    _give(page, talk)

    def is_over() -> bool:
        told.add(re.sub(r"\d+", "N", _text(page, "status")))
        return page.find_element(By.ID, "result").is_displayed() or bool(_text(page, "error"))

    _wait(page, is_over)
    assert _words(page) == recognizer.transcribe(talk).text
    assert outcomes[before:] == ["completed", "skipped"]
    assert api.asked(*POST) == []
    assert api.refused == []
    assert api.asked("GET", "/v1/uploads/")
    assert any(text.startswith(("Recognised: N %", "It is there, and waits for its turn")) for text in told), told


def test_a_cold_start_is_told_and_waited_for_once(page: Chrome, api: Gateway, host: str, said: str) -> None:
    cold = threading.Event()
    api.events.clear()
    api.before = lambda _: cold.wait(20)
    page.get(host)
    try:
        _wait(page, lambda: re.fullmatch(r"The recogniser is waking up … [1-9] s", _text(page, "status")))
        _give(page, MP3)
        _wait(page, lambda: _text(page, "status").startswith("The recogniser is waking up"))
        assert api.asked(*POST) == []  # it would start an instance of its own
    finally:
        cold.set()
    assert _words(page) == said
    assert len(api.asked("GET", "/ready")) == len(api.asked(*POST)) == 1


def test_what_the_gateway_gives_up_is_sent_by_s3(page: Chrome, api: Gateway, outcomes: list[str], said: str) -> None:
    slow = threading.Event()
    _wait(page, lambda: _text(page, "status") == "The recogniser is awake.")

    def is_transcription(event: Event) -> bool:
        return bool(event["requestContext"]["http"]["path"] == POST[1])

    api.patience = lambda event: 0.5 if is_transcription(event) else 30.0
    api.before = lambda event: is_transcription(event) and slow.wait(20)
    count = len(outcomes)
    _give(page, MP3)
    try:
        _wait(page, lambda: 503 in api.refused)
    finally:
        slow.set()
    assert _words(page) == said
    assert outcomes[count:] == ["completed", "skipped"]


def test_what_is_no_recording_is_said_by_either_road(page: Chrome, tmp_path: Path) -> None:
    for name, content in (("notes.mp3", b"these are notes " * 50), ("large.mp3", b"these are notes " * 300_000)):
        (tmp_path / name).write_bytes(content)
        _give(page, tmp_path / name)
        _wait(page, partial(_says, page, name))
        assert "damaged or not a recording" in _text(page, "error")
        assert page.find_element(By.ID, "submit").is_enabled()


def test_the_policy_lets_the_page_talk_to_those_three_and_nobody_else(
    page: Chrome, api: Gateway, host: str, s3: Buckets, talk: Path
) -> None:
    _give(page, talk)
    _words(page)
    messages = [json.loads(entry["message"])["message"] for entry in _log(page, "performance")]
    urls = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
    known = tuple(f"{url}/" for url in (host, api.url, s3.url))
    assert all(any(url.startswith(one) for url in urls) for one in known)
    assert {url for url in urls if not url.startswith((*known, "data:", f"blob:{host}/"))} == set()
    assert [entry["message"] for entry in _log(page, "browser") if entry["level"] == "SEVERE"] == []


def test_no_event_is_larger_than_lambda_takes_however_large_the_recording(
    page: Chrome, api: Gateway, tmp_path: Path
) -> None:
    samples = np.resize(soundfile.read(CLIPS / "austen-0880.flac")[0], (DIRECT_BYTES - 1000) // 2)
    path = tmp_path / "just.wav"
    soundfile.write(path, samples, 16_000, subtype="PCM_16")
    _give(page, path)
    _words(page)
    (event,) = api.asked(*POST)
    assert PAYLOAD_BYTES / 1.3 < len(json.dumps(event)) < PAYLOAD_BYTES
    assert api.refused == []


def test_the_function_can_send_the_page_itself(browser: Chrome, api: Gateway, said: str, talk: Path) -> None:
    browser.get(f"{api.url}/")
    _wait(browser, lambda: "AWS Lambda" in _text(browser, "lead"))
    _give(browser, MP3)
    assert _words(browser) == said
    browser.get(f"{api.url}/")
    _give(browser, talk)
    _wait(browser, lambda: "too large: 4 MB is the most here" in _text(browser, "error"))


def test_an_upload_that_was_begun_can_be_cancelled(page: Chrome, api: Gateway, talk: Path) -> None:
    cold = threading.Event()
    _wait(page, lambda: _text(page, "status") == "The recogniser is awake.")
    api.before = lambda _: cold.wait(20)
    try:
        _give(page, talk)
        _wait(page, lambda: api.asked("POST", "/v1/uploads"))
        page.find_element(By.ID, "cancel").click()
        _wait(page, lambda: _text(page, "status") == "Cancelled.")
    finally:
        cold.set()
