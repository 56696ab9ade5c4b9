"""The app: one recogniser, and everything that is around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from fastapi import FastAPI, Security
from fastapi.security import HTTPBearer
from starlette.middleware.cors import CORSMiddleware

from auricle import __version__
from auricle.audio import from_array
from auricle.recognizer import Recognizer
from auricle.serving import job_routes, pages, routes
from auricle.serving.desk import Desk
from auricle.serving.gate import Gate
from auricle.serving.hosts import Hosts
from auricle.serving.job_runner import JobRunner
from auricle.serving.jobs import JobStore
from auricle.serving.keys import key_ring
from auricle.serving.metrics import Metrics
from auricle.serving.observe import Observe
from auricle.serving.problems import install_handlers
from auricle.serving.settings import Settings


def create_app(settings: Settings, recognizer: Recognizer) -> FastAPI:
    """Return an ASGI app that serves the recogniser. Raises AuricleError for settings that cannot be followed.

    Threads, and the jobs that were left unfinished, start with the app's lifespan. When that ends, what was accepted is
    finished first.
    """
    keys, metrics = key_ring(settings), Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        store = JobStore(settings.data_dir)
        desk = Desk(recognizer, settings, metrics)
        runner: JobRunner | None = None
        try:
            rate = recognizer.bundle.features.sample_rate
            await desk.recognise(from_array(np.zeros(rate, np.float32), rate, rate=rate), ())  # the first is slow
            runner = JobRunner(recognizer, store, settings, metrics)
            app.state.desk, app.state.jobs, app.state.runner, app.state.is_ready = desk, store, runner, True
            yield
        finally:
            app.state.is_ready = False
            await desk.close()
            if runner is not None:
                await asyncio.to_thread(runner.close)
            store.close()

    app = FastAPI(
        title="auricle",
        version=__version__,
        summary="Speech to text, with OpenAI's API for transcriptions.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.metrics, app.state.settings = metrics, settings
    key = HTTPBearer(auto_error=False, description="One of the server's API keys, if it has any.")
    app.include_router(routes.router, dependencies=[Security(key)])
    app.include_router(job_routes.router, dependencies=[Security(key)])
    app.include_router(pages.router)
    pages.install_pages(app, settings, keys)
    install_handlers(app)
    # The last is the outermost.
    app.add_middleware(Gate, settings=settings, keys=keys, metrics=metrics)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    app.add_middleware(Hosts, allowed=settings.hosts)
    app.add_middleware(Observe, metrics=metrics)
    return app
