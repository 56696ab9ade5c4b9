"""The app as AWS Lambda calls it: an event in, an answer out, without a socket."""

from __future__ import annotations

import asyncio
import base64
import io
import logging
from typing import Any, TypeAlias

import numpy as np
import soundfile
from fastapi import FastAPI
from mangum import Mangum

from auricle.recognizer import Recognizer
from auricle.serving import aws_upload_routes
from auricle.serving.assembly import assemble
from auricle.serving.aws_settings import DIRECT_BYTES, LambdaSettings
from auricle.serving.desk import Desk
from auricle.serving.gate import CLASSIFY
from auricle.serving.keys import keys_of
from auricle.serving.metrics import Metrics

Event: TypeAlias = dict[str, Any]

# What goes into an answer as it is; everything else is base64.
_TEXT_TYPES = ["text/", "application/json", "application/javascript", "application/x-subrip", "image/svg+xml"]
_DUMMY_SECONDS = 0.5


def lambda_app(settings: LambdaSettings) -> FastAPI:
    """Return the server's app without its jobs: what would wait for a thread here waits for a place in S3."""
    routers = [aws_upload_routes.router] if settings.takes_uploads else []
    return assemble(settings, Metrics(), routers=routers, facts=lambda_facts(settings))


def lambda_facts(settings: LambdaSettings, api: str = "") -> dict[str, Any]:
    """Return what the page has to know of Lambda; `api` is the address of the function, unless that sends the page."""
    return {"mode": "lambda", "api": api, "direct_bytes": DIRECT_BYTES, "takes_uploads": settings.takes_uploads}


class EntryPoint:
    """A handler for events of HTTP APIs, of REST APIs and of function URLs; one event at a time."""

    def __init__(self, settings: LambdaSettings, recognizer: Recognizer) -> None:
        """Recognise half a second by the road that a request takes, so that no request is the first.

        Raises RuntimeError when that fails, and AuricleError for settings that cannot be followed.
        """
        app = lambda_app(settings)
        self._desk = Desk(recognizer, settings, app.state.metrics)
        app.state.desk, app.state.is_ready = self._desk, True
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._adapter = Mangum(app, lifespan="off", text_mime_types=_TEXT_TYPES)
        logging.getLogger("mangum").setLevel(logging.WARNING)  # ours has a line for each request already
        answer = self(_dummy(settings), None)
        if answer["statusCode"] != 200:
            self.close()
            raise RuntimeError(f"the first recognition failed: {answer['body']}")
        _ = recognizer.restorer  # which /classify does without

    def __call__(self, event: Event, context: Any) -> dict[str, Any]:
        """Answer an event."""
        asyncio.set_event_loop(self._loop)
        return self._adapter(_identified(event, context), context)

    def close(self) -> None:
        """End the threads. Lambda never asks for it: it freezes the process, and forgets it."""
        self._loop.run_until_complete(self._desk.close())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        asyncio.set_event_loop(None)


def _identified(event: Event, context: Any) -> Event:
    """Let the log, and the answer, carry Lambda's id of the request, unless the caller gave one."""
    identity = getattr(context, "aws_request_id", None)
    return {**event, "headers": {"x-request-id": identity, **(event.get("headers") or {})}} if identity else event


def _dummy(settings: LambdaSettings) -> Event:
    """Return a function URL's event that classifies noise, by somebody who may."""
    key, host = next(iter(keys_of(settings)), ""), next(iter(settings.allowed_hosts), "localhost")
    wav = io.BytesIO()
    rate = 16_000
    noise = 0.01 * np.random.default_rng(0).standard_normal(int(_DUMMY_SECONDS * rate))
    soundfile.write(wav, noise, rate, format="WAV", subtype="PCM_16")
    head = '--dummy\r\nContent-Disposition: form-data; name="file"; filename="dummy.wav"\r\n\r\n'
    body = head.encode() + wav.getvalue() + b"\r\n--dummy--\r\n"
    return {
        "version": "2.0",
        "rawPath": CLASSIFY,
        "rawQueryString": "",
        "headers": {
            "content-type": "multipart/form-data; boundary=dummy",
            "host": host,
            "authorization": f"Bearer {key}",
        },
        "requestContext": {"http": {"method": "POST", "path": CLASSIFY, "sourceIp": "127.0.0.1"}},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }
