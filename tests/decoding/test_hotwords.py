"""What hot words add to a text's score, against a count of the phrases in it."""

import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.alphabet import ENGLISH, Alphabet
from auricle.decoding.hotwords import DEFAULT_BOOST, HotWords, hot_words, rewards

AB = Alphabet((" ", "a", "b"))
PHRASES = st.text("ab", min_size=1, max_size=3).flatmap(
    lambda first: st.sampled_from([first, f"{first} a", f"{first} b", f"{first} ab"])
)


def linear(phrases: Mapping[str, float]) -> dict[str, list[float]]:
    """Rewards for whole phrases, of which each character earns its share."""
    return {
        phrase: [reward * count / len(phrase) for count in range(len(phrase) + 1)] for phrase, reward in phrases.items()
    }


def earned(automaton: HotWords, text: str, alphabet: Alphabet) -> float:
    node, total = automaton.start, 0.0
    for token in alphabet.encode(text):
        total += float(automaton.reward[node, token])
        node = int(automaton.step[node, token])
    return total + float(automaton.ending[node])


@given(PHRASES, st.text("ab ", max_size=14).map(lambda text: " ".join(text.split())))
def test_a_text_earns_the_reward_of_each_whole_phrase_in_it(phrase: str, text: str) -> None:
    automaton = hot_words(linear({phrase: 6.0}), AB)
    times = len(re.findall(f"(?= {phrase} )", f" {text} "))
    assert earned(automaton, text, AB) == pytest.approx(6.0 * times, abs=1e-4)


def test_a_beginning_earns_its_share_and_pays_it_back() -> None:
    automaton = hot_words(linear({"abba": 8.0}), AB)
    node, steps = automaton.start, []
    for token in AB.encode("abb a"):
        steps.append(float(automaton.reward[node, token]))
        node = int(automaton.step[node, token])
    assert steps == pytest.approx([2.0, 2.0, 2.0, -6.0, 2.0])


def test_phrases_inside_phrases_are_all_paid() -> None:
    automaton = hot_words(linear({"new york": 4.0, "york": 2.0}), ENGLISH)
    assert earned(automaton, "york", ENGLISH) == pytest.approx(2.0)
    assert earned(automaton, "new york", ENGLISH) >= 4.0
    assert earned(automaton, "new yorker", ENGLISH) == pytest.approx(0.0)


def test_rewards_grow_with_the_phrase_and_may_be_given() -> None:
    assert rewards(["Deep Speech"], ENGLISH)["deep speech"][11] == pytest.approx(11 * DEFAULT_BOOST)
    assert rewards({"CTC": -1.0}, ENGLISH) == {"ctc": [0.0, -1.0, -2.0, -3.0]}
