"""What a request has to pass before its body is read (its key, the room there is), and limits while it is read."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from auricle.serving.keys import PROTOCOL, KeyRing, bearer, offered_key
from auricle.serving.metrics import Metrics
from auricle.serving.problems import Problem, hang_up
from auricle.serving.settings import Settings

TRANSCRIPTIONS: Final = "/v1/audio/transcriptions"
CLASSIFY: Final = "/classify"
JOBS: Final = "/v1/jobs"
STREAM: Final = "/v1/audio/stream"
_OTHER_BODIES = 1 << 20
# What is still read of a refused upload: most clients look for an answer only when they have sent everything.
_DRAINED_BYTES, _DRAINED_SECONDS = 32 << 20, 5.0


class Gate:
    """Middleware around everything that needs a key or takes a recording."""

    def __init__(self, app: ASGIApp, *, settings: Settings, keys: KeyRing, metrics: Metrics) -> None:
        self._app, self._settings, self._keys, self._metrics = app, settings, keys, metrics
        self._accepted = 0
        self._usual_seconds = 1.0  # what a request takes, lately

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with a Problem."""
        if scope["type"] == "websocket" and scope["path"] == STREAM:
            await self._stream(scope, receive, send)
            return
        if scope["type"] != "http" or scope["method"] == "OPTIONS":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = _Body(receive, self._largest(scope["path"]), self._settings)
        try:
            if _is_guarded(scope["path"]):
                scope.setdefault("state", {})["owner"] = self._keys.owner(bearer(headers.get("authorization")))
            body.announce(headers.get("content-length"))
            if scope["method"] == "POST" and scope["path"] in {TRANSCRIPTIONS, CLASSIFY, JOBS}:
                _check_form(headers.get("content-type"))
                await self._metered(scope, body, send)
            else:
                await self._app(scope, body, send)
        except Problem as problem:
            self._metrics.rejections.labels(problem.code).inc()
            await body.drain()
            response = problem.response()
            response.headers["Connection"] = "close"
            await response(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        try:
            _check_origin(headers, self._settings)
            self._keys.owner(bearer(headers.get("authorization")) or offered_key(scope["subprotocols"]))
            with self._place():
                await self._app(scope, receive, send)
        except Problem as problem:
            self._metrics.rejections.labels(problem.code).inc()
            websocket = WebSocket(scope, receive, send)  # a page is only told why once it is connected
            await websocket.accept(subprotocol=PROTOCOL if PROTOCOL in scope["subprotocols"] else None)
            await hang_up(websocket, problem)

    async def _metered(self, scope: Scope, body: _Body, send: Send) -> None:
        started = time.monotonic()
        with self._place():
            try:
                await self._app(scope, body, send)
            finally:
                self._usual_seconds += 0.1 * (time.monotonic() - started - self._usual_seconds)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Hold one of the places. Raises Problem when there is none."""
        if self._accepted >= self._settings.max_requests:
            wait = min(60, math.ceil(self._usual_seconds))
            message = f"The server has as many recordings as it can hold: try again in {wait} s."
            raise Problem(429, message, code="server_is_full", headers={"Retry-After": str(wait)})
        self._accepted += 1
        self._metrics.accepted.set(self._accepted)
        try:
            yield
        finally:
            self._accepted -= 1
            self._metrics.accepted.set(self._accepted)

    def _largest(self, path: str) -> int:
        if path == JOBS:
            return self._settings.max_job_bytes
        return self._settings.max_bytes if path in {TRANSCRIPTIONS, CLASSIFY} else _OTHER_BODIES


class _Body:
    """A request's body, as ASGI receives it, that refuses to be too large or too slow while it is read.

    A refusal is raised where the body is read, inside the framework, which hands it through to whoever answers.
    """

    def __init__(self, receive: Receive, largest: int, settings: Settings) -> None:
        self._receive, self._largest, self._settings = receive, largest, settings
        self._count = 0
        self._complete = False
        self._until: float | None = None

    def announce(self, length: str | None) -> None:
        """Refuse what says beforehand that it is too large."""
        if length is not None and length.isdecimal() and int(length) > self._largest:
            raise self._too_large()

    async def __call__(self) -> Message:
        """Return the next message."""
        if self._complete:  # from here on it tells of a client that leaves, which takes as long as it takes
            return await self._receive()
        now = time.monotonic()
        self._until = self._until or now + self._settings.upload_seconds
        try:
            message = await asyncio.wait_for(self._receive(), min(self._settings.idle_seconds, self._until - now))
        except TimeoutError:
            raise Problem(408, "The upload came too slowly: send it again.", code="upload_too_slow") from None
        self._count += len(message.get("body", b""))
        self._complete = message["type"] != "http.request" or not message.get("more_body", False)
        if self._count > self._largest:
            raise self._too_large()
        return message

    async def drain(self) -> None:
        """Read on for a while, and forget it."""
        drained = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAINED_SECONDS):
                while not self._complete and drained < _DRAINED_BYTES:
                    message = await self._receive()
                    drained += len(message.get("body", b""))
                    self._complete = message["type"] != "http.request" or not message.get("more_body", False)

    def _too_large(self) -> Problem:
        message = f"The request is larger than {self._largest:,} bytes: send less, or compress the recording."
        return Problem(413, message, code="too_large", param="file")


def _check_origin(headers: Headers, settings: Settings) -> None:
    """Refuse a page of another origin: browsers let any page open a WebSocket, and leave the question to the server."""
    origin = headers.get("origin")
    if origin is None or {origin, "*"} & set(settings.cors_origins) or urlsplit(origin).netloc == headers.get("host"):
        return
    message = "This server does not talk to pages of that origin: allow it with AURICLE_CORS_ORIGINS."
    raise Problem(403, message, code="unknown_origin")


def _check_form(content_type: str | None) -> None:
    """Refuse a body that is no form; that none was sent at all is told by the field that is missing."""
    kind = (content_type or "multipart/form-data").partition(";")[0].strip().lower()
    if kind not in {"multipart/form-data", "application/x-www-form-urlencoded"}:
        message = "A recording comes as the field 'file' of a form: try curl -F file=@clip.mp3."
        raise Problem(415, message, code="not_a_form")


def _is_guarded(path: str) -> bool:
    return path.startswith("/v1/") or path in {CLASSIFY, "/metrics"}
