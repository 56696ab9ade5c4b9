"""What a batch needs beyond the base install, and the one line that says so."""

from __future__ import annotations

from importlib.util import find_spec

from auricle.errors import MissingExtraError


def check_extra(command: str, engine: str) -> None:
    """Raise MissingExtraError where a command's packages of the extra `ray` are not there: Ray only for that engine."""
    needed = ["pyarrow", "fsspec", *(["ray"] if engine == "ray" else [])]
    if any(find_spec(name) is None for name in needed):
        raise MissingExtraError(command, "ray")
