"""The ASGI app that every way of serving has in common; who runs it adds the desk, and routes of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import APIRouter, FastAPI, Security
from fastapi.security import HTTPBearer
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Lifespan

from auricle import __version__
from auricle.serving import pages, routes
from auricle.serving.gate import Gate
from auricle.serving.hosts import Hosts
from auricle.serving.keys import key_ring
from auricle.serving.metrics import Metrics
from auricle.serving.observe import Observe
from auricle.serving.problems import install_handlers
from auricle.serving.settings import Settings

METHODS = ("GET", "POST", "DELETE")
"""What a page of another origin may use."""
EXPOSED_HEADERS = ("X-Request-ID", "Retry-After")
"""What such a page may read of an answer's head."""


def assemble(
    settings: Settings,
    metrics: Metrics,
    *,
    routers: Iterable[APIRouter] = (),
    lifespan: Lifespan[FastAPI] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> FastAPI:
    """Return an app with the routes of a transcription, `routers` and the page; `facts` are told to the page.

    Before it is asked for a transcription, `app.state.desk` has to be set. Raises AuricleError for settings that cannot
    be followed.
    """
    keys = key_ring(settings)
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
    for router in (routes.router, *routers):
        app.include_router(router, dependencies=[Security(key)])
    app.include_router(pages.router)
    pages.install_pages(app, {**pages.page_facts(settings, keys), **(facts or {})})
    install_handlers(app)
    # The last is the outermost.
    app.add_middleware(Gate, settings=settings, keys=keys, metrics=metrics)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=METHODS,
            allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
        )
    app.add_middleware(Hosts, allowed=settings.hosts)
    app.add_middleware(Observe, metrics=metrics)
    return app
