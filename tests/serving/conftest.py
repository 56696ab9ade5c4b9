"""A real server on loopback, with the real model, in a thread of this process."""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import httpx2
import numpy as np
import pytest
import uvicorn

import auricle
from auricle.serving.app import create_app
from auricle.serving.run import configured
from auricle.serving.settings import Settings

Running: TypeAlias = Callable[..., AbstractContextManager[str]]
CLIPS = Path(__file__).parents[1] / "clips"
_STUCK: list[threading.Thread] = []


def pytest_unconfigure() -> None:
    """End a run of which a server did not stop: Python would wait for its thread, and whoever started the run, too."""
    if any(thread.is_alive() for thread in _STUCK):
        sys.stdout.flush()
        os._exit(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("needs_embedded_model")


@pytest.fixture(scope="session")
def recognizer() -> auricle.Recognizer:
    return auricle.load(threads=1)


@pytest.fixture(scope="session")
def heard(recognizer: auricle.Recognizer) -> dict[str, str]:
    """What the recogniser itself writes for each of the five clips, by their ids."""
    lines = (CLIPS / "clips.jsonl").read_text().splitlines()
    return {e["id"]: recognizer.transcribe(CLIPS / e["audio_filepath"]).text for e in map(json.loads, lines)}


@pytest.fixture(autouse=True, scope="session")
def _plain_environment() -> Iterator[None]:
    """No test sees settings, or a proxy, of the machine it runs on."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("AURICLE_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("NO_PROXY", "*")
        yield


@pytest.fixture(scope="session")
def running(recognizer: auricle.Recognizer, tmp_path_factory: pytest.TempPathFactory) -> Running:
    """Start a server with these settings; the address is its base URL."""

    @contextmanager
    def start(model: Any = recognizer, **settings: Any) -> Iterator[str]:
        chosen = Settings(**{"data_dir": tmp_path_factory.mktemp("data"), **settings})
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = uvicorn.Server(configured(create_app(chosen, model), chosen))
            thread = threading.Thread(target=server.run, args=([listener],))
            thread.start()
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            try:
                _wait_until_ready(url)
                yield url
            finally:
                server.should_exit = True
                thread.join(timeout=60)
                if thread.is_alive():  # say what it waits for
                    faulthandler.dump_traceback(all_threads=True)
                    for task in list(asyncio.tasks._all_tasks):  # type: ignore[attr-defined]
                        task.print_stack()
                    pending = server.server_state
                    _STUCK.append(thread)
                    pytest.fail(f"the server does not stop: {pending.connections} {pending.tasks}")

    return start


class Held:
    """A recogniser that waits until its gate is opened, and counts what it was asked for."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.gate, self.clips = inner, threading.Event(), 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def transcribe_many(self, clips: Any, **options: Any) -> Any:
        if any(np.any(clip.samples) for clip in clips):  # the server warms up with silence
            self.clips += 1
            assert self.gate.wait(60)
        return self.inner.transcribe_many(clips, **options)


def _wait_until_ready(url: str) -> None:
    transport = httpx2.HTTPTransport(retries=10)
    with httpx2.Client(transport=transport, timeout=30) as client:
        assert client.get(f"{url}/ready").status_code == 200


@pytest.fixture(scope="session")
def server(running: Running) -> Iterator[str]:
    """A server with the default settings."""
    with running() as url:
        yield url


@pytest.fixture
def http(server: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server, timeout=60) as client:
        yield client


def upload(name: str = "austen-0880.flac") -> dict[str, tuple[str, bytes]]:
    """A form's file."""
    return {"file": (Path(name).name, (CLIPS / name).read_bytes())}


def files_left() -> set[str]:
    """Every temporary file there is, and every deleted one that this process still holds."""
    names = {str(path) for path in Path(tempfile.gettempdir()).glob("tmp*")}
    for link in Path("/proc/self/fd").glob("*"):
        try:
            target = str(link.readlink())
        except FileNotFoundError:
            continue
        if target.endswith("(deleted)"):
            names.add(f"{link.name} {target}")
    return names


def nothing_left(before: set[str]) -> bool:
    """Whether every file that was made since is gone; uploads go when their answer has been sent."""
    deadline = time.monotonic() + 5
    while not files_left() <= before and time.monotonic() < deadline:
        time.sleep(0.02)
    return files_left() <= before
