"""Recordings on their way through S3: where they wait, who works on them, and what comes out.

In the uploads bucket a recording is `uploads/ID`. In the results bucket everything about it lies under `ID/`:
`request.json` what was asked, `status.json` who works on it and how far they are, and in the end `transcript.json` with
`transcript.srt`, or `error.json`. An ID cannot be guessed: knowing it is the permission to ask.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, BinaryIO, Final

from auricle.serving.aws_settings import UPLOAD_SECONDS

PREFIX: Final = "uploads/"
MOST_ATTEMPTS: Final = 2
LINK_SECONDS: Final = 3600
"""How long an upload may begin, and a result be fetched, after the address for it was given."""
_IDENTITY = re.compile(r"[A-Za-z0-9_-]{32}")
_STALE_SECONDS = UPLOAD_SECONDS + 60  # after these, whoever worked on a recording no longer can
_KIND = "application/octet-stream"


@dataclass(frozen=True)
class Request:
    """What was asked of a recording. `size` is its bytes."""

    name: str
    size: int
    hot_words: tuple[str, ...] = ()
    plain: bool = False
    numbers: bool = True


@dataclass(frozen=True)
class Claim:
    """Who works on a recording (an invocation's id), for the how many-th time, since when, and how far they are."""

    worker: str
    attempt: int
    since: float
    progress: float = 0.0


@dataclass(frozen=True)
class Progress:
    """Where a recording is: `waiting`, `processing`, `completed` or `failed`."""

    status: str
    progress: float = 0.0
    error: dict[str, Any] | None = None


class UploadStore:
    """The two buckets. `s3` is boto3's client; every method raises botocore's errors."""

    def __init__(self, s3: Any, uploads: str, results: str, clock: Callable[[], float] = time.time) -> None:
        self._s3, self._uploads, self._results, self._clock = s3, uploads, results, clock

    def create(self, request: Request) -> tuple[str, str, dict[str, str]]:
        """Note a request. Return its id, and the address and headers of a PUT of exactly so many bytes."""
        identity = secrets.token_urlsafe(24)
        self._write(f"{identity}/request.json", asdict(request))
        where = {"Bucket": self._uploads, "Key": PREFIX + identity, "ContentType": _KIND, "ContentLength": request.size}
        url = self._s3.generate_presigned_url("put_object", Params=where, ExpiresIn=LINK_SECONDS)
        return identity, url, {"Content-Type": _KIND}

    def progress(self, identity: str) -> Progress | None:
        """Return where a recording is; nothing for an id that is none."""
        if not _IDENTITY.fullmatch(identity):
            return None
        names = self._names(identity)
        if "transcript.json" in names:
            return Progress("completed", 1.0)
        if "error.json" in names:
            return Progress("failed", 1.0, self._read(f"{identity}/error.json"))
        if "status.json" in names:
            return Progress("processing", self._read(f"{identity}/status.json")["progress"])
        return Progress("waiting") if "request.json" in names else None

    def links(self, identity: str) -> dict[str, str]:
        """Return addresses at which the transcript can be fetched, by format."""
        return {
            ending: self._s3.generate_presigned_url(
                "get_object",
                Params={"Bucket": self._results, "Key": f"{identity}/transcript.{ending}"},
                ExpiresIn=LINK_SECONDS,
            )
            for ending in ("json", "srt")
        }

    def request(self, identity: str) -> Request | None:
        """Return what was asked; nothing for an id that is none, or whose results have expired."""
        if not _IDENTITY.fullmatch(identity) or "request.json" not in self._names(identity):
            return None
        found = self._read(f"{identity}/request.json")
        return Request(**{**found, "hot_words": tuple(found["hot_words"])})

    def size(self, identity: str) -> int | None:
        """Return the bytes of a recording; nothing when it is not, or no longer, there."""
        listed = self._s3.list_objects_v2(Bucket=self._uploads, Prefix=PREFIX + identity, MaxKeys=1)
        return next((int(entry["Size"]) for entry in listed.get("Contents", ())), None)

    def fetch(self, identity: str, file: BinaryIO) -> None:
        """Write a recording into a file."""
        self._s3.download_fileobj(self._uploads, PREFIX + identity, file)
        file.seek(0)

    def claim(self, identity: str, worker: str) -> Claim | None:
        """Begin to work on a recording; nothing when it is done, or when somebody else is at it.

        S3 delivers an event at least once, each time by an invocation with another id. Lambda repeats an invocation
        that failed under the same id. So the same id comes back only when its attempt before is over.
        """
        if {"transcript.json", "error.json"} & self._names(identity):
            return None
        key = f"{identity}/status.json"
        claim = Claim(worker, 1, self._clock())
        if self._write_if(key, claim, IfNoneMatch="*"):
            return claim
        entity = self._s3.get_object(Bucket=self._results, Key=key)
        held = Claim(**json.loads(entity["Body"].read()))
        if held.worker != worker and self._clock() - held.since < _STALE_SECONDS:
            return None
        claim = replace(claim, attempt=held.attempt + 1)
        return claim if self._write_if(key, claim, IfMatch=entity["ETag"]) else None

    def advance(self, identity: str, claim: Claim, progress: float) -> None:
        """Note how far a recording is, in [0, 1]."""
        self._write(f"{identity}/status.json", asdict(replace(claim, progress=round(progress, 4))))

    def finish(self, identity: str, transcript: str, captions: str) -> None:
        """Write the transcript (JSON) and the captions (SRT); then the recording goes."""
        self._put(f"{identity}/transcript.srt", captions.encode(), "application/x-subrip")
        self._put(f"{identity}/transcript.json", transcript.encode(), "application/json")
        self._forget(identity)

    def fail(self, identity: str, error: dict[str, Any]) -> None:
        """Write why there is no transcript, in the shape of an answer's error; then the recording goes."""
        self._write(f"{identity}/error.json", error)
        self._forget(identity)

    def _forget(self, identity: str) -> None:
        self._s3.delete_object(Bucket=self._uploads, Key=PREFIX + identity)

    def _names(self, identity: str) -> set[str]:
        listed = self._s3.list_objects_v2(Bucket=self._results, Prefix=f"{identity}/")
        return {entry["Key"].removeprefix(f"{identity}/") for entry in listed.get("Contents", ())}

    def _read(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._s3.get_object(Bucket=self._results, Key=key)["Body"].read())
        return found

    def _write(self, key: str, values: dict[str, Any]) -> None:
        self._put(key, json.dumps(values).encode(), "application/json")

    def _write_if(self, key: str, claim: Claim, **condition: str) -> bool:
        """Write a claim if nobody else has done so meanwhile. Returns whether that is so."""
        from botocore.exceptions import ClientError

        try:
            self._put(key, json.dumps(asdict(claim)).encode(), "application/json", **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] in {"PreconditionFailed", "ConditionalRequestConflict"}:
                return False
            raise
        return True

    def _put(self, key: str, content: bytes, kind: str, **condition: str) -> None:
        self._s3.put_object(Bucket=self._results, Key=key, Body=content, ContentType=kind, **condition)


def identity_of(key: str) -> str | None:
    """Return the id in an upload's key; nothing for a key that is not one."""
    identity = key.removeprefix(PREFIX)
    return identity if key.startswith(PREFIX) and _IDENTITY.fullmatch(identity) else None


def open_store(uploads: str, results: str) -> UploadStore:
    """Return the store of these buckets, in the region and with the rights of this function."""
    import boto3
    from botocore.config import Config

    # Addresses of the region itself: for hours after a bucket was made, others redirect, which browsers do not follow.
    s3 = {"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}
    config = Config(signature_version="s3v4", s3=s3, retries={"mode": "standard"})
    return UploadStore(boto3.client("s3", config=config), uploads, results)
