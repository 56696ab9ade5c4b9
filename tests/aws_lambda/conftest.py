"""The Lambda entry point with the real model, in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

import auricle
from auricle.serving.aws_app import EntryPoint
from auricle.serving.aws_settings import LambdaSettings

CLIPS = Path(__file__).parents[1] / "clips"
MP3 = CLIPS / "formats" / "austen-0890-mono-22050.mp3"


@dataclass(frozen=True)
class Context:
    """What a handler reads of Lambda's context object."""

    aws_request_id: str = "c6af9ac6-7b61-11e6-9a41-93e812345678"
    seconds: float = 900.0

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("needs_embedded_model")
            if item.get_closest_marker("slow") and not config.getoption("-m"):
                item.add_marker(pytest.mark.skip(reason="takes minutes: ask for it with -m slow"))


@pytest.fixture(autouse=True, scope="session")
def _plain_environment() -> Iterator[None]:
    """No test sees settings, credentials or a proxy of the machine it runs on."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("AURICLE_", "AWS_")) or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("NO_PROXY", "*")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session")
def recognizer() -> auricle.Recognizer:
    return auricle.load(threads=1)


@pytest.fixture(scope="session")
def said(recognizer: auricle.Recognizer) -> str:
    """What the recogniser itself writes for the MP3."""
    return recognizer.transcribe(MP3).text


@pytest.fixture(scope="session")
def said_plainly(recognizer: auricle.Recognizer) -> str:
    """The same in plain words, as /classify has it."""
    return recognizer.transcribe(MP3).plain_text


@pytest.fixture(scope="session")
def handler(recognizer: auricle.Recognizer) -> Iterator[EntryPoint]:
    """The entry point with Lambda's default settings."""
    with closing(EntryPoint(LambdaSettings(), recognizer)) as entry:
        yield entry
