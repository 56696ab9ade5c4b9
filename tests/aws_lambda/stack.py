"""The template: as it is written, and as SAM's own transformation makes CloudFormation of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "deploy" / "lambda" / "template.yaml"

# Runs in the environment of the SAM CLI, which has the translator that AWS itself runs.
_TRANSLATE = """
import json, sys
from unittest.mock import Mock, patch
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse
template = yaml_parse(sys.stdin.read())
template["Globals"]["Function"]["CodeUri"] = "s3://bucket/auricle.zip"  # what `sam package` makes of it
session = Mock(region_name="us-east-2")
print(json.dumps(Translator({}, Parser(), boto_session=session).translate(template, parameter_values={}), default=str))
"""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    pass


def _tagged(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    value = loader.construct_scalar(node)
    return {name: value.split(".", 1) if suffix == "GetAtt" else value}


_Loader.add_multi_constructor("!", _tagged)


@cache
def template() -> dict[str, Any]:
    """The template as it is written, short forms of functions as long ones."""
    found: dict[str, Any] = yaml.load(TEMPLATE.read_text(), _Loader)
    return found


def written(name: str) -> dict[str, Any]:
    """The properties of a resource of the template."""
    found: dict[str, Any] = template()["Resources"][name]["Properties"]
    return found


def sam() -> str:
    """The SAM CLI; skips the test where there is none."""
    found = shutil.which("sam") or shutil.which(str(ROOT / ".venv" / "sam" / "bin" / "sam"))
    if not found:
        pytest.skip("The AWS SAM CLI is not installed: make .venv/sam/bin/sam.")
    return found


@cache
def rendered() -> dict[str, Any]:
    """The template as CloudFormation gets it."""
    python = str(Path(sam()).resolve().with_name("python"))
    done = subprocess.run(
        [python, "-c", _TRANSLATE], input=TEMPLATE.read_text(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """The rendered resources of a type, by name: their properties."""
    found = rendered()["Resources"]
    return {name: one.get("Properties", {}) for name, one in found.items() if one["Type"] == kind}
