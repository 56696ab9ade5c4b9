"""An inspection as a PNG file, through matplotlib: for papers and slides."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from auricle.alphabet import BLANK
from auricle.errors import MissingExtraError
from auricle.inspection.page import mel_ticks, name_of
from auricle.inspection.view import Inspection

_HEARD, _SPACE, _WEIGHED, _BLANK = "#1f5fbf", "#0d8068", "#c4620a", "#b9bec6"


def picture(view: Inspection) -> bytes:
    """Return the picture as a PNG of 150 dots an inch. Raises MissingExtraError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtraError("a PNG picture (a page, FILE.html, does not)", "train") from error
    width = min(max(2.2 * view.waveform.duration, 10.0), 60.0)
    figure = Figure(figsize=(width, 7.0), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(4, 1, sharex=True, height_ratios=(1, 2, 2.2, 1))
    for axis in axes[:-1]:
        axis.tick_params(bottom=False)
    for draw, axis in zip((_waveform, _log_mel, _probabilities, _words), axes, strict=True):
        draw(axis, view)
    axes[0].set_xlim(view.start, view.end)
    axes[-1].set_xlabel("seconds")
    part = f", {view.start:g} to {view.end:.2f} s of {view.source.duration:.2f} s" if view.is_part else ""
    figure.suptitle(_plain(f"{name_of(view)}, heard by {view.model}{part}"), x=0.01, ha="left", fontsize=11)
    buffer = io.BytesIO()
    canvas.print_figure(buffer, format="png", dpi=150)
    return buffer.getvalue()


def _waveform(axis: Any, view: Inspection) -> None:
    samples = view.waveform.samples
    axis.plot(view.start + np.arange(len(samples)) / view.waveform.rate, samples, color="#55606f", linewidth=0.4)
    axis.set_ylabel("waveform")


def _log_mel(axis: Any, view: Inspection) -> None:
    low, high = np.percentile(view.log_mel, (0.5, 99.5))
    hop, frames = view.config.hop_seconds, len(view.log_mel)
    extent = (view.start - hop / 2, view.start + (frames - 0.5) * hop, -0.5, view.config.mel - 0.5)
    axis.imshow(
        view.log_mel.T,
        origin="lower",
        aspect="auto",
        extent=extent,
        cmap="inferno",
        vmin=low,
        vmax=max(high, low + 1e-6),
    )
    ticks = list(mel_ticks(view.config))
    axis.set_yticks([band for _, band in ticks], [f"{hertz:g}" for hertz, _ in ticks])
    axis.set_ylabel("log-mel, Hz")


def _probabilities(axis: Any, view: Inspection) -> None:
    times = view.start + np.arange(len(view.probabilities)) * view.frame_seconds
    axis.fill_between(times, view.probabilities[:, BLANK], color=_BLANK, alpha=0.4, linewidth=0)
    for bump in view.bumps():
        around = slice(max(bump.first - 1, 0), bump.last + 2)
        values = view.probabilities[around, bump.token]
        if bump.heard:
            colour = _SPACE if view.labels[bump.token] == "␣" else _HEARD
            axis.fill_between(times[around], values, color=colour, alpha=0.3, linewidth=0)
            axis.plot(times[around], values, color=colour, linewidth=0.8)
        else:
            axis.plot(times[around], values, color=_WEIGHED, linewidth=0.7, linestyle="--")
    for token, frame in view.spelled():
        top = (times[frame], view.probabilities[frame, token])
        axis.annotate(_plain(view.labels[token]), top, (0, 2), textcoords="offset points", ha="center", fontsize=8)
    axis.set_ylim(0, 1.15)
    axis.set_ylabel("probability")


def _words(axis: Any, view: Inspection) -> None:
    for index, word in enumerate(view.words):
        y = -(index % 3)
        axis.plot((word.start, max(word.end, word.start + 0.01)), (y, y), color=_HEARD, linewidth=3)
        label = f"{word.text} {100 * word.confidence:.0f}"
        axis.annotate(
            _plain(label), ((word.start + word.end) / 2, y), (0, 4), textcoords="offset points", ha="center", fontsize=8
        )
    axis.set_ylim(-2.4, 0.9)
    axis.set_yticks([])
    axis.set_ylabel("words")


def _plain(text: str) -> str:
    """Keep matplotlib from taking a text for a formula."""
    return text.replace("$", r"\$")
