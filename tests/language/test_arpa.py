from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import PASSAGE, built

from auricle.decoding.ngram import NgramModel
from auricle.errors import LanguageModelError
from auricle.language.arpa import read_arpa, write_arpa

SMALL = """\

\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-1.5	<unk>
-99	<s>	-0.3
-0.9	</s>
-0.7	b	-0.25

\\2-grams:
-0.1	<s> b
-0.2	b </s>

\\end\\
"""


def test_a_model_comes_back_from_its_file(tmp_path: Path) -> None:
    trie = built(PASSAGE, 4, [0, 0, 1, 1], 120).trie
    write_arpa(trie, tmp_path / "lm.arpa")
    assert [path.name for path in tmp_path.iterdir()] == ["lm.arpa"]
    again = read_arpa(tmp_path / "lm.arpa")
    assert (again.words, again.counts) == (trie.words, trie.counts)
    for ours, theirs in zip(again.levels, trie.levels, strict=True):
        np.testing.assert_array_equal(ours.keys, theirs.keys)
        np.testing.assert_allclose(ours.log_probs, theirs.log_probs, rtol=1e-5)
        np.testing.assert_allclose(ours.back_offs, theirs.back_offs, rtol=1e-5, atol=1e-6)
    (tmp_path / "lm.arpa.gz").write_bytes(gzip.compress((tmp_path / "lm.arpa").read_bytes()))
    assert read_arpa(tmp_path / "lm.arpa.gz").counts == trie.counts


def test_words_and_lines_may_come_in_any_order_and_unk_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "lm.arpa"
    path.write_text(
        "\\data\\\nngram 1=4\nngram 2=3\n\n\\1-grams:\n-0.7 é -0.25\n-0.9 </s>\n-0.7 b -0.25\n-99 <s> -0.3\n\n"
        "\\2-grams:\n-0.2 é b\n-0.3 b é\n-0.1 <s> b\n\n\\end\\\n",
        encoding="utf-8",
    )
    model = NgramModel(read_arpa(path))
    assert model.words == ("<unk>", "<s>", "</s>", "b", "é")
    assert model.score_sentence(["b", "é"]) == pytest.approx(np.log(10) * (-0.1 - 0.3 - 0.25 - 0.9))
    assert model.unigrams[0] == pytest.approx(-100 * np.log(10))


def test_zeros_are_cut_at_srilms_and_other_spellings_of_unk_known(tmp_path: Path) -> None:
    path = tmp_path / "lm.arpa"
    path.write_text(SMALL.replace("<unk>", "<UNK>").replace("-0.7\tb\t-0.25", "-inf\tb\t-inf"))
    model = NgramModel(read_arpa(path))
    assert model.words[0] == "<unk>"
    assert model.unigrams[3] == pytest.approx(-99 * np.log(10))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("\\data\\", "nothing", "not an ARPA file"),
        ("ngram 1=4\n", "", "not an ARPA file"),
        ("ngram 1=4", "ngram 1=70000", "70,000 words, and auricle's have 65,536 at most: build it with a smaller"),
        ("ngram 1=4", "ngram 1=5", "should have 5 1-grams and has 4"),
        ("\\1-grams:", "\\2-grams:", r"expected \1-grams: and found"),
        ("\\2-grams:", "\\3-grams:", r"expected \2-grams: and found"),
        ("-0.9\t</s>", "-0.9\tc", "the model has no </s>"),
        ("-0.7\tb", "-0.7\t</s>", "the word '</s>' is there twice"),
        ("-0.7\tb", "0.7\tb", "not a probability and a back-off weight: '0.7 b -0.25'"),
        ("-0.7\tb", "nan\tb", "not a probability"),
        ("-0.7\tb", "x\tb", "not a probability"),
        ("\tb\t-0.25", "\tb\tnan", "not a probability"),
        ("-0.1\t<s> b", "-0.1\t<s> c", "the word 'c' of a 2-gram is not among the 1-grams"),
        ("-0.1\t<s> b", "-0.1\tb </s>", "the 2-gram 'b </s>' is there twice"),
        ("-0.1\t<s> b", "-0.1\t<s>", "not a line of an ARPA file's 2-grams"),
        ("-0.2\tb </s>\n", "", "should have 2 2-grams and has 1: it is damaged"),
        ("\\end\\", "", None),
    ],
)
def test_what_is_no_arpa_file_is_said_in_one_sentence(tmp_path: Path, old: str, new: str, said: str | None) -> None:
    path = tmp_path / "lm.arpa"
    assert old in SMALL
    path.write_text(SMALL.replace(old, new))
    if said is None:
        read_arpa(path)
        return
    with pytest.raises(LanguageModelError) as error:
        read_arpa(path)
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_ngram_without_its_beginning_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lm.arpa"
    path.write_text(
        SMALL.replace("ngram 2=2", "ngram 2=2\nngram 3=1").replace("\\end\\", "\\3-grams:\n-0.1 b b </s>\n")
    )
    with pytest.raises(LanguageModelError, match="has the 3-gram 'b b </s>' and lacks the 2-gram that it begins with"):
        read_arpa(path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LanguageModelError, match=r"lm\.arpa cannot be written: No such file"):
        write_arpa(built(PASSAGE, 2, [0, 0]).trie, tmp_path / "none" / "lm.arpa")


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_damage_lets_nothing_else_escape(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = bytearray(SMALL.encode())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.arpa"
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content))
    refused = ""
    try:
        NgramModel(read_arpa(path)).score_sentence(["b"])
    except LanguageModelError as error:
        refused = str(error)
    assert "\n" not in refused
