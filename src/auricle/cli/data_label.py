"""`auricle data label`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auricle.cli.data import ManifestFile, announce, data_app
from auricle.cli.terminal import (
    Address,
    Bar,
    Beam,
    EngineName,
    Model,
    NoLm,
    Processes,
    Threads,
    engine_of,
    expect_writable,
    load_recognizer,
)
from auricle.errors import CorpusError

if TYPE_CHECKING:
    from auricle.batch.engine import Engine
    from auricle.manifest import Utterance
    from auricle.transcript import Transcript


@data_app.command()
def label(  # noqa: PLR0917  (typer makes options of them)
    manifest: ManifestFile,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="LABELLED.jsonl", help="The manifest to write, of those alone.")
    ],
    least_confidence: Annotated[
        float | None,
        typer.Option(
            "--least-confidence", min=0.0, max=1.0, help="Mean confidence of a text's words, at least; default: 0.8."
        ),
    ] = None,
    model: Model = None,
    threads: Threads = None,
    no_lm: NoLm = False,
    beam: Beam = None,
    engine: Annotated[
        EngineName | None,
        typer.Option(help="Recognise as `auricle batch` does, in processes or on a Ray cluster; default: in this one."),
    ] = None,
    address: Address = None,
    processes: Processes = None,
) -> None:
    """Write a manifest of the recordings without a text, with what a model hears in them where it is sure.

    A model can learn from its own texts: give the manifest to `auricle train` beside others whose texts people wrote,
    with less weight. Recordings that have a text are not in it.
    """
    from auricle.corpora.label import LEAST_CONFIDENCE, label, transcribe_each
    from auricle.manifest import read_manifest

    spread_over = engine_of(engine, address, processes, threads)
    expect_writable(output)
    utterances = [utterance for utterance in read_manifest(manifest) if utterance.text is None]
    if not utterances:
        raise CorpusError(f"{manifest}: every recording has a text: there is none to label.")
    if spread_over:
        found = _spread(utterances, spread_over, model, no_lm=no_lm, beam=beam)
    else:
        found = transcribe_each(utterances, load_recognizer(model, threads, no_lm=no_lm, beam=beam))
    with Bar("recognising") as bar:
        least = LEAST_CONFIDENCE if least_confidence is None else least_confidence
        collected = label(utterances, found, least_confidence=least, progress=bar.tell)
    announce(collected, output)


def _spread(
    utterances: Sequence[Utterance], engine: Engine, model: str | None, *, no_lm: bool, beam: int | None
) -> Generator[Transcript | str, None, None]:
    from auricle.batch.recognising import Settings
    from auricle.batch.transcripts import transcripts
    from auricle.bundle import find_bundle

    settings = Settings(model, language_model=not no_lm, beam=beam)
    return transcripts(utterances, find_bundle(model), settings, engine)
