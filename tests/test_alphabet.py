"""Characters, ids, and texts as people type them."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.alphabet import BLANK, ENGLISH, Alphabet
from auricle.errors import AlphabetError

ALPHABETS = [ENGLISH, Alphabet((" ", *string.ascii_uppercase)), Alphabet(tuple("abcdefghæøå ")), Alphabet(tuple("xyz"))]


@given(st.text(st.sampled_from(ENGLISH.characters)))
def test_what_is_encoded_decodes_to_itself(text: str) -> None:
    ids = ENGLISH.encode(text)
    assert BLANK not in ids
    assert ENGLISH.decode(ids) == text


def test_ids_follow_the_alphabets_order_after_the_blank() -> None:
    assert ENGLISH.encode(" 'az") == [1, 2, 3, 28]
    assert ENGLISH.tokens == 29


def test_blanks_are_left_out_and_repeats_are_kept() -> None:
    assert ENGLISH.decode([0, 3, 3, 0, 4, 0]) == "aab"


@pytest.mark.parametrize("alphabet", ALPHABETS, ids=lambda alphabet: "".join(alphabet.characters)[:8])
@given(text=st.text())
def test_a_normalised_text_is_in_the_alphabet_and_stays_as_it_is(alphabet: Alphabet, text: str) -> None:
    once = alphabet.normalise(text)
    assert set(once) <= set(alphabet.characters)
    assert alphabet.normalise(once) == once
    assert once == once.strip()
    assert "  " not in once
    alphabet.encode(once)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!", "hello world"),
        *((f"don{mark}t", "don't") for mark in "'`\u2018\u2019\u00b4\u02bc\u2032\uff07"),
        ("O'Clock", "o'clock"),
        ("the dogs' bones", "the dogs' bones"),
        ('\'Tis "quoted" \u2018speech', "tis quoted speech"),
        ("rock ''n'' roll", "rock n roll"),
        ("café naïve Ångström", "cafe naive angstrom"),
        ("cafe\u0301", "cafe"),
        ("x\u0302y", "xy"),  # no composed letter exists: the mark must not part the word
        ("well-known fact—really", "well known fact really"),
        ("encyclopædia Æsop œuvre Œdipus", "encyclopaedia aesop oeuvre oedipus"),
        ("Straße Ødegård", "strasse odegard"),
        ("co\u00adoperate \ufeffhere", "cooperate here"),
        ("ﬁne \uff37\uff29\uff24\uff25", "fine wide"),
        ("İstanbul", "istanbul"),
        ("Auricle™ 2½", "auricle"),
        ("\tnew\nlines\u00a0and\u2003spaces ", "new lines and spaces"),
        ("1984", ""),
        ("", ""),
    ],
)
def test_english_as_it_is_typed(text: str, expected: str) -> None:
    assert ENGLISH.normalise(text) == expected


def test_letters_that_the_alphabet_has_are_not_taken_apart() -> None:
    danish = Alphabet((" ", *string.ascii_lowercase, *"æøå"))
    assert danish.normalise("Rødgrød på Ærø, Å") == "rødgrød på ærø å"
    assert danish.normalise("pa\u030a") == "på"  # as macOS writes it
    german = Alphabet((" ", *string.ascii_letters, *"äöüÄÖÜß"))
    assert german.normalise("Größe, Ähre, Café") == "Größe Ähre Cafe"


def test_an_alphabet_of_capitals_gets_capitals() -> None:
    capitals = Alphabet((" ", "'", *string.ascii_uppercase))
    assert capitals.normalise("Don\u2019t, Æsop é") == "DON'T AESOP E"


def test_an_alphabet_without_an_apostrophe_or_a_space_gets_neither() -> None:
    assert Alphabet((" ", *string.ascii_lowercase)).normalise("don't") == "don t"
    assert Alphabet(tuple(string.ascii_lowercase)).normalise("no space") == "nospace"


def test_unknown_characters_are_named_each_once() -> None:
    with pytest.raises(AlphabetError, match="no '!É': normalise") as caught:
        ENGLISH.encode("caffÉ!!")
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("characters", [(), ("a", "a"), ("a", "bc"), ("a", "")])
def test_an_alphabet_that_cannot_be_one_is_refused(characters: tuple[str, ...]) -> None:
    with pytest.raises(AlphabetError, match="alphabet"):
        Alphabet(characters)
