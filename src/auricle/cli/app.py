"""The `auricle` command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from auricle import __version__
from auricle.errors import AuricleError

app = typer.Typer(
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
    from auricle.cli import train  # noqa: F401  (registers its commands)

    try:
        app()
    except AuricleError as error:
        typer.echo(f"auricle: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
