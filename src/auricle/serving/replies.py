"""The bodies of answers, in the shapes of OpenAI's transcriptions."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from enum import StrEnum
from typing import Any

from pydantic import BaseModel
from starlette.responses import JSONResponse, PlainTextResponse, Response

from auricle import formats
from auricle.transcript import Transcript


class ResponseFormat(StrEnum):
    """What a transcription may be asked for as."""

    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VERBOSE_JSON = "verbose_json"
    VTT = "vtt"


class Granularity(StrEnum):
    """What has times in `verbose_json`."""

    WORD = "word"
    SEGMENT = "segment"


class Usage(BaseModel):
    """How much was recognised."""

    type: str = "duration"
    seconds: float


class TranscriptionReply(BaseModel):
    """The body of `response_format=json`."""

    text: str
    usage: Usage


class ClassifyReply(BaseModel):
    """The body of /classify: the name of the file, and what is said in it."""

    file: str
    predicted: str


def rendered(transcript: Transcript, format_: ResponseFormat, granularities: Collection[Granularity]) -> Any:
    """Return the body: text for text, srt and vtt, and plain values for the two that are JSON."""
    if format_ is ResponseFormat.JSON:
        return TranscriptionReply(text=transcript.text, usage=_usage(transcript)).model_dump()
    if format_ is not ResponseFormat.VERBOSE_JSON:
        return formats.write(transcript, "txt" if format_ is ResponseFormat.TEXT else format_.value)
    document: dict[str, Any] = json.loads(formats.write(transcript, "json"))
    for granularity in set(Granularity) - set(granularities or [Granularity.SEGMENT]):
        del document[f"{granularity}s"]
    return {**document, "usage": _usage(transcript).model_dump()}


def response(body: Any, format_: ResponseFormat) -> Response:
    """Return what `rendered` made as an answer."""
    if not isinstance(body, str):
        return JSONResponse(body)
    types = {ResponseFormat.SRT: "application/x-subrip", ResponseFormat.VTT: "text/vtt"}
    return PlainTextResponse(body, media_type=types.get(format_, "text/plain"))


def _usage(transcript: Transcript) -> Usage:
    return Usage(seconds=math.ceil(transcript.duration))
