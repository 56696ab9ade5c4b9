"""A process that serves: a socket, an app, and signals."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from auricle.errors import AuricleError
from auricle.recognizer import load
from auricle.serving.app import create_app
from auricle.serving.keys import key_ring
from auricle.serving.logs import log_to_stderr, logger
from auricle.serving.settings import Settings
from auricle.serving.stream_routes import MESSAGE_BYTES


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was accepted. Raises AuricleError when that cannot begin."""
    log_to_stderr()
    with _listening(settings) as listener:
        app = create_app(settings, load(settings.model, threads=settings.threads))
        server = uvicorn.Server(configured(app, settings))
        _announce(settings, listener)
        server.run([listener])


def configured(app: Any, settings: Settings) -> uvicorn.Config:
    """Return how uvicorn runs the app."""
    return uvicorn.Config(
        app,
        http=_patient(settings.idle_seconds),
        ws="websockets-sansio",
        ws_max_size=MESSAGE_BYTES,
        ws_per_message_deflate=False,  # sound does not get smaller, and a bomb would
        ws_ping_timeout=None,  # nothing is read, pongs neither, while recognition is behind; silence has a limit anyway
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=2 * settings.max_requests + 256,
        # Longer than clients and load balancers keep a connection (httpx 5 s, AWS 60 s): a server that closes first may
        # do so just when a request comes, which is lost. uvicorn's own 5 s are exactly those of the openai client.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


def _patient(seconds: float) -> type[H11Protocol]:
    """Return a protocol that hangs up on whoever connects and does not ask for anything."""

    class Patient(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.loop.call_later(seconds, self._give_up)

        def _give_up(self) -> None:
            asked: object = self.cycle  # None before the first request, whatever its type says
            if self.transport.get_protocol() is not self:  # a WebSocket's, by now
                return
            if asked is None and not self.transport.is_closing():
                self.transport.close()

    return Patient


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AuricleError(
            f"{settings.host}:{settings.port} cannot be listened on ({reason}): choose another --host or --port."
        ) from error


def _announce(settings: Settings, listener: socket.socket) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    logger.info("listening", extra={"url": f"http://{host}:{listener.getsockname()[1]}/"})
    if settings.hosts == ("*",) and key_ring(settings).is_open:
        logger.warning("anyone who reaches this address may use it: set AURICLE_API_KEYS or AURICLE_API_KEYS_FILE")
