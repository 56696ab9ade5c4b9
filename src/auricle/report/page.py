"""One self-contained HTML page from a report: nothing is fetched, nothing runs, and every text in it is escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from string import Template

from auricle.metrics import Rate, align
from auricle.report.results import Group, Report, Row

_WORST = 20
_CONFUSED = 30
_KINDS = {"S": "substitution", "D": "deletion", "I": "insertion"}


def report_html(report: Report, title: str) -> str:
    """Return the page: summary, worst utterances word by word, confused words, speakers, sexes, clip lengths, failures.

    Kinds of error differ by letter and line as well as by colour. Light or dark is the reader's setting.
    """
    template = Template(files("auricle.report").joinpath("page.html").read_text(encoding="utf-8"))
    scored = f"{len(report.rows):,} utterances, {_time(report.audio_seconds)}"
    unscored = f'<a href="#failures">{len(report.failures):,} not scored</a>' if report.failures else ""
    subtitle = " · ".join(filter(None, [escape(report.model), scored, unscored]))
    sections = [
        _summary(report),
        _worst(report.worst(_WORST)),
        _confused(report.most_confused(_CONFUSED)),
        _groups("By speaker", "Speaker", report.by_speaker()) if any(row.speaker for row in report.rows) else "",
        _groups("By sex", "Sex", report.by_sex()) if any(row.sex for row in report.rows) else "",
        _groups("By clip length", "Length", report.by_length()) if report.rows else "",
        _readable(report),
        _failures(report),
    ]
    return template.substitute(title=escape(title), subtitle=subtitle, body="\n".join(filter(None, sections)))


def _summary(report: Report) -> str:
    speed = report.real_time_factor
    faster = f"{1 / speed:,.1f} times faster than speech" if 0 < speed < 1 else "seconds per second of audio"
    return (
        '<div class="cards">'
        + _card("Word error rate", _percent(report.wer.value), _interval(report.wer))
        + _card("Character error rate", _percent(report.cer.value), _interval(report.cer))
        + _errors_card(report)
        + _card(
            "Real-time factor",
            _number(speed, 3),
            f"{faster}; recognised in {_time(report.recognition_seconds)}"
            + (f", read in {_time(report.reading_seconds)}" if report.reading_seconds else ""),
        )
        + "</div>"
    )


def _card(name: str, figure: str, note: str) -> str:
    return f'<div class="card"><p class="soft">{name}</p><p class="figure">{figure}</p><p class="soft">{note}</p></div>'


def _errors_card(report: Report) -> str:
    words = report.words
    counts = {"S": words.substitutions, "D": words.deletions, "I": words.insertions}
    mix = "".join(f'<span class="{kind}" style="flex:{count}"></span>' for kind, count in counts.items() if count)
    keys = "".join(f'<span class="key {kind}">{kind} {count:,}</span>' for kind, count in counts.items())
    return (
        f'<div class="card"><p class="soft">Word errors</p><p class="figure">{words.errors:,}</p>'
        f'<div class="keys">{keys}</div><div class="mix">{mix}</div>'
        f'<p class="soft">of {words.reference_length:,} words</p></div>'
    )


def _readable(report: Report) -> str:
    if not report.readable:
        return ""
    rows = (
        f'<tr><td class="name">{escape(name)}</td><td class="number">{_number(one.value, 3)}</td>'
        f'<td class="number soft">{_number(one.low, 3)} to {_number(one.high, 3)}</td>'
        f'<td class="number wide">{_number(one.precision, 3)}</td><td class="number wide">{_number(one.recall, 3)}</td>'
        f'<td class="number">{one.count:,}</td></tr>'
        for name, one in report.readable.scores.items()
    )
    header = (
        '<th></th><th class="number">F1</th><th class="number">95 %</th><th class="number wide">Precision</th>'
        '<th class="number wide">Recall</th><th class="number">In the texts</th>'
    )
    note = "Not in the word error rate. Of the utterances whose texts have punctuation, capitals or figures"
    return f'<h2>Readable text</h2><p class="soft">{note}: {report.readable.utterances:,}.</p>' + _table(header, rows)


def _failures(report: Report) -> str:
    if not report.failures:
        return ""
    rows = (
        f'<tr><td class="name">{escape(failure.id)}</td><td class="name">{escape(failure.message)}</td></tr>'
        for failure in report.failures
    )
    count = len(report.failures)
    heading = f"{count:,} utterance{'s' if count > 1 else ''} could not be scored"
    return f'<h2 id="failures">{heading}</h2>' + _table("<th>Utterance</th><th>Why</th>", rows)


def _worst(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    keys = "".join(f'<span class="key {kind}">{kind} {meaning}</span>' for kind, meaning in _KINDS.items())
    return (
        "<h2>Worst utterances</h2>"
        '<p class="soft">Above what was said, below what was recognised.</p>'
        f'<div class="keys">{keys}</div>' + "\n".join(_utterance(row) for row in rows)
    )


def _utterance(row: Row) -> str:
    facts = [f"<strong>{escape(row.id)}</strong>", f"WER {_percent(row.words.rate)}", f"{row.duration:.1f} s"]
    if row.speaker:
        facts.append(f"speaker {escape(row.speaker)}")
    if row.confidence is not None:
        facts.append(f"confidence {row.confidence:.2f}")
    pairs = "".join(_pair(*pair) for pair in align(row.reference.split(), row.hypothesis.split()))
    meta = "".join(f"<span>{fact}</span>" for fact in facts)
    return f'<article class="utterance"><div class="meta">{meta}</div><div class="aligned">{pairs}</div></article>'


def _pair(reference: str | None, hypothesis: str | None) -> str:
    kind = _kind(reference, hypothesis)
    above, below = escape(reference or ""), escape(hypothesis or "")
    gap = '<span class="gap">·</span>'
    if kind is None:
        return f'<span class="pair same"><span>{above}</span><span>{below}</span></span>'
    mark = f'<sup title="{_KINDS[kind]}">{kind}</sup>'
    first = gap if reference is None else f"<del>{above}</del>"
    second = gap if hypothesis is None else f"<ins>{below}</ins>"
    return f'<span class="pair {kind}"><span>{first}{mark}</span>{second}</span>'


def _kind(reference: str | None, hypothesis: str | None) -> str | None:
    if reference == hypothesis:
        return None
    return "I" if reference is None else "D" if hypothesis is None else "S"


def _confused(pairs: Sequence[tuple[str | None, str | None, int]]) -> str:
    if not pairs:
        return ""
    most = pairs[0][2]
    rows = []
    for reference, hypothesis, times in pairs:
        kind = _kind(reference, hypothesis) or ""
        rows.append(
            f'<tr><td class="name">{_word(reference)}</td><td class="name">{_word(hypothesis)}</td>'
            f'<td><span class="kind {kind}">{kind} <span class="wide">{_KINDS[kind]}</span></span></td>'
            f'<td class="number">{times:,}</td><td class="plot">{_bar(times / most)}</td></tr>'
        )
    header = '<th>Said</th><th>Recognised</th><th>Kind</th><th class="number">Times</th><th></th>'
    return "<h2>Most confused words</h2>" + _table(header, rows)


def _word(word: str | None) -> str:
    return '<span class="soft">nothing</span>' if word is None else escape(word)


def _groups(heading: str, column: str, groups: Sequence[Group]) -> str:
    bounds = [bound for group in groups for bound in (group.wer.value, group.wer.high) if math.isfinite(bound)]
    full = max(bounds, default=0.0) or 1.0
    rows = (
        f'<tr><td class="name">{escape(group.name)}</td><td class="number wide">{group.utterances:,}</td>'
        f'<td class="number wide">{_time(group.seconds)}</td>'
        f'<td class="number wide">{group.words.reference_length:,}</td>'
        f'<td class="number">{_percent(group.wer.value)}</td>'
        f'<td class="number soft">{_bounds(group.wer)}</td>'
        f'<td class="plot">{_bar_with_interval(group.wer, full)}</td></tr>'
        for group in groups
    )
    header = (
        f'<th>{column}</th><th class="number wide">Clips</th><th class="number wide">Audio</th>'
        '<th class="number wide">Words</th><th class="number">WER</th><th class="number">95 %</th><th></th>'
    )
    return f"<h2>{heading}</h2>" + _table(header, rows)


def _table(header: str, rows: Iterable[str]) -> str:
    body = "\n".join(rows)
    return f'<div class="table"><table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table></div>'


def _bar(share: float) -> str:
    return f'<div class="track"><i style="width:{100 * share:.1f}%"></i></div>'


def _bar_with_interval(rate: Rate, full: float) -> str:
    value, low, high = (100 * min(bound / full, 1.0) for bound in (rate.value, rate.low, rate.high))
    return (
        f'<div class="track"><i style="width:{value:.1f}%"></i>'
        f'<b style="left:{low:.1f}%;width:{high - low:.1f}%"></b></div>'
    )


def _interval(rate: Rate) -> str:
    return "nothing was scored" if math.isnan(rate.value) else f"95&nbsp;% interval {_bounds(rate)}"


def _bounds(rate: Rate) -> str:
    return f"{_percent(rate.low, '')} to {_percent(rate.high)}".replace(" ", "&nbsp;")


def _percent(rate: float, unit: str = "&nbsp;%") -> str:
    return _number(100 * rate, 1) + (unit if math.isfinite(rate) else "")


def _number(value: float, decimals: int) -> str:
    if math.isnan(value):
        return "—"
    return "∞" if math.isinf(value) else f"{value:,.{decimals}f}"


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f}&nbsp;s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,}&nbsp;h {minutes:02d}&nbsp;min" if hours else f"{minutes}&nbsp;min {rest:02d}&nbsp;s"
