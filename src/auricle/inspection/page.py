"""An inspection as one HTML page: nothing is fetched, every text is escaped, and it can be read without scripts."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template

import numpy as np

from auricle.alphabet import BLANK
from auricle.features import Array, FeatureConfig, band_edges
from auricle.inspection.png import png
from auricle.inspection.view import Bump, Inspection
from auricle.transcript import Word

_HERTZ = (125, 250, 500, 1000, 2000, 4000, 8000, 16_000)
_LABELLED = 0.15  # a character that was considered and not heard is named from this probability on
_TOP_TOKENS = 5
_GLYPH = 7.3  # width of a letter of a word label, px: 12 px monospace
_LANES = 3
_MARGIN = 10.0  # left and right of the picture, px: a letter at the very edge needs half of its width


@dataclass(frozen=True, slots=True)
class _Panel:
    """A horizontal strip of the picture: its top and height in px."""

    top: float
    height: float

    @property
    def bottom(self) -> float:
        return self.top + self.height


_AXIS = _Panel(0, 22)
_WAVE = _Panel(30, 76)
_MEL = _Panel(118, 150)
_PATH = _Panel(300, 170)
_WORDS = _Panel(484, 84)
_HEIGHT = 572.0


@dataclass(frozen=True)
class _Scale:
    """From seconds of the recording to px."""

    start: float
    seconds: float
    pixels_a_second: float

    @property
    def width(self) -> float:
        return self.seconds * self.pixels_a_second

    def x(self, seconds: float) -> float:
        return (seconds - self.start) * self.pixels_a_second


def page(view: Inspection) -> str:
    """Return the page: waveform, log-mel, the network's probabilities and the words, one above the other."""
    seconds = view.waveform.duration
    scale = _Scale(view.start, seconds, min(max(1120 / seconds, 140.0), 600.0))
    layers = [
        _time_axis(scale),
        _word_lines(view.words, scale),
        _waveform(view.waveform.samples, scale),
        _log_mel(view, scale),
        _probabilities(view, scale),
        _words(view.words, scale),
        f'<line id="cursor" class="cursor" y1="{_WAVE.top}" y2="{_PATH.bottom}" x1="-99" x2="-99"/>',
    ]
    template = Template(files("auricle.inspection").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(name_of(view)),
        facts=" · ".join(_facts(view)),
        text=_text(view.words),
        height=f"{_HEIGHT:g}",
        width=f"{scale.width + 2 * _MARGIN:.1f}",
        left=f"{-_MARGIN:g}",
        legend_axis=_left_labels(view),
        picture="\n".join(layers),
        data=_data(view, scale),
    )


def _facts(view: Inspection) -> Iterator[str]:
    source = view.source
    channels = {1: "mono", 2: "stereo"}.get(source.channels, f"{source.channels} channels")
    yield f"heard by {escape(view.model)}"
    yield f"{escape(source.codec)}, {source.rate:,} Hz, {channels}, {source.duration:.2f} s"
    yield f"{len(view.probabilities)} frames of {view.frame_seconds * 1000:g} ms"
    if view.words:
        yield f"mean confidence {sum(word.confidence for word in view.words) / len(view.words):.0%}"
    if view.is_part:
        yield f"<strong>only {view.start:.2f} to {view.end:.2f} s are shown</strong>"


def _text(words: Sequence[Word]) -> str:
    if not words:
        return '<span class="soft">No word was recognised.</span>'
    return " ".join(
        f'<span class="word {_grade(word)}" data-x="{index}" title="{_tip(word)}">{escape(word.text)}</span>'
        for index, word in enumerate(words)
    )


def _tip(word: Word) -> str:
    return f"{word.start:.2f} to {word.end:.2f} s, confidence {word.confidence:.0%}"


def _grade(word: Word) -> str:
    return "sure" if word.confidence >= 0.9 else "fair" if word.confidence >= 0.6 else "poor"


def _left_labels(view: Inspection) -> str:
    """Return what stands left of the picture and does not scroll with it."""
    peak = float(np.abs(view.waveform.samples).max())
    level = f"{20 * np.log10(peak):.0f} dBFS" if peak > 1e-5 else "silent"
    parts = [
        _label(_AXIS.top + 15, "seconds", "name"),
        _label(_WAVE.top + 34, "waveform", "name"),
        _label(_WAVE.top + 48, f"peak {level}"),
        _label(_MEL.top + 12, "log-mel", "name"),
        *(_label(_mel_y(band, view.config) + 4, _hertz(hertz)) for hertz, band in mel_ticks(view.config)),
        *(_label(_probability_y(p) + 4, f"{p:.0%}") for p in (0.0, 0.5, 1.0)),
        _label(_probability_y(0.75) + 4, "network", "name"),
        _label(_WORDS.top + 10, "words", "name"),
        _label(_WORDS.top + 24, "confidence %"),
    ]
    return "".join(parts)


