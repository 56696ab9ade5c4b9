"""Hot words put into texts that were found without them: where they make those likelier, by their letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from auricle.alphabet import BLANK, Alphabet
from auricle.decoding.alignment import align
from auricle.decoding.forward import log_likelihoods
from auricle.decoding.ngram import NgramModel
from auricle.decoding.spotting import Spotted, Spotter
from auricle.decoding.trie import UNKNOWN
from auricle.decoding.types import BeamOptions, Hypothesis
from auricle.features import Array

_PHRASES = 16  # that are put into a text, the likeliest
_TEXTS = 4  # of those, whose letters are looked at as a whole
_DISLIKE = 8.0  # nats by which a language model may dislike what stands where a hot word is said
_WORST = -50.0  # nats of a frame's letter, against the best one
_DOUBT = 3.0  # nats by which a guess from the frames around a phrase may be too low


@dataclass(frozen=True, slots=True)
class _Alternative:
    """A text with a phrase in it, and by how much its letters seem likelier than what was there (natural log).

    `before` and `after` say how many words of what was there begin and end it.
    """

    text: str
    gain: float
    before: int
    after: int


class Expected:
    """Phrases that a caller expects, each with what a text earns that has it.

    A text with one of them is better by how much likelier its letters are, by the language model and by what it earns:
    what the letters say has the weight of phones and letters together, as no phones of a hot word are known.
    """

    def __init__(
        self, earned: Mapping[str, float], alphabet: Alphabet, model: NgramModel, options: BeamOptions
    ) -> None:
        """Hold phrases with what a text has for each of them; model and options are those of the search by phones."""
        self._earned, self._alphabet, self._model, self._options = dict(earned), alphabet, model, options
        self._weight = options.acoustic + options.letters
        least = {phrase: -(max(own, 0.0) + _DISLIKE) / self._weight for phrase, own in earned.items()}
        self._spotter = Spotter({phrase: alphabet.encode(phrase) for phrase in earned}, least)

    def put_into(self, letters: Array, hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
        """Return hypotheses for log_probs [frames, letters] with the phrases that make them better, best first."""
        # What is impossible is not, so that everything can be compared.
        letters = np.maximum(letters, np.maximum(letters.max(axis=1, keepdims=True), _WORST) + _WORST)
        spotted = self._spotter.spot(letters, most=_PHRASES)
        if not spotted:
            return list(hypotheses)
        changed = [self._changed(letters, one, spotted) for one in hypotheses]
        best: dict[str, Hypothesis] = {}
        for one in sorted(changed, key=lambda one: -one.score):
            best.setdefault(one.text, one)
        return list(best.values())

    def _changed(self, letters: Array, hypothesis: Hypothesis, spotted: Sequence[Spotted]) -> Hypothesis:
        """Return a hypothesis with the phrase put in that makes it best, and then the next, while there are such."""
        phrases = [phrase for phrase in self._earned if f" {phrase} " in f" {hypothesis.text} "]
        phrases = list(dict.fromkeys((*phrases, *(one.phrase for one in spotted))))
        while alternatives := _alternatives(letters, hypothesis, spotted):
            texts = [hypothesis.text, *(one.text for one in alternatives)]
            others = self._without_letters(texts, phrases)
            guessed = others[1:] + self._weight * np.array([one.gain for one in alternatives])
            tried = [place for place in np.argsort(-guessed)[:_TEXTS] if guessed[place] >= others[0] - _DOUBT]
            if not tried:
                break
            chosen = np.array((0, *(place + 1 for place in tried)))
            likely = log_likelihoods(letters, [self._alphabet.encode(texts[place]) for place in chosen])
            scores = self._weight * likely + others[chosen]
            best = int(scores.argmax())
            if not best:
                break
            text = texts[chosen[best]]
            tokens = tuple(self._alphabet.encode(text))
            path = align(letters, tokens)
            score = hypothesis.score + float(scores[best] - scores[0])
            share = float(1 / np.exp(scores - scores[best]).sum())
            agreed = _agreement(hypothesis, alternatives[chosen[best] - 1], share)
            hypothesis = Hypothesis(text, score, tokens, path.first_frames, path.last_frames, agreed)
        return hypothesis

    def _without_letters(self, texts: Sequence[str], phrases: Sequence[str]) -> Array:
        """Return what the language model says of texts, and what they earn by these phrases."""
        ids, options = self._model.ids, self._options
        words = [[ids.get(word, UNKNOWN) for word in text.split()] for text in texts]
        earned = [sum(self._earned[own] * f" {text} ".count(f" {own} ") for own in phrases) for text in texts]
        count = np.array([len(one) for one in words])
        return np.asarray(options.alpha * self._model.score_texts(words) + options.beta * count + earned)


def _alternatives(letters: Array, hypothesis: Hypothesis, spotted: Sequence[Spotted]) -> list[_Alternative]:
    """Return texts that have a phrase for the words at its place: for all that reach into it, or lie mostly inside."""
    words = hypothesis.text.split()
    path = np.zeros(len(letters), np.intp)
    for token, first, last in zip(hypothesis.tokens, hypothesis.first_frames, hypothesis.last_frames, strict=True):
        path[first : last + 1] = token
    relative = letters - letters.max(axis=1, keepdims=True)
    own = np.concatenate(([0.0], relative[np.arange(len(letters)), path].cumsum(dtype=np.float64)))
    blank = np.concatenate(([0.0], relative[:, BLANK].cumsum(dtype=np.float64)))
    spans = _spans(hypothesis)
    middles = (spans[:, 0] + spans[:, 1]) / 2
    found: dict[str, _Alternative] = {}
    for one in spotted:
        mostly = np.flatnonzero((middles >= one.first) & (middles <= one.last))
        reaching = np.flatnonzero((spans[:, 0] <= one.last) & (spans[:, 1] >= one.first))
        for places in (mostly, reaching):
            before = int(places[0]) if len(places) else int((spans[:, 1] < one.first).sum())
            after = int(places[-1]) + 1 if len(places) else before
            text = " ".join((*words[:before], one.phrase, *words[after:]))
            if text == hypothesis.text or text in found:
                continue
            begin = min(one.first, int(spans[before, 0])) if len(places) else one.first
            end = 1 + (max(one.last, int(spans[after - 1, 1])) if len(places) else one.last)
            around = blank[one.first] - blank[begin] + blank[end] - blank[one.last + 1]
            gain = one.score + around - (own[end] - own[begin])
            found[text] = _Alternative(text, gain, before, len(words) - after)
    return list(found.values())


def _agreement(hypothesis: Hypothesis, changed: _Alternative, share: float) -> tuple[float, ...]:
    """Return what texts agree on in a changed one: as before on the words that stayed, on the phrase its `share`."""
    agreed = hypothesis.agreement
    if not agreed:
        return ()
    new = len(changed.text.split()) - changed.before - changed.after
    return (*agreed[: changed.before], *[share] * new, *agreed[len(agreed) - changed.after :])


def _spans(hypothesis: Hypothesis) -> Array:
    """Return the first and the last frame of each word [words, 2]."""
    frames = zip(hypothesis.text, hypothesis.first_frames, hypothesis.last_frames, strict=True)
    words = (list(group) for is_space, group in groupby(frames, key=lambda one: one[0] == " ") if not is_space)
    return np.array([(word[0][1], word[-1][2]) for word in words]).reshape(-1, 2)
