"""The vocabulary's trie against the plain list of its words."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from auricle.alphabet import ENGLISH, Alphabet
from auricle.decoding.lexicon import NO_WORD, ROOT, Lexicon

AB = Alphabet((" ", "a", "b"))


def walk(lexicon: Lexicon, word: str, alphabet: Alphabet = ENGLISH) -> int:
    node = ROOT
    for token in alphabet.encode(word):
        node = int(lexicon.step(np.array([node]), np.array([token]))[0])
    return node


@given(st.lists(st.text("ab", min_size=1, max_size=6), unique=True, min_size=1))
def test_it_holds_its_words_and_their_beginnings_and_nothing_else(words: list[str]) -> None:
    scores = np.arange(len(words), dtype=np.float32) - 50
    lexicon = Lexicon(words, scores, AB)
    beginnings = {word[:end] for word in words for end in range(1, len(word) + 1)}
    assert lexicon.outside == len(beginnings) + 1
    for beginning in beginnings:
        node = walk(lexicon, beginning, AB)
        assert lexicon.word_at[node] == (words.index(beginning) if beginning in words else NO_WORD)
        best = max(score for word, score in zip(words, scores, strict=True) if word.startswith(beginning))
        assert lexicon.outlook[node] == best
        for letter in "ab":
            assert (walk(lexicon, beginning + letter, AB) == lexicon.outside) == (beginning + letter not in beginnings)


def test_words_that_the_alphabet_cannot_write_are_left_out() -> None:
    lexicon = Lexicon(("<unk>", "<s>", "</s>", "café", "cat", "a cat", "x2"), np.zeros(7, np.float32), ENGLISH)
    assert (lexicon.word_at >= 0).sum() == 1
    assert lexicon.word_at[walk(lexicon, "cat")] == 4
    assert ENGLISH.encode("cat") in lexicon
    assert ENGLISH.encode("ca") not in lexicon


def test_from_outside_there_is_no_way_back() -> None:
    lexicon = Lexicon(("cat",), np.zeros(1, np.float32), ENGLISH)
    node = walk(lexicon, "dog")
    assert node == lexicon.outside
    assert (lexicon.step(np.full(ENGLISH.tokens, node), np.arange(ENGLISH.tokens)) == node).all()


def test_a_space_is_never_inside_a_word() -> None:
    lexicon = Lexicon(("cat", "at"), np.zeros(2, np.float32), ENGLISH)
    nodes = np.arange(lexicon.outside + 1)
    assert (lexicon.step(nodes, np.full(len(nodes), ENGLISH.encode(" ")[0])) == lexicon.outside).all()


def test_a_beginning_may_go_on_with_any_of_more_letters_than_a_byte_counts() -> None:
    many = Alphabet(tuple(map(chr, range(0x4E00, 0x4E00 + 300))))
    words = ["\u4e00" + letter for letter in many.characters]
    lexicon = Lexicon(words, np.zeros(len(words), np.float32), many)
    assert [lexicon.word_at[walk(lexicon, word, many)] for word in words] == list(range(300))
    assert walk(lexicon, words[-1] + words[-1], many) == lexicon.outside
