"""One thread that does the jobs, oldest first. What it does not finish, the next process does."""

from __future__ import annotations

import threading
import time
from typing import BinaryIO

from auricle.errors import AuricleError
from auricle.recognizer import Recognizer
from auricle.serving.desk import Style
from auricle.serving.jobs import Job, JobStore
from auricle.serving.logs import logger
from auricle.serving.metrics import Metrics
from auricle.serving.problems import Problem, internal_error, unreadable
from auricle.serving.recordings import transcript_of
from auricle.serving.replies import Granularity, ResponseFormat, rendered
from auricle.serving.settings import Settings
from auricle.transcript import Transcript

_TIDY_SECONDS = 60.0


class JobRunner:
    """Runs jobs until it is closed; `wake` it when there is a new one."""

    def __init__(self, recognizer: Recognizer, store: JobStore, settings: Settings, metrics: Metrics) -> None:
        self._recognizer, self._store, self._settings, self._metrics = recognizer, store, settings, metrics
        self._new = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="jobs")
        self._thread.start()

    def wake(self) -> None:
        """Look for a job now."""
        self._metrics.jobs.set(self._store.waiting())
        self._new.set()

    def close(self) -> None:
        """Stop after the piece at hand. A job that is not finished waits for the next process."""
        self._closing = True
        self._new.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            self._new.clear()
            self._store.forget_before(time.time() - self._settings.keep_jobs_seconds)
            job = self._store.take()
            self._metrics.jobs.set(self._store.waiting())
            if job is None:
                self._new.wait(_TIDY_SECONDS)
                continue
            try:
                self._do(job)
            except Problem as problem:
                self._store.finish(job.id, error=problem.body["error"])
            except AuricleError as error:
                self._store.finish(job.id, error=unreadable(error).body["error"])
            except Exception:
                logger.exception("a job failed")
                self._store.finish(job.id, error=internal_error().body["error"])

    def _do(self, job: Job) -> None:
        started = time.perf_counter()
        try:
            file = self._store.recording(job.id).open("rb")
        except FileNotFoundError:  # removed by its owner between being taken and this
            if self._store.advance(job.id, 0.0):
                raise
            return
        with file:
            transcript = self._transcript(job, file)
        if transcript is None:
            return
        format_ = ResponseFormat(job.response_format)
        result = rendered(transcript, format_, [Granularity(name) for name in job.granularities])
        self._store.finish(job.id, result=result)
        busy = time.perf_counter() - started
        self._metrics.recognised(audio_seconds=transcript.duration, busy_seconds=busy)

    def _transcript(self, job: Job, file: BinaryIO) -> Transcript | None:
        """Return what was said; nothing when the job was removed, or put back because the server stops."""

        def is_wanted(share: float) -> bool:
            if not self._store.advance(job.id, share):
                return False
            if self._closing:
                self._store.put_back(job.id)
            return not self._closing

        return transcript_of(
            self._recognizer,
            file,
            name=job.name,
            hot_words=tuple(job.hot_words),
            style=Style(job.plain, job.numbers),
            most_seconds=self._settings.max_job_seconds,
            is_wanted=is_wanted,
        )
