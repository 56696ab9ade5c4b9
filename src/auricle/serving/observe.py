"""Around every request: its id, its line in the log, its numbers, and headers that keep browsers careful."""

from __future__ import annotations

import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auricle.serving.logs import logger, request_id
from auricle.serving.metrics import Metrics
from auricle.serving.problems import internal_error

_GIVEN_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Observe:
    """The outermost middleware. What nothing inside has caught becomes a 500 without a word about its cause."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        identity = given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(12)
        token = request_id.set(identity)
        started = time.perf_counter()
        status: int | None = None

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = identity
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            elif message["type"] == "websocket.accept":
                status = 101
            elif message["type"] == "websocket.close":
                status = message.get("code", 1000)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            logger.exception("the request failed")
            if scope["type"] == "http" and status is None:
                await internal_error().response()(scope, receive, sending)
        finally:
            self._record(scope, status, time.perf_counter() - started)
            request_id.reset(token)

    def _record(self, scope: Scope, status: int | None, seconds: float) -> None:
        # The route's pattern, not the path: paths are the caller's words, and some are secret.
        route = getattr(scope.get("route"), "path", "unknown")
        method = scope.get("method", "WEBSOCKET")
        known = method if method in {"GET", "HEAD", "POST", "DELETE", "OPTIONS", "WEBSOCKET"} else "OTHER"
        self._metrics.requests.labels(known, route, str(status or 0)).inc()
        self._metrics.latency.labels(route).observe(seconds)
        details = {"method": known, "route": route, "status": status, "seconds": round(seconds, 4)}
        logger.info("answered", extra=details)
