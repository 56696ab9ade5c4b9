"""`auricle evaluate`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auricle.cli.app import app
from auricle.cli.terminal import (
    Address,
    Bar,
    Beam,
    EngineName,
    Model,
    NoLm,
    Processes,
    Threads,
    complain,
    engine_of,
    load_recognizer,
    write_whole,
)

if TYPE_CHECKING:
    from auricle.batch.engine import Engine
    from auricle.batch.progress import Progress
    from auricle.batch.recognising import Settings
    from auricle.bundle import Bundle
    from auricle.manifest import Utterance
    from auricle.metrics import Rate
    from auricle.recognizer import Recognizer
    from auricle.report import ReadableScores, Report


@app.command()
def evaluate(
    *,
    manifests: Annotated[
        list[Path],
        typer.Option("--manifest", "-m", metavar="FILE.jsonl", help="What to recognise; may be given again."),
    ],
    model: Model = None,
    threads: Threads = None,
    no_lm: NoLm = False,
    beam: Beam = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON document.")] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page with the errors, word by word.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Take N utterances of each manifest, spread evenly over it."),
    ] = None,
    engine: Annotated[
        EngineName | None,
        typer.Option(help="Recognise as `auricle batch` does, in processes or on a Ray cluster; default: in this one."),
    ] = None,
    address: Address = None,
    processes: Processes = None,
) -> None:
    """Recognise the utterances of manifests and say how wrong the result is.

    What is scored are the plain words; where the texts have punctuation, capitals or figures, readable text is scored
    as well, apart. Both texts are compared as the model's alphabet would write them: for English
    without case, punctuation, accents and digits. Intervals are those of 95 % confidence. RTF is seconds of recognition
    per second of audio; reading the files is not in it, and with --engine it counts the seconds of every recogniser,
    each on one core. Utterances that cannot be scored are counted and reported, and
    the exit code is then 1.
    """
    from auricle.manifest import read_manifest, spread

    if len({path.resolve() for path in manifests}) < len(manifests):
        raise typer.BadParameter("a manifest is given twice: each counts once.", param_hint="--manifest")
    spread_over = engine_of(engine, address, processes, threads)
    sets = {path: spread(read_manifest(path), limit) for path in manifests}
    if spread_over:
        from auricle.batch.recognising import Settings

        settings = Settings(model, language_model=not no_lm, beam=beam)
        reports = _spread_reports(sets, spread_over, settings)
    else:
        reports = _reports(sets, load_recognizer(model, threads, no_lm=no_lm, beam=beam))
    pooled = _pooled(list(reports.values()))
    if report:
        from auricle.report import report_html

        write_whole(report, report_html(pooled, ", ".join(path.stem for path in manifests)))
    if as_json:
        typer.echo(json.dumps(_document(reports, pooled), ensure_ascii=False, indent=2, allow_nan=False))
    else:
        typer.echo("\n\n".join(_summary(str(path), one) for path, one in reports.items()))
        if len(reports) > 1:
            typer.echo("\n" + _summary("all together", pooled))
    if failures := pooled.failures:
        first = failures[0]
        of = f"{len(failures)} of {len(failures) + len(pooled.rows)} utterances"
        complain(f"{of} could not be scored; the first, {first.id}: {first.message}")
        raise typer.Exit(1)


def _reports(sets: dict[Path, list[Utterance]], recognizer: Recognizer) -> dict[Path, Report]:
    from auricle.evaluation import Plain, evaluate
    from auricle.report import is_readable

    texts = (utterance.text or "" for utterances in sets.values() for utterance in utterances)
    restorer = recognizer.restorer if any(map(is_readable, texts)) else None
    every = sum(len(utterances) for utterances in sets.values())
    reports: dict[Path, Report] = {}
    done = 0
    with Bar("evaluating") as bar:
        for path, utterances in sets.items():
            here = len(utterances)
            bar.tell(done / every, path.name)
            reports[path] = evaluate(
                utterances,
                Plain(recognizer),
                normalise=recognizer.bundle.alphabet.normalise,
                restorer=restorer,
                rate=recognizer.bundle.features.sample_rate,
                progress=partial(_tell, bar, done / every, here / every),
            )
            done += here
    return reports


def _spread_reports(sets: dict[Path, list[Utterance]], engine: Engine, settings: Settings) -> dict[Path, Report]:
    """Score what the pipeline of `auricle batch` makes of the manifests, one after another."""
    from auricle.bundle import find_bundle

    bundle = find_bundle(settings.model)
    reports: dict[Path, Report] = {}
    with Bar("evaluating") as bar:
        for path, utterances in sets.items():
            share = partial(_tell, bar, len(reports) / len(sets), 1 / len(sets))
            bar.tell(len(reports) / len(sets), path.name)
            reports[path] = _spread_report(utterances, bundle, engine, settings, share)
    return reports


def _spread_report(
    utterances: list[Utterance], bundle: Bundle, engine: Engine, settings: Settings, tell: Callable[[float], None]
) -> Report:
    from auricle.alphabet import ENGLISH
    from auricle.batch.transcripts import transcripts
    from auricle.evaluation import score
    from auricle.report import is_readable
    from auricle.restoration import NeuralRestorer

    seconds = 0.0

    def told(progress: Progress) -> None:
        nonlocal seconds
        seconds = progress.busy_seconds
        tell(progress.done / progress.total)

    is_readable_set = bundle.alphabet == ENGLISH and any(is_readable(one.text or "") for one in utterances)
    with closing(transcripts(utterances, bundle, settings, engine, tell=told)) as found:
        report = score(
            utterances,
            found,
            normalise=bundle.alphabet.normalise,
            restorer=NeuralRestorer() if is_readable_set else None,
        )
    return replace(report, recognition_seconds=seconds)


def _tell(bar: Bar, before: float, part: float, share: float) -> None:
    bar.tell(before + part * share)


def _pooled(reports: Sequence[Report]) -> Report:
    from auricle.report import Report

    return Report(
        model=next((report.model for report in reports if report.model), ""),
        rows=tuple(row for report in reports for row in report.rows),
        failures=tuple(failure for report in reports for failure in report.failures),
        recognition_seconds=math.fsum(report.recognition_seconds for report in reports),
        reading_seconds=math.fsum(report.reading_seconds for report in reports),
    )


def _document(reports: dict[Path, Report], pooled: Report) -> dict[str, Any]:
    """Return the same shape for one manifest and for several; utterances stand with their manifest only."""
    together = {key: value for key, value in pooled.to_dict().items() if key not in {"rows", "failures", "by_speaker"}}
    return {
        "model": pooled.model,
        "manifests": [{"manifest": str(path), **report.to_dict()} for path, report in reports.items()],
        "pooled": together,
    }


def _summary(title: str, report: Report) -> str:
    words, audio = report.words, report.audio_seconds
    speed = report.real_time_factor
    faster = f", {1 / speed:,.0f} times faster than speech" if 0 < speed < 1 else ""
    return "\n".join(
        [
            title,
            f"  WER    {_rate(report.wer)}",
            f"  CER    {_rate(report.cer)}",
            f"  words  {words.reference_length:,}: {words.substitutions:,} substituted (S), "
            f"{words.deletions:,} deleted (D), {words.insertions:,} inserted (I)",
            f"  audio  {_time(audio)} in {len(report.rows):,} utterances, {len(report.failures):,} skipped",
            f"  speed  RTF {speed:.4f}{faster}: recognised in {_time(report.recognition_seconds)}"
            + (f", read in {_time(report.reading_seconds)}" if report.reading_seconds else ""),
            *(_readable(report.readable) if report.readable else []),
        ]
    )


def _readable(readable: ReadableScores) -> list[str]:
    return [
        f"  readable text, {readable.utterances:,} utterances",
        *(
            f"    {name:<9}F1 {one.value:.3f}  (95 %: {one.low:.3f} to {one.high:.3f})  precision {one.precision:.3f}, "
            f"recall {one.recall:.3f}, {one.count:,} in the texts"
            for name, one in readable.scores.items()
        ),
    ]


def _rate(rate: Rate) -> str:
    if math.isnan(rate.value):
        return "nothing was scored"
    return f"{rate.value:7.2%}  (95 %: {rate.low:.2%} to {rate.high:.2%})"


def _time(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.2f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"
