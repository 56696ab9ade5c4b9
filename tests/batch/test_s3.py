"""A bucket in, a bucket out: moto's S3 on loopback."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Command, contents

pytest.importorskip("s3fs", reason="the extra ray is not installed")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an empty S3, and in the environment what other programs need to reach it."""
    boto3 = pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        client = boto3.client("s3")
        yield client
        client.close()
    finally:
        server.stop()


def test_a_bucket_is_transcribed_into_a_bucket(command: Command, corpus: Path, tmp_path: Path, s3: Any) -> None:
    import tarfile

    s3.create_bucket(Bucket="archive")
    s3.create_bucket(Bucket="results")
    for path in corpus.rglob("*.flac"):
        s3.put_object(Bucket="archive", Key=str(path.relative_to(corpus)), Body=path.read_bytes())
    s3.put_object(Bucket="archive", Key="a/austen-0899.flac", Body=b"fLaC and no more")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(corpus / "a" / "austen-0920.flac", "one.flac")
    s3.put_object(Bucket="archive", Key="more.tar", Body=packed.getvalue())

    done = command("s3://archive/", "-o", "s3://results/x", "--shards", 2, "-f", "txt", env=dict(os.environ))
    assert done.returncode == 1
    assert "1 of 12 recordings have an error" in done.stderr.splitlines()[-1]
    assert "s3://archive/a/austen-0899.flac is damaged" in done.stderr.splitlines()[-1]
    _fetch(s3, tmp_path / "results")
    from .conftest import rows

    found = rows(tmp_path / "results")
    names = [f"s3://archive/{path.relative_to(corpus)}" for path in sorted(corpus.rglob("*.flac"))]
    assert [row["id"] for row in found if not row["error"]] == [*names, "s3://archive/more.tar/one.flac"]

    command(corpus, "-o", tmp_path / "local")
    texts = [row["text"] for row in rows(tmp_path / "local")]
    assert [row["text"] for row in found if row["id"] in names] == texts
    assert len(list((tmp_path / "results" / "transcripts").rglob("*.txt"))) == 11

    before = contents(tmp_path / "results")
    again = command("s3://archive/", "-o", "s3://results/x", "--shards", 2, "-f", "txt", env=dict(os.environ))
    assert "2, 0 of them computed now" in again.stderr
    _fetch(s3, tmp_path / "results")
    assert contents(tmp_path / "results") == before


def _fetch(s3: Any, folder: Path) -> None:
    for entry in s3.list_objects_v2(Bucket="results")["Contents"]:
        path = folder / entry["Key"].removeprefix("x/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(s3.get_object(Bucket="results", Key=entry["Key"])["Body"].read())
