"""Large recordings by way of S3: where to put one, how far it is, and where its transcript is."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from auricle.serving.aws_settings import LambdaSettings
from auricle.serving.aws_store import LINK_SECONDS, UploadStore, open_store
from auricle.serving.aws_store import Request as Wish
from auricle.serving.forms import hot_words_of, shown_name
from auricle.serving.problems import Problem
from auricle.serving.routes import ERRORS

UPLOADS: Final = "/v1/uploads"
router = APIRouter(responses=ERRORS)
Identity = Annotated[str, Path(max_length=100, description="What POST answered as id.")]


class Announcement(BaseModel):
    """A recording that is about to be uploaded: name, size in bytes, words to favour, and how its text is written."""

    name: str = Field(max_length=1000)
    size: int = Field(ge=1, description="Bytes; exactly so many have to be put.")
    prompt: str | None = Field(default=None, description="Words and phrases to expect, with commas between them.")
    plain: bool = Field(default=False, description="The bare words: no capitals, no punctuation, no figures.")
    numbers: bool = Field(default=True, description="Numbers in figures, unless the text is plain.")


class Place(BaseModel):
    """Where to PUT the recording, with which headers, within `expires_in` seconds; `id` asks for it afterwards."""

    id: str
    url: str
    headers: dict[str, str]
    expires_in: int = LINK_SECONDS


class UploadReply(BaseModel):
    """A recording. `status` is waiting, processing, completed or failed; `progress` runs from 0 to 1.

    `result` has addresses of the transcript, `json` as verbose_json and `srt`; `error` says why there is none.
    """

    id: str
    status: str
    progress: float
    result: dict[str, str] | None = None
    error: dict[str, Any] | None = None


@router.post(UPLOADS, status_code=201, summary="Announce a large recording")
async def announce(request: Request, announcement: Announcement) -> Place:
    """Answer with an address that takes the recording by PUT."""
    settings: LambdaSettings = request.app.state.settings
    if announcement.size > settings.max_job_bytes:
        message = f"The recording is larger than {settings.max_job_bytes:,} bytes: compress it, or send it in parts."
        raise Problem(413, message, code="too_large", param="size")
    wish = Wish(
        shown_name(announcement.name),
        announcement.size,
        hot_words_of(announcement.prompt),
        announcement.plain,
        announcement.numbers,
    )
    identity, url, headers = await run_in_threadpool(_store(request).create, wish)
    return Place(id=identity, url=url, headers=headers)


@router.get(f"{UPLOADS}/{{identity}}", summary="Ask how far a large recording is")
async def read(request: Request, identity: Identity) -> UploadReply:
    """Answer with where it is, and with addresses of its transcript when there is one."""
    store = _store(request)
    found = await run_in_threadpool(store.progress, identity)
    if found is None:
        raise Problem(404, "There is no such recording, or its results have expired.", code="not_found", param="id")
    links = store.links(identity) if found.status == "completed" else None
    return UploadReply(id=identity, status=found.status, progress=found.progress, result=links, error=found.error)


def _store(request: Request) -> UploadStore:
    """Return the store, which is opened when it is first needed: boto3 is slow to import."""
    state, settings = request.app.state, request.app.state.settings
    if getattr(state, "uploads", None) is None:
        state.uploads = open_store(settings.uploads_bucket, settings.results_bucket)
    store: UploadStore = state.uploads
    return store
