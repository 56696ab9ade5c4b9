"""The official client of OpenAI's against our server, unchanged."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import httpx2
import numpy as np
import openai
import pytest
import soundfile
import srt  # type: ignore[import-untyped]
import webvtt
from openai.types.audio import TranscriptionVerbose

import auricle
from serving.conftest import Running

IDS = ["austen-0870", "austen-0880", "austen-0890", "austen-0920", "austen-0930"]


@pytest.fixture(scope="module")
def client(server: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server}/v1", api_key="not-needed", max_retries=0) as client:
        yield client


def test_json_holds_the_text_and_the_seconds(client: openai.OpenAI, clips: Path, heard: dict[str, str]) -> None:
    answer = client.audio.transcriptions.create(model="whisper-1", file=clips / "austen-0880.flac")
    assert answer.text == heard["austen-0880"]
    assert answer.usage is not None
    assert answer.usage.type == "duration"
    assert answer.usage.seconds == 3


def test_text_is_the_text_alone(client: openai.OpenAI, clips: Path, heard: dict[str, str]) -> None:
    with (clips / "austen-0880.flac").open("rb") as file:
        answer = client.audio.transcriptions.create(model="whisper-1", file=file, response_format="text")
    assert answer == heard["austen-0880"] + "\n"


def test_verbose_json_has_words_only_when_asked(
    client: openai.OpenAI, clips: Path, heard: dict[str, str], recognizer: auricle.Recognizer
) -> None:
    def ask(*granularities: Literal["word", "segment"]) -> TranscriptionVerbose:
        return client.audio.transcriptions.create(
            model="whisper-1",
            file=clips / "austen-0880.flac",
            response_format="verbose_json",
            timestamp_granularities=list(granularities),
        )

    both = ask("word", "segment")
    assert both.words is not None
    assert both.segments is not None
    assert both.text == heard["austen-0880"]
    written = [(word.model_extra or {})["written"] for word in both.words]
    assert " ".join(form for form in written if form) == both.text
    assert " ".join(word.word for word in both.words) == recognizer.transcribe(clips / "austen-0880.flac").plain_text
    assert all(0 <= word.start < word.end <= both.duration for word in both.words)
    assert both.duration == 2.99
    assert both.language == "english"
    assert both.segments[0].text == both.text
    assert ask("word").segments is None
    assert ask("segment").words is None
    assert ask().words is None


@pytest.mark.parametrize("format_", ["json", "text", "verbose_json", "srt", "vtt"])
def test_plain_words_can_be_had_in_each_format(
    http: httpx2.Client, clips: Path, recognizer: auricle.Recognizer, format_: str
) -> None:
    path = clips / "austen-0880.flac"

    def ask(**form: str) -> str:
        data = {"response_format": format_, **form}
        answer = http.post("/v1/audio/transcriptions", files={"file": ("a.flac", path.read_bytes())}, data=data)
        assert answer.status_code == 200
        return answer.text.replace("\n", " ")

    expected = recognizer.transcribe(path)
    assert expected.text in ask()
    assert expected.plain_text in ask(plain="true")
    assert expected.text not in ask(plain="true")
    assert recognizer.transcribe(path, numbers=False).text in ask(numbers="false")


def test_srt_and_vtt_are_read_by_others(client: openai.OpenAI, clips: Path, heard: dict[str, str]) -> None:
    def ask(format_: Literal["srt", "vtt"]) -> str:
        file = clips / "austen-0870.flac"
        return client.audio.transcriptions.create(model="whisper-1", file=file, response_format=format_)

    captions = list(srt.parse(ask("srt")))
    assert " ".join(c.content.replace("\n", " ") for c in captions) == heard["austen-0870"]
    lines = [c.text.replace("\n", " ") for c in webvtt.from_buffer(io.StringIO(ask("vtt"))).captions]
    assert " ".join(lines) == heard["austen-0870"]


def test_stream_sends_deltas_and_then_the_whole(client: openai.OpenAI, clips: Path, heard: dict[str, str]) -> None:
    events = list(client.audio.transcriptions.create(model="w", file=clips / "austen-0880.flac", stream=True))
    assert [event.type for event in events][-1] == "transcript.text.done"
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert "".join(deltas) == events[-1].text == heard["austen-0880"]  # type: ignore[union-attr]


def test_stream_of_what_is_no_recording_is_an_error_with_a_status(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="damaged or not a recording"):
        list(client.audio.transcriptions.create(model="w", file=("a.mp3", b"nothing" * 99), stream=True))


def test_prompt_names_words_to_favour(client: openai.OpenAI, clips: Path, recognizer: auricle.Recognizer) -> None:
    clip = clips / "formats" / "austen-0890-vorbis.ogg"  # of which "ill" is not heard

    def ask(prompt: str) -> str:
        return client.audio.transcriptions.create(model="w", file=clip, prompt=prompt).text

    plain = recognizer.transcribe(clip).text
    favoured = recognizer.transcribe(clip, hot_words=("cold hearted", "ill disposed")).text
    assert favoured != plain
    assert ask("cold hearted,\n ill  disposed ,") == favoured
    assert ask(" , ") == plain


def test_models_can_be_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["english"]


def test_clips_asked_at_once_get_their_own_texts(client: openai.OpenAI, clips: Path, heard: dict[str, str]) -> None:
    def ask(name: str) -> str:
        return client.audio.transcriptions.create(model="w", file=clips / f"{name}.flac").text

    names = IDS * 6
    with ThreadPoolExecutor(len(names)) as pool:
        assert list(pool.map(ask, names)) == [heard[name] for name in names]


def test_a_recording_of_several_windows_is_recognised_while_it_is_decoded(
    running: Running, clips: Path, recognizer: auricle.Recognizer, tmp_path: Path
) -> None:
    samples = np.concatenate([soundfile.read(clips / f"{name}.flac")[0] for name in IDS * 3])
    path = tmp_path / "long.flac"
    soundfile.write(path, samples, 16_000)
    with running() as url, openai.OpenAI(base_url=f"{url}/v1", api_key="-", max_retries=0) as client:
        events = list(client.audio.transcriptions.create(model="w", file=path, stream=True))
        whole = client.audio.transcriptions.create(model="w", file=path).text
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert len(deltas) > 1
    assert "".join(deltas) == whole == recognizer.transcribe(path).text
