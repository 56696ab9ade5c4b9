"""Requests as API Gateway and function URLs hand them over: right texts, right refusals, one model."""

from __future__ import annotations

import base64
import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

import auricle
from auricle.serving import desk
from auricle.serving.aws_app import EntryPoint
from auricle.serving.aws_settings import DIRECT_BYTES, PAYLOAD_BYTES, LambdaSettings, threads_for
from auricle.serving.logs import JsonFormatter
from aws_lambda.conftest import CLIPS, MP3, Context
from aws_lambda.events import KINDS, Maker, answer_of, form, http_api, rest_api

PATH = "/v1/audio/transcriptions"
KEY = "correct-horse-battery"
kinds = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())


def _post(handler: EntryPoint, make: Maker, path: str, body: bytes, kind: str, **headers: str) -> Mapping[str, Any]:
    return handler(make("POST", path, body, {"Content-Type": kind, **headers}), Context())


def _error(reply: Mapping[str, Any], status: int) -> dict[str, Any]:
    assert reply["statusCode"] == status, reply["body"]
    error = json.loads(answer_of(reply))["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"].endswith(".")
    return dict(error)


@kinds
def test_an_mp3_is_classified(handler: EntryPoint, make: Maker, said_plainly: str) -> None:
    reply = _post(handler, make, "/classify", *form(MP3))
    assert reply["statusCode"] == 200
    assert json.loads(answer_of(reply)) == {"file": MP3.name, "predicted": said_plainly}


@kinds
@pytest.mark.parametrize("name", ["content-type", "Content-Type", "CONTENT-TYPE"])
def test_the_case_of_headers_does_not_matter(handler: EntryPoint, make: Maker, name: str, said_plainly: str) -> None:
    body, kind = form(MP3)
    reply = handler(make("POST", "/classify", body, {name: kind}), Context())
    assert json.loads(answer_of(reply))["predicted"] == said_plainly


def test_rest_headers_may_come_in_one_of_their_two_places_only(handler: EntryPoint, said_plainly: str) -> None:
    body, kind = form(MP3)
    for missing in ("headers", "multiValueHeaders"):
        event = rest_api("POST", "/classify", body, {"Content-Type": kind}) | {missing: None}
        assert json.loads(answer_of(handler(event, Context())))["predicted"] == said_plainly


@kinds
def test_openais_route_answers_in_every_format(handler: EntryPoint, make: Maker, said: str) -> None:
    def answer(format_: str) -> tuple[str, str]:
        reply = _post(handler, make, PATH, *form(MP3, model="whisper-1", response_format=format_))
        assert reply["statusCode"] == 200
        assert reply["isBase64Encoded"] is False  # a REST API without the caller's Accept would hand base64 through
        return answer_of(reply).decode(), reply["headers"]["content-type"]

    assert json.loads(answer("json")[0])["text"] == said
    assert answer("text")[0].strip() == said
    assert answer("srt")[0].startswith("1\n00:00:")
    assert answer("vtt")[1].startswith("text/vtt")
    assert json.loads(answer("verbose_json")[0])["segments"][0]["text"].strip() == said


@kinds
def test_health_ready_and_the_page(handler: EntryPoint, make: Maker) -> None:
    assert json.loads(answer_of(handler(make("GET", "/health"), Context())))["status"] == "ok"
    assert handler(make("GET", "/ready"), Context())["statusCode"] == 200
    assert b"<h1" in answer_of(handler(make("GET", "/"), Context()))
    config = json.loads(answer_of(handler(make("GET", "/config.json"), Context())))
    assert config["mode"] == "lambda"
    assert config["direct_bytes"] == DIRECT_BYTES < config["max_bytes"]
    assert config["takes_uploads"] is False


@kinds
def test_what_is_no_recording_is_400(handler: EntryPoint, make: Maker, tmp_path: Path) -> None:
    notes = tmp_path / "notes.mp3"
    notes.write_text("these are notes " * 50)
    error = _error(_post(handler, make, "/classify", *form(notes)), 400)
    assert error["code"] == "invalid_audio"
    assert "notes.mp3 is damaged or not a recording" in error["message"]
    assert _error(handler(make("POST", "/classify"), Context()), 400)["param"] == "file"


@kinds
def test_too_large_and_too_long_are_413(
    make: Maker, recognizer: auricle.Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "SHORT_SECONDS", 2.0)
    with closing(EntryPoint(LambdaSettings(max_bytes=20_000), recognizer)) as small:
        assert _error(_post(small, make, "/classify", *form(MP3)), 413)["code"] == "too_large"
    with closing(EntryPoint(LambdaSettings(max_seconds=3), recognizer)) as short:
        assert _error(_post(short, make, "/classify", *form(MP3)), 413)["code"] == "audio_too_long"


