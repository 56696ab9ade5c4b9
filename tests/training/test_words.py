"""The training of recurrent language models: it learns, and what it writes says what the network says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from auricle.decoding.recurrent import RecurrentModel
from auricle.errors import LanguageModelError, RecipeError
from auricle.training.short_run import Progress
from auricle.training.words.data import Sentences
from auricle.training.words.loop import fit, to_weights
from auricle.training.words.network import WordsNetwork, ranks_by
from auricle.training.words.recipe import WordsRecipe, read_words_recipe

START = 1
WORDS = 40
SMALL = WordsRecipe("small", clusters=(10, 20), widths=(16, 8, 4), hidden=24, batch_words=60, words=20_000, dropout=0.0)


def sentences(seed: int, *, longest: int = 48) -> Sentences:
    """Sentences in which each word is the one before and three more, now and then another."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(200):
        row = [int(random.integers(2, WORDS))]
        while len(row) < random.integers(2, 12):
            row.append((row[-1] + 3) % WORDS if random.random() < 0.9 else int(random.integers(2, WORDS)))
        rows.append(row)
    starts = np.concatenate(([0], np.cumsum([len(row) for row in rows])))
    return Sentences(np.concatenate(rows), starts, longest)


def test_what_is_told_is_what_is_read_a_word_earlier() -> None:
    text = Sentences(np.arange(10, 22), np.array([0, 3, 4, 12]), 5)
    batches = text.batches(1_000, START, np.random.default_rng(0))
    read, told = next(batches)
    assert sorted(row[row >= 0].tolist() for row in told.T) == [[10, 11, 12], [13], [14, 15, 16, 17, 18], [19, 20, 21]]
    assert (read[0] == START).all()
    assert torch.equal(read[1:][told[1:] >= 0], told[:-1][told[1:] >= 0])


def test_every_sentence_comes_once_before_one_comes_again() -> None:
    text = sentences(3)
    batches = text.batches(60, START, np.random.default_rng(0))
    seen = 0
    while seen < len(text):
        _, told = next(batches)
        assert told.numel() <= 60
        seen += told.shape[1]
    assert seen == len(text)


def test_it_learns_and_the_file_says_what_the_network_says() -> None:
    heard: list[Progress] = []
    trained, end = fit([sentences(0), sentences(1)], [2, 1], START, SMALL, WORDS, tell=heard.append)
    assert end.share == 1
    assert SMALL.words <= end.words < SMALL.words + 60
    # The next word is certain to 1.3 nats but for the first of a sentence; forty words are 3.7.
    assert heard[0].loss > 3
    assert end.loss < 2
    read, told = next(sentences(2).batches(90, START, np.random.default_rng(0)))
    with torch.inference_mode():
        surprise = torch.zeros(told.shape)
        surprise[told >= 0] = trained(read, told)
    # The ids of a vocabulary are not its ranks; but what begins a text has the first ones of both here.
    ids = np.concatenate(([0, 1], 2 + np.random.default_rng(1).permutation(WORDS - 2)))
    model = RecurrentModel(to_weights(trained, np.argsort(ids).tolist()))
    found = model.log_probs([ids[row[row >= 0]].tolist() for row in told.T])
    assert found == pytest.approx(-surprise.sum(0).numpy(), abs=1e-3)


def test_the_last_part_reads_the_first_text_alone() -> None:
    class Counting(Sentences):
        drawn: list[int]

        def batches(self, words: int, start: int, random: np.random.Generator):  # type: ignore[no-untyped-def]
            self.drawn = []
            for batch in super().batches(words, start, random):
                self.drawn.append(1)
                yield batch

    texts = [Counting(np.arange(2, 22), np.arange(0, 21, 5), 48) for _ in range(2)]
    recipe = WordsRecipe("small", clusters=(), widths=(8,), hidden=8, batch_words=20, words=2_000, first_alone=0.5)
    fit(texts, [0, 1], START, recipe, 22)
    first, second = (len(text.drawn) for text in texts)
    assert abs(first - second) <= 2


def test_the_same_run_gives_the_same_weights() -> None:
    recipe = replace(SMALL, words=300)
    first, second = (fit([sentences(0)], [1], START, recipe, WORDS)[0] for _ in range(2))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_run_can_begin_with_another_ones_weights_and_not_with_those_of_another_network() -> None:
    trained, _ = fit([sentences(0)], [1], START, SMALL, WORDS)
    weights, heard = to_weights(trained, list(range(WORDS))), list[Progress]()
    little = replace(SMALL, words=1_200, peak_rate=1e-9)
    again, _ = fit([sentences(0)], [1], START, little, WORDS, init=weights, tell=heard.append)
    assert heard[0].loss < 2
    for one, other in zip(trained.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    with pytest.raises(LanguageModelError, match="of another network than the recipe's"):
        fit([sentences(0)], [1], START, replace(little, hidden=SMALL.hidden - 1), WORDS, init=weights)


def test_a_run_can_begin_with_a_narrower_network_which_says_the_same_until_it_learns() -> None:
    trained, _ = fit([sentences(0)], [1], START, SMALL, WORDS)
    weights = to_weights(trained, list(range(WORDS)))
    wider = replace(SMALL, words=1, hidden=SMALL.hidden + 9)
    same, _ = fit([sentences(0)], [1], START, replace(wider, peak_rate=1e-9), WORDS, init=weights)
    texts = [list(range(2, 20)), [5], [3, 3, 7]]
    before = RecurrentModel(weights).log_probs(texts)
    assert RecurrentModel(to_weights(same, range(WORDS))).log_probs(texts) == pytest.approx(before, abs=1e-4)
    assert same.gru.weight_hh.shape == (1, 3 * wider.hidden, wider.hidden)
    # By chance, as large as a new GRU's: each row of its orthogonal matrices has a length of one.
    rows = same.gru.weight_hh.view(3, wider.hidden, wider.hidden)[:, SMALL.hidden :]
    torch.testing.assert_close(rows.norm(dim=-1), torch.ones(3, 9))
    learning, _ = fit([sentences(0)], [1], START, replace(wider, words=400), WORDS, init=weights)
    assert bool(learning.output.weight[:, SMALL.hidden :].abs().min() > 0)  # what comes out reads every new unit


def test_clusters_that_the_vocabulary_does_not_fill_are_left_out() -> None:
    network = WordsNetwork(WordsRecipe("small"), 3_000)
    assert [tuple(table.shape) for table in network.tables] == [(1_000, 256), (2_000, 96)]
    assert [tuple(table.shape) for table in WordsNetwork(WordsRecipe("small"), 900).tables] == [(900, 256)]


def test_the_most_frequent_word_has_the_first_rank_and_of_equals_the_first() -> None:
    assert ranks_by([1, 5, 1, 7]).tolist() == [2, 1, 3, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hiden = 3", "unknown key 'hiden'"),
        ("hidden = 0", "hidden"),
        ("clusters = [10]\nwidths = [8]", "2 clusters of words need as many widths"),
        ("clusters = [20, 10, 30]", "ascend"),
    ],
)
def test_a_recipe_says_what_is_wrong_with_it(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message):
        read_words_recipe(path)


def test_the_recipe_in_the_repository_is_one() -> None:
    assert read_words_recipe(Path(__file__).parents[2] / "recipes" / "words.toml").hidden == 512
