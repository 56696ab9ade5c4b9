"""`auricle lambda`, and `auricle lambda build`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auricle.cli.app import app
from auricle.errors import AuricleError

if TYPE_CHECKING:
    from auricle.deployment.build import Built

lambda_app = typer.Typer(no_args_is_help=True, help="Run auricle on AWS Lambda: build the function, deploy it.")
app.add_typer(lambda_app, name="lambda")

ZIP = Path("build/lambda/auricle.zip")


@lambda_app.callback()
def options() -> None:
    """Run auricle on AWS Lambda: see docs/lambda.md."""


@lambda_app.command()
def build(
    output: Annotated[Path, typer.Option(metavar="FILE.zip", help="The zip to write.")] = ZIP,
    python: Annotated[str, typer.Option(metavar="3.12|3.13", help="Lambda's Python.")] = "3.12",
) -> None:
    """Build the function's zip (x86_64, Amazon Linux 2023) with the English model, and print its size by package.

    Wheels come from the package index that pip is set up with. M4A and WebM are for the container image, see
    deploy/lambda/Dockerfile.
    """
    typer.echo(table(built(output, python)))


def built(output: Path, python: str) -> Built:
    """Build a zip, saying on standard error what is being done. Raises AuricleError."""
    from auricle.deployment import build as room
    from auricle.deployment.wheels import VERSIONS

    if python not in VERSIONS:
        raise AuricleError(f"Lambda has no Python {python} that auricle knows: choose {' or '.join(VERSIONS)}.")
    made = room.build(output, python, lambda text: typer.echo(f"{text} ...", err=True))
    if made.compiled_by is None:
        typer.echo(f"not byte-compiled: there is no Python {python} here, and its cold starts are slower.", err=True)
    return made


def table(made: Built) -> str:
    """Return the sizes of a zip's packages as lines; what is under 0.1 MB is added up."""
    large = {name: size for name, size in made.sizes.items() if size >= 50_000}
    rows = [*large.items(), ("others", made.unpacked - sum(large.values()))]
    lines = [f"{name:20} {size / 1e6:7.1f} MB" for name, size in rows]
    lines.append(f"{'unpacked':20} {made.unpacked / 1e6:7.1f} MB")
    lines.append(f"{made.path} {made.path.stat().st_size / 1e6:.1f} MB")
    return "\n".join(lines)
