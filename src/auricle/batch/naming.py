"""Sentences for what goes wrong in file systems, which raise nearly everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from auricle.errors import AuricleError


@contextmanager
def naming(name: str, what: str, kind: type[AuricleError] = AuricleError) -> Iterator[None]:
    """Turn any error but auricle's own into one of this kind: the name, what could not be done, and why."""
    try:
        yield
    except AuricleError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise kind(f"{name} {what}: {reason}.") from error
