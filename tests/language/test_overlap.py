from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle.errors import LanguageModelError
from auricle.language import overlap
from auricle.language.corpus import make_corpus
from auricle.language.overlap import duplicates, overlaps, overlaps_hashes, read_hashes

EIGHT = "one two three four five six seven eight"


def blake2b(words: list[str]) -> int:
    return int.from_bytes(hashlib.blake2b(" ".join(words).encode(), digest_size=8).digest(), "little")


def test_long_sentences_are_kept_once_and_short_ones_always() -> None:
    corpus = make_corpus(
        [["a b c d e f", "yes"], ["a b c d e f", "yes"], ["f e d c b a"], ["a b c d e f g"], ["a b c d e f"]]
    )
    assert duplicates(corpus).tolist() == [False, False, True, False, False, False, True]


def test_a_sentence_with_eight_words_of_a_transcript_is_found() -> None:
    lines = [["so " + EIGHT + " it is"], [EIGHT[4:]], ["zero " + EIGHT.replace("five", "5")], [EIGHT]]
    assert overlaps(make_corpus(lines), [["well " + EIGHT]]).tolist() == [True, False, False, True]


def test_a_window_may_cross_the_sentences_of_a_line_and_not_lines() -> None:
    lines = [
        ["he said one", "two three four five", "six seven", "eight", "nine"],
        ["one two three four"],
        ["five six seven eight"],
    ]
    expected = [True, True, True, True, False, False, False]
    assert overlaps(make_corpus(lines), [[EIGHT]]).tolist() == expected
    assert overlaps(make_corpus(lines), [["one two", "three four five", "six seven eight"]]).tolist() == expected


def test_a_short_transcript_excludes_only_its_equal_and_only_from_four_words_up() -> None:
    corpus = make_corpus([["i beg your pardon"], ["i beg your pardon sir"], ["good morning"]])
    assert overlaps(corpus, [["i beg your pardon"], ["good morning"]]).tolist() == [True, False, False]


def test_nothing_is_excluded_by_nothing() -> None:
    assert overlaps(make_corpus([[EIGHT]]), []).tolist() == [False]
    assert overlaps(make_corpus([]), [[EIGHT]]).tolist() == []
    assert duplicates(make_corpus([])).tolist() == []


lines = st.lists(
    st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=9).map(" ".join), max_size=3), max_size=12
)


@given(lines, lines, st.integers(8, 40))
@settings(deadline=None)
def test_any_text_is_judged_as_the_rule_says(text: list[list[str]], excluded: list[list[str]], block: int) -> None:
    def windows(line: list[str]) -> set[tuple[str, ...]]:
        words = " ".join(line).split()
        return {tuple(words[i : i + 8]) for i in range(len(words) - 7)}

    unwanted = set().union(*map(windows, excluded))
    wholes = {sentence for line in excluded for sentence in line if 4 <= len(sentence.split()) < 8}
    expected, by_windows = [], []
    for line in text:
        words, at = " ".join(line).split(), 0
        for sentence in line:
            end = at + len(sentence.split())
            hit = any(tuple(words[i : i + 8]) in unwanted for i in range(max(at - 7, 0), min(end, len(words) - 7)))
            expected.append(hit or sentence in wholes)
            by_windows.append(hit)
            at = end
    corpus = make_corpus(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlap, "_BLOCK", block)  # so that little text has many blocks
        assert overlaps(corpus, excluded).tolist() == expected
        assert overlaps_hashes(corpus, frozenset(blake2b(list(w)) for w in unwanted)).tolist() == by_windows
        sentences = [sentence for line in text for sentence in line]
        copies = [len(s.split()) >= 6 and s in sentences[:at] for at, s in enumerate(sentences)]
        assert duplicates(corpus).tolist() == copies


def test_hashes_are_those_of_the_shared_file(tmp_path: Path) -> None:
    path = tmp_path / "heldout.bin"
    np.array([blake2b(EIGHT.split()), 7], "<u8").tofile(path)
    corpus = make_corpus([["the one two' three four five six seven eight"], ["one two three four"]])
    assert overlaps_hashes(corpus, read_hashes(path)).tolist() == [True, False]


@pytest.mark.parametrize("content", [None, b"", b"seven b"])
def test_a_file_of_no_hashes_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "heldout.bin"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LanguageModelError, match=r"heldout\.bin: (cannot read the hashes|not a file of 64-bit hashes)"):
        read_hashes(path)
