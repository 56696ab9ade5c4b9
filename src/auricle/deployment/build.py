"""The zip for AWS Lambda: wheels, auricle itself and its model, pruned and byte-compiled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import auricle
from auricle.deployment.pruning import prune
from auricle.deployment.wheels import install
from auricle.errors import AuricleError

MOST_BYTES: Final = 250 << 20
"""What a function may unpack to, its layers included."""
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # a zip's earliest time: the same content gives the same bytes
_ROOT_IN_LAMBDA: Final = "/var/task"


@dataclass(frozen=True)
class Built:
    """A zip that was built: unpacked bytes by package, and the Python that compiled it, if one could be had."""

    path: Path
    sizes: Mapping[str, int]
    compiled_by: Path | None

    @property
    def unpacked(self) -> int:
        """Bytes of all packages."""
        return sum(self.sizes.values())


def build(path: Path, version: str = "3.12", tell: Callable[[str], None] = lambda _: None) -> Built:
    """Write a zip that runs `auricle.serving.aws_lambda.handler` under that Python on x86_64.

    `tell` hears what is being done. Raises AuricleError when wheels cannot be had, and for a size that Lambda refuses.
    """
    python = find_python(version)
    with tempfile.TemporaryDirectory(prefix="auricle-lambda-") as scratch:
        folder = Path(scratch) / "package"
        folder.mkdir()
        tell("fetching wheels")
        install(folder, version)
        _add_auricle(folder)
        prune(folder)
        if python:
            tell("compiling")
            _compile(folder, python)
        sizes = sizes_of(folder)
        refuse_larger(sizes)
        tell("packing")
        _pack(folder, path)
    return Built(path, sizes, python)


def refuse_larger(sizes: Mapping[str, int], most: int = MOST_BYTES) -> None:
    """Raise AuricleError, naming the largest packages, for more than Lambda takes."""
    if (total := sum(sizes.values())) > most:
        largest = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in Counter(sizes).most_common(3))
        raise AuricleError(
            f"the function would unpack to {total / 1e6:.0f} MB, and Lambda takes {most / 1e6:.0f} MB "
            f"({largest}): use the container image."
        )


def sizes_of(folder: Path) -> dict[str, int]:
    """Return the bytes of each package in a folder, the largest first; what belongs to one stands under its name."""
    sizes: Counter[str] = Counter()
    for path in folder.rglob("*"):
        if path.is_file():
            sizes[_package_of(path.relative_to(folder))] += path.stat().st_size
    return dict(sizes.most_common())


def find_python(version: str) -> Path | None:
    """Return a Python of that version on this machine that really runs: bytecode is of one version only."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" == version:
        return Path(sys.executable)
    found = shutil.which(f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates = [Path(found)] if found else []
    candidates += sorted(pyenv.glob(f"{version}.*/bin/python{version}"), reverse=True)
    question = "import sys; print('%d.%d' % sys.version_info[:2])"
    for candidate in candidates:
        done = subprocess.run([candidate, "-c", question], capture_output=True, text=True, check=False)
        if done.stdout.strip() == version:
            return candidate
    return None


def _add_auricle(folder: Path) -> None:
    """Copy this very auricle. Its models are stored, not deflated: Lambda packs the zip itself, and starts sooner."""
    source = Path(auricle.__file__).parent
    shutil.copytree(source, folder / "auricle", ignore=shutil.ignore_patterns("__pycache__", "*.partial"))
    for bundle in (folder / "auricle" / "models").glob("*.auricle"):
        with zipfile.ZipFile(source / "models" / bundle.name) as packed, zipfile.ZipFile(bundle, "w") as stored:
            for info in packed.infolist():
                stored.writestr(zipfile.ZipInfo(info.filename, _EPOCH), packed.read(info))


def _compile(folder: Path, python: Path) -> None:
    # Unpacked files have other times than these, and nobody changes them: the bytecode is not to be checked.
    command = [str(python), "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(folder), "-p", _ROOT_IN_LAMBDA, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise AuricleError(f"{python} cannot compile the packages ({' '.join(reason)}).")


def _pack(folder: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    info = zipfile.ZipInfo(str(file.relative_to(folder)), _EPOCH)
                    info.create_system, info.external_attr = 3, 0o644 << 16  # Unix, and Lambda's user may read it
                    archive.writestr(info, file.read_bytes(), zipfile.ZIP_DEFLATED)
        partial.replace(path)
    except OSError as error:
        raise AuricleError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        partial.unlink(missing_ok=True)


def _package_of(path: Path) -> str:
    name = path.parts[0]
    if name.endswith(".dist-info"):
        name = name.partition("-")[0]
    name = name.removesuffix(".libs").removesuffix(".py").partition(".")[0]
    return {"_soundfile_data": "soundfile", "_soundfile": "soundfile", "_cffi_backend": "cffi"}.get(name, name)
