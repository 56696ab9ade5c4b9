"""The `auricle` command: what all of its commands share, and how they end."""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from auricle import __version__
from auricle.cli.terminal import complain
from auricle.errors import AuricleError

_COMMANDS = (
    "transcribe",
    "batch",
    "align",
    "evaluate",
    "inspect",
    "data",
    "data_label",
    "data_listen",
    "data_sources",
    "data_splice",
    "data_synthesize",
    "train",
    "export",
    "lm",
    "lm_build",
    "lm_pronounce",
    "lm_train",
    "lm_tune",
    "restore",
    "model",
    "model_spell",
    "serve",
    "lambda_build",
    "lambda_deploy",
)
_INTERRUPTED = 128 + 2  # what a shell says of a program that SIGINT ended
_PIPE_CLOSED = 128 + 13


class _Commands(TyperGroup):
    """Turns what may end a command early into one line (or none) and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except AuricleError as error:
            complain(str(error))
            raise typer.Exit(1) from error
        except BrokenPipeError as error:
            # The reader, such as `head`, has had enough. Python would flush once more, and complain, when it leaves.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(_PIPE_CLOSED) from error
        except KeyboardInterrupt as error:
            complain("interrupted.")
            raise typer.Exit(_INTERRUPTED) from error
        return result


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"auricle {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Speech to text that you can own: transcribe, train, look inside."""


def main() -> None:
    """Run the command; an AuricleError becomes one line on standard error and exit code 1."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # file names are bytes, and need not be text
    for command in _COMMANDS:
        import_module(f"auricle.cli.{command}")
    app()
