"""A whole run on a text of seven paragraphs: it learns them by heart, and the file says what the network says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import pytest
import torch
from passage import ALICE
from restorers import SMALL, small_network

from auricle.errors import RecipeError, TrainingError
from auricle.language.printed import Printed, take_apart
from auricle.restoration import NeuralRestorer, RestorerModel, to_text
from auricle.training.restoration import export
from auricle.training.restoration.augment import Vocabulary
from auricle.training.restoration.corpus import TaggedText, tag
from auricle.training.restoration.export import changed, check_parity, to_model
from auricle.training.restoration.initial import started_from
from auricle.training.restoration.loop import draw_example, fit, make_batch
from auricle.training.restoration.measure import Bigrams, FullStopAtTheEnd, evaluate, tune_biases
from auricle.training.restoration.network import RestorerNetwork
from auricle.training.restoration.recipe import RestorerRecipe, read_restorer_recipe
from auricle.training.short_run import Progress

RECIPE = replace(
    SMALL, rows=2048, embedding=24, width=48, window=48, epochs=150.0, peak_rate=5e-3, with_errors=0.0, known_pauses=0.2
)
NAMED: dict[str, Any] = {"name": "alice", "version": "1", "created": "2026-11-30", "stored": {}}
SHIPPED = Path(__file__).parents[2] / "recipes" / "restorer.toml"


@pytest.fixture(scope="module")
def paragraphs() -> list[Printed]:
    return [one for one in map(take_apart, ALICE.splitlines()) if one is not None]


@pytest.fixture(scope="module")
def text(paragraphs: list[Printed]) -> TaggedText:
    return tag(paragraphs, {})


@pytest.fixture(scope="module")
def learnt(text: TaggedText) -> tuple[RestorerNetwork, list[Progress]]:
    told: list[Progress] = []
    network, end = fit(text, RECIPE, tell=told.append)
    assert told[-1] == end
    return network, told


@pytest.fixture(scope="module")
def model(learnt: tuple[RestorerNetwork, list[Progress]]) -> RestorerModel:
    return to_model(learnt[0], RECIPE, name="alice", version="0", created="2026-11-23", stored={})


def test_it_learns_seven_paragraphs_by_heart(
    learnt: tuple[RestorerNetwork, list[Progress]], model: RestorerModel, paragraphs: list[Printed]
) -> None:
    _, told = learnt
    assert told[-1].loss < 0.3 * told[0].loss
    assert told[-1].share == 1
    scores = evaluate(paragraphs, NeuralRestorer(model), running=True)
    assert scores.marks["."].value > 0.9
    assert scores.marks[","].value > 0.9
    assert scores.capitals.value > 0.9
    said = "down down down would the fall never come to an end"
    assert (
        to_text(NeuralRestorer(model).restore(said.split())) == "Down, down, down. Would the fall never come to an end?"
    )


def test_a_run_ends_with_its_time(text: TaggedText) -> None:
    seconds = iter(range(0, 10**6, 6))
    _, end = fit(text, RECIPE, max_minutes=1.0, clock=lambda: float(next(seconds)))
    assert end.step == 10
    assert end.share == 1


def test_a_text_that_is_too_short_is_refused(paragraphs: list[Printed]) -> None:
    with pytest.raises(TrainingError, match="give more"):
        fit(tag(paragraphs[4:5], {}), RECIPE)


def test_what_follows_the_last_word_is_not_known(text: TaggedText) -> None:
    vocabulary = Vocabulary(text.words, np.bincount(text.ids), SMALL.rows)
    recipe = replace(SMALL, known_pauses=1.0)
    for place in (0, 40, 90):
        pauses = draw_example(text, place, recipe, vocabulary, np.random.default_rng(place)).pauses
        assert pauses is not None
        assert np.isnan(pauses).tolist() == [False] * (len(pauses) - 1) + [True]


def test_what_stands_beside_an_example_changes_nothing(text: TaggedText) -> None:
    network = small_network()
    random = np.random.default_rng(0)
    vocabulary = Vocabulary(text.words, np.bincount(text.ids), SMALL.rows)
    examples = [draw_example(text, place, SMALL, vocabulary, random) for place in (0, 40, 90, 200, 320)]
    together = make_batch(examples, vocabulary)
    with torch.inference_mode():
        whole = network(together.rows, together.mask)
        for number, example in enumerate(examples):
            alone = make_batch([example], vocabulary)
            length = len(example.ids)
            torch.testing.assert_close(whole[number, :length], network(alone.rows, alone.mask)[0], atol=1e-4, rtol=1e-4)


def test_the_file_is_refused_when_it_says_something_else(model: RestorerModel) -> None:
    network = RestorerNetwork(RECIPE).eval()
    with pytest.raises(TrainingError, match="export refused"):
        check_parity(network, model)


def test_weights_are_stored_in_half_precision(
    model: RestorerModel, learnt: tuple[RestorerNetwork, list[Progress]]
) -> None:
    assert len(model.graph) < 2.2 * learnt[0].parameter_count
    assert check_parity(learnt[0], model) < 1e-4


@pytest.fixture(scope="module")
def whole(learnt: tuple[RestorerNetwork, list[Progress]], text: TaggedText) -> RestorerModel:
    words = [text.words[number] for number in text.ids.tolist()]
    recipe = replace(RECIPE, int8=True)
    return to_model(learnt[0], recipe, name="alice", version="0", created="2026-11-29", stored={}, words=words)


def test_whole_numbers_say_the_same_in_less_room(
    whole: RestorerModel, model: RestorerModel, paragraphs: list[Printed]
) -> None:
    assert len(whole.graph) < 0.75 * len(model.graph)
    for name in (".", ","):
        exact, rounded = (evaluate(paragraphs, NeuralRestorer(one), running=True).marks[name] for one in (model, whole))
        assert rounded.value == pytest.approx(exact.value, abs=0.02)


@pytest.mark.parametrize("window", [1, 7, 64])
def test_whole_numbers_are_the_same_whatever_the_windows(whole: RestorerModel, text: TaggedText, window: int) -> None:
    words = [text.words[number] for number in text.ids.tolist()]
    assert NeuralRestorer(whole, window=window).restore(words) == NeuralRestorer(whole).restore(words)


def test_whole_numbers_that_say_something_else_are_refused(
    learnt: tuple[RestorerNetwork, list[Progress]], text: TaggedText, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_COVERED", 0.01)  # nearly all inputs are cut off
    words = [text.words[number] for number in text.ids.tolist()]
    with pytest.raises(TrainingError, match="whole numbers change"):
        to_model(learnt[0], replace(RECIPE, int8=True), name="a", version="0", created="2026", stored={}, words=words)


def test_a_run_begins_from_a_restorer(
    model: RestorerModel, whole: RestorerModel, text: TaggedText, learnt: tuple[RestorerNetwork, list[Progress]]
) -> None:
    words = [text.words[number] for number in text.ids.tolist()]
    again = to_model(started_from(model, RECIPE), RECIPE, **NAMED)
    assert NeuralRestorer(again).scores(words) == pytest.approx(NeuralRestorer(model).scores(words), abs=1e-4)
    assert changed(model, to_model(started_from(whole, RECIPE), RECIPE, **NAMED), words) < 0.02
    (first, *_) = losses_of(replace(RECIPE, epochs=3.0), text, started_from(model, RECIPE))
    assert first < 0.5 * learnt[1][0].loss


def losses_of(recipe: RestorerRecipe, text: TaggedText, network: RestorerNetwork) -> list[float]:
    told: list[Progress] = []
    fit(text, recipe, network=network, tell=told.append)
    return [progress.loss for progress in told]


def test_a_restorer_grows_without_a_trace_and_learns_on(model: RestorerModel, text: TaggedText) -> None:
    words = [text.words[number] for number in text.ids.tolist()]
    larger = replace(RECIPE, dilations=(*RECIPE.dilations, 4, 1), epochs=3.0)
    network = started_from(model, larger)
    assert network.parameter_count > started_from(model, RECIPE).parameter_count
    grown = to_model(network, larger, **NAMED)
    assert grown.context == model.context + 5
    assert NeuralRestorer(grown).scores(words) == pytest.approx(NeuralRestorer(model).scores(words), abs=1e-4)
    trained, _ = fit(text, larger, network=network)
    assert all(weight.abs().max() > 0 for weight in trained.convolutions)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"width": 40}, "alice: first.linear.weight is of another network than the recipe's: take its own recipe."),
        ({"dilations": (1,)}, r"alice: blocks.1.norm.weight is of another network"),
        ({"kinds": True}, "alice: has no kinds of words: say so in the recipe."),
    ],
)
def test_a_restorer_of_another_network_is_refused(model: RestorerModel, change: dict[str, Any], says: str) -> None:
    with pytest.raises(TrainingError, match=says):
        started_from(model, replace(RECIPE, **change))


def test_a_restorer_without_names_of_weights_is_refused(model: RestorerModel) -> None:
    graph = onnx.load_from_string(model.graph)
    for one in graph.graph.initializer:
        one.name = one.name.replace(".", "_")
    with pytest.raises(TrainingError, match="alice: its weights have no names"):
        started_from(replace(model, graph=graph.SerializeToString()), RECIPE)


@pytest.mark.parametrize(("optimizer", "even"), [("muon", True), ("adamw", False)])
def test_muon_goes_equally_far_in_all_directions(
    text: TaggedText, optimizer: Literal["muon", "adamw"], even: bool
) -> None:
    recipe = replace(RECIPE, epochs=1e-3, optimizer=optimizer, weight_decay=0.0)  # one step
    network = RestorerNetwork(recipe)
    before = [weight.detach().clone() for weight in network.convolutions[1:]]
    trained, end = fit(text, recipe, network=network)
    assert end.step == 1
    for weight, old in zip(trained.convolutions[1:], before, strict=True):
        sizes = torch.linalg.svdvals(weight.detach() - old)
        assert (sizes.median() > 0.4 * sizes.max()) == even


def test_biases_are_chosen_for_the_marks_of_a_text(model: RestorerModel, paragraphs: list[Printed]) -> None:
    spoilt = NeuralRestorer(replace(model, biases=(0.0, *[-9.0] * 7)))
    assert evaluate(paragraphs, spoilt).marks["."].value == 0
    tuned = NeuralRestorer(replace(model, biases=tune_biases(spoilt, paragraphs)))
    assert evaluate(paragraphs, tuned, running=True).marks["."].value > 0.9


def test_pauses_help_a_network_that_was_trained_with_them(model: RestorerModel, paragraphs: list[Printed]) -> None:
    # of one that knows the text by heart it can only be asked that they do no harm
    scores = evaluate(paragraphs, NeuralRestorer(model), pauses=True)
    assert scores.marks["."].value > 0.8


def test_baselines(paragraphs: list[Printed]) -> None:
    end = evaluate(paragraphs, FullStopAtTheEnd())
    assert end.marks["."].precision == pytest.approx(6 / 7), "one paragraph ends in a question"
    assert end.marks[","].recall == 0
    bigrams = evaluate(paragraphs, Bigrams(paragraphs))
    assert bigrams.marks[","].value > 0.5
    assert bigrams.capitals.value > 0.5


def test_the_recipe_of_the_repository_can_be_read() -> None:
    recipe = read_restorer_recipe(SHIPPED)
    assert recipe.name == "restorer"
    assert recipe.description
    assert recipe.context == recipe.reach + sum(recipe.dilations)
    assert recipe.int8, "a byte a weight"
    assert RestorerNetwork(recipe).parameter_count < 5e6, "no more than 5 MB"


@pytest.mark.parametrize(
    ("content", "says"),
    [("wdth = 3", "unknown key 'wdth'"), ("width = 0", "width: "), ("width = ", "not a TOML file"), ("", "")],
)
def test_a_recipe_with_a_slip_is_refused(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(content)
    if not says:
        assert read_restorer_recipe(path) == RestorerRecipe(name="mine")
        return
    with pytest.raises(RecipeError, match=says) as caught:
        read_restorer_recipe(path)
    assert str(caught.value).startswith(str(path))
