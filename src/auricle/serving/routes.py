"""The routes that recognise a recording while the caller waits, and the list of models."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import Response, StreamingResponse

from auricle.errors import AuricleError
from auricle.serving.batching import HotWords
from auricle.serving.desk import Desk, Style, Upload
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
from auricle.serving.gate import CLASSIFY, TRANSCRIPTIONS
from auricle.serving.logs import logger
from auricle.serving.problems import ErrorReply, Problem, internal_error, unreadable
from auricle.serving.replies import ClassifyReply, ResponseFormat, TranscriptionReply, rendered, response
from auricle.transcript import Segment

ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorReply, "description": "What was wrong with the request, or that the server is full (429)."}
}
_TEXTS = {kind: {"schema": {"type": "string"}} for kind in ("text/plain", "text/vtt", "application/x-subrip")}
_STREAM = {"text/event-stream": {"schema": {"type": "string"}}}
router = APIRouter(responses=ERRORS)


@router.post(
    TRANSCRIPTIONS,
    summary="Transcribe a recording (OpenAI's API)",
    response_model=None,
    responses={
        200: {
            "description": "The transcript, in the format that was asked for.",
            "model": TranscriptionReply,
            "content": {**_TEXTS, **_STREAM},
        }
    },
)
async def transcriptions(  # noqa: PLR0917  (FastAPI makes fields of them)
    request: Request,
    file: FileField,
    model: ModelField = "whisper-1",
    language: LanguageField = None,
    prompt: PromptField = None,
    response_format: FormatField = ResponseFormat.JSON,
    timestamp_granularities: GranularitiesField = None,
    stream: Annotated[bool, Form(description="Send text as it is recognised, as server-sent events.")] = False,
    plain: PlainField = False,
    numbers: NumbersField = True,
) -> Response:
    """Recognise a recording. `temperature` and other fields of OpenAI's are read and change nothing."""
    check_language(language)
    hot_words, style = hot_words_of(prompt), Style(plain, numbers)
    desk: Desk = request.app.state.desk
    if stream:
        return await _streamed(desk, upload_of(file), hot_words, style)
    transcript = await desk.transcript(upload_of(file), hot_words, style)
    return response(rendered(transcript, response_format, timestamp_granularities or ()), response_format)


@router.post(CLASSIFY, summary="Transcribe a recording (the contract of 2021)")
async def classify(request: Request, file: FileField, plain: PlainField = True) -> ClassifyReply:
    """Answer with the file's name and what is said in it: the bare words, as in 2021, unless `plain` is false."""
    upload = upload_of(file)
    desk: Desk = request.app.state.desk
    transcript = await desk.transcript(upload, (), Style(plain))
    return ClassifyReply(file=upload.name, predicted=transcript.text)


@router.get("/v1/models", summary="List the model")
async def models(request: Request) -> dict[str, Any]:
    """Answer in the shape of OpenAI's list of models."""
    bundle = request.app.state.desk.recognizer.bundle
    created = int(datetime.fromisoformat(bundle.created).timestamp())
    entry = {"id": bundle.name, "object": "model", "created": created, "owned_by": "auricle", "version": bundle.version}
    return {"object": "list", "data": [entry]}


async def _streamed(desk: Desk, upload: Upload, hot_words: HotWords, style: Style) -> StreamingResponse:
    """Answer with events. What is wrong before the first of them still gets a status of its own."""
    async with AsyncExitStack() as stack:
        _, found = await stack.enter_async_context(desk.segments(upload, hot_words, style))
        first = await anext(found, None)
        kept = stack.pop_all()
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(kept, first, found), media_type="text/event-stream", headers=headers)


async def _events(kept: AsyncExitStack, first: Segment | None, rest: AsyncIterator[Segment]) -> AsyncIterator[str]:
    said: list[str] = []
    async with kept:
        try:
            segment = first
            while segment is not None:
                if segment.words:
                    delta = f" {segment.text}" if said else segment.text
                    said.append(segment.text)
                    yield _event({"type": "transcript.text.delta", "delta": delta})
                segment = await anext(rest, None)
            yield _event({"type": "transcript.text.done", "text": " ".join(said)})
            yield "data: [DONE]\n\n"
        except Problem as problem:
            yield _event({"type": "error", **problem.body})
        except AuricleError as error:
            yield _event({"type": "error", **unreadable(error).body})
        except Exception:
            logger.exception("the stream failed")
            yield _event({"type": "error", **internal_error().body})


def _event(data: dict[str, Any]) -> str:
    return f"event: {data['type']}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
