"""What the commands share: the line that says what went wrong, the progress bar, the model, and whole files."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeAlias

import typer

from auricle.errors import AuricleError, BundleError

if TYPE_CHECKING:
    from auricle.batch.engine import Engine
    from auricle.bundle import Bundle
    from auricle.recognizer import Recognizer
    from auricle.training.short_run import Progress

Model: TypeAlias = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME|PATH", help="A model bundle, or a built-in model; default: English."),
]
Threads: TypeAlias = Annotated[
    int | None, typer.Option("--threads", min=1, metavar="N", help="Cores to use at most; default: all.")
]

NoLm: TypeAlias = Annotated[bool, typer.Option("--no-lm", help="Decode without the bundle's language model.")]
Plain: TypeAlias = Annotated[
    bool, typer.Option("--plain", help="Write the bare words: no capitals, no punctuation, no figures.")
]
Numbers: TypeAlias = Annotated[
    bool, typer.Option("--numbers/--no-numbers", help="Write numbers in figures, and Mr., Mrs., Dr., St.")
]
Beam: TypeAlias = Annotated[
    int | None, typer.Option("--beam", min=1, metavar="N", help="Texts that a search keeps; default: the bundle's.")
]


class EngineName(StrEnum):
    """What spreads work over more than this process."""

    LOCAL = "local"
    RAY = "ray"


Address: TypeAlias = Annotated[
    str | None,
    typer.Option("--address", metavar="HOST:PORT", help="The Ray cluster; default: RAY_ADDRESS, or one started here."),
]
Processes: TypeAlias = Annotated[
    int | None, typer.Option("--processes", min=1, metavar="N", help="Workers; default: one for each core.")
]


def check_address(engine: EngineName | None, address: str | None) -> None:
    """Raise BadParameter for an address of what has none."""
    if address and engine is not EngineName.RAY:
        raise typer.BadParameter("only --engine ray has an address.", param_hint="--address")


def engine_of(
    name: EngineName | None, address: str | None, processes: int | None, threads: int | None
) -> Engine | None:
    """Return the engine that is asked for, or nothing where the work is to be done in this process.

    Raises BadParameter for options that do not go together, MissingExtraError where its packages are not there.
    """
    check_address(name, address)
    if name is None and processes:
        raise typer.BadParameter("only --engine has workers to count.", param_hint="--processes")
    if name and threads:
        raise typer.BadParameter("a worker of --engine has one; give --processes.", param_hint="--threads")
    if name is None:
        return None
    from auricle.batch.extra import check_extra

    check_extra("--engine", name)
    from auricle.batch.engine import Engine

    return Engine(name, address, processes)


def complain(message: str) -> None:
    """Say on standard error what went wrong, on one line."""
    typer.echo("auricle: " + " ".join(message.splitlines()), err=True)


def load_recognizer(
    model: str | None, threads: int | None, *, no_lm: bool = False, beam: int | None = None
) -> Recognizer:
    """Load a model. Raises BundleError naming it."""
    from auricle.recognizer import load

    try:
        return load(model, threads=threads, language_model=not no_lm, beam=beam)
    except BundleError as error:
        raise BundleError(naming(model, error) if model else str(error)) from error


def naming(name: str, error: AuricleError) -> str:
    """Return the error's message, preceded by the name of what it is about unless it says it."""
    return str(error) if name in str(error) else f"{name}: {error}"


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8: whole or not at all. Raises AuricleError when that cannot be done."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(content.encode() if isinstance(content, str) else content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise AuricleError(f"{path} cannot be written: {error.strerror or error}.") from error


def expect_bundle_name(output: Path, hint: str = "--output") -> None:
    """Refuse a name for a bundle that is not one: another suffix would make it a directory."""
    if output.suffix != ".auricle":
        raise typer.BadParameter(f"{output} does not end in .auricle.", param_hint=hint)


def save_bundle(bundle: Bundle, output: Path) -> None:
    """Write a bundle. Raises AuricleError when that cannot be done."""
    from auricle.bundle import write_bundle

    try:
        write_bundle(bundle, output)
    except OSError as error:
        raise AuricleError(f"{output} cannot be written: {error.strerror or error}.") from error


def save_new_model(bundle: Bundle, output: Path) -> None:
    """Write a bundle whose network there was not before, as one that is made now. Raises AuricleError as above."""
    save_bundle(replace(bundle, created=datetime.now(UTC).isoformat(timespec="seconds")), output)


def expect_writable(path: Path) -> None:
    """Raise AuricleError for a file that `write_whole` could not write: before an hour's work, not after it."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        partial.touch()
        partial.unlink()
    except OSError as error:
        raise AuricleError(f"{path} cannot be written: {error.strerror or error}.") from error


def exit_if_stopped(end: Progress) -> None:
    """Leave with the exit code of a signal, where one has ended a run before its time."""
    if end.signal:
        typer.echo(f"stopped after {end.share:.0%} of the run: what was learnt until then is written", err=True)
        raise typer.Exit(128 + end.signal)


class Bar:
    """A progress bar on standard error while the `with` block runs, or nothing when that is not a terminal."""

    def __init__(self, label: str) -> None:
        self._bar: Any = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
                redirect_stdout=False,  # rich would send it to standard error
                redirect_stderr=False,
            )
            self._task = self._bar.add_task(label, total=1.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.hide()

    def tell(self, share: float, label: str | None = None) -> None:
        """Show that `share` of the work, in [0, 1], is done, and what is being done now."""
        if self._bar:
            self._bar.update(self._task, completed=share, **({"description": label} if label else {}))
            self._bar.start()

    def hide(self) -> None:
        """Take the bar away, so that something else can be printed, until there is more to tell."""
        if self._bar:
            self._bar.stop()


def setting(value: object) -> object:
    """Return a decoder's setting as it is read, and of one for each token only how many there are."""
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{key} {setting(one)}" for key, one in value.items()) + ")"
    return f"for {len(value)} tokens" if isinstance(value, list) else value
