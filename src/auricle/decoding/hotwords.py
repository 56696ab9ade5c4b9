"""Hot words: phrases that a caller expects, favoured while they are being spelled (contextual biasing).

The phrases form one automaton over tokens (Aho & Corasick, 1975). A phrase counts from the start of a word to the end
of one; a beginning earns its share of the reward at each character, and pays it back when another word comes of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from auricle.alphabet import Alphabet
from auricle.decoding.lexicon import Ids
from auricle.decoding.types import Phrases
from auricle.errors import AuricleError
from auricle.features import Array

DEFAULT_BOOST = 0.8
"""Natural-log score for each character of a hot phrase."""


class HotWords:
    """An automaton: `step [nodes, tokens]` leads from node to node, `reward [nodes, tokens]` is what that adds.

    `start` is the node before the first character of an utterance; `ending [nodes]` is what the end of one adds.
    """

    def __init__(self, phrases: Mapping[tuple[int, ...], Sequence[float]], space: int, tokens: int) -> None:
        """Hold phrases (n token ids, without spaces around them), each with what its first 0 to n tokens earn."""
        children: list[dict[int, int]] = [{}]
        share = [0.0]
        complete = [0.0]
        for phrase, earned in phrases.items():
            # The spaces around a phrase make it whole words; they are spelled by the text or stand for its ends.
            pattern = (space, *phrase, space)
            node = 0
            for position, token in enumerate(pattern):
                if token not in children[node]:
                    children[node][token] = len(children)
                    children.append({})
                    share.append(0.0)
                    complete.append(0.0)
                node = children[node][token]
                if position <= len(phrase):
                    share[node] = max(share[node], earned[position])
            complete[node] = max(complete[node], earned[-1])
        self.step: Ids = np.zeros((len(children), tokens), np.int32)
        fall = np.zeros(len(children), np.int32)
        waiting: deque[int] = deque([0])
        while waiting:  # breadth first: the node that one falls back to is always done
            node = waiting.popleft()
            if node:
                self.step[node] = self.step[fall[node]]
            for token, child in children[node].items():
                fall[child] = self.step[fall[node], token] if node else 0
                self.step[node, token] = child
                waiting.append(child)
            if complete[node]:
                share[node] = share[fall[node]]
        held = np.array(share, np.float32)
        self.reward: Array = held[self.step] - held[:, None] + np.array(complete, np.float32)[self.step]
        self.start = int(self.step[0, space])
        # The end completes a word as a space does, and what was begun and not completed is paid back.
        after = self.step[:, space]
        self.ending: Array = self.reward[:, space] - held[after]


def hot_words(phrases: Mapping[str, Sequence[float]], alphabet: Alphabet) -> HotWords:
    """Return the automaton of normalised phrases of n characters, each with what its first 0 to n characters earn."""
    spelled = {tuple(alphabet.encode(phrase)): earned for phrase, earned in phrases.items()}
    return HotWords(spelled, alphabet.encode(" ")[0], alphabet.tokens)


def rewards(phrases: Phrases, alphabet: Alphabet) -> dict[str, list[float]]:
    """Return normalised phrases of n characters with what the first 0 to n of each earn.

    A mapping says for each phrase the reward of one character; a sequence means DEFAULT_BOOST for all. Raises
    AuricleError naming a phrase that the alphabet cannot write.
    """
    given = phrases if isinstance(phrases, Mapping) else dict.fromkeys(phrases, DEFAULT_BOOST)
    normalised = {_normalised(phrase, alphabet): boost for phrase, boost in given.items()}
    return {phrase: [boost * count for count in range(len(phrase) + 1)] for phrase, boost in normalised.items()}


def _normalised(phrase: str, alphabet: Alphabet) -> str:
    lost = "".join(sorted({letter for letter in phrase if letter.isalnum() and not alphabet.normalise(letter)}))
    text = alphabet.normalise(phrase)
    if lost or not text:
        raise AuricleError(
            f"the hot word {phrase!r} cannot be written in the model's alphabet"
            f"{f' (it has no {lost!r})' if lost else ''}: spell it out as it is spoken."
        )
    return text
