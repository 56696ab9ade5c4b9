"""A search by phones (ADR 11): words are found as they are said, and what the letters say of the texts is added.

A recurrent language model may be asked about them, too (ADR 12), and what the network heard another time (ADR 15).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from auricle.alphabet import BLANK, Alphabet
from auricle.decoding.agreement import agreement
from auricle.decoding.alignment import align
from auricle.decoding.alike import NEAR, SpokenFusion, readings
from auricle.decoding.expected import Expected
from auricle.decoding.favoured import Favoured
from auricle.decoding.forward import log_likelihoods
from auricle.decoding.fusion import Scores
from auricle.decoding.hotwords import DEFAULT_BOOST, rewards
from auricle.decoding.ngram import NgramModel
from auricle.decoding.prefix_search import Found, search
from auricle.decoding.pronunciations import WORD_END, SpokenLexicon
from auricle.decoding.recurrent import RecurrentModel
from auricle.decoding.types import BeamOptions, Decoder, Hypothesis, Phrases
from auricle.errors import AuricleError
from auricle.features import Array

_EVIDENCE = 0.5  # nats a letter by which a text is likelier than silence: tones have 0.3, the worst readings 0.5 to 2
_DOUBT = 1.5  # nats between the best texts above which hearing again changes nothing for the better
_TEXTS_AGAIN = 25  # that what is heard again is asked about, in phones
_WORDS_BEFORE = 20  # of a text that goes on
_HOPELESS = 5.0  # nats below the best that nothing makes up for which is asked afterwards
_TEXTS = 100  # of a search, in phones: the best of them are a third better than the first


class _Text(NamedTuple):
    """What was said, in phones and in words (as ids), and what it is worth."""

    phones: tuple[int, ...]
    words: tuple[int, ...]
    score: float


class _Hearing(NamedTuple):
    """What the network heard: log-probabilities [frames, letters] and [frames, phones]."""

    letters: Array
    phones: Array


class SpokenDecoder:
    """Reads phones with a language model, and hot words by their letters, those that it knows by their phones as well.

    The decoder of `letters` reads what phones make no word of. Texts and their times are those of the letters:
    `log_probs` hold both, letters first. `recurrent` is a second language model, of the same words, which the
    options' `recurrent` weighs.
    """

    def __init__(
        self,
        alphabet: Alphabet,
        model: NgramModel,
        lexicon: SpokenLexicon,
        options: BeamOptions,
        letters: Callable[[], Decoder],
        *,
        recurrent: RecurrentModel | None = None,
    ) -> None:
        phones = lexicon.width
        if len(options.offsets) not in {0, phones} or len(options.pairs) not in {0, phones}:
            raise AuricleError(f"offsets and pairs of a search by phones are for {phones} tokens.")
        self.options = options
        self._alphabet, self._model, self._lexicon, self._make_letters = alphabet, model, lexicon, letters
        self._recurrent = recurrent
        self._fusion = SpokenFusion(model, lexicon, options)
        # The same hot words come with clip after clip.
        self._compiled = lru_cache(maxsize=8)(self._compile)

    def __reduce__(self) -> tuple[Any, ...]:
        given = (self._alphabet, self._model, self._lexicon, self.options, self._make_letters)
        return partial(SpokenDecoder, recurrent=self._recurrent), given

    @cached_property
    def _letters(self) -> Decoder:
        return self._make_letters()

    def decode(
        self,
        log_probs: Array,
        *,
        hot_words: Phrases = (),
        again: Callable[[], Array] | None = None,
        before: str = "",
    ) -> list[Hypothesis]:
        """Return up to `nbest` hypotheses for log_probs [frames, letters and phones], best first.

        Hot words that the language model knows add to a text while it is searched for, and all of them take the place
        of what was found where their letters are likelier, with what each of them adds (`Phrases`). Where phones make
        no whole word, the letters' decoder reads. Where the best texts are near each other, what further hearings make
        of them decides with: their log-probabilities, one's beside the other's, are what `again` returns, or come after
        those of the first. `before` is the text that this one goes on from. Raises
        AuricleError for NaN, for plus infinity, and for hot words outside the alphabet.
        """
        expected, favoured = self._expected(hot_words) if hot_words else (None, None)
        if not (log_probs < np.inf).all():
            raise AuricleError("the log-probabilities hold NaN or infinity: the acoustic model or its input is broken.")
        first, *others = self._hearings(log_probs)
        letters, phones = first
        options = self.options
        asked = options.letters or (self._recurrent and options.recurrent) or (options.again and (others or again))
        wide = replace(self.options, nbest=max(self.options.nbest, _TEXTS if asked else 1))
        # Without words before, no table of all words has to be made.
        known = [self._model.ids.get(word, -1) for word in before.split()[-_WORDS_BEFORE:]]
        known = [word for word in known if word >= 0]
        hot = favoured.phones if favoured else None
        found = self._texts(search(phones, WORD_END, self._fusion, wide, hot, before=known), known)
        if favoured:
            amends = favoured.amends(list(found), [one.phones for one in found.values()]).tolist()
            found = {
                text: one._replace(score=one.score + more)
                for (text, one), more in zip(found.items(), amends, strict=True)
            }
        hear = (lambda: others or self._hearings(again())) if again else (lambda: others)
        hypotheses = self._judged(first, found, known, hear, compare=bool(asked))
        if not hypotheses:
            return self._letters.decode(log_probs, hot_words=hot_words)
        if expected:
            put_in = expected.put_into(letters, hypotheses)
            # A wish makes no speech of a noise.
            if hypotheses[0].text or not _is_silence(letters, put_in[0].tokens):
                return put_in
        return hypotheses

    def _hearings(self, log_probs: Array) -> list[_Hearing]:
        """Return the letters' and the phones' log-probabilities of each hearing, of log_probs side by side."""
        width = self._alphabet.tokens + self._lexicon.width
        return [
            _Hearing(*np.split(log_probs[:, begin : begin + width], [self._alphabet.tokens], axis=1))
            for begin in range(0, log_probs.shape[1], width)
        ]

    def _expected(self, phrases: Phrases) -> tuple[Expected, Favoured | None]:
        return self._compiled(tuple(phrases.items()) if isinstance(phrases, Mapping) else tuple(phrases))

    def _compile(self, phrases: tuple[str, ...] | tuple[tuple[str, float], ...]) -> tuple[Expected, Favoured | None]:
        """Return hot words as they are written, and those of them that the language model knows as they are said."""
        given = dict(phrase if isinstance(phrase, tuple) else (phrase, DEFAULT_BOOST) for phrase in phrases)
        earned = {phrase: shares[-1] for phrase, shares in rewards(given, self._alphabet).items()}
        known = [phrase for phrase in earned if all(word in self._model.ids for word in phrase.split())]
        spelled = zip(known, self._lexicon.spell(known, self._model.ids), strict=True)
        said = {phrase: phones for phrase, phones in spelled if phones.count(WORD_END) == phrase.count(" ") and phones}
        favoured = Favoured(earned, said, self._lexicon.width) if said else None
        return Expected(earned, self._alphabet, self._model, self.options), favoured

    def _texts(self, found: Sequence[Found], before: Sequence[int]) -> dict[str, _Text]:
        """Return what was found by text, the best of them: of pronunciations of the same text, the best one."""
        said = [one for one in found if one.score > -np.inf]
        alpha = self.options.alpha
        near = NEAR / alpha if alpha > 0 else np.inf
        read = readings(self._lexicon, self._model, [one.tokens for one in said], before=before, near=near)
        likeliest = np.full(len(said), -np.inf)
        for one in read:
            likeliest[one.text] = max(likeliest[one.text], one.log_prob)
        each = [
            _Text(said[one.text].tokens, one.words, said[one.text].score + alpha * (one.log_prob - likeliest[one.text]))
            for one in read
        ]
        texts, highest = dict[str, _Text](), max((one.score for one in each), default=0.0)
        for text in sorted(each, key=lambda one: -one.score):
            if len(texts) >= self.options.nbest and (len(texts) >= _TEXTS or text.score < highest - _HOPELESS):
                break
            texts.setdefault(" ".join(self._model.words[word] for word in text.words), text)
        return texts

    def _judged(
        self,
        first: _Hearing,
        texts: dict[str, _Text],
        before: Sequence[int],
        hear: Callable[[], Sequence[_Hearing]],
        *,
        compare: bool,
    ) -> list[Hypothesis]:
        """Return the best of texts, with all that is known of them. To `compare` them, there have to be enough."""
        letters = first.letters
        tokens = {text: tuple(self._alphabet.encode(text)) for text in texts}
        scores = np.array([one.score for one in texts.values()])
        if self._recurrent and self.options.recurrent:
            # So much of the one language model is taken away as is given to the other. Which rare word it is, both of
            # them are told by the same shares.
            found = [np.array([*before, *one.words], np.int64) for one in texts.values()]
            words = [self._model.in_vocabulary(one).tolist() for one in found]
            more = self._recurrent.log_probs(words) - self._model.score_texts(words)
            scores = scores + self.options.alpha * self.options.recurrent * more
        if self.options.letters:
            likely = log_likelihoods(letters, list(tokens.values()))
            fits = likely > -np.inf
            # A text that letters rule out may be all that there is: then it stays, behind the others.
            scores = scores + self.options.letters * _finite(likely)
            best = int(np.where(fits, scores, -np.inf).argmax()) if fits.any() else None
            # What a language model makes of noises: a letter of speech is nats from being silence.
            if best is not None and _outweighed(letters, likely[best], len(list(tokens.values())[best])):
                return [Hypothesis("", _silence(letters), (), (), ())]
        said = [one.phones for one in texts.values()]
        if self.options.again and _is_doubtful(scores, said) and (others := hear()):
            scores = scores + self._heard_again(scores, list(tokens.values()), said, first, others)
        written, words = list(tokens.items()), [one.words for one in texts.values()]
        ranked = np.argsort(-scores, kind="stable").tolist()
        writable = [place for place in ranked if _frames_needed(written[place][1]) <= len(letters)]
        hypotheses: list[Hypothesis] = []
        for place in writable[: self.options.nbest]:
            text, spelt = written[place]
            path, agreed = align(letters, spelt), agreement(place, words, scores) if compare else ()
            hypotheses.append(
                Hypothesis(text, float(scores[place]), spelt, path.first_frames, path.last_frames, agreed)
            )
        return hypotheses

    def _heard_again(
        self,
        scores: Scores,
        letters: Sequence[Sequence[int]],
        phones: Sequence[tuple[int, ...]],
        first: _Hearing,
        others: Sequence[_Hearing],
    ) -> Scores:
        """Return what texts, in letters and phones, gain if other hearings have a part of the first one's weight.

        Those that are said like the best by their `scores` are asked about; the others gain no more than any of them.
        """
        options = self.options
        ranked = np.argsort(-scores, kind="stable").tolist()
        distinct = list(dict.fromkeys(phones[place] for place in ranked))[: max(_TEXTS_AGAIN, options.nbest)]
        number = {said: place for place, said in enumerate(distinct)}
        asked = np.array([place for place in ranked if phones[place] in number])
        way = [number[phones[place]] for place in asked]
        spelt = [letters[place] for place in asked]

        def likely(hearing: _Hearing) -> Scores:
            by_letters = options.letters * _finite(log_likelihoods(hearing.letters, spelt))
            by_phones = _finite(log_likelihoods(hearing.phones, distinct))[way]
            return np.asarray(options.acoustic * by_phones + by_letters)

        gained = options.again * (np.mean([likely(other) for other in others], axis=0) - likely(first))
        gains: Scores = np.full(len(scores), gained.min())
        gains[asked] = gained
        return gains


def _is_doubtful(scores: Scores, phones: Sequence[tuple[int, ...]]) -> bool:
    """Return whether the best of the texts leads by so little that what is heard again may change that.

    Those that are said like it cannot be told from it by ear.
    """
    if not len(scores):
        return False
    best = int(scores.argmax())
    others = [score for score, said in zip(scores.tolist(), phones, strict=True) if said != phones[best]]
    return bool(others) and scores[best] - max(others) < _DOUBT


def _finite(likely: Scores) -> Scores:
    """Return log-likelihoods with the worst of them for what is impossible."""
    fits = likely > -np.inf
    return np.where(fits, likely, likely[fits].min() if fits.any() else 0.0)


def _is_silence(letters: Array, tokens: Sequence[int]) -> bool:
    return _outweighed(letters, float(log_likelihoods(letters, [tokens])[0]), len(tokens))


def _outweighed(letters: Array, likely: float, count: int) -> bool:
    """Return whether a text of so many letters, this likely, is hardly likelier than silence."""
    return _silence(letters) >= likely - _EVIDENCE * count


def _silence(letters: Array) -> float:
    return float(letters[:, BLANK].sum(dtype=np.float64))


def _frames_needed(tokens: Sequence[int]) -> int:
    return len(tokens) + sum(a == b for a, b in pairwise(tokens))
