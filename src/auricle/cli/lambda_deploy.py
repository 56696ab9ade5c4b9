"""`auricle lambda deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auricle.cli.lambda_build import built, lambda_app
from auricle.errors import AuricleError, MissingExtraError


@lambda_app.command()
def deploy(
    stack: Annotated[str, typer.Option(metavar="NAME", help="The stack's name.")] = "auricle",
    region: Annotated[str | None, typer.Option(metavar="REGION", help="Default: what AWS's tools are set to.")] = None,
    template: Annotated[Path, typer.Option(metavar="FILE.yaml", help="The stack.")] = Path(
        "deploy/lambda/template.yaml"
    ),
    parameters: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the template. May be given several times."),
    ] = None,
    build: Annotated[bool, typer.Option("--build/--no-build", help="Build the zip first, or take the last.")] = True,
) -> None:
    """Build the function, deploy it with `sam deploy`, and print the page's address.

    Needs the AWS SAM CLI, and credentials as AWS's tools take them. What it costs: docs/lambda.md.
    """
    try:
        from auricle.deployment import deploy as room
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("auricle"):
            raise
        raise MissingExtraError("deploying to AWS Lambda", "lambda") from error

    if bad := [parameter for parameter in parameters or () if "=" not in parameter]:
        raise AuricleError(f"--set {bad[0]} has no value: write NAME=VALUE.")
    path = room.zip_of(template)
    if build:
        made = built(path, "3.12")
        typer.echo(f"{made.unpacked / 1e6:.0f} MB unpacked", err=True)
    elif not path.is_file():
        raise AuricleError(f"{path} is not there: leave --no-build out.")
    outputs = room.deploy(template, stack, region, parameters or ())
    typer.echo(f"the API: {outputs['ApiAddress']}", err=True)
    typer.echo(outputs["PageAddress"])
