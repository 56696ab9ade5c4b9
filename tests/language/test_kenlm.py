"""The same probabilities as the real KenLM, which reads the ARPA files that we write."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from small_models import PASSAGE, built

from auricle.decoding.ngram import NgramModel
from auricle.language.arpa import read_arpa, write_arpa

kenlm = pytest.importorskip("flashlight.lib.text.decoder.kenlm")

Score: TypeAlias = Callable[[Sequence[str]], float]


def oracle(path: Path, words: Sequence[str]) -> Score:
    """KenLM's natural-log probability of a sentence, its end included."""
    from flashlight.lib.text.dictionary import Dictionary

    dictionary = Dictionary()
    for word in words:
        dictionary.add_entry(word)
    dictionary.set_default_index(dictionary.get_index("<unk>"))
    model = kenlm.KenLM(str(path), dictionary)

    def score(sentence: Sequence[str]) -> float:
        state, total = model.start(False), 0.0
        for word in sentence:
            state, log_10 = model.score(state, dictionary.get_index(word))
            total += log_10
        return (total + float(model.finish(state)[1])) * math.log(10)

    return score


@pytest.mark.parametrize(
    ("order", "prune", "size"),
    [(2, [0, 0], 65_000), (3, [0, 0, 1], 80), (4, [0, 0, 0, 0], 65_000), (4, [0, 0, 1, 1], 120)],
)
def test_kenlm_gives_every_sentence_the_same_probability(
    tmp_path: Path, order: int, prune: list[int], size: int
) -> None:
    trie = built(PASSAGE * 2 + PASSAGE[:5], order, prune, size).trie
    write_arpa(trie, tmp_path / "lm.arpa")
    theirs = oracle(tmp_path / "lm.arpa", trie.words)
    ours, again = NgramModel(trie), NgramModel(read_arpa(tmp_path / "lm.arpa"))
    rng = np.random.default_rng(1)
    shuffled = [rng.choice([*trie.words[3:], "jabberwock"], size=rng.integers(0, 12)).tolist() for _ in range(300)]
    for sentence in [*map(str.split, PASSAGE), *shuffled]:
        assert ours.score_sentence(sentence) == pytest.approx(theirs(sentence), abs=1e-3)
        assert again.score_sentence(sentence) == pytest.approx(theirs(sentence), abs=1e-3)


def test_a_model_of_srilms_with_gaps_is_read_as_kenlm_reads_it(tmp_path: Path) -> None:
    """Pruning by entropy leaves n-grams whose ends are not n-grams; <unk> may have n-grams of its own."""
    (tmp_path / "lm.arpa").write_text(
        "\n\\data\\\nngram 1=6\nngram 2=4\nngram 3=2\n\n\\1-grams:\n-1.5\t<unk>\t-0.2\n-99\t<s>\t-0.3\n"
        "-0.9\t</s>\n-0.7\ta\t-0.25\n-0.8\tb\t-0.125\n-1.1\tc\t0.1\n\n\\2-grams:\n-0.3\t<s> a\t-0.4\n-0.5\ta b\t-0.6\n"
        "-0.2\t<unk> c\t-0.1\n-0.75\tc </s>\n\n\\3-grams:\n-0.11\t<s> a b\n-0.22\ta b c\n\n\\end\\\n"
    )
    model = NgramModel(read_arpa(tmp_path / "lm.arpa"))
    theirs = oracle(tmp_path / "lm.arpa", model.words)
    rng = np.random.default_rng(2)
    for _ in range(300):
        sentence = rng.choice(["a", "b", "c", "d"], size=rng.integers(0, 7)).tolist()
        assert model.score_sentence(sentence) == pytest.approx(theirs(sentence), abs=1e-4), sentence