@kinds
def test_another_kind_of_body_is_415(handler: EntryPoint, make: Maker) -> None:
    assert _error(_post(handler, make, "/classify", MP3.read_bytes(), "audio/mpeg"), 415)["code"] == "not_a_form"
    assert _error(_post(handler, make, PATH, b"{}", "application/json"), 415)["code"] == "not_a_form"


@kinds
@pytest.mark.parametrize("name", ["austen-0890-aac.m4a", "austen-0890-opus.webm"])
def test_a_container_without_its_decoder_is_415(
    handler: EntryPoint, make: Maker, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    error = _error(_post(handler, make, PATH, *form(CLIPS / "formats" / name)), 415)
    assert error["code"] == "unsupported_format"
    assert "pip" not in error["message"]


@kinds
def test_unknown_addresses_and_jobs_are_404(handler: EntryPoint, make: Maker) -> None:
    _error(handler(make("GET", "/nowhere"), Context()), 404)
    _error(_post(handler, make, "/v1/jobs", *form(MP3)), 404)


def test_a_form_that_fills_the_payload_is_within_the_limit_and_one_that_bursts_it_is_not() -> None:
    settings = LambdaSettings()
    event = http_api("POST", "/classify", b"x" * settings.max_bytes, {"Content-Type": "multipart/form-data"})
    assert len(json.dumps(event)) < PAYLOAD_BYTES < settings.max_bytes * 4 / 3 * 1.06


def test_keys_and_hosts_do_not_lock_the_first_recognition_out(
    recognizer: auricle.Recognizer, said_plainly: str
) -> None:
    settings = LambdaSettings(api_keys=(SecretStr(KEY),), allowed_hosts=("api.example",))
    body, kind = form(MP3)
    sent = {"Content-Type": kind, "Host": "api.example"}
    with closing(EntryPoint(settings, recognizer)) as locked:
        assert _error(locked(http_api("POST", "/classify", body, sent), Context()), 401)["code"] == "invalid_api_key"
        sent["authorization"] = f"Bearer {KEY}"
        assert (
            json.loads(locked(http_api("POST", "/classify", body, sent), Context())["body"])["predicted"]
            == said_plainly
        )


def test_another_origin_is_answered_only_when_it_is_let_in(recognizer: auricle.Recognizer) -> None:
    asked = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
    settings = LambdaSettings(cors_origins=("https://page.example",))
    with closing(EntryPoint(settings, recognizer)) as handler:
        head = handler(http_api("OPTIONS", "/classify", headers=asked), Context())["headers"]
    assert head["access-control-allow-origin"] == "https://page.example"


def test_a_first_recognition_that_fails_is_an_error_of_the_initialisation() -> None:
    class Broken:
        bundle = auricle.load(threads=1).bundle

        def read(self, source: Any) -> Any:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="the first recognition failed"):
        EntryPoint(LambdaSettings(), Broken())  # type: ignore[arg-type]


def test_the_log_has_lambdas_id(handler: EntryPoint) -> None:
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    kept, source = Kept(), logging.getLogger("auricle.serving")
    kept.setFormatter(JsonFormatter())
    source.addHandler(kept)
    source.setLevel(logging.INFO)
    try:
        for given in ({}, {"X-Request-ID": "mine-7"}):
            handler(rest_api("GET", "/health", headers=given), Context())
    finally:
        source.removeHandler(kept)
    assert [json.loads(line)["request_id"] for line in lines] == [Context().aws_request_id, "mine-7"]


@pytest.mark.parametrize(
    ("megabytes", "threads"), [(0, 1), (128, 1), (1768, 1), (1769, 1), (3537, 1), (3538, 2), (10_240, 5)]
)
def test_threads_follow_the_memory(megabytes: int, threads: int) -> None:
    assert threads_for(megabytes) == threads


def test_importing_the_module_loads_once_and_leaves_out_what_lambda_does_not_need() -> None:
    script = """
import json, os, sys
os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] = "3538"
import auricle.recognizer as recognizer
loads, inner = [], recognizer.load
def load(*args, **options):
    loads.append(options)
    return inner(*args, **options)
recognizer.load = load
import auricle.serving.aws_lambda as entry
for event in json.load(sys.stdin):
    print(entry.handler(event, None)["body"])
print(json.dumps([loads, sorted({"sqlalchemy", "uvicorn", "boto3", "typer", "rich", "torch"} & set(sys.modules))]))
"""
    body, kind = form(MP3)
    events = [http_api("POST", "/classify", body, {"Content-Type": kind})] * 2
    assert base64.b64decode(events[0]["body"]) == body
    done = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(events), capture_output=True, text=True, check=True, timeout=60
    )
    first, second, facts = done.stdout.splitlines()
    assert first == second
    assert json.loads(facts) == [[{"threads": 2}], []]
    logged = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert logged == ["answered", "started", "answered", "answered"]
