"""What is not the API: the page, its files, what it has to know, health and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from auricle import __version__
from auricle.serving.keys import KeyRing
from auricle.serving.metrics import Metrics
from auricle.serving.problems import Problem
from auricle.serving.settings import Settings

WEB = Path(__file__).with_name("web")
"""The page's files."""
router = APIRouter()


class Health(BaseModel):
    """That the server lives, and what it runs."""

    status: str = "ok"
    version: str = __version__


@router.get("/health", summary="Whether the process lives")
async def health() -> Health:
    """Answer as long as the event loop turns."""
    return Health()


@router.get("/ready", summary="Whether recordings are taken", responses={503: {"description": "Not yet."}})
async def ready(request: Request) -> Health:
    """Answer 200 once the model has recognised something."""
    if not getattr(request.app.state, "is_ready", False):
        raise Problem(503, "The model is not ready yet: ask again in a moment.", code="not_ready")
    return Health()


@router.get("/metrics", summary="Numbers for Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    """Answer in Prometheus' text format."""
    found: Metrics = request.app.state.metrics
    return Response(found.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def page_facts(settings: Settings, keys: KeyRing) -> dict[str, Any]:
    """Return what the page has to know, whoever serves it."""
    return {
        "needs_key": not keys.is_open,
        "takes_containers": find_spec("av") is not None,
        "max_bytes": settings.max_bytes,
        "max_seconds": settings.max_seconds,
        "max_job_bytes": settings.max_job_bytes,
    }


def install_pages(app: FastAPI, facts: Mapping[str, Any]) -> None:
    """Add the page, the reference at /docs, and the few facts that the page asks for."""

    @app.get("/", include_in_schema=False)
    async def index() -> FileResponse:
        return FileResponse(WEB / "index.html", headers=_FRESH)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(WEB / "docs.html", headers=_FRESH)

    @app.get("/config.json", include_in_schema=False)
    async def config() -> dict[str, Any]:
        return dict(facts)

    app.mount("/web", StaticFiles(directory=WEB), name="web")


_FRESH = {"Cache-Control": "no-cache"}
