"""From an utterance to what `auricle data check` asks of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from auricle.batch.recognising import Settings
from auricle.corpora.check import Sound, listen
from auricle.corpora.mismatch import score_of
from auricle.manifest import Utterance
from auricle.recognizer import load


class Answers:
    """Answers how an utterance sounds at `rate` Hz or, with settings, how well its text fits, on one core.

    Raises BundleError for a model that cannot be loaded.
    """

    def __init__(self, rate: int, settings: Settings | None) -> None:
        self._answer: Callable[[Utterance], Sound | float | str] = partial(listen, rate=rate)
        if settings:
            recognizer = load(settings.model, threads=1, language_model=settings.language_model)
            self._answer = partial(score_of, recognizer=recognizer)

    def __call__(self, utterance: Utterance) -> Iterator[Sound | float | str]:
        """Yield once: the answer, or why there is none."""
        yield self._answer(utterance)
