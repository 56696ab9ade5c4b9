"""What an operator may choose: environment variables AURICLE_NAME, and flags of `auricle serve` for a few of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def _listed(value: object) -> object:
    """Split what an environment variable holds: items with commas between them."""
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "auricle"


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_listed)]


class Settings(BaseSettings):
    """The server's settings. Times are in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix="AURICLE_", frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 is every one of this machine.")
    port: int = Field(default=8000, ge=0, le=65_535, description="Port to listen on; 0 takes any that is free.")
    model: str | None = Field(default=None, description="A model bundle, or a built-in model; without one, English.")
    threads: int | None = Field(
        default=None, ge=1, description="Cores that one recognition uses at most; without it, all."
    )
    workers: int = Field(default=1, ge=1, le=64, description="Batches of short clips that are recognised at a time.")
    batch_clips: int = Field(
        default=16, ge=1, le=256, description="Clips recognised together at most; 1 turns batching off."
    )
    max_requests: int = Field(
        default=128,
        ge=1,
        description="Recordings accepted at a time, read, waiting and recognised; more are answered 429.",
    )
    max_bytes: int = Field(default=100 << 20, ge=1, description="Largest request for a transcription.")
    max_seconds: float = Field(
        default=3600.0, gt=0, description="Longest recording for a transcription; longer ones are jobs."
    )
    max_job_bytes: int = Field(default=2 << 30, ge=1, description="Largest request for a job.")
    max_job_seconds: float = Field(default=12 * 3600.0, gt=0, description="Longest recording for a job.")
    max_jobs: int = Field(default=1000, ge=0, description="Jobs that wait at a time; more are answered 429.")
    keep_jobs_seconds: float = Field(default=7 * 86_400.0, gt=0, description="How long the result of a job is kept.")
    idle_seconds: float = Field(default=20.0, gt=0, description="Longest pause inside an upload.")
    upload_seconds: float = Field(default=600.0, gt=0, description="Longest time that an upload may take.")
    shutdown_seconds: int = Field(default=120, ge=0, description="Time to finish what was accepted after SIGTERM.")
    api_keys: Secrets = Field(
        default=(), description="Keys that open the API, commas between them; without any, all may ask."
    )
    api_keys_file: Path | None = Field(default=None, description="File with one key on each line; # begins a comment.")
    cors_origins: Names = Field(
        default=(), description="Origins whose pages may use the API, such as https://example.org."
    )
    allowed_hosts: Names = Field(
        default=(),
        description="Host names that requests may be for; without any, loopback names only while host is one.",
    )
    data_dir: Path = Field(default_factory=_default_data_dir, description="Folder of the jobs, this server's alone.")

    @property
    def hosts(self) -> tuple[str, ...]:
        """The Host headers that are answered: a page elsewhere cannot reach a private server through its own name."""
        loopback = self.host in {"localhost", "::1"} or self.host.startswith("127.")
        return self.allowed_hosts or (_LOOPBACK if loopback else ("*",))
