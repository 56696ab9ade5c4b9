"""The page in a real browser. SCREENSHOTS=docs/images keeps what it looks like."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import soundfile
from axe_core_python.selenium import Axe  # type: ignore[import-untyped]
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from serving.browser import chromium
from serving.conftest import CLIPS, Held, Running

MP3 = CLIPS / "formats" / "austen-0890-mono-22050.mp3"
KEY = "correct-horse-battery"


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip as the WAV that Chromium's fake microphone plays, over and over."""
    path = tmp_path_factory.mktemp("microphone") / "clip.wav"
    samples, rate = soundfile.read(CLIPS / "austen-0930.flac")
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, microphone: Path) -> Iterator[Chrome]:
    flag = f"--use-file-for-fake-audio-capture={microphone}"
    with chromium(tmp_path_factory.mktemp("profile"), flag) as found:
        yield found


@pytest.fixture
def page(browser: Chrome, server: str) -> Chrome:
    _log(browser, "performance")
    browser.get(f"{server}/")
    _wait(browser, lambda: browser.execute_script("return document.readyState") == "complete")
    return browser


def _wait(browser: Chrome, condition: Callable[[], Any], seconds: float = 40) -> Any:
    return WebDriverWait(browser, seconds, poll_frequency=0.1).until(lambda _: condition())


