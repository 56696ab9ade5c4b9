"""A recipe of one level, read from TOML into a dataclass of pydantic's."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from auricle.errors import RecipeError

Recipe = TypeVar("Recipe")


def read_toml(path: str | Path, adapter: TypeAdapter[Recipe], kind: Any) -> Recipe:
    """Read a recipe of the dataclass `kind`; its name is the file's unless it gives one.

    Raises RecipeError naming the file and the key.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: cannot read the recipe ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not a TOML file ({error}).") from error
    known = [field.name for field in fields(kind)]
    if unknown := sorted(set(values) - set(known)):
        raise RecipeError(f"{path}: unknown key {unknown[0]!r}: known are {', '.join(known)}.")
    try:
        return adapter.validate_python({"name": path.stem, **values})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise RecipeError(f"{path}: {key}: {first['msg'].rstrip('.')}.") from error
