"""AWS Lambda's entry point for recordings that arrive in S3: `auricle.serving.aws_uploads.handler`.

Importing this loads the model, as `auricle.serving.aws_lambda` does for requests.
"""

from __future__ import annotations

import os

from auricle.errors import AuricleError
from auricle.recognizer import load
from auricle.serving.aws_settings import LambdaSettings, threads_for
from auricle.serving.aws_store import open_store
from auricle.serving.aws_transcriber import Transcriber
from auricle.serving.logs import log_to_stderr

log_to_stderr()
_settings = LambdaSettings()
if not _settings.uploads_bucket or not _settings.results_bucket:
    raise AuricleError("there are no buckets: set AURICLE_UPLOADS_BUCKET and AURICLE_RESULTS_BUCKET.")
_threads = _settings.threads or threads_for(int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "0")))

_recognizer = load(_settings.model, threads=_threads)
_ = _recognizer.restorer  # loaded now, as the rest is

handler = Transcriber(
    _settings,
    _recognizer,
    open_store(_settings.uploads_bucket, _settings.results_bucket),
)
