"""What a model card says about a model's mistakes: by set, by sex, by length of clip; and the curves of its training.

    python benchmarks/model_card.py [DATA/dev-mp3.jsonl DATA/dev-flac.jsonl OTHER.jsonl ...] [--model BUNDLE] \\
        [--limit N] [--pooled 2] [--curve NAME=RUN_FOLDER[@HOURS] ...] [--picture learning.png]

Each manifest is a row, with the language model and without it; the first `--pooled` of them together are what the rows
by sex and by length are of. A curve is the dev error rate of a run's `epochs.jsonl` against the hours of audio that it
had seen, HOURS of which were seen before it began; without manifests there are curves alone. Intervals are 95 %, by
bootstrap over utterances.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import auricle
from auricle.evaluation import Plain, evaluate
from auricle.manifest import read_manifest, spread
from auricle.metrics import Rate
from auricle.report import Report
from auricle.report.results import Group


def main() -> None:
    """Print tables and draw curves, as asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifests", nargs="*", type=Path)
    parser.add_argument("--model", default="english")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--pooled", type=int, default=2)
    parser.add_argument("--curve", action="append", default=[], metavar="NAME=RUN_FOLDER[@HOURS]")
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    if arguments.picture:
        draw(arguments.curve, arguments.picture)
    if arguments.manifests:
        tell(arguments)


def tell(arguments: argparse.Namespace) -> None:
    """Print the tables: by set, and by sex and length of the first sets together."""
    recognizer = auricle.load(arguments.model, threads=1)
    greedy = auricle.load(arguments.model, threads=1, language_model=False)
    print("| set | clips | minutes | WER, language model | WER, greedy | CER, language model | CER, greedy |")
    print("|---|--:|--:|---|---|---|---|")
    pooled: list[Report] = []
    for number, path in enumerate(arguments.manifests):
        clips = spread(read_manifest(path), arguments.limit) if arguments.limit else read_manifest(path)
        both = [
            evaluate(clips, Plain(one), normalise=recognizer.bundle.alphabet.normalise) for one in (recognizer, greedy)
        ]
        pooled += both[:1] if number < arguments.pooled else []
        errors = " | ".join(shown(rate) for rate in (*(one.wer for one in both), *(one.cer for one in both)))
        print(f"| {path.stem} | {len(clips)} | {both[0].audio_seconds / 60:.0f} | {errors} |", flush=True)
    together = Report("", tuple(row for report in pooled for row in report.rows), (), 0.0, 0.0)
    print(f"\n| {' + '.join(path.stem for path in arguments.manifests[: arguments.pooled])} | clips | minutes | WER |")
    print("|---|--:|--:|---|")
    print(f"| all | {len(together.rows)} | {together.audio_seconds / 60:.0f} | {shown(together.wer)} |")
    for group in (*together.by_sex(), *together.by_length()):
        print(row_of(group))


def row_of(group: Group) -> str:
    """One line of the table."""
    return f"| {group.name} | {group.utterances} | {group.seconds / 60:.0f} | {shown(group.wer)} |"


def shown(rate: Rate) -> str:
    """A rate with its interval."""
    return f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%})".replace("%", " %")


def draw(curves: Sequence[str], picture: Path) -> None:
    """Draw dev WER and CER against hours of audio, a line a run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2)
    for number, curve in enumerate(curves):
        name, _, where = curve.partition("=")
        folder, _, before = where.partition("@")
        read = map(json.loads, (Path(folder) / "epochs.jsonl").read_text().splitlines())
        # A run that went on from an earlier place has scored some epochs twice.
        rows = list({row["epoch"]: row for row in read if row.get("dev_wer") is not None}.values())
        hours = [row["audio_hours"] + float(before or 0) for row in rows]
        for axis, key in zip(axes, ("dev_wer", "dev_cer"), strict=True):
            axis.plot(hours, [100 * row[key] for row in rows], marker="os^"[number // 10 % 3], markersize=3, label=name)
    for axis, label in zip(axes, ("WER, %", "CER, %"), strict=True):
        axis.set_xlabel("hours of audio seen, repeats included")
        axis.set_ylabel(f"dev {label} (200 clips, greedy)")
        axis.grid(alpha=0.3)
    # Below the axes: inside, it hides what the first runs did.
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(picture)


if __name__ == "__main__":
    main()
