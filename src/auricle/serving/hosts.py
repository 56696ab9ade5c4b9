"""Which names this server answers to. A page elsewhere can point a name of its own at 127.0.0.1; it stays outside."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from auricle.serving.problems import Problem


class Hosts:
    """Middleware that refuses requests for other hosts; "*" lets any pass."""

    def __init__(self, app: ASGIApp, *, allowed: Collection[str]) -> None:
        self._app, self._allowed = app, frozenset(name.lower() for name in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] in {"http", "websocket"} and "*" not in self._allowed:
            host = host_name(Headers(scope=scope).get("host", ""))
            if host not in self._allowed:
                if scope["type"] == "websocket":
                    await send({"type": "websocket.close", "code": 1008})
                    return
                message = "This server does not answer to that host name: allow it with AURICLE_ALLOWED_HOSTS."
                await Problem(421, message, code="unknown_host").response()(scope, receive, send)
                return
        await self._app(scope, receive, send)


def host_name(host: str) -> str:
    """Return a Host header without its port."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()
