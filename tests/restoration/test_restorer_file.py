from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from restorers import small_model

from auricle.errors import RestorationError
from auricle.restoration import RestorerModel, find_restorer, read_restorer, write_restorer
from auricle.restoration.model import to_bytes


@pytest.fixture(scope="module")
def model() -> RestorerModel:
    return small_model()


def rewritten(source: Path, target: Path, **changes: Any) -> Path:
    with zipfile.ZipFile(source) as archive:
        description, graph = json.loads(archive.read("restorer.json")), archive.read("restorer.onnx")
    graph = changes.pop("network", graph)
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("restorer.json", json.dumps(description | changes))
        archive.writestr("restorer.onnx", graph)
    return target


def test_what_is_written_is_read_again(model: RestorerModel, tmp_path: Path) -> None:
    path = tmp_path / "new" / "small.restorer"
    write_restorer(model, path)
    assert read_restorer(path) == model
    assert to_bytes(model) == path.read_bytes(), "the same restorer, the same bytes"
    assert [entry.name for entry in path.parent.iterdir()] == ["small.restorer"]


def test_kinds_of_words_are_kept_and_older_readers_know_that_there_are_some(
    model: RestorerModel, tmp_path: Path
) -> None:
    path = tmp_path / "small.restorer"
    knowing = replace(model, kinds={"mary": 1, "the": 4, "anne": 1, "mother": 3})
    write_restorer(knowing, path)
    assert read_restorer(path).kinds == knowing.kinds
    assert (knowing.describe()["schema"], model.describe()["schema"]) == (2, 1)
    assert knowing.describe()["kinds"] == {"lower": "the", "name": "anne mary", "sometimes": "mother"}
    assert "kinds" not in model.describe()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schema": 3}, "schema 3 is not known"),
        ({"kinds": {"odd": "word"}}, "is not that of a restorer"),
        ({"network": b"other"}, "checksum"),
        ({"marks": [".", ","]}, "its marks are others"),
        ({"biases": [0.0]}, "its marks are others"),
        ({"stored": None}, "is not that of a restorer"),
    ],
)
def test_a_damaged_file_is_refused(model: RestorerModel, tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    path = tmp_path / "small.restorer"
    write_restorer(model, path)
    damaged = rewritten(path, tmp_path / "damaged.restorer", **changes)
    with pytest.raises(RestorationError, match=says) as caught:
        read_restorer(damaged)
    assert str(caught.value).startswith(str(damaged))


def test_a_missing_file_and_a_file_of_something_else_are_named(tmp_path: Path) -> None:
    with pytest.raises(RestorationError, match=r"none\.restorer: cannot read the restorer"):
        find_restorer(tmp_path / "none.restorer")
    other = tmp_path / "other.restorer"
    other.write_text("text")
    with pytest.raises(RestorationError, match=r"other\.restorer: not a restorer"):
        read_restorer(other)
