"""Beginning from a bundle: its weights arrive as they were, whatever they were stored in, and training learns on."""

import math
from dataclasses import replace
from types import SimpleNamespace

import onnx
import pytest
import torch
from helpers import configs, made
from hypothesis import given, settings
from hypothesis import strategies as st
from test_export import bundle_of

from auricle.bundle import ACOUSTIC
from auricle.errors import TrainingError
from auricle.features import FeatureConfig
from auricle.training.data import Batch
from auricle.training.graph import Weights
from auricle.training.initial import recipe_of, started_from
from auricle.training.module import SpeechModule
from auricle.training.network import DeepSpeech2
from auricle.training.recipe import NetworkConfig, Recipe

CONFIG = NetworkConfig(
    channels=4,
    residual_layers=1,
    gru_layers=2,
    gru_hidden=24,
    gru_input=32,
    classifier_hidden=0,
    stride_time=4,
    outputs=2,
)


def recipe_for(config: NetworkConfig, alphabet: str = "abcdef") -> Recipe:
    return Recipe(name="on", alphabet=tuple(alphabet), features=FeatureConfig(mel=13), network=config)


def scores(network: DeepSpeech2) -> torch.Tensor:
    torch.manual_seed(1)
    with torch.inference_mode():
        scored: torch.Tensor = network.eval()(torch.randn(2, 61, 13), torch.tensor([61, 40]))[0]
    return scored


@settings(max_examples=10, deadline=None)
@given(configs(smallest=12), st.sampled_from(["float32", "float16", "int8"]))
def test_a_network_started_from_a_bundle_says_what_the_bundles_did(config: NetworkConfig, weights: Weights) -> None:
    network = made(config)
    started = started_from(bundle_of(network, weights), recipe_for(config)).network
    tolerance = {"float32": 1e-5, "float16": 0.01, "int8": 0.25}[weights]
    torch.testing.assert_close(scores(started), scores(network), rtol=0, atol=tolerance)


def test_what_is_done_with_a_clips_own_mean_is_the_recipes_and_stays_with_the_bundle() -> None:
    recipe = recipe_for(CONFIG)
    module = started_from(bundle_of(made(CONFIG)), replace(recipe, prior_frames=700))
    assert module.normalization.prior == 700
    bundle = module.bundle("toy")
    assert bundle.normalization.prior == recipe_of(bundle).prior_frames == 700
    assert started_from(bundle, recipe).normalization.prior == math.inf


def test_the_recipes_other_settings_are_its_own() -> None:
    bundle = bundle_of(made(CONFIG))
    module = started_from(bundle, recipe_for(replace(CONFIG, dropout=0.3, auxiliary_layer=1)))
    assert module.network.dropout.p == 0.3
    assert len(module.network.auxiliary)
    assert module.card["started_from"] == "toy 1"


def test_a_second_classifier_without_a_past_does_not_move_a_network_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SpeechModule, "trainer", SimpleNamespace(current_epoch=0, global_rank=0, world_size=1))
    monkeypatch.setattr(SpeechModule, "log", lambda *_: None)
    recipe = recipe_for(replace(CONFIG, auxiliary_layer=1))
    recipe = replace(recipe, schedule=replace(recipe.schedule, auxiliary_weight=1.0))
    batch = Batch(
        torch.randn(1, 120, 13),
        torch.tensor([120]),
        torch.tensor([1, 2]),
        torch.tensor([2]),
        1.2,
        *[torch.empty(0)] * 2,
    )

    def taught(module: SpeechModule) -> set[str]:
        torch.autograd.backward(module.training_step(batch, 0))
        parameters = dict(module.network.train().named_parameters())
        found = {name.partition(".")[0] for name, one in parameters.items() if one.grad is not None and one.grad.any()}
        module.zero_grad()
        return found

    started = started_from(bundle_of(made(CONFIG)), recipe)
    assert taught(started) == {"auxiliary"}
    below = {"auxiliary", "convolution", "residuals", "projection", "recurrent"}
    begun = SpeechModule(recipe, started.normalization)
    assert taught(begun) == below
    started.steps_done = 1_000
    assert taught(started) == below


def test_with_another_alphabet_the_characters_that_both_have_are_taken_over() -> None:
    network = made(CONFIG)
    started = started_from(bundle_of(network), recipe_for(CONFIG, "fxa")).network
    ours = started.state_dict()["classifier.0.weight"].view(2, 4, -1)
    theirs = network.state_dict()["classifier.0.weight"].view(2, 7, -1)
    torch.testing.assert_close(ours[:, [0, 1, 3]], theirs[:, [0, 6, 1]])
    assert ours[:, 2].norm() > 0


def test_with_more_frames_a_step_each_is_said_twice() -> None:
    single = made(replace(CONFIG, outputs=1))
    started = started_from(bundle_of(single), recipe_for(CONFIG)).network
    once = scores(single)
    twice = scores(started)
    torch.testing.assert_close(twice[:, ::2][:, : once.shape[1]], once, rtol=0, atol=1e-5)
    torch.testing.assert_close(twice[:, 1::2], once[:, : twice[:, 1::2].shape[1]], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"gru_hidden": 25}, "has other sizes than in the recipe's network"),
        ({"gru_layers": 3}, "has no recurrent.2"),
        ({"outputs": 1}, "gives another number of frames a step"),
        ({"classifier_hidden": 9}, "classifier.0.weight has other sizes"),
    ],
)
def test_other_sizes_are_refused_by_name(change: dict[str, int], reason: str) -> None:
    with pytest.raises(TrainingError, match=f"^toy: .*{reason}"):
        started_from(bundle_of(made(CONFIG)), recipe_for(replace(CONFIG, **change)))  # type: ignore[arg-type]


def test_other_features_are_refused() -> None:
    bundle = bundle_of(made(CONFIG))
    with pytest.raises(TrainingError, match=r"^toy: was trained on other features than the recipe has"):
        started_from(replace(bundle, features=replace(bundle.features, floor=1e-4)), recipe_for(CONFIG))


def test_a_bundle_whose_weights_have_no_names_is_refused() -> None:
    bundle = bundle_of(made(CONFIG))
    model = onnx.load_from_string(bundle.files[ACOUSTIC])
    for initializer in model.graph.initializer:
        initializer.name = initializer.name.replace(".", "_")
    unnamed = replace(bundle, files={ACOUSTIC: model.SerializeToString()})
    with pytest.raises(TrainingError, match="weights have no names, as in bundles of old"):
        started_from(unnamed, recipe_for(CONFIG))
