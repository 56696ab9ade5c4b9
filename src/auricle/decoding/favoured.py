"""Hot words that the language model knows how to say: favoured, by their phones, while a search hears them.

Those that it does not know are put into what was found (`decoding.expected`), by their letters, which are heard worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from auricle.decoding.fusion import Scores
from auricle.decoding.hotwords import HotWords
from auricle.decoding.pronunciations import WORD_END

_SHARE = 0.65  # of a phrase's reward: with all of it the search hears too much that nobody says, with 0.4 too little


class Favoured:
    """Phrases with what a text earns that has them, and the automaton that a search by phones is given.

    A search knows only phones: it rewards all words that are said alike. `amends` gives each text what its own words
    earn instead.
    """

    def __init__(self, earned: Mapping[str, float], said: Mapping[str, Sequence[int]], tokens: int) -> None:
        """Hold phrases with what each earns, and with its phones, `WORD_END` between words, of so many tokens."""
        self._earned = {phrase: _SHARE * earned[phrase] for phrase in said}
        self._longest = max((len(phrase.split()) for phrase in said), default=0)
        totals: dict[tuple[int, ...], float] = {}
        for phrase, phones in said.items():
            totals[tuple(phones)] = max(totals.get(tuple(phones), self._earned[phrase]), self._earned[phrase])
        shares = {
            phones: [total * count / len(phones) for count in range(len(phones) + 1)]
            for phones, total in totals.items()
        }
        self.phones = HotWords(shares, WORD_END, tokens)

    def amends(self, texts: Sequence[str], phones: Sequence[Sequence[int]]) -> Scores:
        """Return what texts earn less what a search has given to their phones (natural log)."""
        tokens = np.zeros((len(texts), max(map(len, phones), default=0)), np.intp)
        for row, said in zip(tokens, phones, strict=True):
            row[: len(said)] = said
        node, given = np.full(len(texts), self.phones.start), np.zeros(len(texts))
        for column in tokens.T:
            is_said = column != 0  # no text has a blank
            given += np.where(is_said, self.phones.reward[node, column], 0.0)
            node = np.where(is_said, self.phones.step[node, column], node)
        own = np.array([self._own(text) for text in texts])
        return np.asarray(own - given - self.phones.ending[node], np.float64)

    def _own(self, text: str) -> float:
        words = text.split()
        spans = ((begin, begin + count) for begin in range(len(words)) for count in range(1, self._longest + 1))
        return sum(self._earned.get(" ".join(words[begin:end]), 0.0) for begin, end in spans if end <= len(words))
