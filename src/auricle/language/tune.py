"""What the language model is worth: the weights with the fewest word errors on a dev set."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from typing import TypeAlias

from auricle.alphabet import Alphabet
from auricle.decoding.beam import BeamDecoder, BeamOptions
from auricle.decoding.ngram import NgramModel
from auricle.features import Array
from auricle.metrics import ErrorCounts, word_errors

ALPHAS = (0.2, 0.5, 0.8, 1.1)
BETAS = (-0.5, 0.5, 1.5, 2.5)
UNKNOWNS = (-20.0, -8.0)
REFINEMENTS = 2

Clip: TypeAlias = tuple[Array, str]
"""Log-probabilities [frames, tokens] of a clip, and its text as the alphabet writes it."""


@dataclass(frozen=True, slots=True)
class Point:
    """One setting and its word error rate."""

    alpha: float
    beta: float
    unknown: float
    wer: float


def tune(  # noqa: PLR0917
    clips: Sequence[Clip],
    model: NgramModel,
    alphabet: Alphabet,
    options: BeamOptions,
    processes: int = 1,
    progress: Callable[[Point], None] = lambda point: None,
) -> list[Point]:
    """Search alpha, beta and the unknown word's penalty on a coarse grid, then twice around the best; best point first.

    Each time the steps are halved. The three go together: where a network is unsure, unknown words are a way around the
    language model, and the more it weighs, the more it is gone around. Of equal points, the one with the smaller alpha
    comes first. `progress` hears of each point.
    """
    points: dict[tuple[float, float, float], Point] = {}

    def visit(alpha: float, beta: float, unknown: float) -> None:
        key = (round(max(0.0, alpha), 4), round(beta, 4), round(min(0.0, unknown), 4))
        if key not in points:
            chosen = replace(options, alpha=key[0], beta=key[1], unknown=key[2])
            points[key] = Point(*key, sum(run(chosen, clips), ErrorCounts()).rate)
            progress(points[key])

    with _runner(model, alphabet, processes) as run:
        for alpha, beta, unknown in itertools.product(ALPHAS, BETAS, UNKNOWNS):
            visit(alpha, beta, unknown)
        steps = (ALPHAS[1] - ALPHAS[0], BETAS[1] - BETAS[0], UNKNOWNS[1] - UNKNOWNS[0])
        for _ in range(REFINEMENTS):
            steps = (steps[0] / 2, steps[1] / 2, steps[2] / 2)
            best = _ordered(points.values())[0]
            for left, up in itertools.product((-1, 0, 1), repeat=2):
                visit(best.alpha + left * steps[0], best.beta + up * steps[1], best.unknown)
            best = _ordered(points.values())[0]
            for along in (-1, 1):
                visit(best.alpha, best.beta, best.unknown + along * steps[2])
    return _ordered(points.values())


def _ordered(points: Iterable[Point]) -> list[Point]:
    return sorted(points, key=lambda point: (point.wer, point.alpha, point.beta, -point.unknown))


Runner: TypeAlias = Callable[[BeamOptions, Sequence[Clip]], Iterable[ErrorCounts]]


@contextmanager
def _runner(model: NgramModel, alphabet: Alphabet, processes: int) -> Iterator[Runner]:
    """Yield what counts the errors of clips under a setting, in this process or in several."""
    if processes <= 1:
        yield lambda options, clips: _all_errors(BeamDecoder(alphabet, model, options), clips)
        return
    # The language model goes to each process once, and not with every clip.
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_Worker.begin, initargs=(model, alphabet)
    ) as pool:
        yield lambda options, clips: pool.map(partial(_Worker.errors, options), clips, chunksize=4)


class _Worker:
    """One process: its language model, and the decoder of the setting at hand."""

    model: NgramModel
    alphabet: Alphabet
    decoder: BeamDecoder | None = None

    @classmethod
    def begin(cls, model: NgramModel, alphabet: Alphabet) -> None:
        """Take the language model."""
        cls.model, cls.alphabet = model, alphabet

    @classmethod
    def errors(cls, options: BeamOptions, clip: Clip) -> ErrorCounts:
        """Count the errors of one clip."""
        if cls.decoder is None or cls.decoder.options != options:
            cls.decoder = BeamDecoder(cls.alphabet, cls.model, options)
        return next(_all_errors(cls.decoder, [clip]))


def _all_errors(decoder: BeamDecoder, clips: Sequence[Clip]) -> Iterator[ErrorCounts]:
    return (word_errors(reference, decoder.decode(log_probs)[0].text) for log_probs, reference in clips)
