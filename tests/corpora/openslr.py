"""OpenSLR in small: archives in its layout, and a server that knows ranges, breaks off and goes down when told."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from auricle.manifest import read_manifest

CLIPS = Path(__file__).parents[1] / "clips"
SPEAKERS = """; Some pieces of information about the speakers
;
;ID  |SEX| SUBSET           |MINUTES| NAME
1272 | M | dev-clean        |  8.02 | A Reader
19   | F | train-clean-100  | 25.19 | Another | Reader
"""
# Which clip is said to be which utterance.
PARTS = {
    "train-clean-5": {"19-198-0000": "austen-0870", "19-198-0001": "austen-0890", "1272-5-0000": "austen-0920"},
    "dev-clean-2": {"1272-128104-0000": "austen-0880", "1272-128104-0001": "austen-0930"},
}


def archive(part: str, utterances: Mapping[str, str] | None = None, extra: Mapping[str, bytes] | None = None) -> bytes:
    """Return a tar.gz as OpenSLR lays it out; `extra` members come first, under the names that they are given."""
    texts = {utterance.id: utterance for utterance in read_manifest(CLIPS / "clips.jsonl")}
    members = {"LibriSpeech/SPEAKERS.TXT": SPEAKERS.encode(), "LibriSpeech/LICENSE.TXT": b"CC BY 4.0\n"}
    transcripts: dict[str, str] = {}
    for name, clip in (PARTS[part] if utterances is None else utterances).items():
        speaker, chapter, _ = name.split("-")
        folder = f"LibriSpeech/{part}/{speaker}/{chapter}"
        members[f"{folder}/{name}.flac"] = texts[clip].audio_filepath.read_bytes()
        trans = f"{folder}/{speaker}-{chapter}.trans.txt"
        transcripts[trans] = transcripts.get(trans, "") + f"{name} {(texts[clip].text or '').upper()}\n"
    members |= {name: text.encode() for name, text in transcripts.items()}
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as tar:
        for name, content in {**(extra or {}), **members}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return whole.getvalue()


class OpenSlr:
    """Serves /resources/31/PART.tar.gz. `asked` has each request's file and range, `sent` the bytes of all answers."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.files = {f"/resources/31/{part}.tar.gz": archive(part) for part in PARTS}
        self.asked: list[tuple[str, str | None]] = []
        self.sent = 0
        self.breaks_after: list[int] = []
        """Bytes after which the next answers break off, one for each answer."""
        self.is_down = False
        self.knows_ranges = True
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/resources"

    def md5(self, part: str) -> str:
        return hashlib.md5(self.files[f"/resources/31/{part}.tar.gz"]).hexdigest()

    @property
    def sums(self) -> list[str]:
        """The command's options that make it believe these archives."""
        return [option for part in PARTS for option in ("--md5", f"{part}={self.md5(part)}")]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.asked.append((request.path.rpartition("/")[2], wanted))
        content = self.files.get(request.path)
        if self.is_down or content is None:
            request.send_error(503 if self.is_down else 404)
            return
        start = 0
        if wanted and self.knows_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted).group(1))  # type: ignore[union-attr]
            if start >= len(content):
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{len(content)}")
                request.end_headers()
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            request.send_response(200)
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        body = content[start:]
        if self.breaks_after:
            body = body[: self.breaks_after.pop(0)]
        request.wfile.write(body)
        self.sent += len(body)

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            self._http.shutdown()
            self._http.server_close()
            thread.join()
