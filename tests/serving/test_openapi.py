"""The API as its own description tells it: what schemathesis makes of that never gets a 5xx."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serving.conftest import Running, files_left, nothing_left

ROUTES = [
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
    ("GET", "/v1/models"),
    ("POST", "/classify"),
    ("POST", "/v1/audio/transcriptions"),
    ("POST", "/v1/jobs"),
    ("GET", "/v1/jobs/{identity}"),
    ("DELETE", "/v1/jobs/{identity}"),
]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def api(running: Running) -> Iterator[BaseSchema]:
    with running() as url:
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")


def test_every_route_is_asked(api: BaseSchema) -> None:
    found = {(method.upper(), path) for path in api for method in api[path]}
    assert found == set(ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=lambda part: part)
def test_what_the_description_allows_is_answered_as_it_says(api: BaseSchema, method: str, path: str) -> None:
    operation = api[path][method]
    before = files_left()

    @given(operation.as_strategy() | operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(checks=CHECKS, timeout=30)

    ask()
    assert nothing_left(before)
