"""The picture of a manifest: one self-contained HTML page with inline SVG; nothing is fetched and nothing runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template

import numpy as np

from auricle.corpora.stats import Spread, Stats

_BINS = 40
_SPEAKERS = 30
_WIDTH, _HEIGHT = 720, 180
_BELOW, _ABOVE = 22, 14  # room for the numbers under the axis, and for the largest count over it


def page(found: Stats, title: str) -> str:
    """Return the page: hours and speakers, histograms of durations and of rates of speech, the longest speakers."""
    template = Template(files("auricle.corpora").joinpath("page.html").read_text(encoding="utf-8"))
    sections = [
        _cards(found),
        _histogram("Durations", "seconds", found.durations),
        _histogram("Characters a second", "characters a second", found.rates),
        _bars("Speakers", found.speakers),
        _bars("Sex", found.sexes) if set(found.sexes) != {"unknown"} else "",
        _characters(found.characters),
    ]
    subtitle = f"{found.utterances:,} utterances, {time(found.seconds)}"
    return template.substitute(title=escape(title), subtitle=subtitle, body="\n".join(filter(None, sections)))


def time(seconds: float) -> str:
    """Return a length of time as people say it: seconds, minutes or hours."""
    if seconds >= 3600:
        return f"{seconds / 3600:.2f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"


def _cards(found: Stats) -> str:
    cards = {
        "Speech": (time(found.seconds), f"{found.utterances:,} utterances"),
        "Speakers": (f"{len(found.speakers):,}" if found.speakers else "—", "named in the manifest"),
        "Words": (f"{found.words:,}", f"{found.distinct_words:,} different ones"),
        "Without text": (f"{found.without_text:,}", "utterances"),
    }
    return '<div class="cards">' + "".join(_card(name, *lines) for name, lines in cards.items()) + "</div>"


def _card(name: str, figure: str, note: str) -> str:
    return f'<div class="card"><p class="soft">{name}</p><p class="figure">{figure}</p><p class="soft">{note}</p></div>'


def _histogram(heading: str, unit: str, spread: Spread) -> str:
    if not spread.values:
        return ""
    counts, edges = np.histogram(spread.values, bins=_BINS)
    high = int(counts.max())
    width = _WIDTH / _BINS
    bars = "".join(
        f'<rect x="{index * width + 1:.1f}" y="{_ABOVE + (1 - count / high) * _HEIGHT:.1f}" width="{width - 2:.1f}" '
        f'height="{count / high * _HEIGHT:.1f}"><title>{edges[index]:.2f} to {edges[index + 1]:.2f} {unit}: '
        f"{count:,}</title></rect>"
        for index, count in enumerate(counts)
        if count
    )
    numbers = "".join(
        f'<text x="{share * _WIDTH:.0f}" y="{_ABOVE + _HEIGHT + 16}" text-anchor="{anchor}">{value:.1f}</text>'
        for share, anchor, value in _ticks(float(edges[0]), float(edges[-1]))
    )
    facts = ", ".join(f"{name} {value:.1f}" for name, value in spread.quantiles().items())
    return (
        f'<h2>{heading}</h2><p class="soft">{unit}: {facts}</p>'
        f'<svg viewBox="0 0 {_WIDTH} {_ABOVE + _HEIGHT + _BELOW}" role="img" aria-label="{heading}: {facts}">'
        f'<text x="0" y="10">up to {high:,} utterances</text>{bars}'
        f'<line x1="0" x2="{_WIDTH}" y1="{_ABOVE + _HEIGHT}" y2="{_ABOVE + _HEIGHT}"/>{numbers}</svg>'
    )


def _ticks(low: float, high: float) -> Sequence[tuple[float, str, float]]:
    anchors = ["start", "middle", "middle", "middle", "end"]
    return [(step / 4, anchor, low + (high - low) * step / 4) for step, anchor in enumerate(anchors)]


def _bars(heading: str, seconds: Mapping[str, float]) -> str:
    most = max(seconds.values(), default=0.0)
    if not most:
        return ""
    shown = list(seconds.items())[:_SPEAKERS]
    rows = "".join(
        f'<tr><td class="name">{escape(name)}</td><td class="number">{time(value)}</td>'
        f'<td class="plot"><div class="track"><i style="width:{100 * value / most:.1f}%"></i></div></td></tr>'
        for name, value in shown
    )
    more = f'<p class="soft">the {_SPEAKERS} with most of {len(seconds):,}</p>' if len(seconds) > len(shown) else ""
    return f'<h2>{heading}</h2>{more}<div class="table"><table><tbody>{rows}</tbody></table></div>'


def _characters(characters: Mapping[str, int]) -> str:
    if not characters:
        return ""
    keys = "".join(
        f'<span class="key"><b>{escape(_visible(character))}</b> {count:,}</span>'
        for character, count in characters.items()
    )
    return f'<h2>Characters</h2><p class="soft">in lower case</p><div class="keys">{keys}</div>'


def _visible(character: str) -> str:
    return character if character.isprintable() and not character.isspace() else f"U+{ord(character):04X}"
