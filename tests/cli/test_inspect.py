from __future__ import annotations

import base64
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from command import Run

from auricle import load


class Page(HTMLParser):
    """The elements of a page, all closed in order."""

    VOID = frozenset({"meta", "line", "image", "rect", "path", "polygon"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def data_of(text: str) -> dict[str, Any]:
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert match is not None
    document: dict[str, Any] = json.loads(match[1])
    return document


def test_a_page_for_a_clip(shell: Run, toy_bundle: Path, clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "page.html"
    result = shell("inspect", clips / "austen-0930.flac", "-o", output, "--model", toy_bundle, "--threads", 1)
    assert (result.code, result.out, result.err) == (0, f"{output}\n", "")
    text = output.read_text()
    page = Page(text)
    toy = load(toy_bundle, threads=1)
    transcript = toy.transcribe(clips / "austen-0930.flac")
    assert sum(tag == "rect" and values.get("class") == "span" for tag, values in page.elements) == len(
        transcript.words
    )
    probabilities = np.exp(toy.log_probs(toy.read(clips / "austen-0930.flac")))
    top = data_of(text)["top"]
    assert [frame[0] for frame in top] == probabilities.argmax(axis=1).tolist()
    assert [frame[1] for frame in top] == np.round(1000 * probabilities.max(axis=1)).astype(int).tolist()
    assert all(len(frame) == 10 for frame in top)


def test_nothing_is_fetched(auricle: Run, toy_bundle: Path, clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "page.html"
    auricle("inspect", clips / "austen-0930.flac", "-o", output, "--model", toy_bundle)
    text = output.read_text()
    assert "default-src 'none'" in text
    addresses = re.findall(r"""(?:href|src|url|@import|action)\s*[=(]\s*["']?([^"')\s>]+)""", text)
    assert addresses
    assert all(address.startswith("data:image/png;base64,") for address in addresses)
    assert "http" not in text.replace("http-equiv", "")


def test_the_log_mel_is_a_png_that_others_can_read(auricle: Run, toy_bundle: Path, clips: Path, tmp_path: Path) -> None:
    image = pytest.importorskip("matplotlib.image")
    output = tmp_path / "page.html"
    auricle("inspect", clips / "austen-0930.flac", "-o", output, "--model", toy_bundle)
    match = re.search(r"data:image/png;base64,([^\"]+)", output.read_text())
    assert match is not None
    (tmp_path / "mel.png").write_bytes(base64.b64decode(match[1]))
    pixels = image.imread(tmp_path / "mel.png")[..., :3]
    toy = load(toy_bundle, threads=1)
    from auricle.features import log_mel

    mel = log_mel(toy.read(clips / "austen-0930.flac").samples, toy.bundle.features)
    assert pixels.shape == (40, len(mel), 3)
    # Low frequencies are at the bottom, loud is light.
    assert np.corrcoef(pixels.sum(axis=2).ravel(), mel.T[::-1].ravel())[0, 1] > 0.95


def test_names_are_escaped(auricle: Run, toy_bundle: Path, clips: Path, tmp_path: Path) -> None:
    clip = tmp_path / "<b>$x</script>.flac".replace("/", "")
    clip.write_bytes((clips / "austen-0930.flac").read_bytes())
    output = tmp_path / "page.html"
    assert auricle("inspect", clip, "-o", output, "--model", toy_bundle).code == 0
    assert "<b>$x" not in output.read_text()
    assert "&lt;b&gt;$x" in output.read_text()
    Page(output.read_text())


def test_a_long_recording_is_shown_in_part_and_says_so(
    auricle: Run, toy_bundle: Path, clips: Path, tmp_path: Path
) -> None:
    speech = np.concatenate([soundfile.read(path)[0] for path in sorted(clips.glob("*.flac"))] * 2)
    soundfile.write(tmp_path / "long.wav", speech, 16_000)
    for start, said, frames in ((0, "0.00 to 25.00 s", 625), (40, "40.00 to 49.46 s", 237)):
        output = tmp_path / f"{start}.html"
        result = auricle("inspect", tmp_path / "long.wav", "--start", start, "-o", output, "--model", toy_bundle)
        assert result.code == 0
        assert f"{said} of 49.46 s are drawn" in result.err
        text = output.read_text()
        assert f"only {said} are shown" in text
        assert len(data_of(text)["top"]) == frames
    result = auricle("inspect", tmp_path / "long.wav", "--start", 50, "--model", toy_bundle)
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "start earlier" in result.err


def test_word_times_are_those_of_the_recording(toy_bundle: Path, clips: Path) -> None:
    from auricle.inspection import look

    toy = load(toy_bundle, threads=1)
    waveform = toy.read(clips / "austen-0930.flac")
    view = look(toy, waveform, name="clip", start=1.5)
    assert view.words
    assert all(1.5 <= word.start <= word.end <= waveform.duration + 1e-6 for word in view.words)
    assert view.text == " ".join(word.text for word in view.words)
    spelled = "".join(view.labels[token] for token, _ in view.spelled())
    assert " ".join(spelled.replace("␣", " ").split()) == view.text


def test_silence_and_a_tenth_of_a_second_can_be_drawn(auricle: Run, toy_bundle: Path, tmp_path: Path) -> None:
    for seconds in (0.1, 1.0):
        soundfile.write(tmp_path / "silence.wav", np.zeros(int(16_000 * seconds)), 16_000)
        output = tmp_path / "silence.html"
        result = auricle("inspect", tmp_path / "silence.wav", "-o", output, "--model", toy_bundle)
        assert (result.code, result.err) == (0, "")
        assert "No word was recognised" in output.read_text()
        assert "nan" not in output.read_text().lower()
        Page(output.read_text())


def test_the_default_is_a_page_in_this_directory(
    shell: Run, toy_bundle: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shell("inspect", clips / "austen-0930.flac", "--model", toy_bundle).out == "austen-0930.html\n"
    given = (clips / "austen-0930.flac").read_bytes()
    assert shell("inspect", "-", "--model", toy_bundle, given=given).out == "stdin.html\n"
    assert {path.name for path in tmp_path.iterdir()} == {"austen-0930.html", "stdin.html"}


def test_png(auricle: Run, toy_bundle: Path, clips: Path, tmp_path: Path) -> None:
    image = pytest.importorskip("matplotlib.image")
    output = tmp_path / "picture.png"
    result = auricle("inspect", clips / "austen-0930.flac", "-o", output, "--model", toy_bundle)
    assert (result.code, result.out, result.err) == (0, f"{output}\n", "")
    height, width, _ = image.imread(output).shape
    assert (width, height) == (1500, 1050)


def test_png_without_matplotlib_says_what_to_install(
    auricle: Run, toy_bundle: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    result = auricle("inspect", clips / "austen-0930.flac", "-o", tmp_path / "x.png", "--model", toy_bundle)
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "pip install 'auricle[train]'" in result.err
    assert list(tmp_path.iterdir()) == []


def test_wrong_usage(auricle: Run, toy_bundle: Path, clips: Path, tmp_path: Path) -> None:
    assert auricle("inspect").code == 2
    assert auricle("inspect", clips / "austen-0930.flac", "-o", tmp_path / "x.svg").code == 2
    result = auricle("inspect", tmp_path / "missing.wav", "--model", toy_bundle)
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "missing.wav" in result.err
