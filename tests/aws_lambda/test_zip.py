"""The built zip, run by the client that Lambda itself runs, with nothing else installed.

It is built once; AURICLE_LAMBDA_ZIP=FILE takes one that was built before.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from auricle.deployment import build as room
from auricle.deployment import pruning, wheels
from auricle.errors import AuricleError
from aws_lambda.conftest import CLIPS, MP3
from aws_lambda.events import KINDS, Event, Maker, answer_of, form, http_api
from aws_lambda.runtime_api import RuntimeApi, runtime_api

MOST_BYTES = 200_000_000
# The Python of the zip, where this machine has it; otherwise the one that runs the tests stands in for it.
VERSION = "3.12" if room.find_python("3.12") else f"{sys.version_info.major}.{sys.version_info.minor}"
kinds = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())


@pytest.fixture(scope="session")
def zipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("AURICLE_LAMBDA_ZIP")
    return Path(given) if given else room.build(tmp_path_factory.mktemp("zip") / "auricle.zip", VERSION).path


@pytest.fixture(scope="session")
def task(zipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The zip, unpacked into an empty directory that cannot be written to."""
    folder = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(folder)
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    yield folder
    for path in folders:
        path.chmod(0o755)


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real awslambdaric for the zip's Python, in a folder of its own."""
    folder = tmp_path_factory.mktemp("awslambdaric")
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    command += ["--target", str(folder), "--only-binary=:all:", "--python-version", VERSION]
    command += ["--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_28_x86_64"]
    subprocess.run([*command, f"awslambdaric=={importlib.metadata.version('awslambdaric')}"], check=True)
    return folder


def confined(*command: str) -> list[str]:
    """Run a command without root's privilege to write where it may not."""
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    return [*drop, str(room.find_python(VERSION)), "-s", "-S", *command]


@contextmanager
def function(
    task: Path, client: Path, tmp_path: Path, **variables: str
) -> Iterator[tuple[RuntimeApi, subprocess.Popen[str]]]:
    """Start the function as Lambda does."""
    with runtime_api() as api:
        environment = {
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_LAMBDA_FUNCTION_NAME": "auricle",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_REGION": "us-east-2",
            "LAMBDA_TASK_ROOT": str(task),
            "PATH": os.defpath,
            "PYTHONPATH": f"{task}:{client}",
            "TMPDIR": str(tmp_path),
            **variables,
        }
        command = confined("-m", "awslambdaric", "auricle.serving.aws_lambda.handler")
        with subprocess.Popen(command, cwd=task, env=environment, stderr=subprocess.PIPE, text=True) as process:
            try:
                yield api, process
            finally:
                process.kill()


@pytest.fixture(scope="module")
def running(task: Path, client: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RuntimeApi]:
    with function(task, client, tmp_path_factory.mktemp("tmp")) as (api, _):
        yield api


def _post(path: str, make: Maker, body: bytes, kind: str) -> Event:
    return make("POST", path, body, {"Content-Type": kind})


def _audio_seconds(running: RuntimeApi) -> float:
    text = running.invoke(http_api("GET", "/metrics"))["body"]
    return float(re.search(r"^auricle_audio_seconds_total (\S+)", text, re.M).group(1))  # type: ignore[union-attr]


@kinds
def test_an_mp3_gets_its_text(running: RuntimeApi, make: Maker, said_plainly: str) -> None:
    answer = running.invoke(_post("/classify", make, *form(MP3)))
    assert json.loads(answer_of(answer)) == {"file": MP3.name, "predicted": said_plainly}


@kinds
def test_refusals_have_their_bodies(running: RuntimeApi, make: Maker, tmp_path: Path) -> None:
    def refusal(body: bytes, kind: str) -> tuple[int, str]:
        answer = running.invoke(_post("/v1/audio/transcriptions", make, body, kind))
        return answer["statusCode"], json.loads(answer_of(answer))["error"]["code"]

    notes = tmp_path / "notes.mp3"
    notes.write_text("these are notes " * 50)
    assert refusal(*form(notes)) == (400, "invalid_audio")
    assert refusal(b"x" * 4_600_000, "multipart/form-data; boundary=x") == (413, "too_large")
    assert refusal(MP3.read_bytes(), "audio/mpeg") == (415, "not_a_form")
    assert refusal(*form(CLIPS / "formats" / "austen-0890-aac.m4a")) == (415, "unsupported_format")


def test_two_invocations_have_the_same_model(running: RuntimeApi) -> None:
    body, kind = form(MP3)
    seconds = soundfile.info(MP3).duration
    counts = [_audio_seconds(running)]
    for _ in range(2):
        running.invoke(_post("/classify", http_api, body, kind))
        counts.append(_audio_seconds(running))
    assert counts[0] >= 0.5  # the dummy run is counted by the same process
    assert np.diff(counts) == pytest.approx(seconds, abs=0.1)


