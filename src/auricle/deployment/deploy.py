"""The stack: `sam deploy`, then the page's files into its bucket, with the address of the API."""

from __future__ import annotations

import json
import mimetypes
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from auricle.errors import AuricleError, MissingExtraError
from auricle.serving.pages import WEB

_OUTPUTS = ("PageAddress", "ApiAddress", "PageBucket")
_STANDARD_ERROR = 2  # standard output is for the address alone
_TRIES, _PAUSE_SECONDS = 5, 2.0  # a new API answers 404 for some seconds


def zip_of(template: Path) -> Path:
    """Return where a template expects the function's zip. Raises AuricleError for a template that is not there."""
    try:
        found = re.search(r"^\s*CodeUri:\s*(\S+\.zip)\s*$", template.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError as error:
        raise AuricleError(
            f"{template} cannot be read ({error.strerror}): run this in auricle's repository, or give --template."
        ) from error
    if not found:
        raise AuricleError(f"{template} names no zip as CodeUri: take deploy/lambda/template.yaml.")
    return (template.parent / found[1]).resolve()


def deploy(template: Path, stack: str, region: str | None, parameters: Iterable[str] = ()) -> dict[str, str]:
    """Deploy a template whose zip is built, and its page; return PageAddress, ApiAddress and PageBucket.

    `parameters` are NAME=VALUE, the template's. Raises AuricleError when sam is not installed or does not succeed, and
    when the new function does not answer.
    """
    _run_sam(template, stack, region, parameters)
    outputs = _outputs(stack, region)
    facts = json.loads(_get(f"{outputs['ApiAddress']}/config.json"))
    files = page_files({**facts, "api": outputs["ApiAddress"]}, _get(f"{outputs['ApiAddress']}/openapi.json"))
    _upload(outputs["PageBucket"], files, region)
    return outputs


def page_files(facts: Mapping[str, Any], openapi: bytes) -> Iterator[tuple[str, bytes, str]]:
    """Yield the page as files on a host that knows nothing: key, content and type."""
    yield "config.json", json.dumps(facts).encode(), "application/json"
    yield "openapi.json", openapi, "application/json"
    for path in sorted(WEB.iterdir()):
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        yield f"web/{path.name}", path.read_bytes(), kind
    yield "docs", (WEB / "docs.html").read_bytes(), "text/html"
    yield "index.html", (WEB / "index.html").read_bytes(), "text/html"


def _run_sam(template: Path, stack: str, region: str | None, parameters: Iterable[str]) -> None:
    sam = shutil.which("sam")
    if not sam:
        raise AuricleError("the AWS SAM CLI is not installed: install aws-sam-cli, in an environment of its own.")
    command = [sam, "deploy", "--template-file", str(template), "--stack-name", stack, "--resolve-s3"]
    command += ["--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset"]
    command += ["--region", region] if region else []
    if parameters := list(parameters):
        command += ["--parameter-overrides", *parameters]
    if code := subprocess.run(command, stdout=_STANDARD_ERROR, check=False).returncode:
        raise AuricleError(f"sam deploy did not succeed (it ended with {code}): its own lines above say why.")


def _outputs(stack: str, region: str | None) -> dict[str, str]:
    found = _client("cloudformation", region).describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", [])
    outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in found}
    if missing := [name for name in _OUTPUTS if name not in outputs]:
        raise AuricleError(f"the stack {stack} has no output {missing[0]}: is it another template's? Choose --stack.")
    return {name: outputs[name].rstrip("/") if name == "ApiAddress" else outputs[name] for name in _OUTPUTS}


def _get(url: str) -> bytes:
    for left in reversed(range(_TRIES)):
        try:
            with urlopen(url, timeout=30) as answer:
                content: bytes = answer.read()
                return content
        except URLError as error:
            if not left:
                reason = getattr(error, "reason", error)
                raise AuricleError(f"{url} does not answer ({reason}): the function's log says why.") from error
            time.sleep(_PAUSE_SECONDS)
    raise AssertionError("there is at least one try")


def _upload(bucket: str, files: Iterable[tuple[str, bytes, str]], region: str | None) -> None:
    s3 = _client("s3", region)
    for key, content, kind in files:
        # CloudFront asks each time whether it is still so: a new page is there at once, without an invalidation.
        s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType=kind, CacheControl="no-cache")


def _client(name: str, region: str | None) -> Any:
    try:
        import boto3
    except ImportError as error:
        raise MissingExtraError("deploying to AWS Lambda", "lambda") from error
    return boto3.client(name, region_name=region)