def _label(y: float, text: str, kind: str = "tick") -> str:
    return f'<text x="84" y="{y:.1f}" class="{kind}" text-anchor="end">{text}</text>'


def _hertz(hertz: int) -> str:
    return f"{hertz // 1000} kHz" if hertz >= 1000 else f"{hertz} Hz"


def _time_axis(scale: _Scale) -> str:
    step = 0.1 if scale.pixels_a_second > 400 else 0.5
    ticks = []
    first = int(np.ceil(scale.start / step - 1e-6))
    last = int(np.floor((scale.start + scale.seconds) / step + 1e-6))
    for index in range(first, last + 1):
        x, is_whole = scale.x(index * step), round(index * step % 1, 6) in {0.0, 1.0}
        ticks.append(f'<path class="tickmark" d="M{x:.1f} {_AXIS.bottom}v{-7 if is_whole else -4}"/>')
        anchor = "start" if x < 8 else "end" if x > scale.width - 8 else "middle"
        ticks.append(f'<text class="tick" x="{x:.1f}" y="12" text-anchor="{anchor}">{index * step:g}</text>')
    return f'<path class="tickmark" d="M0 {_AXIS.bottom}H{scale.width:.1f}"/>' + "".join(ticks)


def _word_lines(words: Iterable[Word], scale: _Scale) -> str:
    return "".join(
        f'<rect class="band" x="{scale.x(word.start):.1f}" y="{_AXIS.bottom}" height="{_WORDS.top - _AXIS.bottom:g}" '
        f'width="{max(scale.x(word.end) - scale.x(word.start), 1):.1f}"/>'
        for word in words
    )


def _waveform(samples: Array, scale: _Scale) -> str:
    """Return the envelope: the lowest and highest sample of each px."""
    columns = min(int(scale.width), len(samples))
    edges = np.linspace(0, len(samples), columns + 1).astype(int)[:-1]
    loudest = max(float(np.abs(samples).max()), 1e-5)
    middle, half = _WAVE.top + _WAVE.height / 2, _WAVE.height / 2
    high = middle - half * np.maximum.reduceat(samples, edges) / loudest
    low = middle - half * np.minimum.reduceat(samples, edges) / loudest
    x = (np.arange(columns) + 0.5) * scale.width / columns
    upper = _points(x, high - 0.4)
    lower = _points(x[::-1], low[::-1] + 0.4)
    return f'<polygon class="wave" points="{upper} {lower}"/>'


def _log_mel(view: Inspection, scale: _Scale) -> str:
    image = base64.b64encode(png(view.log_mel.T[::-1])).decode()
    hop = view.config.hop_seconds
    heights = (_mel_y(band, view.config) for _, band in mel_ticks(view.config))
    ticks = "".join(f'<path class="melmark" d="M0 {y:.1f}H{scale.width:.1f}"/>' for y in heights)
    return (
        f'<image x="{-hop / 2 * scale.pixels_a_second:.2f}" y="{_MEL.top}" height="{_MEL.height}" '
        f'width="{len(view.log_mel) * hop * scale.pixels_a_second:.2f}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{image}"/>{ticks}'
    )


def mel_ticks(config: FeatureConfig) -> Iterator[tuple[int, float]]:
    """Yield frequencies in Hz worth a mark, and each one's place among the bands: 0 is the lowest band's centre."""
    centres, before = band_edges(config)[1:-1], -np.inf
    for hertz in _HERTZ:
        if centres[0] <= hertz <= centres[-1]:
            band = float(np.interp(hertz, centres, np.arange(config.mel)))
            if band - before >= 0.09 * config.mel:
                before = band
                yield hertz, band


def _mel_y(band: float, config: FeatureConfig) -> float:
    return _MEL.bottom - (band + 0.5) / config.mel * _MEL.height


def _probability_y(probability: float) -> float:
    return _PATH.bottom - probability * _PATH.height


