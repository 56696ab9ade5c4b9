"""Jobs on disk: what was asked, by whom, how far it is, and its result. SQLite, and one file for each recording."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from sqlalchemy import JSON, Engine, create_engine, event, false, func, inspect, select, text, true, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from auricle.errors import AuricleError
from auricle.serving.batching import HotWords
from auricle.serving.desk import READABLE, Style

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "completed", "failed"


class _Base(DeclarativeBase):
    pass


class Job(_Base):
    """A job. `owner` names the key that made it; `result` and `error` are bodies of answers."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    name: Mapped[str]
    status: Mapped[str] = mapped_column(index=True)
    progress: Mapped[float]
    created: Mapped[float] = mapped_column(index=True)
    finished: Mapped[float | None]
    hot_words: Mapped[list[str]] = mapped_column(JSON)
    response_format: Mapped[str]
    granularities: Mapped[list[str]] = mapped_column(JSON)
    plain: Mapped[bool] = mapped_column(default=False, server_default=false())
    numbers: Mapped[bool] = mapped_column(default=True, server_default=true())
    result: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    error: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a job is to do."""

    name: str
    hot_words: HotWords
    response_format: str
    granularities: Sequence[str]
    style: Style = READABLE


class JobStore:
    """The jobs of one data directory, which is this process's alone while the store is open. Safe in threads."""

    def __init__(self, folder: Path) -> None:
        """Open or create the store; what another process left running waits again. Raises AuricleError."""
        self._recordings = folder / "recordings"
        try:
            self._recordings.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _locked(folder / "lock")
            self._engine = _engine(folder / "jobs.sqlite")
            _Base.metadata.create_all(self._engine)
            _add_columns(self._engine)
        except OSError as error:
            raise AuricleError(
                f"{folder}: no jobs can be kept there ({error.strerror}): choose another --data."
            ) from error
        with Session(self._engine) as session, session.begin():
            session.execute(update(Job).where(Job.status == RUNNING).values(status=QUEUED, progress=0.0))
            known = set(session.scalars(select(Job.id).where(Job.status == QUEUED)))
        for path in self._recordings.iterdir():
            if path.name not in known:
                path.unlink()

    def recording(self, identity: str) -> Path:
        """Where a job's recording lies."""
        return self._recordings / identity

    def add(self, owner: str, wish: Wish, file: BinaryIO) -> Job:
        """Keep a recording and what to do with it. When this returns, a power cut does not lose it."""
        identity = f"job_{secrets.token_urlsafe(24)}"
        path = self.recording(identity)
        try:
            with path.open("xb") as copy:
                path.chmod(0o600)
                file.seek(0)
                shutil.copyfileobj(file, copy, 1 << 20)
                copy.flush()
                os.fsync(copy.fileno())
            job = Job(
                id=identity, owner=owner, name=wish.name, status=QUEUED, progress=0.0, created=time.time(),
                hot_words=list(wish.hot_words), response_format=wish.response_format,
                granularities=list(wish.granularities), plain=wish.style.plain, numbers=wish.style.numbers,
            )  # fmt: skip
            with self._session() as session, session.begin():
                session.add(job)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return job

    def get(self, identity: str, owner: str) -> Job | None:
        """Return a job to its owner, and to nobody else."""
        with self._session() as session:
            return session.scalar(select(Job).where(Job.id == identity, Job.owner == owner))

    def remove(self, identity: str, owner: str) -> bool:
        """Forget a job; one that runs ends at its next piece."""
        with self._session() as session, session.begin():
            job = session.scalar(select(Job).where(Job.id == identity, Job.owner == owner))
            if job is not None:
                session.delete(job)
        if job is not None:
            self.recording(identity).unlink(missing_ok=True)
        return job is not None

    def waiting(self) -> int:
        """Jobs that wait or run."""
        with self._session() as session:
            return session.scalar(select(func.count()).where(Job.status.in_([QUEUED, RUNNING]))) or 0

    def take(self) -> Job | None:
        """Return the job that has waited longest, now running."""
        with self._session() as session, session.begin():
            job = session.scalar(select(Job).where(Job.status == QUEUED).order_by(Job.created).limit(1))
            if job is not None:
                job.status = RUNNING
            return job

    def advance(self, identity: str, progress: float) -> bool:
        """Note how far a job is. Returns whether anybody still wants it."""
        return self._change(identity, progress=min(max(progress, 0.0), 1.0))

    def put_back(self, identity: str) -> None:
        """Let a job wait for the next process."""
        self._change(identity, status=QUEUED, progress=0.0)

    def finish(self, identity: str, *, result: Any = None, error: Any = None) -> None:
        """Write a result, or why there is none, once; then the recording goes."""
        status = DONE if error is None else FAILED
        self._change(identity, status=status, progress=1.0, result=result, error=error, finished=time.time())
        self.recording(identity).unlink(missing_ok=True)

    def forget_before(self, moment: float) -> None:
        """Remove what was finished before then."""
        with self._session() as session, session.begin():
            for job in session.scalars(select(Job).where(Job.finished < moment)):
                session.delete(job)

    def close(self) -> None:
        """Let another process have the directory."""
        self._engine.dispose()
        self._lock.close()

    def _session(self) -> Session:
        return Session(self._engine, expire_on_commit=False)

    def _change(self, identity: str, **values: Any) -> bool:
        with self._session() as session, session.begin():
            job = session.scalar(select(Job).where(Job.id == identity, Job.status == RUNNING))
            for name, value in values.items() if job is not None else ():
                setattr(job, name, value)
            return job is not None


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def durable(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    return engine


def _add_columns(engine: Engine) -> None:
    """Give the table of an older auricle the columns that have come since, which all have defaults."""
    known = {column["name"] for column in inspect(engine).get_columns(Job.__tablename__)}
    with engine.begin() as connection:
        for column in ("plain", "numbers"):
            if column not in known:
                default = int(column == "numbers")
                connection.execute(text(f"ALTER TABLE jobs ADD COLUMN {column} BOOLEAN NOT NULL DEFAULT {default}"))


def _locked(path: Path) -> TextIO:
    """Open a file that only one process can hold. Raises AuricleError when another does."""
    file = path.open("w")
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows
        return file
    except BlockingIOError:
        file.close()
        raise AuricleError(f"{path.parent} belongs to another server that runs: choose another --data.") from None
    return file
