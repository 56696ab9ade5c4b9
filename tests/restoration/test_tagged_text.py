"""From printed text to what is learnt: which paragraphs, which forms, which labels, and the errors put in."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from passage import ALICE

from auricle.alphabet import ENGLISH
from auricle.language.printed import Printed, take_apart
from auricle.restoration.features import KINDS, word_rows
from auricle.restoration.types import CASES, MARKS
from auricle.training.restoration.augment import Example, Vocabulary, draw_pauses, with_errors
from auricle.training.restoration.corpus import UNKNOWN_CASE, case_of, choose, find_kinds, find_lexicon, tag


def printed(*paragraphs: str) -> list[Printed]:
    found = [take_apart(paragraph) for paragraph in paragraphs]
    return [one for one in found if one is not None]


EVERY = ("train", "dev", "test", "")


def test_paragraphs_that_share_eight_words_are_left_out(tmp_path: Path) -> None:
    text, held = tmp_path / "book.txt", tmp_path / "held.txt"
    text.write_text(ALICE, encoding="utf-8")
    held.write_text("so she was CONSIDERING: in her own mind. As well as\n", encoding="utf-8")
    whole = choose([text], wanted=EVERY)
    part = choose([text], exclude=[held], wanted=EVERY)
    assert (len(whole.all), whole.excluded) == (7, 0)
    assert (len(part.all), part.excluded) == (6, 1)
    assert not any("considering" in one.words for one in part.all if "daisy" in one.words)


def test_the_same_by_hashes_alone(tmp_path: Path) -> None:
    text, hashes = tmp_path / "book.txt", tmp_path / "hashes.bin"
    text.write_text(ALICE, encoding="utf-8")
    window = " ".join(ENGLISH.normalise("in another moment down went Alice after it").split())
    hashes.write_bytes(hashlib.blake2b(window.encode(), digest_size=8).digest()[::1])
    assert choose([text], exclude_hashes=hashes, wanted=EVERY).excluded == 1


def test_only_the_wanted_parts_are_read(tmp_path: Path) -> None:
    text = tmp_path / "book.txt"
    text.write_text(ALICE + "In 1862 it was told.\n", encoding="utf-8")
    assert [choose([text], wanted=[part]).all for part in EVERY].count([]) == 3
    assert choose([text], wanted=EVERY).unusable == 1


def test_the_lexicon_has_forms_of_their_own_and_no_emphasis() -> None:
    paragraphs = printed(*["McDonald saw Louis XIV, and O'Brien was NOT there."] * 3, "Mcdonald? D'Artagnan!", "not I")
    assert find_lexicon(paragraphs) == {"mcdonald": "McDonald", "xiv": "XIV", "o'brien": "O'Brien"}


@pytest.mark.parametrize(
    ("form", "case"),
    [("mary", "lower"), ("Mary", "capital"), ("I", "capital"), ("XIV", "upper"), ("McDonald", "stored"), ("NOT", None)],
)
def test_the_case_of_a_form(form: str, case: str | None) -> None:
    lexicon = {"mcdonald": "McDonald", "xiv": "XIV"}
    assert case_of(form, lexicon) == (CASES.index(case) if case else UNKNOWN_CASE)


def test_a_tagged_text_can_be_read_back() -> None:
    paragraphs = printed(*ALICE.splitlines())
    text = tag(paragraphs, {})
    assert [text.words[number] for number in text.ids] == [word for one in paragraphs for word in one.words]
    assert [MARKS[number] for number in text.marks] == [mark for one in paragraphs for mark in one.marks]
    assert np.flatnonzero(text.ends).tolist() == (np.cumsum([len(one.forms) for one in paragraphs]) - 1).tolist()


WORDS = ["then", "than", "the", "them", "mary", "cat", "cart"]
VOCABULARY = Vocabulary(WORDS, np.full(len(WORDS), 5), rows=256)
examples = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, len(MARKS) - 1), st.integers(0, 2)), min_size=1, max_size=30
).map(lambda rows: Example(*np.array(rows, np.int64).T))


@given(examples, st.floats(0, 1), st.integers(0, 99))
@settings(deadline=None)
def test_errors_keep_an_example_in_step(example: Example, rate: float, seed: int) -> None:
    changed = with_errors(example, rate, VOCABULARY, np.random.default_rng(seed))
    assert 1 <= len(changed.ids) == len(changed.marks) == len(changed.cases) <= len(example.ids)
    assert VOCABULARY.rows_of(changed.ids).shape[0] == len(changed.ids)
    if rate == 0:
        assert all(
            np.array_equal(ours, theirs)
            for ours, theirs in zip(
                (changed.ids, changed.marks, changed.cases), (example.ids, example.marks, example.cases), strict=True
            )
        )


def test_no_sentence_end_is_lost_with_its_word() -> None:
    marks = np.array([0, 0, MARKS.index("."), 0, 0, MARKS.index("?")])
    example = Example(np.array([0, 1, 2, 3, 4, 5]), marks, np.zeros(6, np.int64))
    for seed in range(200):
        changed = with_errors(example, 0.3, VOCABULARY, np.random.default_rng(seed))
        assert changed.marks[-1] == MARKS.index("?") or len(changed.ids) == 1


def test_joined_words_are_one_word_of_the_vocabulary() -> None:
    number = VOCABULARY.joined(2, 5)
    assert number == VOCABULARY.joined(2, 5) >= len(WORDS)
    single = Vocabulary(["thecat"], np.array([1]), rows=256).rows_of(np.array([0]))
    assert np.array_equal(VOCABULARY.rows_of(np.array([number])), single)


def test_kinds_are_how_books_write_a_word_within_sentences() -> None:
    once = "Then people saw Mary and Rose, and a mother of two. He said that Mother rose. The end? he cried."
    kinds = find_kinds(printed(*[once] * 10, "He saw Anne."))
    named = {word: KINDS[kind] for word, kind in kinds.items()}
    assert named["mary"] == "name"
    assert (named["rose"], named["mother"]) == ("mostly", "mostly")
    assert (named["saw"], named["and"]) == ("lower", "lower")
    assert not {"then", "the", "he", "anne"} & set(named), "it begins sentences only, or is too rare to say"


def test_the_kind_of_a_word_takes_the_place_of_its_first_letters() -> None:
    kinds = {"mary": KINDS.index("name"), "the": KINDS.index("lower")}
    plain, knowing = word_rows(WORDS, 256), word_rows(WORDS, 256, kinds)
    assert (plain != knowing).any(axis=0).tolist() == [False, False, True, False, False, False]
    assert len(set(knowing[:, 2].tolist())) == 3, "name, lower and unknown"
    assert knowing[WORDS.index("cat"), 2] == knowing[WORDS.index("cart"), 2]


def test_rare_words_are_forgotten_throughout_an_example_and_keep_their_endings() -> None:
    counts = np.array([1000, 1000, 1000, 1000, 5, 5, 5])
    vocabulary = Vocabulary(WORDS, counts, 4096, {"mary": KINDS.index("name"), "cat": KINDS.index("lower")})
    ids = np.array([0, 4, 5, 6, 4, 0])
    known = vocabulary.rows_of(ids)
    random = np.random.default_rng(0)
    assert np.array_equal(vocabulary.partly_forgotten(ids, 0.0, random), known)
    forgotten = vocabulary.partly_forgotten(ids, 1.0, random)
    assert (forgotten == known).all(axis=1).tolist() == [True, False, False, False, False, True]
    assert np.array_equal(forgotten[1], forgotten[4]), "the same word twice"
    assert np.array_equal(forgotten[:, 3:], known[:, 3:])
    assert len(set(forgotten[1:4, 2].tolist())) == 1, "of no known kind"
    joined = vocabulary.joined(4, 5)
    assert vocabulary.partly_forgotten(np.array([joined]), 1.0, random).shape == (1, 6)


def test_a_misheard_word_is_mostly_a_letter_away() -> None:
    random = np.random.default_rng(0)
    heard = [WORDS[VOCABULARY.misheard(0, random)] for _ in range(300)]
    assert sum(word in {"than", "the", "them"} for word in heard) > 200


def test_pauses_are_long_at_sentence_ends_and_short_between_words() -> None:
    random = np.random.default_rng(0)
    marks = np.tile(np.arange(len(MARKS)), 2000)
    pauses = draw_pauses(marks, random)
    medians = {mark: float(np.median(pauses[marks == number])) for number, mark in enumerate(MARKS)}
    assert medians[""] < 0.03 < medians[","] < medians["."] < 2
    assert (pauses >= 0).all()