def _probabilities(view: Inspection, scale: _Scale) -> str:
    """Return the blank as a backdrop, each character's rise and fall before it, and the letters above their tops."""
    grid = "".join(f'<path class="grid" d="M0 {_probability_y(p):.1f}H{scale.width:.1f}"/>' for p in (0.0, 0.5, 1.0))
    times = view.start + np.arange(len(view.probabilities)) * view.frame_seconds
    blank = _area(times, view.probabilities[:, BLANK], scale)
    bumps = sorted(view.bumps(), key=lambda bump: bump.heard)
    areas = "".join(_bump(bump, view, times, scale) for bump in bumps)
    letters = "".join(_letter(view, scale, token, frame, "heard") for token, frame in view.spelled()) + "".join(
        _letter(view, scale, bump.token, bump.top, "weighed")
        for bump in bumps
        if not bump.heard and view.probabilities[bump.top, bump.token] >= _LABELLED
    )
    return f'{grid}<polygon class="blank" points="{blank}"/>{areas}{letters}'


def _bump(bump: Bump, view: Inspection, times: np.ndarray, scale: _Scale) -> str:
    around = slice(max(bump.first - 1, 0), bump.last + 2)
    kind = ("space" if view.labels[bump.token] == "␣" else "heard") if bump.heard else "weighed"
    return f'<polygon class="{kind}" points="{_area(times[around], view.probabilities[around, bump.token], scale)}"/>'


def _area(times: np.ndarray, probabilities: Array, scale: _Scale) -> str:
    x = (times - scale.start) * scale.pixels_a_second
    y = _PATH.bottom - probabilities * _PATH.height
    ground = f"{_PATH.bottom:g}"
    return f"{x[0]:.1f},{ground} {_points(x, y)} {x[-1]:.1f},{ground}"


def _letter(view: Inspection, scale: _Scale, token: int, frame: int, kind: str) -> str:
    x = scale.x(view.start + frame * view.frame_seconds)
    y = _probability_y(float(view.probabilities[frame, token])) - 4
    kind = "space" if view.labels[token] == "␣" and kind == "heard" else kind
    return (
        f'<text class="letter {kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{escape(view.labels[token])}</text>'
    )


def _words(words: Sequence[Word], scale: _Scale) -> str:
    """Return a bar for each word's time, and its label below in the first of three rows that has room."""
    free = [0.0] * _LANES
    parts = []
    for index, word in enumerate(words):
        left, right = scale.x(word.start), max(scale.x(word.end), scale.x(word.start) + 2)
        width = _GLYPH * len(word.text) + 20
        x = min(max((left + right) / 2, width / 2), max(scale.width - width / 2, width / 2))
        lane = next((lane for lane in range(_LANES) if free[lane] <= x - width / 2), int(np.argmin(free)))
        free[lane] = x + width / 2 + 5
        y = _WORDS.top + 27 + 22 * lane
        parts.append(
            f'<g class="{_grade(word)}" id="w{index}" data-x="{(left + right) / 2:.0f}"><title>{_tip(word)}</title>'
            f'<rect class="span" x="{left:.1f}" y="{_WORDS.top}" width="{right - left:.1f}" height="8" rx="2"/>'
            f'<path class="leader" d="M{(left + right) / 2:.1f} {_WORDS.top + 8}L{x:.1f} {y - 11:g}"/>'
            f'<text class="said" x="{x:.1f}" y="{y:g}" text-anchor="middle">{escape(word.text)}'
            f'<tspan class="percent" dx="3">{100 * word.confidence:.0f}</tspan></text></g>'
        )
    return "".join(parts)


def _points(x: np.ndarray, y: np.ndarray) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def _data(view: Inspection, scale: _Scale) -> str:
    """Return what the script tells of each frame, as JSON that cannot end its element: the best tokens in 1/1000."""
    order = np.argsort(-view.probabilities, axis=1)[:, :_TOP_TOKENS]
    best = np.take_along_axis(view.probabilities, order, axis=1)
    document = {
        "start": view.start,
        "frame": view.frame_seconds,
        "margin": _MARGIN,
        "scale": scale.pixels_a_second,
        "labels": view.labels,
        "top": np.stack((order, np.round(best * 1000)), axis=2).astype(int).reshape(len(order), -1).tolist(),
    }
    return json.dumps(document, separators=(",", ":")).replace("<", "\\u003c")


def name_of(view: Inspection) -> str:
    """Return the recording's name without the bytes that are not text."""
    return view.name.encode(errors="replace").decode()
