from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auricle.alphabet import ENGLISH
from auricle.language.corpus import choose_rare, choose_vocabulary, make_corpus, token_ids
from auricle.language.counts import count, with_ends
from auricle.language.prepare import prepare


def test_a_corpus_holds_its_sentences() -> None:
    corpus = make_corpus([["b a b", "c"], [], ["a"]])
    assert corpus.words == ("b", "a", "c")
    assert corpus.ids.tolist() == [0, 1, 0, 2, 1]
    assert corpus.starts.tolist() == [0, 3, 4, 5]
    assert corpus.lines.tolist() == [0, 0, 2]
    rest = corpus.select(np.array([True, False, True]))
    assert (rest.ids.tolist(), rest.starts.tolist(), rest.lines.tolist()) == ([0, 1, 0, 1], [0, 3, 4], [0, 2])


def test_the_vocabulary_is_the_most_frequent_words_in_order_of_code_points() -> None:
    corpus = make_corpus([["é é é z z a a b b' zz"]])
    assert choose_vocabulary(corpus, 6) == ("<unk>", "<s>", "</s>", "a", "z", "é")
    assert choose_vocabulary(corpus, 100, min_count=3) == ("<unk>", "<s>", "</s>", "é")
    assert choose_vocabulary(corpus, 100)[3:] == ("a", "b", "b'", "z", "zz", "é")
    assert token_ids(corpus, choose_vocabulary(corpus, 5)).tolist() == [4, 4, 4, 3, 3, 0, 0, 0, 0, 0]


def test_the_vocabulary_fits_sixteen_bits() -> None:
    corpus = make_corpus([[" ".join(f"w{index}" for index in range(70_000))]])
    assert len(choose_vocabulary(corpus, 1_000_000)) == 65_536


def test_rare_words_are_the_likeliest_of_those_outside_the_vocabulary() -> None:
    corpus = make_corpus([["é é é z z z a a b b' b' b' b' zz zz"]])
    found = choose_rare([corpus], choose_vocabulary(corpus, 5), 3)
    # Outside are z, é or b' (the third of them), a, b and zz: of 3 + 2 + 1 + 2 times, half a time taken off each.
    assert choose_vocabulary(corpus, 5)[3:] == ("b'", "é")
    assert found.words == ("a", "z", "zz")
    np.testing.assert_allclose(np.exp(found.log_shares), [1.5 / 8, 2.5 / 8, 1.5 / 8], rtol=1e-6)
    assert len(choose_rare([corpus], choose_vocabulary(corpus, 5), 0)) == 0
    assert len(choose_rare([corpus], corpus.words, 9)) == 0
    assert choose_rare([corpus], choose_vocabulary(corpus, 5), 99).share == pytest.approx(6 / 8)
    longer = make_corpus([["a a a b " + "c" * 22 + " " + "d" * 23]])
    assert choose_rare([longer], choose_vocabulary(longer, 4), 9).words == ("b", "c" * 22)


def test_of_mixed_texts_each_says_what_is_rare_by_its_weight() -> None:
    corpus = make_corpus([["a a a b"], ["a a a a a a c c"]])
    parts = [corpus.select(np.array([first, not first])) for first in (True, False)]
    found = choose_rare(parts, ("<unk>", "<s>", "</s>", "a"), 9, weights=[0.75, 0.25])
    assert found.words == ("b", "c")
    shares = np.array([0.75 * 0.5 / 4, 0.25 * 1.5 / 8]) / (0.75 * 1 / 4 + 0.25 * 2 / 8)
    np.testing.assert_allclose(np.exp(found.log_shares), shares, rtol=1e-6)


def test_ngrams_do_not_cross_sentences() -> None:
    tokens, begins = with_ends(np.array([7, 8, 9], np.uint16), np.array([0, 2, 3]))
    assert tokens.tolist() == [1, 7, 8, 2, 1, 9, 2]
    found = count(tokens, begins, 3)
    packed = [1 << 32 | 7 << 16 | 8, 1 << 32 | 9 << 16 | 2, 7 << 32 | 8 << 16 | 2]
    assert (found.keys.tolist(), found.counts.tolist()) == (packed, [1, 1, 1])
    assert len(count(tokens, begins, 4).keys) == 1


def test_text_is_prepared_and_what_is_left_out_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("It was a very long day. Yes. It was a very long day.\n")
    (tmp_path / "b.txt").write_text("One two three four five six seven eight nine.\nYes.\n")
    (tmp_path / "dev.txt").write_text("zero one two three four five six seven eight\n")
    told: list[Path] = []
    prepared = prepare(
        [tmp_path / "a.txt", tmp_path / "b.txt"], ENGLISH, exclude=[tmp_path / "dev.txt"], tell=told.append
    )
    assert (prepared.sentences, prepared.words) == (5, 23)
    assert (prepared.duplicates, prepared.excluded) == (1, 1)
    corpus = prepared.corpus
    assert [corpus.words[index] for index in corpus.ids] == ["it", "was", "a", "very", "long", "day", "yes", "yes"]
    assert prepared.texts.tolist() == [0, 0, 1]
    assert [path.name for path in told] == ["a.txt", "b.txt"]
