"""What the language model is worth beside the network: the weights with the fewest word errors on a dev set."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from functools import partial
from multiprocessing import get_context
from typing import TypeAlias

import numpy as np

from auricle.alphabet import Alphabet
from auricle.decoding import BeamOptions, Decoder
from auricle.features import Array
from auricle.metrics import ErrorCounts, word_errors

ALPHAS = (0.3, 0.7, 1.1)
BETAS = (-0.5, 0.75, 2.0)
UNKNOWNS = (-24.0, -12.0)
ACOUSTIC, PRIOR, BLANK, PAIRS = 0.75, 0.5, 0.0, 0.3
"""Where the search begins with these four."""
SPOKEN_ACOUSTIC, LETTERS, RECURRENT, AGAIN = 0.5, 0.1, 0.8, 0.5
"""And where phones are searched by, with the letters, and a recurrent model and further hearings if there are any."""
APART_ACOUSTIC = 0.7
"""Where the network has learnt phones apart from what follows what (`phone_mmi`): nothing has to be taken away then."""
STEPS = {
    "alpha": 0.4,
    "beta": 1.25,
    "unknown": 12.0,
    "acoustic": 0.3,
    "prior": 0.6,
    "blank": 1.0,
    "pairs": 0.3,
    "letters": 0.2,
    "recurrent": 0.4,
    "again": 0.4,
}
"""How far the first refinement looks, and twice that."""
REFINEMENTS = 2
_RAREST = 1e-4
_UNSEEN = 0.5
"""What a pair of letters counts that was never seen."""

Clip: TypeAlias = tuple[Array, str]
"""Log-probabilities [frames, tokens] of a clip, and its text as the alphabet writes it."""


@dataclass(frozen=True, slots=True)
class Point:
    """One setting and its word error rate.

    `prior` says how much of the letters' own frequencies is taken from the network's log-probabilities; `blank` is
    added to those of the blank. `pairs` says how much is taken of what the training texts say follows which letter.
    Where phones are searched by, all this is about phones, `letters` weighs what the letters say, and `recurrent` is
    the part of alpha that a recurrent language model has; `again` is the part of acoustic and of letters that all
    hearings but the first have.
    """

    alpha: float
    beta: float
    unknown: float
    acoustic: float
    prior: float
    blank: float
    pairs: float = 0.0
    letters: float = 0.0
    recurrent: float = 0.0
    again: float = 0.0
    wer: float = math.nan

    def options(self, base: BeamOptions, frequencies: Array, following: Array | None = None) -> BeamOptions:
        """Return a search's options with these weights.

        `frequencies` are those of `letter_frequencies`, `following` those of `letter_pairs`, if there are any.
        """
        taken = np.zeros((0, 0)) if following is None or not self.pairs else -self.pairs * following.astype(np.float64)
        offsets = (self.blank, *(round(float(-self.prior * one), 4) for one in frequencies))
        return replace(
            base,
            alpha=self.alpha,
            beta=self.beta,
            unknown=self.unknown,
            acoustic=self.acoustic,
            offsets=offsets,
            pairs=tuple(map(tuple, (np.round(taken, 3) + 0.0).tolist())),
            letters=self.letters,
            recurrent=self.recurrent,
            again=self.again,
        )


def point_of(options: BeamOptions, frequencies: Array, following: Array | None = None) -> Point:
    """Return the point that gives a search's options, or the nearest: offsets and pairs may be of other frequencies.

    `frequencies` and `following` are those of `Point.options`.
    """
    blank, *offsets = options.offsets or (0.0, *np.zeros(len(frequencies)))
    return Point(
        alpha=options.alpha,
        beta=options.beta,
        unknown=options.unknown,
        acoustic=options.acoustic,
        prior=-_multiple(np.array(offsets), frequencies),
        blank=blank,
        pairs=0.0 if following is None or not options.pairs else -_multiple(np.array(options.pairs), following),
        letters=options.letters,
        recurrent=options.recurrent,
        again=options.again,
    )


def _multiple(values: Array, of: Array) -> float:
    """Return the factor that brings `of` nearest to the values."""
    return float((values * of).sum(dtype=np.float64) / max(float(np.square(of, dtype=np.float64).sum()), 1e-12))


def letter_frequencies(clips: Sequence[Clip], columns: slice = slice(None)) -> Array:
    """Return how frequent the network thinks each letter [tokens - 1], as natural logarithms about their mean.

    `columns` are those of the letters, or of the phones, the blank first.
    """
    total = sum((np.exp(log_probs[:, columns][:, 1:], dtype=np.float64).sum(0) for log_probs, _ in clips), np.zeros(1))
    share = np.maximum(total / total.sum(), _RAREST)
    logarithms = np.log(share)
    return np.asarray(logarithms - (share * logarithms).sum(), np.float32)


def letter_pairs(texts: Iterable[str], alphabet: Alphabet) -> Array:
    """Return how often each token follows each in texts as the alphabet writes them: see `token_pairs`."""
    return token_pairs(map(alphabet.encode, texts), alphabet.tokens)


def token_pairs(texts: Iterable[Sequence[int]], count: int) -> Array:
    """Return how often each of `count` tokens follows each [count, count], as natural logarithms about their mean.

    The blank's row is the beginning of a text; in its column is nothing.
    """
    seen = np.zeros((count, count))
    for text in texts:
        tokens = np.array([0, *text])  # the blank stands for the beginning
        np.add.at(seen, (tokens[:-1], tokens[1:]), 1.0)
    seen = seen[:, 1:]  # no text has a blank
    share = seen + _UNSEEN
    logarithms = np.log(share / share.sum(axis=1, keepdims=True))
    if total := seen.sum():
        logarithms -= (seen * logarithms).sum() / total
    return np.pad(logarithms, ((0, 0), (1, 0))).astype(np.float32)


def tune(
    clips: Sequence[Clip],
    make: Maker,
    options: BeamOptions,
    frequencies: Array,
    following: Array | None = None,
    *,
    spoken: bool = False,
    recurrent: bool = False,
    start: Point | None = None,
    processes: int = 1,
    progress: Callable[[Point], None] = lambda point: None,
) -> list[Point]:
    """Search alpha, beta and the unknown word's price on a coarse grid, then all weights around the best; best first.

    A `spoken` search takes the better of two places for its grid: one for a network that knows what follows what, and
    one for a network that does not. Around the best is done twice, with steps of half the size the second time. alpha,
    beta and the price go together: where a network is unsure, unknown words are a way around the language model, and
    the more it weighs, the more it is gone around. Of equal points, the one with the smaller alpha comes first.
    `progress` hears of each point.
    `make` makes a decoder of a search's options; `frequencies` are those of `letter_frequencies`. `following` are the
    `letter_pairs` of the texts that the network was trained on: without them none are taken away. A `spoken` search is
    by phones: it has no unknown words, and a weight of the letters, and of a `recurrent` model and of further hearings
    if it has them. `start` is a point to try before the grid, which is coarse, such as that of an earlier network.
    """
    points: dict[tuple[float, ...], Point] = {}
    fixed = {"pairs"} if following is None else set[str]()
    fixed |= {"unknown"} if spoken else {"letters"}
    fixed |= set() if recurrent else {"recurrent"}
    fixed |= set() if spoken and options.hearings > 1 else {"again"}
    begin = (SPOKEN_ACOUSTIC if spoken else ACOUSTIC, PRIOR, BLANK, 0.0 if following is None else PAIRS)
    begins = [begin, (APART_ACOUSTIC, 0.0, BLANK, 0.0)] if spoken else [begin]
    rest = (LETTERS if spoken else 0.0, RECURRENT, AGAIN)

    def visit(point: Point) -> Point:
        point = Point(
            alpha=round(max(0.0, point.alpha), 4),
            beta=round(point.beta, 4),
            unknown=round(min(0.0, point.unknown), 4),
            acoustic=round(max(0.05, point.acoustic), 4),
            prior=round(max(0.0, point.prior), 4),
            blank=round(point.blank, 4),
            pairs=round(max(0.0, point.pairs), 4),
            letters=round(max(0.0, point.letters), 4),
            recurrent=round(min(max(0.0, point.recurrent), 1.0), 4) if recurrent else 0.0,
            again=round(min(max(0.0, point.again), 1.0), 4) if "again" not in fixed else 0.0,
        )
        key = astuple(point)[:-1]
        if key not in points:
            wer = sum(run(point.options(options, frequencies, following), clips), ErrorCounts()).rate
            points[key] = replace(point, wer=wer)
            progress(points[key])
        return points[key]

    with _runner(make, processes) as run:
        if start:
            visit(start)
        wers = [visit(Point(ALPHAS[1], BETAS[1], UNKNOWNS[-1], *begin, *rest)).wer for begin in begins]
        begin = begins[wers.index(min(wers))]
        for alpha, beta, unknown in itertools.product(ALPHAS, BETAS, UNKNOWNS[-1:] if spoken else UNKNOWNS):
            visit(Point(alpha, beta, unknown, *begin, *rest))
        for size in (2.0**-number for number in range(1, REFINEMENTS + 1)):
            step = {name: size * most for name, most in STEPS.items()}
            best = _ordered(points.values())[0]
            for left, up in itertools.product((-1, 0, 1), repeat=2):
                visit(replace(best, alpha=best.alpha + left * step["alpha"], beta=best.beta + up * step["beta"]))
            for name in [name for name in tuple(STEPS)[2:] if name not in fixed]:
                best = _ordered(points.values())[0]
                for along in (-1, 1):
                    visit(replace(best, **{name: getattr(best, name) + along * step[name]}))
    return _ordered(points.values())


def judged_at(point: Point, options: BeamOptions, clips: Sequence[Clip], make: Maker, *, processes: int = 1) -> Point:
    """Return a point with the word error rate of a search with its options; the rest is as for `tune`."""
    with _runner(make, processes) as run:
        return replace(point, wer=sum(run(options, clips), ErrorCounts()).rate)


def _ordered(points: Iterable[Point]) -> list[Point]:
    return sorted(points, key=lambda point: (point.wer, point.alpha, point.beta, -point.unknown))


Maker: TypeAlias = Callable[[BeamOptions], Decoder]
Runner: TypeAlias = Callable[[BeamOptions, Sequence[Clip]], Iterable[ErrorCounts]]


@contextmanager
def _runner(make: Maker, processes: int) -> Iterator[Runner]:
    """Yield what counts the errors of clips under a setting, in this process or in several."""
    if processes <= 1:
        yield lambda options, clips: _all_errors(make(options), clips)
        return
    # The language model goes to each process once, and not with every clip.
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_Worker.begin, initargs=(make,)
    ) as pool:
        yield lambda options, clips: pool.map(partial(_Worker.errors, options), clips, chunksize=4)


class _Worker:
    """One process: its language model, and the decoder of the setting at hand."""

    make: Maker
    options: BeamOptions | None = None
    decoder: Decoder

    @classmethod
    def begin(cls, make: Maker) -> None:
        """Take what makes decoders, and their language model with it."""
        cls.make = make

    @classmethod
    def errors(cls, options: BeamOptions, clip: Clip) -> ErrorCounts:
        """Count the errors of one clip."""
        if cls.options != options:
            cls.decoder, cls.options = cls.make(options), options
        return next(_all_errors(cls.decoder, [clip]))


def _all_errors(decoder: Decoder, clips: Sequence[Clip]) -> Iterator[ErrorCounts]:
    return (word_errors(reference, decoder.decode(log_probs)[0].text) for log_probs, reference in clips)
