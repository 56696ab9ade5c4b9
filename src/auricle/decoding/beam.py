"""Prefix beam search (Hannun et al., 2014) with shallow fusion of a word language model and of hot words.

    score = log P(text | audio) + alpha * log P_LM(words) + beta * words + rewards of hot words

The network's log-probabilities may be weighed as well, and shifted token by token and pair by pair: it has learnt how
frequent letters are and which follow which, which the language model knows better, and is surer of each frame than a
sum over frames should be. Taking away what a model of the training texts' letters says is the density ratio of
McDermott et al., 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from auricle.alphabet import Alphabet
from auricle.decoding.alignment import align
from auricle.decoding.fusion import Fusion
from auricle.decoding.hotwords import DEFAULT_BOOST, HotWords, hot_words, rewards
from auricle.decoding.ngram import NgramModel
from auricle.decoding.prefix_search import search
from auricle.decoding.types import BeamOptions, Hypothesis, Phrases
from auricle.errors import AuricleError
from auricle.features import Array


class BeamDecoder:
    """Beam search with a language model, with hot words, with both, or with neither."""

    def __init__(
        self, alphabet: Alphabet, language_model: NgramModel | None = None, options: BeamOptions | None = None
    ) -> None:
        self._alphabet = alphabet
        self.options = options or BeamOptions()
        if len(self.options.offsets) not in {0, alphabet.tokens}:
            raise AuricleError(f"{len(self.options.offsets)} offsets for {alphabet.tokens} tokens: give one for each.")
        sizes = {len(self.options.pairs), *map(len, self.options.pairs)}
        if sizes not in ({0}, {alphabet.tokens}):
            raise AuricleError(f"the pairs are no square of {alphabet.tokens} tokens: give a number for each pair.")
        self._fusion = None if language_model is None else Fusion(language_model, alphabet, self.options)
        # The same hot words come with clip after clip, and take longer to make ready than to use.
        self._compiled = lru_cache(maxsize=8)(self._compile)

    def __reduce__(self) -> tuple[Any, ...]:
        model = self._fusion.model if self._fusion else None
        return BeamDecoder, (self._alphabet, model, self.options)

    def decode(self, log_probs: Array, *, hot_words: Phrases = ()) -> list[Hypothesis]:
        """Return up to `nbest` hypotheses for log_probs [frames, tokens], best first.

        `score` is the fused score above; token frames are those of the text's most probable path. Hot words may give
        the reward of each character, phrase by phrase. Raises AuricleError for NaN, for plus infinity, and for hot
        words outside the alphabet.
        """
        if not (log_probs < np.inf).all():
            raise AuricleError("the log-probabilities hold NaN or infinity: the acoustic model or its input is broken.")
        log_probs = log_probs[:, : self._alphabet.tokens]
        space = self._alphabet.characters.index(" ") + 1 if " " in self._alphabet.characters else 0
        found = search(log_probs, space, self._fusion, self.options, self._automaton(hot_words))
        return [self._hypothesis(log_probs, one.tokens, one.score) for one in found]

    def _automaton(self, phrases: Phrases) -> HotWords | None:
        if not phrases:
            return None
        return self._compiled(tuple(phrases.items()) if isinstance(phrases, Mapping) else tuple(phrases))

    def _compile(self, phrases: tuple[str, ...] | tuple[tuple[str, float], ...]) -> HotWords:
        given = [phrase if isinstance(phrase, tuple) else (phrase, DEFAULT_BOOST) for phrase in phrases]
        earned = rewards(dict(given), self._alphabet)
        if self._fusion:
            # A hot word is worth saying even where the language model has never seen it.
            for phrase, shares in earned.items():
                earned[phrase] = [sum(pair) for pair in zip(shares, self._fusion.amends(phrase), strict=True)]
        return hot_words(earned, self._alphabet)

    def _hypothesis(self, log_probs: Array, tokens: tuple[int, ...], score: float) -> Hypothesis:
        path = align(log_probs, tokens)
        return Hypothesis(self._alphabet.decode(tokens), score, tokens, path.first_frames, path.last_frames)
