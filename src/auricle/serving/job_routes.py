"""Long recordings: hand one in, ask how far it is, fetch the result, forget it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from auricle.serving.desk import Style
from auricle.serving.forms import (
    FileField,
    FormatField,
    GranularitiesField,
    LanguageField,
    ModelField,
    NumbersField,
    PlainField,
    PromptField,
    check_language,
    hot_words_of,
    upload_of,
)
from auricle.serving.gate import JOBS
from auricle.serving.jobs import Job, JobStore, Wish
from auricle.serving.problems import Problem
from auricle.serving.replies import ResponseFormat
from auricle.serving.routes import ERRORS

router = APIRouter(responses=ERRORS)
Identity = Annotated[str, Path(max_length=100, description="What POST answered as id.")]


class JobReply(BaseModel):
    """A job. `status` is queued, running, completed or failed; `progress` runs from 0 to 1.

    `result` is what a transcription would have answered: a text for text, srt and vtt, and an object for the others.
    """

    id: str
    object: str = "transcription.job"
    status: str
    progress: float
    file: str
    created_at: int
    response_format: ResponseFormat
    result: Any = None
    error: dict[str, Any] | None = None


@router.post(JOBS, status_code=202, summary="Hand in a long recording")
async def create_job(  # noqa: PLR0917  (FastAPI makes fields of them)
    request: Request,
    file: FileField,
    model: ModelField = "whisper-1",
    language: LanguageField = None,
    prompt: PromptField = None,
    response_format: FormatField = ResponseFormat.VERBOSE_JSON,
    timestamp_granularities: GranularitiesField = None,
    plain: PlainField = False,
    numbers: NumbersField = True,
) -> JobReply:
    """Answer at once, with an id. The job survives a restart; its result is kept for a week by default."""
    check_language(language)
    store: JobStore = request.app.state.jobs
    most = request.app.state.settings.max_jobs
    if await run_in_threadpool(store.waiting) >= most:
        message = f"{most} jobs wait already: try again later."
        raise Problem(429, message, code="too_many_jobs", headers={"Retry-After": "60"})
    upload = upload_of(file)
    granularities = [one.value for one in timestamp_granularities or ()]
    style = Style(plain, numbers)
    wish = Wish(upload.name, hot_words_of(prompt), response_format.value, granularities, style)
    job = await run_in_threadpool(store.add, request.state.owner, wish, upload.file)
    request.app.state.runner.wake()
    return _reply(job)


@router.get(f"{JOBS}/{{identity}}", summary="Ask how far a job is")
async def read_job(request: Request, identity: Identity) -> JobReply:
    """Answer with the job, and its result when there is one."""
    job = await run_in_threadpool(request.app.state.jobs.get, identity, request.state.owner)
    if job is None:
        raise _unknown()
    return _reply(job)


@router.delete(f"{JOBS}/{{identity}}", status_code=204, summary="Forget a job")
async def delete_job(request: Request, identity: Identity) -> Response:
    """Remove a job, its recording and its result; one that runs is stopped."""
    if not await run_in_threadpool(request.app.state.jobs.remove, identity, request.state.owner):
        raise _unknown()
    request.app.state.runner.wake()
    return Response(status_code=204)


def _reply(job: Job) -> JobReply:
    return JobReply(
        id=job.id,
        status=job.status,
        progress=round(job.progress, 4),
        file=job.name,
        created_at=int(job.created),
        response_format=ResponseFormat(job.response_format),
        result=job.result,
        error=job.error,
    )


def _unknown() -> Problem:
    return Problem(404, "There is no such job, or it is another key's.", code="not_found", param="id")
