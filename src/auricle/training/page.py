"""A training run as one self-contained page: curves, epochs, what was said and heard, the recipe."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, TypeAlias

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from auricle.training.recipe import Recipe

Rows: TypeAlias = Sequence[Mapping[str, Any]]
_BLUE, _ORANGE, _GREY = "#2f5fa8", "#c4620a", "#8a8f98"


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSONL file whose `steps` only grow: what a resumption has done again is left out."""
    rows: list[dict[str, Any]] = []
    for line in path.read_text().splitlines() if path.exists() else ():
        row = json.loads(line)
        while rows and rows[-1]["steps"] >= row["steps"]:
            rows.pop()
        rows.append(row)
    return rows


def run_page(name: str, recipe: Recipe, steps: Rows, epochs: Rows, samples: Iterable[tuple[str, str]]) -> str:
    """Return the page. `steps` have loss, rate and gradient_norm, `epochs` dev_wer and dev_cer, both hours and steps.

    `samples` are pairs of what was said and what was heard, on dev.
    """
    template = Template(files("auricle.training").joinpath("page.html").read_text(encoding="utf-8"))
    last = epochs[-1] if epochs else {}
    best = min(epochs, key=lambda row: row["dev_wer"], default={})
    speed = last["audio_hours"] / last["hours"] if last.get("hours") else 0.0
    cards = [
        ("Best word error rate", f"{best['dev_wer']:.1%}" if best else "none yet", "on dev, greedy"),
        ("Character error rate", f"{best['dev_cer']:.1%}" if best else "none yet", "of the same epoch"),
        ("Time", f"{last.get('hours', 0):.2f} h", f"{last.get('steps', 0):,} steps"),
        ("Speech seen", f"{last.get('audio_hours', 0):,.0f} h", f"{speed:,.0f} hours an hour"),
    ]
    body = [
        '<div class="cards">' + "".join(_card(*card) for card in cards) + "</div>",
        f'<h2>Over time</h2><div class="plot">{_curves(steps, epochs)}</div>',
        f"<h2>By epoch</h2>{_table(epochs)}",
        "<h2>Said and heard</h2><dl>" + "".join(_sample(*pair) for pair in samples) + "</dl>",
        f"<h2>Recipe</h2><pre>{escape(_toml(recipe.to_dict()))}</pre>",
    ]
    subtitle = f"{escape(recipe.description)} · recipe {escape(recipe.name)}, {recipe.digest}"
    return template.substitute(title=f"Training of {escape(name)}", subtitle=subtitle, body="\n".join(body))


def _card(name: str, figure: str, note: str) -> str:
    return f'<div class="card"><p class="soft">{name}</p><p class="figure">{figure}</p><p class="soft">{note}</p></div>'


def _curves(steps: Rows, epochs: Rows) -> str:
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    canvas = FigureCanvasSVG(figure)
    (loss, errors), (rate, norm) = figure.subplots(2, 2)
    hours = [row["hours"] for row in steps]
    loss.plot(hours, _numbers(steps, "loss"), color=_GREY, linewidth=0.6)
    loss.plot(hours, _smoothed(_numbers(steps, "loss")), color=_BLUE)
    loss.set(title="Training loss", ylabel="nats per character", ylim=(0, None))
    at = [row["hours"] for row in epochs]
    for key, label, colour, marker in (("dev_wer", "words", _BLUE, "o"), ("dev_cer", "characters", _ORANGE, "s")):
        errors.plot(at, [100 * row[key] for row in epochs], marker=marker, color=colour, label=label)
    errors.set(title="Errors on dev", ylabel="%", ylim=(0, None))
    errors.legend(frameon=False)
    rate.plot(hours, _numbers(steps, "rate"), color=_BLUE)
    rate.set(title="Learning rate", xlabel="hours", ylim=(0, None))
    norm.plot(hours, _numbers(steps, "gradient_norm"), color=_BLUE, linewidth=0.8)
    norm.set(title="Norm of the gradient, before clipping", xlabel="hours", yscale="log")
    for axis in (loss, errors, rate, norm):
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    drawn = io.StringIO()
    canvas.print_svg(drawn)
    svg = drawn.getvalue()
    return svg[svg.index("<svg") :]


def _smoothed(values: Sequence[float]) -> list[float]:
    keep = min(0.9, 1 - 10 / max(len(values), 10))
    smooth: list[float] = []
    for value in values:
        before = smooth[-1] if smooth and not math.isnan(smooth[-1]) else value
        smooth.append(before if math.isnan(value) else keep * before + (1 - keep) * value)
    return smooth


def _table(epochs: Rows) -> str:
    heads = "".join(f"<th>{head}</th>" for head in ("Epoch", "Steps", "Hours", "Speech, h", "Loss", "WER", "CER"))
    rows = "".join(
        f"<tr><td>{row['epoch']}</td><td>{row['steps']:,}</td><td>{row['hours']:.2f}</td>"
        f"<td>{row['audio_hours']:,.1f}</td><td>{'' if row['loss'] is None else row['loss']}</td>"
        f"<td>{row['dev_wer']:.1%}</td><td>{row['dev_cer']:.1%}</td></tr>"
        for row in epochs
    )
    return f'<div class="table"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _sample(said: str, heard: str) -> str:
    return f"<dt>said</dt><dd>{escape(said)}</dd><dt>heard</dt><dd>{escape(heard) or '(nothing)'}</dd>"


def _toml(values: Mapping[str, Any]) -> str:
    plain = [f"{key} = {json.dumps(value)}" for key, value in values.items() if not isinstance(value, dict)]
    sections = [f"\n[{key}]\n{_toml(value)}" for key, value in values.items() if isinstance(value, dict)]
    return "\n".join(plain + sections)


def _numbers(rows: Rows, key: str) -> list[float]:
    """Return a column; what was no number becomes a gap in the curve."""
    return [math.nan if row[key] is None else float(row[key]) for row in rows]
