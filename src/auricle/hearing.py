"""What a bundle's networks hear: normalised features in, the log-probabilities that are decoded out."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeAlias

import numpy as np

from auricle.acoustic import AcousticModel
from auricle.bundle import ACOUSTIC, SPELLER, Bundle
from auricle.features import Array
from auricle.grouping import Prepared, batches_of
from auricle.spelling import SpellingModel

Again: TypeAlias = Callable[[Array, int], Array]
"""Features, and how often they are heard in all: what is heard at all times but the first, side by side."""

# More at once cost the network no less each.
_BATCH_WINDOWS = 4
# Two cost it a tenth more each than four, but where the search waits for the first and the network for the last of
# them, that is soon made good.
_BATCH_WINDOWS_BESIDE = 2
_SPREAD = 0.04  # seconds over which hearings begin: a network's stride


class Hearing:
    """The networks of a bundle at work. Safe to call from several threads.

    `threads` bounds the cores of one call (None: all of them). Where it is `spelt`, the letters are those of the
    bundle's speller, if it has one, in place of the network's own. Raises BundleError for a network that is none.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None, spelt: bool = True) -> None:
        self._bundle = bundle
        self._cores = threads or os.cpu_count() or 1
        graph = bundle.files[ACOUSTIC]
        self._network = self._opened(graph, threads)
        # Until it is needed again, when the bundle may be another one.
        self._graph = graph if self._cores > 1 else b""
        self._beside: AcousticModel | None = None
        self._beside_lock = threading.Lock()
        self._speller = _speller(bundle, threads) if spelt and SPELLER in bundle.files else None

    def own(self, features: Array) -> Array:
        """Return what the network itself says of features [frames, mel]: [frames', tokens], with its own letters."""
        return self._network.log_probs([features])[0]

    def once(self, features: Array) -> Array:
        """Return the log-probabilities [frames', tokens] that are decoded, of features [frames, mel]."""
        return self._spelt([self.own(features)])[0]

    def again(self, features: Array, hearings: int) -> Array:
        """Return what is heard at all `hearings` but the first, each from a little later on, side by side."""
        return self._again(self._network, features, hearings)

    def each(self, windows: Sequence[Prepared]) -> Iterator[tuple[Prepared, Array, Again]]:
        """Yield windows, in an order that suits the network, with what is `once` heard in each, and what hears again.

        Where there are several batches of them and several cores, the network is a batch ahead of its caller.
        """
        most = _BATCH_WINDOWS if self._cores == 1 else _BATCH_WINDOWS_BESIDE
        batches = list(batches_of(windows, self._bundle.features.hop_seconds, most))
        beside = len(batches) > 1 and self._cores > 1
        network = self._network_beside() if beside else self._network
        again = partial(self._again, network)
        for batch, found in zip(batches, self._heard(batches, network, beside=beside), strict=True):
            yield from ((window, log_probs, again) for window, log_probs in zip(batch, found, strict=True))

    def _heard(
        self, batches: Sequence[Sequence[Prepared]], network: AcousticModel, *, beside: bool
    ) -> Iterator[list[Array]]:
        features = [[window.features for window in batch] for batch in batches]
        if not beside:
            yield from (self._spelt(network.log_probs(inputs)) for inputs in features)
            return
        pool = ThreadPoolExecutor(1, "acoustic")
        try:
            coming = [pool.submit(network.log_probs, inputs) for inputs in features]
            yield from (self._spelt(results.result()) for results in coming)
        finally:
            pool.shutdown(cancel_futures=True)

    def _again(self, network: AcousticModel, features: Array, hearings: int) -> Array:
        hop = self._bundle.features.hop_seconds
        frames = [round(_SPREAD * one / hearings / hop) for one in range(1, hearings)]
        return np.hstack([network.log_probs([_later(features, count)])[0] for count in frames])

    def _spelt(self, heard: list[Array]) -> list[Array]:
        """Return what was heard with the speller's letters in place of the network's, if there is one."""
        if self._speller is None:
            return heard
        letters = self._bundle.alphabet.tokens
        phones = [log_probs[:, letters:] for log_probs in heard]
        return [np.hstack(pair) for pair in zip(self._speller.log_probs(phones), phones, strict=True)]

    def _network_beside(self) -> AcousticModel:
        """Return the network for use beside the search, which has a core of its own: they would wait for each other."""
        with self._beside_lock:
            if self._beside is None:
                self._beside, self._graph = self._opened(self._graph, self._cores - 1), b""
            return self._beside

    def _opened(self, graph: bytes, threads: int | None) -> AcousticModel:
        return AcousticModel(graph, mel=self._bundle.features.mel, tokens=self._bundle.tokens, threads=threads)


def _later(features: Array, frames: int) -> Array:
    """Return features that begin so many frames later, and go on at their end."""
    return np.concatenate((features[frames:], features[-1:].repeat(min(frames, len(features)), axis=0)))


def _speller(bundle: Bundle, threads: int | None) -> SpellingModel:
    letters = bundle.alphabet.tokens
    return SpellingModel(bundle.files[SPELLER], phones=bundle.tokens - letters, letters=letters, threads=threads)
