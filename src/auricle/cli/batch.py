"""`auricle batch`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from auricle.cli.app import app
from auricle.cli.terminal import Address, Beam, EngineName, Model, NoLm, Processes, check_address, complain
from auricle.cli.transcribe import Format

if TYPE_CHECKING:
    from auricle.batch.progress import Progress
    from auricle.batch.run import Summary

_TOLD_EVERY_SECONDS = 30.0


@app.command()
def batch(
    *,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE", help="Files, directories, globs, manifests (.jsonl), TAR files, or URLs of these."
        ),
    ],
    output: Annotated[str, typer.Option("--output", "-o", metavar="DEST", help="A directory, or a URL such as s3://.")],
    engine: Annotated[EngineName, typer.Option(help="Processes of this machine, or a Ray cluster.")] = EngineName.LOCAL,
    address: Address = None,
    formats: Annotated[
        list[Format] | None,
        typer.Option("--format", "-f", help="Write such a file for each recording too; repeatable."),
    ] = None,
    shards: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Tables to write; default: one for each 1,000 recordings.")
    ] = None,
    processes: Processes = None,
    price: Annotated[
        float | None, typer.Option(min=0.0, metavar="PRICE", help="What a core costs an hour, to show the cost.")
    ] = None,
    model: Model = None,
    no_lm: NoLm = False,
    beam: Beam = None,
) -> None:
    """Transcribe a corpus into Parquet tables, a recording a row, on all cores or on a Ray cluster.

    The same command again, after an interruption, computes the shards that are missing; what is finished stays. A
    recording that cannot be read is a row with its error, and the exit code is then 1. DEST also gets manifest.json and
    report.html. Progress and a summary go to standard error. Needs the extra "ray", also without a cluster.
    """
    from auricle.batch.extra import check_extra

    check_address(engine, address)
    check_extra("auricle batch", engine)
    from auricle.batch.engine import Engine
    from auricle.batch.recognising import Settings
    from auricle.batch.run import Batch, run

    asked = Batch(
        tuple(sources),
        output,
        Engine(engine, address, processes),
        tuple(dict.fromkeys(formats or ())),
        shards,
        Settings(model, language_model=not no_lm, beam=beam),
        price,
    )
    with _Teller() as teller:
        summary = run(asked, tell=teller.tell, listed=teller.listed)
    typer.echo(_summary(summary, output), err=True)
    if summary.errors:
        complain(
            f"{summary.errors:,} of {summary.recordings:,} recordings have an error in the place of their text; "
            f"the first, {summary.first_error}"
        )
        raise typer.Exit(1)


class _Teller:
    """Shows how far it is: one line that changes on a terminal, and elsewhere a line every half minute."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._told = time.monotonic() if not self._is_terminal else 0.0

    def __enter__(self) -> _Teller:
        return self

    def __exit__(self, *error: object) -> None:
        if self._is_terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def listed(self, count: int) -> None:
        self._line(f"{count:,} recordings listed")

    def tell(self, progress: Progress) -> None:
        self._line(progress.line)

    def _line(self, text: str | object) -> None:
        now = time.monotonic()
        if now - self._told < (0.2 if self._is_terminal else _TOLD_EVERY_SECONDS):
            return
        self._told = now
        line = text() if callable(text) else text
        sys.stderr.write(f"\r\x1b[K{line}" if self._is_terminal else f"{line}\n")
        sys.stderr.flush()


def _summary(summary: Summary, output: str) -> str:
    progress = summary.progress
    lines = {
        "recordings": f"{summary.recordings:,}, {summary.errors:,} with an error, {summary.seconds / 3600:.2f} h",
        "shards": f"{summary.shards:,}, {summary.computed_shards:,} of them computed now",
    }
    if progress.audio_seconds:
        lines["speed"] = (
            f"{progress.audio_seconds / 3600:.2f} h of windows in {progress.seconds:.0f} s, "
            f"{progress.hours_an_hour:.0f} hours an hour"
        )
    if progress.busy_share is not None:
        lines["busy"] = f"the least busy worker for {progress.busy_share:.0%} of its time"
    if progress.cost is not None:
        lines["cost"] = f"{progress.cost:.2f}"
    return "\n".join([output, *(f"  {name:<11}{text}" for name, text in lines.items())])
