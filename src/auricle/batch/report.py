"""The page of a batch: how long, how sure, what went wrong, and what to listen to. Made of the tables, file by file."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from itertools import pairwise
from string import Template
from typing import Any

from auricle.batch.output import Destination
from auricle.batch.table import read_columns

_SHOWN = 50
_DURATIONS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_TENTHS = tuple(index / 10 for index in range(1, 10))
_TEXT = 300  # characters of a text that are shown


@dataclass(slots=True)
class _Tally:
    """What the page says, however many rows there are."""

    recordings: int = 0
    words: int = 0
    seconds: float = 0.0
    confidence: float = 0.0
    durations: Counter[int] = field(default_factory=Counter)
    confidences: Counter[int] = field(default_factory=Counter)
    codecs: Counter[str] = field(default_factory=Counter)
    errors: list[tuple[str, str]] = field(default_factory=list)
    error_count: int = 0
    least: list[tuple[float, int, str, str]] = field(default_factory=list)

    def add(self, row: dict[str, Any]) -> None:
        self.recordings += 1
        if row["error"] is not None:
            self.error_count += 1
            if len(self.errors) < _SHOWN:
                self.errors.append((row["id"], row["error"]))
            return
        duration, figures = row["source"]["duration"], row["figures"]
        self.seconds += duration
        self.durations[_bin(duration, _DURATIONS)] += 1
        self.codecs[row["source"]["codec"]] += 1
        if (confidence := figures["confidence"]) is not None:
            self.words += figures["words"]
            self.confidence += figures["words"] * confidence
            self.confidences[_bin(confidence, _TENTHS)] += 1
            # The first of the equally uncertain stay: the numbers tell them apart.
            heapq.heappush(self.least, (-confidence, -self.recordings, row["id"], row["text"][:_TEXT]))
            if len(self.least) > _SHOWN:
                heapq.heappop(self.least)


def page(destination: Destination, tables: Iterable[str]) -> tuple[str, str | None]:
    """Return the page of the tables of a destination, and its first error with the recording that has it."""
    tally = _Tally()
    for row in _rows(destination, tables):
        tally.add(row)
    template = Template(files("auricle.corpora").joinpath("page.html").read_text(encoding="utf-8"))
    sections = [
        _cards(tally),
        _bars("Confidence", _labels(_TENTHS, ""), tally.confidences, "mean of a recording's words"),
        _bars("Duration", _labels(_DURATIONS, " s"), tally.durations, "seconds of a recording"),
        _bars("Codec", dict(enumerate(sorted(tally.codecs))), _numbered(tally.codecs), "of what could be read"),
        _table("Least confident recordings", ("Recording", "Confidence", "Text"), _least(tally)),
        _table(_errors_heading(tally), ("Recording", "Why"), tally.errors),
    ]
    subtitle = f"{tally.recordings:,} recordings, {tally.seconds / 3600:,.2f} h"
    html = template.substitute(title="Batch", subtitle=subtitle, body="\n".join(filter(None, sections)))
    return html, ": ".join(tally.errors[0]) if tally.errors else None


def _rows(destination: Destination, tables: Iterable[str]) -> Iterator[dict[str, Any]]:
    for name in tables:
        with destination.open(name) as file:
            yield from read_columns(file, ["id", "text", "source", "figures", "error"])


def _least(tally: _Tally) -> list[tuple[str, str, str]]:
    return [(name, f"{-negative:.2f}", text) for negative, _, name, text in sorted(tally.least, reverse=True)]


def _bin(value: float, bounds: Sequence[float]) -> int:
    return sum(value >= bound for bound in bounds)


def _labels(bounds: Sequence[float], unit: str) -> dict[int, str]:
    between = [f"{low:g} to {high:g}{unit}" for low, high in pairwise(bounds)]
    return dict(enumerate([f"below {bounds[0]:g}{unit}", *between, f"{bounds[-1]:g}{unit} and more"]))


def _numbered(counts: Counter[str]) -> Counter[int]:
    return Counter({index: counts[name] for index, name in enumerate(sorted(counts))})


def _cards(tally: _Tally) -> str:
    sure = f"{tally.confidence / tally.words:.2f}" if tally.words else "—"
    cards = {
        "Audio": (f"{tally.seconds / 3600:,.2f} h", f"{tally.recordings - tally.error_count:,} recordings"),
        "Words": (f"{tally.words:,}", f"mean confidence {sure}"),
        "With an error": (f"{tally.error_count:,}", f"of {tally.recordings:,} recordings"),
    }
    return '<div class="cards">' + "".join(_card(name, *lines) for name, lines in cards.items()) + "</div>"


def _card(name: str, figure: str, note: str) -> str:
    return f'<div class="card"><p class="soft">{name}</p><p class="figure">{figure}</p><p class="soft">{note}</p></div>'


def _bars(heading: str, labels: dict[int, str], counts: Counter[int], note: str) -> str:
    most = max(counts.values(), default=0)
    if not most:
        return ""
    rows = "".join(
        f'<tr><td class="name">{escape(label)}</td><td class="number">{counts[index]:,}</td><td class="plot">'
        f'<div class="track"><i style="width:{100 * counts[index] / most:.1f}%"></i></div></td></tr>'
        for index, label in labels.items()
    )
    return f'<h2>{heading}</h2><p class="soft">{note}</p><div class="table"><table><tbody>{rows}</tbody></table></div>'


def _errors_heading(tally: _Tally) -> str:
    more = f", the first {_SHOWN}" if tally.error_count > _SHOWN else ""
    return f"{tally.error_count:,} with an error{more}"


def _table(heading: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{column}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f'<td class="name">{escape(cell)}</td>' for cell in row) + "</tr>" for row in rows)
    return (
        f'<h2>{heading}</h2><div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )
