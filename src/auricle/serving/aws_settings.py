"""What AWS Lambda allows, and the settings that follow from it.

The limits are those of AWS's own pages on Lambda's and API Gateway's quotas.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import Field

from auricle.serving.settings import Settings

PAYLOAD_BYTES: Final = 6 << 20
"""The largest event that a function is called with, and the largest answer: JSON, so binary bodies are base64 in it."""
ANSWER_SECONDS: Final = 30
"""How long API Gateway's HTTP API waits for an answer."""
DIRECT_BYTES: Final = 4_000_000
"""What the page sends in one request: 5.3 MB as base64. Larger recordings go to S3."""
UPLOAD_SECONDS: Final = 900
"""How long the function for recordings in S3 may take: the most that Lambda gives."""
MEGABYTES_FOR_A_CORE: Final = 1769


class LambdaSettings(Settings):
    """The server's settings with Lambda's defaults; the environment variables are the same, and two more.

    A form of `max_bytes` is 6.0 MB as base64, which leaves room for the rest of the event. `max_seconds` takes a third
    of the time that API Gateway waits, on one core.
    """

    host: str = Field(default="0.0.0.0", description="Of no meaning here: API Gateway decides who gets through.")
    max_bytes: int = Field(default=4_500_000, ge=1, description="Largest request for a transcription.")
    max_seconds: float = Field(default=300.0, gt=0, description="Longest recording for a transcription.")
    max_job_bytes: int = Field(default=1 << 30, ge=1, description="Largest recording by way of S3.")
    max_job_seconds: float = Field(default=4 * 3600.0, gt=0, description="Longest recording by way of S3.")
    batch_clips: int = Field(default=1, ge=1, le=256, description="Lambda gives an instance one request at a time.")
    data_dir: Path = Field(default=Path("/tmp"), description="The one folder that can be written to.")
    uploads_bucket: str | None = Field(default=None, description="S3 bucket that takes large recordings.")
    results_bucket: str | None = Field(default=None, description="S3 bucket of their transcripts.")

    @property
    def takes_uploads(self) -> bool:
        """Whether large recordings can be sent by way of S3."""
        return bool(self.uploads_bucket and self.results_bucket)


def threads_for(megabytes: int) -> int:
    """Return how many threads keep busy what Lambda gives with so much memory: a whole core with each 1,769 MB."""
    return max(1, megabytes // MEGABYTES_FOR_A_CORE)
