"""The server's app: one recogniser, its jobs, and everything that is around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from fastapi import FastAPI

from auricle.audio import from_array
from auricle.recognizer import Recognizer
from auricle.serving import job_routes, stream_routes
from auricle.serving.assembly import assemble
from auricle.serving.desk import Desk
from auricle.serving.job_runner import JobRunner
from auricle.serving.jobs import JobStore
from auricle.serving.metrics import Metrics
from auricle.serving.settings import Settings


def create_app(settings: Settings, recognizer: Recognizer) -> FastAPI:
    """Return an ASGI app that serves the recogniser. Raises AuricleError for settings that cannot be followed.

    Threads, and the jobs that were left unfinished, start with the app's lifespan. When that ends, what was accepted is
    finished first.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        store = JobStore(settings.data_dir)
        desk = Desk(recognizer, settings, metrics)
        runner: JobRunner | None = None
        try:
            rate = recognizer.bundle.features.sample_rate
            await desk.recognise(from_array(np.zeros(rate, np.float32), rate, rate=rate), ())  # the first is slow
            _ = recognizer.restorer  # loaded now, and not while somebody waits
            runner = JobRunner(recognizer, store, settings, metrics)
            app.state.desk, app.state.jobs, app.state.runner, app.state.is_ready = desk, store, runner, True
            yield
        finally:
            app.state.is_ready = False
            await desk.close()
            if runner is not None:
                await asyncio.to_thread(runner.close)
            store.close()

    app = assemble(settings, metrics, routers=[job_routes.router], lifespan=lifespan, facts={"takes_streams": True})
    app.include_router(stream_routes.router)  # the gate looks at its key; HTTP's way of asking for one is not for it
    return app
