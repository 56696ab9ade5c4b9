"""What the language model is worth: the weights with the fewest word errors on a dev set."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context

from auricle.alphabet import Alphabet
from auricle.decoding.beam import BeamDecoder, BeamOptions
from auricle.decoding.ngram import NgramModel
from auricle.features import Array
from auricle.metrics import ErrorCounts, word_errors

ALPHAS = (0.2, 0.5, 0.8, 1.1)
BETAS = (-0.5, 0.5, 1.5, 2.5)
REFINEMENTS = 2

Clip = tuple[Array, str]
"""Log-probabilities [frames, tokens] of a clip, and its text as the alphabet writes it."""


@dataclass(frozen=True, slots=True)
class Point:
    """One setting and its word error rate."""

    alpha: float
    beta: float
    wer: float


def tune(  # noqa: PLR0917
    clips: Sequence[Clip],
    model: NgramModel,
    alphabet: Alphabet,
    options: BeamOptions,
    processes: int = 1,
    progress: Callable[[Point], None] = lambda point: None,
) -> list[Point]:
    """Search alpha and beta on a coarse grid, then twice around the best with half the step; best point first.

    Of equal points, the one with the smaller alpha comes first. `progress` hears of each point.
    """
    points: dict[tuple[float, float], Point] = {}

    def visit(alpha: float, beta: float) -> None:
        key = (round(max(0.0, alpha), 4), round(beta, 4))
        if key not in points:
            chosen = replace(options, alpha=key[0], beta=key[1])
            points[key] = Point(*key, _errors(run, clips, BeamDecoder(alphabet, model, chosen)).rate)
            progress(points[key])

    with _runner(processes) as run:
        for alpha, beta in itertools.product(ALPHAS, BETAS):
            visit(alpha, beta)
        steps = (ALPHAS[1] - ALPHAS[0], BETAS[1] - BETAS[0])
        for _ in range(REFINEMENTS):
            steps = (steps[0] / 2, steps[1] / 2)
            best = _ordered(points.values())[0]
            for left, up in itertools.product((-1, 0, 1), repeat=2):
                visit(best.alpha + left * steps[0], best.beta + up * steps[1])
    return _ordered(points.values())


def _ordered(points: Iterable[Point]) -> list[Point]:
    return sorted(points, key=lambda point: (point.wer, point.alpha, point.beta))


Runner = Callable[[Callable[[Clip], ErrorCounts], Sequence[Clip]], Iterator[ErrorCounts]]


@contextmanager
def _runner(processes: int) -> Iterator[Runner]:
    if processes <= 1:
        yield map
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield partial(pool.map, chunksize=8)


def _errors(run: Runner, clips: Sequence[Clip], decoder: BeamDecoder) -> ErrorCounts:
    return sum(run(partial(_clip_errors, decoder), clips), ErrorCounts())


def _clip_errors(decoder: BeamDecoder, clip: Clip) -> ErrorCounts:
    log_probs, reference = clip
    return word_errors(reference, decoder.decode(log_probs)[0].text)
