"""What a function needs from PyPI, as wheels for Lambda's system, whatever machine this is."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from auricle.errors import AuricleError

VERSIONS: Final = ("3.12", "3.13")
"""Lambda's Pythons on Amazon Linux 2023."""
_GLIBC: Final = 34  # Amazon Linux 2023 has glibc 2.34
_OLDEST_GLIBC: Final = 17  # manylinux2014
# The command line is not called there, and Lambda brings boto3.
_LEFT_OUT: Final = {"boto3", "rich", "typer"}


def requirements() -> list[str]:
    """Return what auricle asks for to run in Lambda. Raises AuricleError when its metadata is of another version."""
    found, extras = [], 0
    for line in importlib.metadata.requires("auricle") or ():
        requirement, _, marker = (part.strip() for part in line.partition(";"))
        is_lambdas = bool(re.fullmatch(r"""extra == ['"]lambda['"]""", marker))
        extras += is_lambdas
        if (is_lambdas or not marker) and name_of(requirement) not in _LEFT_OUT:
            found.append(requirement)
    if not extras:
        raise AuricleError("this installation does not know the extra 'lambda': install auricle again.")
    return found


def install(target: Path, version: str, *, quiet: bool = True) -> None:
    """Put what a function needs into a folder: wheels only, of the versions installed here where there are any.

    What was tested is what is shipped. Raises AuricleError with pip's own reason.
    """
    wanted = requirements()
    constraints = target.with_name(target.name + ".constraints")
    constraints.write_text("".join(f"{line}\n" for line in _installed()))
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *(["--quiet"] if quiet else [])]
    command += ["--target", str(target), "--no-compile", "--only-binary=:all:", "--implementation", "cp"]
    command += ["--python-version", version, "--constraint", str(constraints)]
    for platform in platforms():
        command += ["--platform", platform]
    try:
        done = subprocess.run([*command, *wanted], capture_output=True, text=True, check=False)
    finally:
        constraints.unlink()
    if done.returncode:
        reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR") or "No module named" in line]
        reason = reasons[-1].removeprefix("ERROR: ").rstrip(".") if reasons else "it says nothing"
        raise AuricleError(f"pip cannot get the wheels for Python {version} on Lambda ({reason}).")


def platforms() -> list[str]:
    """Return the tags of wheels that run on Amazon Linux 2023, x86_64, the newest first."""
    newer = [f"manylinux_2_{minor}_x86_64" for minor in range(_GLIBC, _OLDEST_GLIBC - 1, -1)]
    return [*newer, "manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]


def name_of(requirement: str) -> str:
    """Return the name in a requirement, as package indexes compare names."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]).lower()


def _installed() -> list[str]:
    """Return a constraint for each package that is installed here."""
    found = {}
    for distribution in importlib.metadata.distributions():
        version = distribution.version.partition("+")[0]  # +cpu and the like are of one machine
        found[name_of(distribution.metadata["Name"])] = version
    return [f"{name}=={version}" for name, version in sorted(found.items()) if name != "auricle"]
