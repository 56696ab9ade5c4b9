"""Tuning as a PNG: word errors over the language model's weights, and how far confidences can be believed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Protocol

from auricle.errors import MissingExtraError

_CORNERS = 3


class Bin(Protocol):
    """Words of like confidence, see `auricle.calibration.Bin`."""

    @property
    def words(self) -> int:
        """How many."""
        ...

    @property
    def confidence(self) -> float:
        """Their mean confidence."""
        ...

    @property
    def right(self) -> float:
        """The share of them that is right."""
        ...


def tuning_png(points: Sequence[tuple[float, float, float]], before: Sequence[Bin], after: Sequence[Bin]) -> bytes:
    """Draw (alpha, beta, WER) points, if they are enough for a surface, and two reliability curves.

    Raises MissingExtraError without matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtraError("a picture of the tuning", "train") from error
    searched = len(points) >= _CORNERS
    figure = Figure(figsize=(11 if searched else 5.5, 4.6), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = list(figure.subplots(1, 2 if searched else 1, squeeze=False)[0])
    if searched:
        _surface(figure, axes[0], points)
    _reliability(axes[-1], before, after)
    buffer = io.BytesIO()
    canvas.print_figure(buffer, format="png", dpi=120)
    return buffer.getvalue()


def _surface(figure: Any, axis: Any, points: Sequence[tuple[float, float, float]]) -> None:
    alpha, beta, wer = zip(*points, strict=True)
    percent = [100 * value for value in wer]
    shown = axis.tricontourf(alpha, beta, percent, levels=14, cmap="viridis_r")
    axis.plot(alpha, beta, ".", color="#22262b", markersize=3)
    best = min(points, key=lambda point: point[2])
    axis.plot(best[0], best[1], "*", color="#c4620a", markersize=14)
    axis.annotate(f"{100 * best[2]:.1f} %", best[:2], xytext=(8, 8), textcoords="offset points")
    axis.set(xlabel="alpha, weight of the language model", ylabel="beta, bonus for each word", title="WER, %")
    figure.colorbar(shown, ax=axis)


def _reliability(axis: Any, before: Sequence[Bin], after: Sequence[Bin]) -> None:
    axis.plot([0, 1], [0, 1], color="#b9bec6", linewidth=1)
    for bins, color, label in ((before, "#b9a06a", "as the network says"), (after, "#1f5fbf", "calibrated")):
        axis.plot([bin.confidence for bin in bins], [bin.right for bin in bins], "-", color=color, label=label)
        axis.scatter(
            [bin.confidence for bin in bins],
            [bin.right for bin in bins],
            s=[4 + 80 * bin.words / max(other.words for other in bins) for bin in bins],
            color=color,
        )
    axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share of words that are right", title="Reliability")
    axis.legend(loc="upper left", frameon=False)
