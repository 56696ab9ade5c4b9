"""Hot words that the language model knows: heard by their phones, and earned by their texts alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from said import PHONES, SHARES, heard, lexicon_of, model_of
from test_spoken import Letters

from auricle.alphabet import ENGLISH
from auricle.decoding import BeamOptions, Phrases, SpokenDecoder
from auricle.decoding.favoured import Favoured
from auricle.decoding.pronunciations import WORD_END

MODEL = model_of(SHARES, {("go", "to"): 0.9})
OPTIONS = BeamOptions(alpha=1.0, beta=1.0, letters=0.2)
IDS = {phone: number for number, phone in enumerate(("", "|", *PHONES))}
assert IDS["|"] == WORD_END


def said(phones: str) -> list[int]:
    return [IDS[phone] for phone in phones.split()]


def read(log_probs: np.ndarray, hot_words: Phrases = (), options: BeamOptions = OPTIONS) -> str:
    decoder = SpokenDecoder(ENGLISH, MODEL, lexicon_of(MODEL), options, Letters)
    return decoder.decode(log_probs, hot_words=hot_words)[0].text


def test_a_known_hot_word_is_heard_by_its_phones_although_letters_spell_another() -> None:
    log_probs = heard("go ten", "G OW | T EH N")
    phones = log_probs[:, ENGLISH.tokens :]
    first = 2 * 3  # the frame of T
    phones[first, IDS["D"]] = phones[first, IDS["T"]] = np.log(0.45)
    assert read(log_probs) == "go ten"
    assert read(log_probs, {"den": 2.0}) == "go den"
    assert read(log_probs, {"go den": 0.9}) == "go den"
    assert read(log_probs, {"den": 0.1}) == "go ten"
    # where phones speak against it clearly, no reward of a usual size is enough
    assert read(heard("go ten", "G OW | T EH N", sure=0.999), {"den": 1.0}) == "go ten"


def test_of_words_that_are_said_alike_only_the_hot_one_earns() -> None:
    log_probs = heard("to", "T UW")
    options = replace(OPTIONS, letters=0.0)
    assert read(log_probs, options=options) == "to"
    assert read(log_probs, {"too": 1.5}, options) == "too"
    assert read(log_probs, {"two": 1.5}, options) == "two"
    assert read(log_probs, {"to": 1.5}, options) == "to"


@pytest.mark.parametrize(
    ("text", "phones", "earns", "given"),
    [
        ("too", "T UW", 3.0, 3.0),
        ("two", "T UW", 0.0, 3.0),
        ("go to", "G OW | T UW", 5.0, 5.0),
        ("go too", "G OW | T UW", 3.0, 5.0),  # what begins a longer phrase is given that one's reward
        ("ten", "T EH N", 0.0, 0.0),
        ("go", "G OW", 0.0, 0.0),
        ("too too", "T UW | T UW", 6.0, 6.0),
    ],
)
def test_a_text_earns_what_its_words_do_for_what_its_phones_were_given(
    text: str, phones: str, earns: float, given: float
) -> None:
    favoured = Favoured(
        {"too": 3.0 / 0.65, "go to": 5.0 / 0.65, "zebra": 9.0},
        {"too": said("T UW"), "go to": said("G OW | T UW")},
        len(IDS),
    )
    amends = favoured.amends([text, "ten", ""], [said(phones), said("T EH N"), []])
    assert amends == pytest.approx([earns - given, 0, 0], abs=1e-5)