def test_an_upload_that_does_not_fit_in_memory_goes_to_the_one_folder_there_is(
    running: RuntimeApi, recognizer: Any, tmp_path: Path
) -> None:
    samples, rate = soundfile.read(CLIPS / "austen-0880.flac")
    wav = tmp_path / "long.wav"
    soundfile.write(wav, np.tile(samples, 1 + int(2_000_000 / 2 / len(samples))), rate, subtype="PCM_16")
    assert wav.stat().st_size > 2_000_000
    answer = running.invoke(_post("/classify", http_api, *form(wav)))
    assert json.loads(answer_of(answer))["predicted"] == recognizer.transcribe(wav).plain_text


def test_the_function_cannot_write_elsewhere(task: Path) -> None:
    """The confinement that the other tests rely on."""
    done = subprocess.run(confined("-c", "open('x', 'w')"), cwd=task, capture_output=True, text=True, check=False)
    assert "Permission" in done.stderr


def test_what_cannot_begin_is_reported(task: Path, client: Path, tmp_path: Path) -> None:
    with function(task, client, tmp_path, AURICLE_MODEL="/nowhere/model.auricle") as (api, process):
        process.wait(timeout=60)
    assert process.returncode == 1
    assert api.init_error is not None
    assert api.init_error["errorType"] == "BundleError"
    assert "/nowhere/model.auricle" in api.init_error["errorMessage"]


def test_the_log_is_json(task: Path, client: Path, tmp_path: Path) -> None:
    with function(task, client, tmp_path) as (api, process):
        api.invoke(http_api("GET", "/health"))
        process.kill()
        assert process.stderr
        lines = [json.loads(line) for line in process.stderr]
    assert [line.get("route", line["event"]) for line in lines] == ["/classify", "started", "/health"]


def test_the_zip_is_small_and_has_no_ballast(zipped: Path, task: Path) -> None:
    sizes = room.sizes_of(task)
    assert sum(sizes.values()) <= MOST_BYTES
    assert set(sizes) >= {"auricle", "numpy", "onnxruntime", "fastapi", "mangum", "soundfile"}
    assert not set(sizes) & {"boto3", "sqlalchemy", "typer", "rich", "torch", "google", "sympy", "bin"}
    names = zipfile.ZipFile(zipped).namelist()
    assert not [name for name in names if name.endswith(".pyi") or "/tests/" in name]
    assert not [name for name in names if name.startswith(("auricle/training/", "auricle/cli/"))]
    assert "auricle/models/english.auricle" in names
    assert [name for name in names if name.startswith("numpy-") and "/licenses/" in name]


def test_bytecode_is_there_and_is_not_checked(task: Path) -> None:
    for name in ("auricle", "fastapi", "numpy", "pydantic"):
        (compiled,) = (task / name / "__pycache__").glob(f"__init__.cpython-{VERSION.replace('.', '')}.pyc")
        assert compiled.read_bytes()[4:8] == b"\x01\x00\x00\x00"  # hashed, unchecked (PEP 552)
        assert b"/var/task" in compiled.read_bytes()


def test_libraries_ask_for_no_newer_system_than_lambdas(task: Path) -> None:
    libraries = [path for path in task.rglob("*") if ".so" in path.name]
    assert len(libraries) > 10
    for path in libraries:
        wanted = {int(minor) for minor in re.findall(rb"GLIBC_2\.(\d+)", path.read_bytes())}
        assert max(wanted, default=0) <= 34, path


def test_what_lambda_would_refuse_is_refused_here() -> None:
    room.refuse_larger({"a": 250 << 20})
    with pytest.raises(
        AuricleError, match=r"unpack to 262 MB, .* takes 262 MB \(a 262 MB, b 0 MB\): use the container"
    ):
        room.refuse_larger({"a": 250 << 20, "b": 1})


def test_pip_is_quoted_when_there_is_no_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "requirements", lambda: [str(tmp_path / "nothing-1-py3-none-any.whl")])
    with pytest.raises(
        AuricleError, match=r"pip cannot get the wheels for Python 3\.12 on Lambda \(.*nothing-1-py3-none-any\.whl"
    ):
        wheels.install(tmp_path / "target", "3.12")


def test_the_wheels_are_those_that_auricle_needs_in_lambda() -> None:
    names = {wheels.name_of(requirement) for requirement in wheels.requirements()}
    assert {"mangum", "fastapi", "numpy", "onnxruntime", "soxr"} <= names
    assert not names & {"boto3", "typer", "rich", "torch", "sqlalchemy", "uvicorn", "av"}
    assert wheels.platforms()[0] == "manylinux_2_34_x86_64"


def test_pruning_keeps_names_versions_and_licences(tmp_path: Path) -> None:
    kept = ["p/a.py", "p-1.dist-info/METADATA", "p-1.dist-info/licenses/LICENSE", "numpy/random/x.py"]
    gone = ["p/tests/test_a.py", "p/a.pyi", "p-1.dist-info/RECORD", "onnxruntime/transformers/x.py", "p/sub/a.h"]
    for name in kept + gone:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    pruning.prune(tmp_path)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert {name for name in left if (tmp_path / name).is_file()} == set(kept)
    assert "p/sub" not in left


def test_bodies_are_what_was_sent() -> None:
    body, kind = form(MP3)
    assert io.BytesIO(answer_of(_post("/", http_api, body, kind))).read() == body
