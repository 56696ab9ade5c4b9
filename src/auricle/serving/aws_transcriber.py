"""What is done about a recording that has arrived in S3."""

from __future__ import annotations

import tempfile
import time
from typing import Any
from urllib.parse import unquote_plus

from auricle import formats
from auricle.errors import AuricleError
from auricle.recognizer import Recognizer
from auricle.serving.aws_settings import LambdaSettings
from auricle.serving.aws_store import MOST_ATTEMPTS, Claim, Request, UploadStore, identity_of
from auricle.serving.desk import Style
from auricle.serving.logs import logger
from auricle.serving.problems import Problem, internal_error, unreadable
from auricle.serving.recordings import transcript_of
from auricle.transcript import Transcript

_TELL_SECONDS = 2.0  # between two notes of progress
_LAST_SECONDS = 20.0  # of the invocation, kept for what is between two pieces, and for saying that it was not enough


class Transcriber:
    """A handler for S3's events. What is wrong with a recording becomes its error object, and is not tried again.

    Errors of S3 are raised: Lambda repeats the invocation. So is nothing else; a recording that ends the whole process
    (out of memory, out of time) is given up at the third attempt.
    """

    def __init__(self, settings: LambdaSettings, recognizer: Recognizer, store: UploadStore) -> None:
        self._settings, self._recognizer, self._store = settings, recognizer, store

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Transcribe what arrived; return what became of each object, which only the log and tests read."""
        keys = [unquote_plus(record["s3"]["object"]["key"]) for record in event.get("Records", ())]
        return {key: self._arrived(key, context) for key in keys}

    def _arrived(self, key: str, context: Any) -> str:
        identity = identity_of(key)
        request = self._store.request(identity) if identity else None
        size = self._store.size(identity) if identity and request else None
        claim = self._store.claim(identity, context.aws_request_id) if identity and size is not None else None
        if identity is None or request is None or size is None or claim is None:
            logger.info("nothing to do", extra={"upload": identity})  # done, being done, or never announced
            return "skipped"
        started = time.perf_counter()
        outcome = self._finish(identity, request, size, claim, context)
        seconds = round(time.perf_counter() - started, 3)
        logger.info("transcribed", extra={"upload": identity, "outcome": outcome, "bytes": size, "seconds": seconds})
        return outcome

    def _finish(self, identity: str, request: Request, size: int, claim: Claim, context: Any) -> str:
        try:
            self._refuse(size, claim)
            transcript = self._transcript(identity, request, claim, context)
        except Problem as problem:
            return self._fail(identity, problem)
        except AuricleError as error:
            return self._fail(identity, unreadable(error))
        except Exception as error:
            if type(error).__module__.startswith(("botocore", "boto3", "urllib3", "s3transfer")):
                raise
            logger.exception("a recording failed")
            return self._fail(identity, internal_error())
        self._store.finish(identity, formats.write(transcript, "json"), formats.write(transcript, "srt"))
        return "completed"

    def _transcript(self, identity: str, request: Request, claim: Claim, context: Any) -> Transcript:
        told = 0.0

        def is_wanted(share: float) -> bool:
            nonlocal told
            if time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                self._store.advance(identity, claim, share)
            return bool(context.get_remaining_time_in_millis() > 1000 * _LAST_SECONDS)

        with tempfile.TemporaryFile() as file:
            self._store.fetch(identity, file)
            transcript = transcript_of(
                self._recognizer,
                file,
                name=request.name,
                hot_words=request.hot_words,
                style=Style(request.plain, request.numbers),
                most_seconds=self._settings.max_job_seconds,
                is_wanted=is_wanted,
            )
        if transcript is None:
            message = "The recording takes longer to recognise than a function may run: send it in parts."
            raise Problem(413, message, code="audio_too_long", param="file")
        return transcript

    def _refuse(self, size: int, claim: Claim) -> None:
        if size > self._settings.max_job_bytes:
            message = f"The recording is larger than {self._settings.max_job_bytes:,} bytes: send it in parts."
            raise Problem(413, message, code="too_large", param="file")
        if claim.attempt > MOST_ATTEMPTS:
            message = f"The recording ended the function {MOST_ATTEMPTS} times: convert it to WAV, or send it in parts."
            raise Problem(500, message, code="gave_up", param="file")

    def _fail(self, identity: str, problem: Problem) -> str:
        self._store.fail(identity, problem.body["error"])
        return "failed"
