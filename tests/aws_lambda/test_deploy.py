"""`auricle lambda deploy` against mocks of AWS: a `sam` that notes what it is told, and moto."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner

from auricle.cli import lambda_build, lambda_deploy
from auricle.cli.app import app
from auricle.deployment import build as builder
from auricle.deployment import deploy as room
from auricle.errors import AuricleError
from auricle.serving.pages import WEB
from aws_lambda.s3 import REGION, Buckets, buckets
from aws_lambda.stack import ROOT, TEMPLATE

OUTPUTS = {
    "PageAddress": "https://d111111abcdef8.cloudfront.net/",
    "ApiAddress": "http://api.example",
    "PageBucket": "page",
}


@pytest.fixture(scope="module")
def s3() -> Iterator[Buckets]:
    with buckets() as found, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", found.url)
        found.s3.create_bucket(Bucket="page", CreateBucketConfiguration={"LocationConstraint": REGION})
        body = {
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
            "Outputs": {name: {"Value": value} for name, value in OUTPUTS.items()},
        }
        client = boto3.client("cloudformation")
        client.create_stack(StackName="auricle", TemplateBody=json.dumps(body))
        body["Outputs"] = {}
        client.create_stack(StackName="other", TemplateBody=json.dumps(body))
        yield found


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a stand-in for the SAM CLI writes its arguments."""
    file, script = tmp_path / "arguments", tmp_path / "bin" / "sam"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {file}\nexit ${{SAM_ENDS_WITH:-0}}\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.defpath}")
    return file


@pytest.fixture(autouse=True)
def _api(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deployed function."""
    answers = {"config.json": b'{"mode": "lambda", "api": "", "needs_key": true}', "openapi.json": b'{"openapi": "3"}'}
    monkeypatch.setattr(room, "_get", lambda url: answers[url.removeprefix("http://api.example/")])


def test_the_stack_is_deployed_and_the_page_knows_the_api(s3: Buckets, told: Path, tmp_path: Path) -> None:
    zipped = room.zip_of(TEMPLATE)
    assert zipped == ROOT / lambda_build.ZIP
    template = tmp_path / "deploy" / "template.yaml"
    template.parent.mkdir()
    template.write_text(TEMPLATE.read_text().replace("../../build", "../build"))
    path = tmp_path / "build/lambda/auricle.zip"
    path.parent.mkdir(parents=True)
    path.touch()
    command = ["lambda", "deploy", "--no-build", "--template", str(template), "--set", "ApiKeys=a-long-key"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{OUTPUTS['PageAddress']}\n"
    assert told.read_text().split() == [
        "deploy", "--template-file", str(template), "--stack-name", "auricle", "--resolve-s3", "--capabilities",
        "CAPABILITY_IAM", "--no-fail-on-empty-changeset", "--parameter-overrides", "ApiKeys=a-long-key",
    ]  # fmt: skip
    assert json.loads(s3.read("page", "config.json")) == {
        "mode": "lambda",
        "api": OUTPUTS["ApiAddress"],
        "needs_key": True,
    }
    web = {f"web/{path.name}" for path in WEB.iterdir()}
    assert s3.names("page") == {"index.html", "docs", "config.json", "openapi.json", *web}
    for key, kind in (
        ("index.html", "text/html"),
        ("web/page.js", "text/javascript"),
        ("web/icon.svg", "image/svg+xml"),
    ):
        head = s3.s3.head_object(Bucket="page", Key=key)
        assert (head["ContentType"], head["CacheControl"]) == (kind, "no-cache")


def test_what_stops_it_is_said_in_one_line(
    s3: Buckets, told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AuricleError, match=r"run this in auricle's repository, or give --template"):
        room.zip_of(tmp_path / "nowhere.yaml")
    (tmp_path / "other.yaml").write_text("Resources: {}\n")
    with pytest.raises(AuricleError, match="names no zip"):
        room.zip_of(tmp_path / "other.yaml")
    with pytest.raises(AuricleError, match="the stack other has no output PageAddress"):
        room.deploy(TEMPLATE, "other", None)
    with monkeypatch.context() as patch:
        patch.setenv("SAM_ENDS_WITH", "3")
        with pytest.raises(AuricleError, match="it ended with 3"):
            room.deploy(TEMPLATE, "auricle", None)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(AuricleError, match="SAM CLI is not installed"):
            room.deploy(TEMPLATE, "auricle", None)


def test_a_function_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(room, "_PAUSE_SECONDS", 0)
    with pytest.raises(AuricleError, match=r"http://127\.0\.0\.1:1/x does not answer \(.*refused"):
        room._get("http://127.0.0.1:1/x")


def test_parameters_have_values() -> None:
    done = CliRunner().invoke(app, ["lambda", "deploy", "--set", "ApiKeys"])
    assert isinstance(done.exception, SystemExit | AuricleError)
    assert done.exit_code == 1
    assert "--set ApiKeys has no value" in done.output


def test_build_prints_sizes_and_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(path: Path, version: str, tell: Any) -> builder.Built:
        tell("packing")
        path.write_bytes(b"x" * 1_500_000)
        return builder.Built(path, {"numpy": 51_000_000, "onnxruntime": 49_000_000, "small": 10_000}, None)

    monkeypatch.setattr(builder, "build", build)
    done = CliRunner().invoke(app, ["lambda", "build", "--output", str(tmp_path / "a.zip")])
    assert done.exit_code == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["numpy", "51.0", "MB"]
    assert rows[2:4] == [["others", "0.0", "MB"], ["unpacked", "100.0", "MB"]]
    assert rows[4][1:] == ["1.5", "MB"]
    assert "not byte-compiled: there is no Python 3.12 here" in done.stderr
    done = CliRunner().invoke(app, ["lambda", "build", "--python", "3.8"])
    assert (done.exit_code, "choose 3.12 or 3.13" in done.output) == (1, True)


def test_the_module_of_the_command_is_loaded() -> None:
    assert lambda_deploy.__name__ in sys.modules
