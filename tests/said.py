"""Words as they are said, and what a network that writes letters and phones makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from auricle.alphabet import ENGLISH, Alphabet
from auricle.decoding import NgramModel, Pronunciations, SpokenLexicon
from auricle.decoding.recurrent import RecurrentWeights
from auricle.decoding.trie import SPECIALS, WORD_BITS, Level, Trie

PHONES = ("T", "UW", "W", "AH", "N", "G", "OW", "EH", "D", "S")
SAID = {
    "two": (("T", "UW"),),
    "too": (("T", "UW"),),
    "to": (("T", "UW"), ("T", "AH")),
    "one": (("W", "AH", "N"),),
    "won": (("W", "AH", "N"),),
    "go": (("G", "OW"),),
    "ten": (("T", "EH", "N"),),
    "den": (("D", "EH", "N"),),
}
SHARES = {"two": 0.1, "too": 0.05, "to": 0.3, "one": 0.1, "won": 0.05, "go": 0.1, "ten": 0.04, "den": 0.02}


def model_of(shares: Mapping[str, float], pairs: Mapping[tuple[str, str], float] | None = None) -> NgramModel:
    """A model of words with these probabilities, and of these words after others."""
    words = (*SPECIALS, *sorted(shares))
    ids = {word: number for number, word in enumerate(words)}
    log_probs = np.log([0.01, 1e-30, 0.1, *(shares[word] for word in sorted(shares))]).astype(np.float32)
    first = Level(np.arange(len(words), dtype=np.int64), log_probs, np.zeros(len(words), np.float32))
    # A pair that no search meets stands for none.
    keys = sorted((ids[one] << WORD_BITS | ids[two], share) for (one, two), share in (pairs or {NO_PAIR: 0.1}).items())
    second = Level(
        np.array([key for key, _ in keys], np.int64),
        np.log([share for _, share in keys]).astype(np.float32),
        np.zeros(len(keys), np.float32),
    )
    return NgramModel(Trie(words, (first, second)))


def recurrent_weights(model: NgramModel, shares: Mapping[str, float]) -> RecurrentWeights:
    """A recurrent model of a language model's words that forgets what it has read: these shares, and little else."""
    logits = np.log([shares.get(word, 1e-6) for word in model.words]).astype(np.float32)
    nothing = np.zeros((3, 1), np.float32)
    return RecurrentWeights(
        ranks=np.arange(len(logits)),
        tables=(np.zeros((len(logits), 1), np.float32),),
        up=(),
        down=(),
        biases=(logits,),
        clusters=np.zeros((0, 1), np.float32),
        weight_ih=nothing,
        weight_hh=nothing,
        bias_ih=nothing[:, 0],
        bias_hh=nothing[:, 0],
        output=np.zeros((1, 1), np.float32),
        output_bias=np.zeros(1, np.float32),
    )


NO_PAIR = ("<s>", "</s>")


def lexicon_of(
    model: NgramModel, said: Mapping[str, Sequence[Sequence[str]]] = SAID, phones: Sequence[str] = PHONES
) -> SpokenLexicon:
    return SpokenLexicon(Pronunciations.of(model.words, said, phones), model.unigrams, len(phones))


def heard(letters: str, phones: str, *, sure: float = 0.9, alphabet: Alphabet = ENGLISH) -> np.ndarray:
    """Log-probabilities [frames, letters and phones] that spell both, a blank after each; "|" stands between words."""
    ids = {phone: number for number, phone in enumerate(("", "|", *PHONES))}
    paths = [alphabet.encode(letters), [ids[phone] for phone in phones.split()]]
    frames = 2 * max(map(len, paths))
    return np.concatenate(
        [_sure(path, frames, size, sure) for path, size in zip(paths, (alphabet.tokens, len(PHONES) + 2), strict=True)],
        axis=1,
    )


def _sure(path: Sequence[int], frames: int, size: int, sure: float) -> np.ndarray:
    tokens = np.zeros(frames, np.intp)
    tokens[: 2 * len(path) : 2] = path
    probabilities = np.full((frames, size), (1 - sure) / (size - 1), np.float32)
    probabilities[np.arange(frames), tokens] = sure
    return np.asarray(np.log(probabilities), np.float32)
