"""A word language model made ready for a search: its words as a trie, its weights applied."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from auricle.alphabet import Alphabet
from auricle.decoding.lexicon import Ids, Lexicon
from auricle.decoding.ngram import NgramModel
from auricle.decoding.types import BeamOptions
from auricle.features import Array

Scores: TypeAlias = npt.NDArray[np.float64]


class Fusion:
    """What a search asks of a language model: what beginnings promise, what words are worth, what hot words lack.

    `histories` is how many rows of words a text may be at most.
    """

    histories = 1

    def __init__(self, model: NgramModel, alphabet: Alphabet, options: BeamOptions) -> None:
        self.model, self.options, self._alphabet = model, options, alphabet
        self.lexicon = Lexicon(model.words, model.unigrams, alphabet)
        # What a beginning is worth until its word is known: the best word that it may become, or an unknown one.
        self.outlook: Array = (options.alpha * self.lexicon.outlook).astype(np.float32)
        self.outlook[self.lexicon.outside] = options.alpha * model.unigrams[0] + options.unknown
        # The most that a letter can add: below a node nothing is better than it, but perhaps not outside.
        worst = self.outlook[: self.lexicon.outside].min()
        best = self.outlook[self.lexicon.outside] if options.alpha >= 0 else self.outlook.max()
        self.most = max(0.0, float(best - worst))

    def end_words(self, nodes: Ids, states: Ids, worth: Scores) -> tuple[Scores, Ids, Scores]:
        """Return scores of words that end at trie nodes [n], and the histories then.

        Histories are states [n, histories, order - 1] and how much worse each is than the best [n, histories].
        """
        words = np.maximum(self.lexicon.word_at[nodes], 0)
        log_probs, after = self.model.score(states[:, 0], words)
        scores = self.options.alpha * log_probs.astype(np.float64) + self.options.beta
        return np.where(words > 0, scores, scores + self.options.unknown), after[:, None], worth

    def amends(self, phrase: str) -> list[float]:
        """Return what makes up for the words that the model does not know, after 0 to n characters of a phrase.

        It is given where the price is paid: from the letter on that no known word goes on with, or else with the last.
        Earlier, whatever begins like a hot word would put all other texts out of the beam.
        """
        found, total = [0.0], 0.0
        for index, word in enumerate(phrase.split(" ")):
            tokens = self._alphabet.encode(word)
            found += [total] * (index > 0)  # the space before the word
            is_known, is_paid = tokens in self.lexicon, False
            for count in range(1, len(tokens) + 1):
                is_lost = count == len(tokens) or self.lexicon.is_outside(tokens[:count])
                if is_lost and not is_known and not is_paid:
                    total, is_paid = total - self.options.unknown, True
                found.append(total)
        return found
