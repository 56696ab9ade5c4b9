"""Live captions: sound comes in over a WebSocket while it is spoken, and words go out. See docs/server.md."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine, Iterator
from importlib.util import find_spec
from typing import Any, Literal

from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.websockets import WebSocketDisconnect

from auricle.audio import Blocks
from auricle.errors import AuricleError
from auricle.features import Array
from auricle.restoration import Continued, WindowedRestorer
from auricle.serving.batching import HotWords
from auricle.serving.desk import Desk
from auricle.serving.forms import check_language, hot_words_of
from auricle.serving.gate import STREAM
from auricle.serving.keys import PROTOCOL
from auricle.serving.live import BLOCK_SECONDS, Finish, Inlet, captions, open_stream
from auricle.serving.logs import logger
from auricle.serving.problems import Problem, hang_up, internal_error, unreadable
from auricle.serving.settings import Settings

MESSAGE_BYTES = 1 << 20
"""The largest message that is read."""
router = APIRouter()


class Start(BaseModel):
    """A stream's first message: what is going to be sent. `rate`, in Hz, is of pcm; webm says its own.

    Final captions are readable unless `plain`, with figures unless `numbers` is false.
    """

    model_config = ConfigDict(extra="forbid")

    type: Literal["start"]
    format: Literal["pcm", "webm"] = "pcm"
    rate: int = Field(default=16_000, ge=8_000, le=192_000)
    prompt: str | None = Field(default=None, max_length=20_000)
    language: str | None = Field(default=None, max_length=20)
    plain: bool = False
    numbers: bool = True


@router.websocket(STREAM)
async def stream(websocket: WebSocket) -> None:
    """Recognise what is sent until the client says `end`; what goes wrong is one message, and a code that closes."""
    await websocket.accept(subprotocol=PROTOCOL if PROTOCOL in websocket.scope["subprotocols"] else None)
    try:
        await _Stream(websocket).run()
    except WebSocketDisconnect:
        pass
    except Problem as problem:
        await hang_up(websocket, problem)
    except AuricleError as error:
        await hang_up(websocket, unreadable(error))
    except Exception:
        logger.exception("the stream failed")
        await hang_up(websocket, internal_error())


class _Stream:
    """One stream. Its messages are read here, and recognised on a thread, which says what it heard by itself."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._settings: Settings = websocket.app.state.settings
        self._desk: Desk = websocket.app.state.desk
        self._loop = asyncio.get_running_loop()
        self._inlet = Inlet()
        self._seconds = 0.0
        self._until = time.monotonic() + self._settings.max_seconds + self._settings.upload_seconds

    async def run(self) -> None:
        """Serve it to its end. Raises Problem, AuricleError and WebSocketDisconnect; nothing of it is left then."""
        start = _start_of(await self._receive())
        hot_words = hot_words_of(start.prompt)
        work = self._desk.listen(lambda: self._listen(start, hot_words))
        reading = asyncio.ensure_future(self._read())
        try:
            await asyncio.wait({reading, work}, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self._inlet.abandon()
            reading.cancel()
            await asyncio.gather(reading, work, return_exceptions=True)
        if not reading.cancelled():
            reading.result()
        work.result()

    async def _read(self) -> None:
        """Hand on the sound until the client says that it was all."""
        count = 0
        while isinstance(message := await self._receive(), bytes):
            count += len(message)
            if count > self._settings.max_bytes:
                most = self._settings.max_bytes
                raise Problem(413, f"The stream is larger than {most:,} bytes: begin another.", code="too_large")
            await self._inlet.put(message)
        if message != {"type": "end"}:
            raise _bad('After \'start\' come binary messages with sound, and then {"type": "end"}.')
        self._inlet.end()

    async def _receive(self) -> Any:
        """Return the next message: bytes, or what its JSON holds."""
        patience = min(self._settings.idle_seconds, self._until - time.monotonic())
        try:
            message = await asyncio.wait_for(self._websocket.receive(), patience)
        except TimeoutError:
            raise Problem(408, "The stream came too slowly: begin another.", code="stream_too_slow") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"])
        if (data := message.get("bytes")) is not None:
            return data
        try:
            return json.loads(message["text"])
        except (ValueError, RecursionError):
            raise _bad("A message is no JSON: send sound as binary messages.") from None

    def _listen(self, start: Start, hot_words: HotWords) -> None:
        """Recognise what is read, on a thread of the desk's, and say what is heard."""
        recognizer, most = self._desk.recognizer, self._settings.max_seconds
        rate = recognizer.bundle.features.sample_rate
        # A block of PCM; of WebM nobody knows.
        block_bytes = round(2 * BLOCK_SECONDS * start.rate) if start.format == "pcm" else 1
        said: list[str] = []
        with open_stream(self._inlet, start.format, pcm_rate=start.rate, rate=rate, most_seconds=most) as blocks:
            for caption in captions(
                self._bounded(blocks),
                recognizer.live_plan(),
                lambda clip: self._desk.recognise_and_wait(clip, hot_words),
                rate=rate,
                finish=_finish(start, recognizer.restorer),
                is_behind=lambda: self._inlet.waiting_bytes >= block_bytes,
            ):
                if caption.is_final and caption.words:
                    said.append(caption.text)
                self._say(caption.message())
        self._say({"type": "done", "text": " ".join(said), "duration": round(self._seconds, 3)})
        self._wait_for(self._websocket.close())

    def _bounded(self, blocks: Blocks) -> Iterator[Array]:
        most = self._settings.max_seconds
        for block in blocks:
            self._seconds += len(block) / blocks.rate
            if self._seconds > most:
                raise Problem(413, f"The stream is longer than {most:g} s: begin another.", code="audio_too_long")
            if self._inlet.is_abandoned:
                raise WebSocketDisconnect
            yield block

    def _say(self, message: dict[str, Any]) -> None:
        """Send a message from the thread. Raises WebSocketDisconnect when there is nobody to take it."""
        if self._inlet.is_abandoned:
            raise WebSocketDisconnect
        self._wait_for(self._websocket.send_json(message))

    def _wait_for(self, sending: Coroutine[Any, Any, None]) -> None:
        sent = asyncio.wait_for(sending, self._settings.idle_seconds)
        try:
            asyncio.run_coroutine_threadsafe(sent, self._loop).result()
        except TimeoutError:  # a client that does not read
            raise WebSocketDisconnect from None


def _finish(start: Start, restorer: WindowedRestorer | None) -> Finish:
    """Return what is done to the words of a final caption."""
    if start.plain or restorer is None:
        return lambda words, pause: words
    return Continued(restorer, numbers=start.numbers)


def _start_of(message: Any) -> Start:
    if isinstance(message, bytes):
        raise _bad('The first message says what is sent: {"type": "start", "format": "pcm", "rate": 16000}.')
    try:
        start = Start.model_validate(message)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else None
        raise _bad(f"{name or 'start'}: {first['msg']}.", param=name) from None
    check_language(start.language)
    if start.format == "webm" and find_spec("av") is None:
        message = "This server does not open WebM: send 16-bit PCM, format pcm."
        raise Problem(415, message, code="unsupported_format", param="format")
    return start


def _bad(message: str, param: str | None = None) -> Problem:
    return Problem(400, message, code="invalid_message", param=param)
