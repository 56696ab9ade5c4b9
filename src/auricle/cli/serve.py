"""`auricle serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auricle.cli.app import app
from auricle.cli.terminal import Model, Threads
from auricle.errors import AuricleError, MissingExtraError


@app.command()
def serve(  # noqa: PLR0917  (typer makes options of them)
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where to listen; default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port; default: 8000; 0: any free one.")] = None,
    model: Model = None,
    threads: Threads = None,
    api_keys_file: Annotated[
        Path | None, typer.Option("--api-keys", metavar="FILE", help="Let in those with a key; one on each line.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Where jobs are kept.")] = None,
) -> None:
    """Serve a page and an API like OpenAI's, for this machine only unless told otherwise.

    Every setting is an environment variable as well (AURICLE_PORT, AURICLE_MAX_BYTES, ...), see docs/server.md. The log
    is JSON on standard error. SIGTERM and Ctrl-C finish what was accepted.
    """
    try:
        from pydantic import ValidationError

        from auricle.serving.run import serve as run
        from auricle.serving.settings import Settings
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("auricle"):
            raise
        raise MissingExtraError("serving", "serve") from error

    flags = {
        "host": host,
        "port": port,
        "model": model,
        "threads": threads,
        "api_keys_file": api_keys_file,
        "data_dir": data_dir,
    }
    try:
        settings = Settings(**{name: value for name, value in flags.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise AuricleError(f"AURICLE_{name} cannot be used: {first['msg']}.") from None
    run(settings)
