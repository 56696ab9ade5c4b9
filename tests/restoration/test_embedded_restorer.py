"""The restorer that ships: small, with a card, and it reads real sentences."""

from __future__ import annotations

from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from passage import ALICE

from auricle.alphabet import ENGLISH
from auricle.language.printed import take_apart
from auricle.restoration import NeuralRestorer, find_restorer, plain_words, readable_text, to_text
from auricle.training.restoration.measure import FullStopAtTheEnd, evaluate

LARGEST = 5_000_000  # bytes
plain_word = st.text(ENGLISH.characters[1:], min_size=1, max_size=9)
WORDS = ENGLISH.normalise(ALICE).split()


@pytest.fixture(scope="module")
def restorer() -> NeuralRestorer:
    return NeuralRestorer()


def test_it_is_small_and_has_a_card() -> None:
    with resources.as_file(resources.files("auricle") / "models" / "english.restorer") as path:
        assert path.stat().st_size <= LARGEST
    card = find_restorer().card
    assert {"data", "licences", "held_out", "recipe", "dev_f1", "pauses", "known_failures"} <= set(card)


@given(words=st.lists(plain_word | st.sampled_from(WORDS), max_size=60))
@settings(deadline=None)
def test_it_never_changes_a_word(restorer: NeuralRestorer, words: list[str]) -> None:
    assert plain_words(to_text(restorer.restore(words))) == words


@pytest.mark.parametrize("window", [1, 50, 333])
def test_its_text_is_the_same_whatever_the_windows(restorer: NeuralRestorer, window: int) -> None:
    words = WORDS * 3
    assert NeuralRestorer(restorer.model, window=window).restore(words) == restorer.restore(words)


def test_it_reads_a_page_that_it_may_have_seen_far_better_than_no_restorer(restorer: NeuralRestorer) -> None:
    paragraphs = [one for one in map(take_apart, ALICE.splitlines()) if one is not None]
    ours = evaluate(paragraphs, restorer, running=True)
    none = evaluate(paragraphs, FullStopAtTheEnd(), running=True)
    assert ours.marks["."].value > none.marks["."].value + 0.1
    assert ours.marks[","].value > 0.4
    assert ours.capitals.value > none.capitals.value + 0.1


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("he was not an ill disposed young man", "He was not an ill disposed young man."),
        ("what is your name", "What is your name?"),
        ("where do you live", "Where do you live?"),
        ("i think that she is in london", "I think that she is in London."),
    ],
)
def test_plain_sentences(restorer: NeuralRestorer, said: str, written: str) -> None:
    assert readable_text(said.split(), restorer) == written


def test_a_pause_ends_a_sentence_and_no_other_place_does(restorer: NeuralRestorer) -> None:
    words = ["he", "went", "to", "the", "house", "she", "was", "not", "there"]
    pauses = [0.02] * len(words)
    pauses[words.index("house")] = 0.9
    written = restorer.restore(words, pauses)
    assert [word.text for word in written if word.mark in {".", ";"}] == ["house", "there"]
