"""docs/lambda.md says what the code does."""

from __future__ import annotations

import re

import pytest

from auricle.serving.aws_settings import DIRECT_BYTES, LambdaSettings
from auricle.serving.settings import Settings
from aws_lambda.stack import ROOT, template

PAGE = (ROOT / "docs" / "lambda.md").read_text()
_INTERNAL = {"host", "batch_clips", "data_dir"}


def test_every_setting_that_differs_is_in_the_documentation() -> None:
    for name, field in LambdaSettings.model_fields.items():
        theirs = Settings.model_fields.get(name)
        if name in _INTERNAL or (theirs and theirs.default == field.default):
            continue
        default = "" if field.default is None else f"`{field.default}`"
        assert f"| `AURICLE_{name.upper()}` | {default} | {field.description} |" in PAGE


def test_every_parameter_is_in_the_documentation() -> None:
    for name, parameter in template()["Parameters"].items():
        (row,) = [line for line in PAGE.splitlines() if line.startswith("| ") and f"`{name}`" in line]
        assert str(parameter["Default"]) in row


def test_the_limits_are_the_codes() -> None:
    settings = LambdaSettings()
    assert f"{settings.max_bytes / 1e6:g} MB in a request" in PAGE
    assert f"{settings.max_seconds:g} s of audio in a request" in PAGE
    assert f"Up to {DIRECT_BYTES / 1e6:g} MB go straight" in PAGE
    assert f"{settings.max_job_bytes >> 30} GiB, {settings.max_job_seconds / 3600:g} hours by S3" in PAGE


def test_the_arithmetic_is_right() -> None:
    rate, seconds, price = 0.029, 3600, 0.0000166667
    work = seconds * rate
    assert f"= {work:.0f} s" in PAGE
    assert f"= {work * 1769 / 1024:.0f} GB-s" in PAGE
    assert f"| ${work * 1769 / 1024 * price:.4f} |" in PAGE
    assert f"{720 * 1.2e-6:.4f}" in PAGE
    assert f"${1769 / 1024 * 30 * 86_400 * 0.0000015046:.2f} a month" in PAGE
    ours = 0.0035
    found = re.findall(r"\$([\d.]+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert len(found) == 5
    for theirs, times in found:
        assert float(theirs) / ours == pytest.approx(int(times), rel=0.05)
