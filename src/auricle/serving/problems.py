"""Refusals, in the shape that OpenAI's clients understand. A message is one sentence and holds no path and no stack."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from auricle.errors import AuricleError, UnsupportedAudioError

_HANG_UP_SECONDS = 5.0


class ErrorDetail(BaseModel):
    """What went wrong: `message` for people, `code` and `param` (the field of the form) for programs."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorReply(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail


class Problem(HTTPException):
    """A refusal. Raised anywhere below a request, it becomes the answer."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.code, self.param = code, param

    @property
    def body(self) -> dict[str, Any]:
        """The body of the answer."""
        detail = ErrorDetail(message=self.detail, type=_kind(self.status_code), param=self.param, code=self.code)
        return ErrorReply(error=detail).model_dump()

    def response(self) -> JSONResponse:
        """The whole answer."""
        return JSONResponse(self.body, self.status_code, headers=self.headers)


def internal_error() -> Problem:
    """Return what is said of a mistake of ours; the log has the rest, under the request's id."""
    return Problem(500, "The server made a mistake; its log says which, under this request's id.", code="server_error")


def unreadable(error: AuricleError) -> Problem:
    """Return what is said of a recording that cannot be recognised."""
    if isinstance(error, UnsupportedAudioError):  # its own message is for whoever installs things here
        message = "This server does not open M4A, MP4 or WebM: send the recording as WAV, FLAC, Ogg or MP3."
        return Problem(415, message, code="unsupported_format", param="file")
    return Problem(400, _sentence(str(error)), code="invalid_audio", param="file")


async def hang_up(websocket: WebSocket, problem: Problem) -> None:
    """Say what is wrong and close: 4000 and the status, 1011 for a mistake of ours."""
    code = 1011 if problem.status_code >= 500 else 4000 + problem.status_code
    with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):  # it has left by now, or does not read
        async with asyncio.timeout(_HANG_UP_SECONDS):
            if websocket.application_state is WebSocketState.CONNECTED:
                await websocket.send_json({"type": "error", **problem.body})
                await websocket.close(code)


def install_handlers(app: FastAPI) -> None:
    """Make every refusal of the framework's look like ours."""

    async def problem(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Problem)
        return error.response()

    async def refused(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code = HTTPStatus(error.status_code).name.lower()
        message = "There is nothing at this address: see /docs" if error.status_code == 404 else str(error.detail)
        return Problem(error.status_code, _sentence(message), code=code, headers=error.headers).response()

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        name = str(first["loc"][1]) if len(first["loc"]) > 1 else None
        return Problem(
            400, _sentence(f"{name or 'body'}: {first['msg']}"), code="invalid_request", param=name
        ).response()

    async def audio(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, AuricleError)
        return unreadable(error).response()

    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(AuricleError, audio)


def _kind(status: int) -> str:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    return line if line.endswith(".") else f"{line}."
