"""A mock of AWS: API Gateway's HTTP API before a handler, on loopback, and a host for the page.

It forwards as API Gateway does: routes and CORS of the template, bodies that are not text as base64, 6 MB for the
event, and no answer after 30 s. One instance takes one event at a time.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from auricle.serving.aws_settings import ANSWER_SECONDS, PAYLOAD_BYTES
from aws_lambda.conftest import Context
from aws_lambda.events import Event, answer_of, http_api
from aws_lambda.stack import written

Answer: TypeAlias = tuple[int, dict[str, str], bytes]
_LARGEST_REQUEST = 10 << 20


@dataclass
class Gateway:
    """The gateway: where it is, what the function was asked, and what the gateway refused by itself."""

    handler: Callable[[Event, Any], dict[str, Any]]
    url: str = ""
    page: str = ""
    patience: Callable[[Event], float] = lambda _: ANSWER_SECONDS
    before: Callable[[Event], object] = lambda _: None
    events: list[Event] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    instance: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def asked(self, method: str, path: str) -> list[Event]:
        """The events of a method and a path's beginning."""
        requests = ((event, event["requestContext"]["http"]) for event in self.events)
        return [event for event, http in requests if http["method"] == method and http["path"].startswith(path)]

    def answer(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return status, headers and body."""
        routes = {event["Properties"]["Method"] for event in written("ApiFunction")["Events"].values()}
        if method not in routes:
            return self._own(404, "Not Found")
        event = http_api(method, path, body, headers, query)
        if len(body) > _LARGEST_REQUEST or len(json.dumps(event)) > PAYLOAD_BYTES:
            return self._own(413, "Request Too Long")
        self.events.append(event)
        future: Future[dict[str, Any]] = self.instance.submit(self._invoke, event)
        try:
            reply = future.result(self.patience(event))
        except TimeoutError:
            return self._own(503, "Service Unavailable")
        except Exception:
            return self._own(500, "Internal Server Error")
        return reply["statusCode"], dict(reply["headers"]), answer_of(reply)

    def _invoke(self, event: Event) -> dict[str, Any]:
        self.before(event)
        return self.handler(event, Context())

    def _own(self, status: int, message: str) -> Answer:
        self.refused.append(status)
        return status, {"content-type": "application/json"}, json.dumps({"message": message}).encode()

    def cors(self, origin: str | None) -> dict[str, str]:
        """What another origin is told; the template's page is the only one that is told anything."""
        if not origin or origin != self.page:
            return {}
        rules = written("Api")["CorsConfiguration"]
        return {
            "access-control-allow-origin": origin,
            "access-control-allow-methods": ",".join(rules["AllowMethods"]),
            "access-control-allow-headers": ",".join(rules["AllowHeaders"]),
            "access-control-expose-headers": ",".join(rules["ExposeHeaders"]),
        }


@contextmanager
def gateway(handler: Callable[[Event, Any], dict[str, Any]]) -> Iterator[Gateway]:
    """Serve a handler."""
    made = Gateway(handler)

    class Calls(_Quiet):
        def do_GET(self) -> None:
            self._forward()

        def do_POST(self) -> None:
            self._forward()

        def do_DELETE(self) -> None:
            self._forward()

        def do_OPTIONS(self) -> None:
            self.reply(204, made.cors(self.headers["Origin"]), b"")

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            split = urlsplit(self.path)
            status, headers, content = made.answer(self.command, split.path, split.query, dict(self.headers), body)
            kept = {k: v for k, v in headers.items() if not k.startswith("access-control-") and k != "content-length"}
            self.reply(status, {**kept, **made.cors(self.headers["Origin"])}, content)

    with _serving(Calls) as made.url, made.instance:
        yield made


@contextmanager
def page_host(files: Mapping[str, tuple[bytes, str]], policy: str) -> Iterator[str]:
    """Serve files as CloudFront does from a bucket, with a Content-Security-Policy."""

    class Files(_Quiet):
        def do_GET(self) -> None:
            key = urlsplit(self.path).path.lstrip("/") or "index.html"
            content, kind = files.get(key, (b"", "text/plain"))
            headers = {"content-type": kind, "content-security-policy": policy, "cache-control": "no-cache"}
            self.reply(200 if key in files else 403, headers, content)

    with _serving(Files) as url:
        yield url


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        with suppress(OSError):  # a browser that has gone on
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def _serving(calls: type[_Quiet]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), calls) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
