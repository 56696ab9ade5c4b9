"""Hot words that the language model knows how to say: favoured, by their phones, while a search hears them.

Those that it does not know are put into what was found (`decoding.expected`), by their letters, which are heard worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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

    def amends(self, text: str, phones: Sequence[int]) -> float:
        """Return what a text earns less what a search has given to its phones (natural log)."""
        node, given = self.phones.start, 0.0
        for token in phones:
            given += float(self.phones.reward[node, token])
            node = int(self.phones.step[node, token])
        return self._own(text) - given - float(self.phones.ending[node])

    def _own(self, text: str) -> float:
        words = text.split()
        spans = ((begin, begin + count) for begin in range(len(words)) for count in range(1, self._longest + 1))
        return sum(self._earned.get(" ".join(words[begin:end]), 0.0) for begin, end in spans if end <= len(words))