def _log(browser: Chrome, kind: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = browser.get_log(kind)  # type: ignore[no-untyped-call]
    return entries


def _id(browser: Chrome, name: str) -> Any:
    return browser.find_element(By.ID, name)


def _keep(browser: Chrome, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        height = browser.execute_script("return document.documentElement.scrollHeight")
        width = browser.execute_script("return document.documentElement.clientWidth")
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.save_screenshot(str(Path(folder) / f"page-{name}.png"))
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def _submit(browser: Chrome, path: Path) -> list[str]:
    _id(browser, "file").send_keys(str(path))
    _id(browser, "submit").click()
    _wait(browser, lambda: _id(browser, "result").is_displayed())
    return _words(browser)


def _words(browser: Chrome, kind: str = "button") -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map(b => b.firstChild.data)"
    return [str(word) for word in browser.execute_script(script, f"#words {kind}")]


def _serious(browser: Chrome) -> list[str]:
    found = Axe().run(browser)["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html']}" for v in found if v["impact"] in {"serious", "critical"}]


def test_an_mp3_is_read_and_a_word_moves_the_player(page: Chrome, recognizer: Any) -> None:
    _keep(page, "empty")
    expected = recognizer.transcribe(MP3)
    assert _submit(page, MP3) == [word.text for word in expected.shown_words]
    assert "22,050 Hz" in _id(page, "heard").text
    assert "mp3" in _id(page, "heard").text.lower()
    _wait(page, lambda: _id(page, "wave").is_displayed())

    page.execute_script("document.getElementById('audio').pause()")
    page.find_elements(By.CSS_SELECTOR, "#words button")[7].click()
    audio = "return document.getElementById('audio')"
    _wait(page, lambda: page.execute_script(f"{audio}.currentTime") >= expected.shown_words[7].start)
    _wait(page, lambda: page.find_elements(By.CSS_SELECTOR, "#words .now"))
    page.execute_script(f"{audio.removeprefix('return ')}.pause()")
    assert page.execute_script(f"{audio}.currentTime") < expected.shown_words[7].start + 3
    page.execute_script(f"{audio.removeprefix('return ')}.currentTime = {expected.shown_words[7].start + 0.05}")
    _wait(page, lambda: _words(page, ".now") == [_words(page)[7]])
    _keep(page, "result")
    assert _serious(page) == []


def test_plain_words_are_an_option(page: Chrome, recognizer: Any) -> None:
    page.execute_script("document.getElementById('more').open = true")
    _id(page, "plain").click()
    assert _submit(page, MP3) == recognizer.transcribe(MP3).plain_text.split()
    assert _serious(page) == []


def test_what_several_words_say_is_one_on_the_page(page: Chrome) -> None:
    script = """
      const done = arguments[0];
      import("/web/words.js").then(({ shown }) => done(shown([
        {word: "paid", written: "paid", start: 0, end: 1, confidence: 0.9},
        {word: "twenty", written: "$20.", start: 1, end: 2, confidence: 0.8},
        {word: "dollars", written: "", start: 2, end: 3, confidence: 0.5},
        {word: "plain", start: 3, end: 4, confidence: 1},
      ])));"""
    assert page.execute_async_script(script) == [
        {"text": "paid", "start": 0, "end": 1, "confidence": 0.9},
        {"text": "$20.", "start": 1, "end": 3, "confidence": 0.5},
        {"text": "plain", "start": 3, "end": 4, "confidence": 1},
    ]


def test_saved_captions_have_short_lines_that_do_not_end_in_the_middle_of_a_phrase(page: Chrome) -> None:
    text = (
        "We were in the garden of the old house when the man with a dog came to us and asked for the way to the town."
    )
    script = """
      const done = arguments[1];
      const words = arguments[0].split(" ").map((word, i) => (
        {word, written: word, start: i / 3, end: (i + 1) / 3, confidence: 1}));
      import("/web/captions.js").then(({ saved }) => done(saved("srt", { text: "", words })));"""
    lines = [line for line in page.execute_async_script(script, text).splitlines() if re.search("[a-z]", line)]
    assert " ".join(lines) == text
    assert max(map(len, lines)) <= 42
    assert [line for line in lines if line.split()[-1] in {"a", "the", "of", "to", "in", "with", "for"}] == []


def _in_hiss(path: Path, loudness: float) -> Path:
    """Write a clip beside hiss that is `loudness` times as loud as its speech."""
    samples, rate = soundfile.read(CLIPS / "austen-0920.flac")
    hiss = np.random.default_rng(0).standard_normal(len(samples)) * np.sqrt(np.square(samples).mean())
    soundfile.write(path, np.clip(samples + loudness * hiss, -1, 1), rate, subtype="PCM_16")
    return path


def test_uncertain_words_are_marked(page: Chrome, recognizer: Any, tmp_path: Path) -> None:
    clip = tmp_path / "beside-a-machine.wav"
    for loudness in (0.1, 0.56, 0.75, 1.0, 1.4):  # until a word is in doubt: each model hears through a little more
        words = recognizer.transcribe(_in_hiss(clip, loudness)).shown_words
        if min(word.confidence for word in words) < 0.7:
            break
    _submit(page, clip)
    least = sorted(words, key=lambda word: word.confidence)[: math.ceil(len(words) / 4)]
    unsure = [word.text for word in words if word.confidence < (0.7 if word in least else 0.5)]
    assert _words(page, ".unsure") == unsure != []
    assert page.find_element(By.ID, "legend").is_displayed()


def test_all_words_that_are_likely_wrong_are_marked(page: Chrome, recognizer: Any, tmp_path: Path) -> None:
    clip = tmp_path / "beside-a-train.wav"
    for loudness in (0.75, 1.0, 1.2, 1.4, 1.6, 1.8):  # until more than a quarter is: a mark is not for the worst alone
        words = recognizer.transcribe(_in_hiss(clip, loudness)).shown_words
        doubted = [word.text for word in words if word.confidence < 0.5]
        if len(doubted) > math.ceil(len(words) / 4):
            break
    _submit(page, clip)
    assert _words(page, ".unsure") == doubted != []


def test_words_are_reached_with_the_keyboard_alone(page: Chrome) -> None:
    _submit(page, MP3)
    first = page.find_element(By.CSS_SELECTOR, "#words button")
    first.send_keys(Keys.ARROW_RIGHT)
    focused = page.switch_to.active_element
    assert focused.text.split()[0] == _words(page)[1]
    focused.send_keys(Keys.ENTER)
    _wait(page, lambda: page.execute_script("return document.getElementById('audio').currentTime") > 0)


def test_what_is_no_recording_is_said_on_the_page(page: Chrome, tmp_path: Path) -> None:
    path = tmp_path / "notes.mp3"
    path.write_text("these are notes")
    _id(page, "file").send_keys(str(path))
    _id(page, "submit").click()
    _wait(page, lambda: _id(page, "error").is_displayed())
    assert "damaged or not a recording" in _id(page, "error").text
    assert _id(page, "submit").is_enabled()
    _keep(page, "error")


def test_nothing_is_asked_of_anybody_else_and_nothing_breaks_the_policy(page: Chrome, server: str) -> None:
    _log(page, "browser")
    _submit(page, MP3)
    messages = [json.loads(entry["message"])["message"] for entry in _log(page, "performance")]
    urls = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
    assert len(urls) > 5
    assert {url for url in urls if not url.startswith((f"{server}/", f"blob:{server}/", "data:"))} == set()
    assert [entry["message"] for entry in _log(page, "browser") if entry["level"] == "SEVERE"] == []


def _found_in(text: str, circle: str) -> float:
    """Return the share of a text that stands in order somewhere in another: one less its edits (Sellers, 1980)."""
    row = [0] * (len(circle) + 1)
    for i, letter in enumerate(text, 1):
        above, row = row, [i]
        for j, other in enumerate(circle, 1):
            row.append(min(above[j - 1] + (letter != other), above[j] + 1, row[-1] + 1))
    return 1 - min(row) / len(text)


def test_the_microphone_is_recorded_and_recognised(page: Chrome, heard: dict[str, str]) -> None:
    _id(page, "record").click()
    _wait(page, lambda: re.search(r"Recording … [5-9] s", _id(page, "status").text))
    _keep(page, "recording")
    _id(page, "record").click()
    _wait(page, lambda: _id(page, "submit").is_enabled())
    assert "recording.webm" in _id(page, "chosen").text
    _id(page, "submit").click()
    _wait(page, lambda: _id(page, "result").is_displayed() or _id(page, "error").is_displayed())
    assert _id(page, "error").text == ""
    # The clip is played in a circle, from anywhere in it, and Opus has coded it again.
    text, spoken = " ".join(_words(page)), heard["austen-0930"]
    assert len(text) >= 0.6 * len(spoken)
    assert _found_in(text, f"{spoken} " * 4) >= 0.6, (text, spoken)
    assert _found_in(text, f"{heard['austen-0870']} " * 4) < 0.6


def test_a_recording_is_made_before_the_server_has_said_what_it_is(browser: Chrome, server: str) -> None:
    late = """
      const fetched = window.fetch;
      window.fetch = async (url, ...more) => {
        if (String(url).includes("config.json")) await new Promise((resolve) => { window.answer = resolve; });
        return fetched(url, ...more);
      };"""
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": late})
    try:
        browser.get(f"{server}/")
        _wait(browser, lambda: browser.execute_script("return Boolean(window.answer)"))
        _id(browser, "record").click()
        _wait(browser, lambda: re.search(r"Recording … [1-9] s", _id(browser, "status").text))
        _id(browser, "record").click()
        browser.execute_script("window.answer()")
        _wait(browser, lambda: _id(browser, "submit").is_enabled())
        assert _id(browser, "chosen").text == "recording.webm"
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def test_captions_can_be_saved(page: Chrome) -> None:
    import srt  # type: ignore[import-untyped]

    _submit(page, MP3)
    script = """
      const done = arguments[0];
      import("/web/captions.js").then(({ saved }) => {
        const words = [{word: "one", start: 0.1, end: 0.4}, {word: "two", start: 1.5, end: 3661.25}];
        done(["srt", "vtt", "txt"].map((kind) => saved(kind, { text: "one two", words })));
      });"""
    srt_text, vtt_text, text = page.execute_async_script(script)
    captions = list(srt.parse(srt_text))
    assert [(c.start.total_seconds(), c.end.total_seconds(), c.content) for c in captions] == [
        (0.1, 0.4, "one"),
        (1.5, 3661.25, "two"),
    ]
    assert vtt_text.startswith("WEBVTT\n\n00:00:00.100 --> 00:00:00.400\none\n")
    assert text == "one two\n"


def test_a_server_with_keys_asks_for_one(browser: Chrome, running: Running, recognizer: Any) -> None:
    with running(api_keys=KEY) as url:
        browser.get(f"{url}/")
        _wait(browser, lambda: _id(browser, "key").is_displayed())
        _id(browser, "file").send_keys(str(MP3))
        _id(browser, "submit").click()
        _wait(browser, lambda: "API key" in _id(browser, "error").text)
        _id(browser, "key").send_keys(KEY)
        _id(browser, "submit").click()
        _wait(browser, lambda: _id(browser, "result").is_displayed())
        browser.get("about:blank")


def _captions(browser: Chrome) -> str:
    return f"{_id(browser, 'fixed').text} {_id(browser, 'growing').text}".strip()


@pytest.fixture(scope="module")
def pausing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser that hears a clip and a pause of four seconds, over and over."""
    path = tmp_path_factory.mktemp("microphone") / "pausing.wav"
    samples, rate = soundfile.read(CLIPS / "austen-0930.flac")
    pause = np.random.default_rng(0).normal(0, 0.0006, 4 * rate)
    soundfile.write(path, np.concatenate([samples, pause]), rate, subtype="PCM_16")
    with chromium(tmp_path_factory.mktemp("profile"), f"--use-file-for-fake-audio-capture={path}") as found:
        yield found


def test_live_captions_are_fixed_in_pauses(pausing: Chrome, server: str, heard: dict[str, str]) -> None:
    pausing.get(f"{server}/")
    _wait(pausing, lambda: _id(pausing, "live").is_displayed())
    _id(pausing, "live").click()
    _wait(pausing, lambda: len(_id(pausing, "fixed").text) >= 20 and len(_id(pausing, "growing").text) >= 5)
    _keep(pausing, "live")
    assert _found_in(_id(pausing, "fixed").text, f"{heard['austen-0930']} " * 3) >= 0.6
    _id(pausing, "live").click()
    _wait(pausing, lambda: "ended" in _id(pausing, "status").text)
    assert _id(pausing, "growing").text == ""
    assert _serious(pausing) == []


def test_live_captions_follow_the_microphone(page: Chrome, heard: dict[str, str]) -> None:
    _log(page, "browser")
    button = _id(page, "live")
    button.send_keys(Keys.ENTER)
    _wait(page, lambda: button.get_attribute("aria-pressed") == "true")
    assert not _id(page, "record").is_enabled()
    spoken = f"{heard['austen-0930']} " * 8
    _wait(page, lambda: len(_id(page, "growing").text) >= 40)
    text = _captions(page)
    assert _found_in(text, spoken) >= 0.5, (text, spoken)
    assert _id(page, "growing").value_of_css_property("color") != _id(page, "fixed").value_of_css_property("color")
    assert _serious(page) == []
    button.send_keys(Keys.SPACE)
    _wait(page, lambda: "ended" in _id(page, "status").text)
    assert _id(page, "growing").text == ""
    assert _found_in(_id(page, "fixed").text, spoken) >= 0.6
    assert _found_in(_id(page, "fixed").text, f"{heard['austen-0870']} " * 4) < 0.6
    assert _id(page, "fixed").get_attribute("aria-live") == "polite"
    assert button.is_enabled()
    assert button.text == "Live captions"
    assert [entry["message"] for entry in _log(page, "browser") if entry["level"] == "SEVERE"] == []


def test_live_captions_ask_for_a_key(browser: Chrome, running: Running) -> None:
    with running(api_keys=KEY) as url:
        browser.get(f"{url}/")
        _wait(browser, lambda: _id(browser, "live").is_displayed())
        _id(browser, "key").send_keys("wrong")
        _id(browser, "live").click()
        _wait(browser, lambda: "API key" in _id(browser, "error").text)
        _id(browser, "key").clear()
        _id(browser, "key").send_keys(KEY)
        _id(browser, "live").click()
        _wait(browser, lambda: _id(browser, "growing").text)
        assert not _id(browser, "error").is_displayed()
        browser.get("about:blank")  # who leaves in the middle leaves nothing

        def is_idle() -> bool:
            answer = httpx2.get(f"{url}/metrics", headers={"Authorization": f"Bearer {KEY}"})
            return "in_progress 0.0" in answer.text

        _wait(browser, is_idle)


def test_the_page_tells_that_it_works(browser: Chrome, running: Running, recognizer: Any) -> None:
    held = Held(recognizer)
    with running(held) as url:
        browser.get(f"{url}/")
        _wait(browser, lambda: browser.execute_script("return document.readyState") == "complete")
        _id(browser, "file").send_keys(str(MP3))
        _id(browser, "submit").click()
        _wait(browser, lambda: "Recognising … 1 s" in _id(browser, "status").text)
        assert _id(browser, "progress").is_displayed()
        assert _id(browser, "cancel").is_displayed()
        assert not _id(browser, "submit").is_enabled()
        _keep(browser, "working")
        held.gate.set()
        _wait(browser, lambda: _id(browser, "result").is_displayed())
        assert not _id(browser, "progress").is_displayed()
        browser.get("about:blank")


@pytest.mark.parametrize(("name", "dark", "size"), [("dark", True, (900, 1000)), ("phone", False, (500, 900))])
def test_dark_and_small_screens(server: str, tmp_path: Path, name: str, dark: bool, size: tuple[int, int]) -> None:
    with chromium(tmp_path / "profile", dark=dark, size=size) as browser:
        if name == "phone":
            metrics = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(f"{server}/")
        _submit(browser, MP3)
        _wait(browser, lambda: _id(browser, "wave").is_displayed())
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        assert _serious(browser) == []
        _keep(browser, name)


def test_the_reference_shows_every_route(page: Chrome, server: str) -> None:
    page.get(f"{server}/docs")
    _wait(page, lambda: "/v1/audio/transcriptions" in _id(page, "routes").text)
    assert "/classify" in _id(page, "routes").text
    assert "timestamp_granularities[]" in _id(page, "routes").text
    assert "temperature" in [code.text for code in _id(page, "routes").find_elements(By.TAG_NAME, "code")]
    assert "`" not in _id(page, "routes").text
    assert _serious(page) == []
    _keep(page, "docs")
