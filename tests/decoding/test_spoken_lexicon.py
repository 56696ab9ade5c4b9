"""Pronunciations as a bundle holds them, and the trie over phones that a search reads."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from said import PHONES, SAID, SHARES, lexicon_of, model_of

from auricle.decoding import NgramModel
from auricle.decoding.lexicon import NO_WORD, ROOT
from auricle.decoding.pronunciations import FIRST_PHONE, WORD_END, Pronunciations, SpokenLexicon, checksum
from auricle.errors import BundleError

MODEL = model_of(SHARES)
FOUND = Pronunciations.of(MODEL.words, SAID, PHONES)
WHERE = "toy: pronunciations.npz"


def ids(*phones: str) -> list[int]:
    return [PHONES.index(phone) + FIRST_PHONE for phone in phones]


def refusal(content: bytes, words: tuple[str, ...] = MODEL.words, phones: int = len(PHONES)) -> str:
    with pytest.raises(BundleError) as caught:
        Pronunciations.from_bytes(content, words, phones, WHERE)
    message = str(caught.value)
    assert message.startswith(f"{WHERE}: ")
    assert message.endswith(".")
    assert "\n" not in message
    return message


def listed(found: Pronunciations) -> list[tuple[int, tuple[int, ...]]]:
    ends = found.lengths.cumsum(dtype=np.int64)
    rows = [found.phones[end - length : end] for end, length in zip(ends, found.lengths, strict=True)]
    return [(int(word), tuple(row.tolist())) for word, row in zip(found.words, rows, strict=True)]


# What a bundle holds


def test_they_are_those_of_the_models_words_in_the_models_phones() -> None:
    said = {"two": (("T", "UW"), ("T", "X")), "nobody": (("N",),), "go": (("X",),), "ten": ((),)}
    found = Pronunciations.of(MODEL.words, said, PHONES)
    assert listed(found) == [(MODEL.ids["two"], tuple(ids("T", "UW")))]
    assert found.vocabulary == checksum(MODEL.words)


def test_what_is_written_reads_back() -> None:
    back = Pronunciations.from_bytes(FOUND.to_bytes(), MODEL.words, len(PHONES), WHERE)
    assert listed(back) == listed(FOUND)
    assert len(listed(back)) == 9
    assert [back.first(word) for word in range(len(MODEL.words))] == [
        FOUND.first(word) for word in range(len(MODEL.words))
    ]
    assert back.first(MODEL.ids["to"]) == ids("T", "UW")
    assert back.first(MODEL.ids["</s>"]) == back.first(len(MODEL.words)) == []
    assert FOUND.to_bytes() == FOUND.to_bytes()


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=4), st.lists(st.lists(st.sampled_from(PHONES), max_size=5)), min_size=1
    )
)
def test_any_dictionary_reads_back(said: dict[str, list[list[str]]]) -> None:
    words = tuple(sorted(said))
    found = Pronunciations.of(words, said, PHONES)
    back = Pronunciations.from_bytes(found.to_bytes(), words, len(PHONES), WHERE)
    ways = [(number, tuple(ids(*one))) for number, word in enumerate(words) for one in said[word] if one]
    wanted = list(dict.fromkeys(ways))
    assert listed(back) == wanted


def test_those_of_another_vocabulary_are_refused() -> None:
    assert "another language model's words" in refusal(FOUND.to_bytes(), MODEL.words[:-1])
    assert "another language model's words" in refusal(FOUND.to_bytes(), (*MODEL.words[:-1], "zoo"))


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_part_of_them_is_refused(part: float) -> None:
    content = FOUND.to_bytes()
    assert "not the pronunciations of a language model" in refusal(content[: int(part * len(content))])


@pytest.mark.parametrize("content", [b"PK damaged", b"\x93NUMPY", b"two  T UW\n"])
def test_what_is_something_else_is_refused(content: bytes) -> None:
    assert "not the pronunciations of a language model" in refusal(content)


def test_an_array_of_its_own_is_refused() -> None:
    content = io.BytesIO()
    np.save(content, FOUND.words)
    assert "not the pronunciations of a language model" in refusal(content.getvalue())


@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6))
def test_damage_anywhere_is_refused_or_harmless(damage: list[tuple[float, int]]) -> None:
    content = bytearray(FOUND.to_bytes())
    for place, value in damage:
        content[int(place * len(content))] = value
    try:
        back = Pronunciations.from_bytes(bytes(content), MODEL.words, len(PHONES), WHERE)
    except BundleError:
        return
    assert listed(back) == listed(FOUND)


EARLIER = FOUND.words.astype(np.uint16)
COUNTS = np.bincount(FOUND.words).astype(np.uint8)


def changed(**arrays: Any) -> bytes:
    content = io.BytesIO()
    which = {"words": EARLIER} if "words" in arrays else {"counts": COUNTS}
    whole = {**which, "lengths": FOUND.lengths, "phones": FOUND.phones}
    np.savez(content, **{**whole, "vocabulary": np.array([FOUND.vocabulary], np.uint32), **arrays})
    return content.getvalue()


@pytest.mark.parametrize(
    "arrays",
    [
        {"counts": COUNTS.astype(np.int64)},
        {"counts": COUNTS.astype(">u2")},
        {"counts": COUNTS[:-1]},
        {"counts": COUNTS + np.uint8(1)},
        {"counts": COUNTS[:, None]},
        {"counts": np.concatenate((COUNTS, np.zeros(len(MODEL.words), np.uint8)))},
        {"words": EARLIER.astype(np.int64)},
        {"words": EARLIER.astype(">u2")},
        {"words": EARLIER.astype(np.float32)},
        {"lengths": FOUND.lengths.astype(np.int8)},
        {"phones": FOUND.phones.astype(np.uint16)},
        {"words": EARLIER[:-1]},
        {"words": EARLIER + np.uint16(100)},
        {"lengths": FOUND.lengths + np.uint8(1)},
        {"lengths": FOUND.lengths * np.uint8(0)},
        {"phones": FOUND.phones[:-1]},
        {"phones": FOUND.phones * np.uint8(0)},
        {"phones": FOUND.phones * np.uint8(0) + np.uint8(WORD_END)},
        {"phones": FOUND.phones + np.uint8(len(PHONES))},
        {"words": EARLIER[:, None]},
        {"lengths": FOUND.lengths[:, None]},
        {"phones": FOUND.phones[:, None]},
    ],
    ids=lambda arrays: next(f"{name} {array.dtype.str} {array.shape}" for name, array in arrays.items()),
)
def test_arrays_that_do_not_fit_together_are_refused(arrays: dict[str, Any]) -> None:
    assert "do not fit together" in refusal(changed(**arrays))


@pytest.mark.parametrize("array", [{"counts": COUNTS}, {"counts": COUNTS.astype(np.uint16)}, {"words": EARLIER}])
def test_files_of_today_and_of_before_rare_words_are_read(array: dict[str, Any]) -> None:
    back = Pronunciations.from_bytes(changed(**array), MODEL.words, len(PHONES), WHERE)
    assert listed(back) == listed(FOUND)
    assert back.words.dtype == np.uint32


@pytest.mark.parametrize("value", [[], [np.nan], [np.inf], ["a"], [[1, 2]], 5])
def test_a_checksum_that_is_none_is_refused(value: Any) -> None:
    refusal(changed(vocabulary=np.array(value)))


def test_fewer_phones_than_they_are_in_are_refused() -> None:
    assert "do not fit together" in refusal(FOUND.to_bytes(), phones=3)
    Pronunciations.from_bytes(FOUND.to_bytes(), MODEL.words, len(PHONES) + 1, WHERE)


# The trie


def node_of(lexicon: SpokenLexicon, *phones: str) -> int:
    node = ROOT
    for phone in ids(*phones):
        node = int(lexicon.step(np.array([node]), np.array([phone]))[0])
    return node


def words_at(lexicon: SpokenLexicon, *phones: str, model: NgramModel = MODEL) -> list[str]:
    row = lexicon.word_at[node_of(lexicon, *phones), None]
    return [] if row == NO_WORD else [model.words[word] for word in lexicon.words_of(row)[0] if word != NO_WORD]


def test_words_that_are_said_alike_share_a_node_the_likeliest_first() -> None:
    lexicon = lexicon_of(MODEL)
    assert words_at(lexicon, "T", "UW") == ["to", "two", "too"]
    assert words_at(lexicon, "T", "AH") == ["to"]
    assert words_at(lexicon, "W", "AH", "N") == ["one", "won"]
    assert words_at(lexicon, "W", "AH") == []
    assert node_of(lexicon, "N") == lexicon.outside
    assert lexicon.outlook[node_of(lexicon, "T")] == MODEL.unigrams[MODEL.ids["to"]]
    assert lexicon.outlook[node_of(lexicon, "T", "EH")] == MODEL.unigrams[MODEL.ids["ten"]]


def test_words_are_never_told_apart_by_their_ends() -> None:
    lexicon = lexicon_of(MODEL)
    nodes = np.arange(lexicon.outside + 1)
    for token in (0, WORD_END):
        assert (lexicon.step(nodes, np.full(len(nodes), token)) == lexicon.outside).all()


def test_of_more_than_twelve_alike_the_rarest_are_left_out() -> None:
    shares = {f"w{letter}": 0.001 * number for number, letter in enumerate("abcdefghijklmno", start=1)}
    model = model_of(shares)
    lexicon = lexicon_of(model, {word: [("N",)] for word in shares})
    assert words_at(lexicon, "N", model=model) == [f"w{letter}" for letter in "onmlkjihgfed"]
    assert lexicon.outlook[node_of(lexicon, "N")] == model.unigrams[model.ids["wo"]]


def test_texts_are_spelled_as_their_words_are_said_first() -> None:
    lexicon = lexicon_of(MODEL)
    spelled = lexicon.spell(["go to two", "", "zyx", "zyx go zyx one"], MODEL.ids)
    assert spelled == [
        [*ids("G", "OW"), WORD_END, *ids("T", "UW"), WORD_END, *ids("T", "UW")],
        [],
        [],
        [*ids("G", "OW"), WORD_END, *ids("W", "AH", "N")],
    ]


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=3),
        st.lists(st.lists(st.sampled_from(PHONES[:3]), min_size=1, max_size=4), min_size=1, max_size=3),
        min_size=1,
        max_size=12,  # more might be said alike, of which some are left out
    )
)
def test_it_holds_what_is_said_and_nothing_else(said: dict[str, list[list[str]]]) -> None:
    model = model_of({word: 0.3 / (number + 1) for number, word in enumerate(said)})
    lexicon = lexicon_of(model, said)
    ways = {tuple(way) for one in said.values() for way in one}
    beginnings = {way[:end] for way in ways for end in range(1, len(way) + 1)}
    assert lexicon.outside == len(beginnings) + 1
    for beginning in beginnings:
        found = set(words_at(lexicon, *beginning, model=model))
        assert found == {word for word, one in said.items() if list(beginning) in one}


def test_words_of_no_model_make_an_empty_trie() -> None:
    nothing = replace(FOUND, words=FOUND.words[:0], lengths=FOUND.lengths[:0], phones=FOUND.phones[:0])
    lexicon = SpokenLexicon(nothing, MODEL.unigrams, len(PHONES))
    assert lexicon.outside == 1
    assert lexicon.spell(["go"], MODEL.ids) == [[]]
