"""A mock of AWS: moto's S3 on loopback, with the two buckets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import httpx2
import pytest
from moto.server import ThreadedMotoServer

UPLOADS, RESULTS = "auricle-uploads", "auricle-results"
REGION = "us-east-2"


@dataclass(frozen=True)
class Buckets:
    """A client, the one that the tests look with."""

    s3: Any
    url: str

    def names(self, bucket: str) -> set[str]:
        return {entry["Key"] for entry in self.s3.list_objects_v2(Bucket=bucket).get("Contents", ())}

    def read(self, bucket: str, key: str) -> bytes:
        content: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content


@contextmanager
def buckets() -> Iterator[Buckets]:
    """Serve S3; every client that this process makes from now on talks to it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL_S3", url)
            patch.setenv("AWS_DEFAULT_REGION", REGION)
            patch.setenv("AWS_ACCESS_KEY_ID", "testing")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
            httpx2.post(f"{url}/moto-api/reset").raise_for_status()  # moto keeps its buckets for the process
            s3 = boto3.client("s3")
            for name in (UPLOADS, RESULTS):
                s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
            yield Buckets(s3, url)
            s3.close()
    finally:
        server.stop()
