"""AWS Lambda's entry point: `auricle.serving.aws_lambda.handler`. See docs/lambda.md.

Importing this loads the model and recognises something, which SnapStart then keeps as it is. What goes wrong here is
reported by the runtime as an error of the function's initialisation. The log says how long each part took.
"""

from __future__ import annotations

import gc
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auricle.serving.aws_app import EntryPoint


def _start() -> EntryPoint:
    times = [time.perf_counter()]
    # A tenth of the imports' time goes into looking for garbage and for plug-ins; there is none, and there are none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()
    try:
        from auricle.recognizer import load
        from auricle.serving.aws_app import EntryPoint
        from auricle.serving.aws_settings import LambdaSettings, threads_for
        from auricle.serving.logs import log_to_stderr, logger

        log_to_stderr()
        times.append(time.perf_counter())
        settings = LambdaSettings()
        threads = settings.threads or threads_for(int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "0")))
        recognizer = load(settings.model, threads=threads)
        times.append(time.perf_counter())
        entry = EntryPoint(settings, recognizer)
        times.append(time.perf_counter())
    finally:
        gc.freeze()
        gc.enable()
    parts = zip(("imports", "model", "first_run"), times, times[1:], strict=False)
    logger.info("started", extra={f"{name}_seconds": round(after - before, 3) for name, before, after in parts})
    return entry


handler = _start()
