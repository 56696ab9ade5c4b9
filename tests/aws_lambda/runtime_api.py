"""A mock of AWS: the Lambda Runtime API, as AWS documents it for custom runtimes, on loopback.

`GET runtime/invocation/next` waits for an event; the function posts to `runtime/invocation/ID/response`, to
`.../ID/error`, or, when it cannot begin, to `runtime/init/error`.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue
from typing import Any

_PREFIX = "/2018-06-01/runtime"
_SECONDS = 60


class RuntimeApi:
    """What a function is asked, and what it answered."""

    def __init__(self) -> None:
        self.address = ""
        self.is_over = False
        self.events: Queue[tuple[str, dict[str, Any]]] = Queue()
        self._answers: Queue[tuple[str, dict[str, Any]]] = Queue()
        self.init_error: dict[str, Any] | None = None

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        """Give the function an event; return its response. Raises AssertionError for an error of the function."""
        identity = str(uuid.uuid4())
        self.events.put((identity, event))
        path, answer = self._answers.get(timeout=_SECONDS)
        assert path == f"{_PREFIX}/invocation/{identity}/response", (path, answer)
        return answer

    def posted(self, path: str, body: bytes) -> None:
        """Keep what the function says."""
        answer = json.loads(body)
        if path == f"{_PREFIX}/init/error":
            self.init_error = answer
        else:
            self._answers.put((path, answer))

    def next_event(self) -> tuple[str, dict[str, Any]] | None:
        """Wait for an event; nothing when it is over."""
        while not self.is_over:
            try:
                return self.events.get(timeout=0.1)
            except Empty:
                continue
        return None


@contextmanager
def runtime_api() -> Iterator[RuntimeApi]:
    """Serve the API for one function."""
    api = RuntimeApi()

    class Calls(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = api.next_event() if self.path == f"{_PREFIX}/invocation/next" else None
            if found is None:
                with suppress(OSError):  # the function was ended while it waited
                    self._answer(410, b"{}")
                return
            identity, event = found
            headers = {
                "Lambda-Runtime-Aws-Request-Id": identity,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + 30) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-2:123456789012:function:auricle",
                "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1",
            }
            self._answer(200, json.dumps(event).encode(), headers)

        def do_POST(self) -> None:
            api.posted(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(202, b'{"status": "OK"}')

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Calls) as server:
        server.daemon_threads = True
        api.address = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield api
        finally:
            api.is_over = True
            server.shutdown()
            thread.join()
