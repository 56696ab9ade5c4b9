"""Growing: the larger network says what the smaller one said, and what is new in it learns."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import made
from test_export import bundle_of
from test_initial import CONFIG, recipe_for, scores

from auricle.bundle import Bundle, embedded_bundle
from auricle.decoding import GreedyDecoder
from auricle.errors import TrainingError
from auricle.evaluation import Plain, evaluate
from auricle.manifest import read_manifest
from auricle.recognizer import Recognizer
from auricle.training.growing import grown
from auricle.training.initial import started_from
from auricle.training.network import DeepSpeech2
from auricle.training.recipe import NetworkConfig, Recipe, read_recipe

RESIDUAL = replace(CONFIG, gru_residual=True)
LARGER = {"residual_layers": 2, "gru_layers": 3, "gru_hidden": 40, "gru_input": 48}
ENGLISH_REFERENCE = Path(__file__).parents[2] / "recipes" / "english-reference.toml"


def known(network: DeepSpeech2, recipe: Recipe) -> Bundle:
    """Return a bundle of the network whose card says what it is, as those of `auricle train` do."""
    return replace(bundle_of(network), card={"recipe": recipe.to_dict()})


def grown_from(config: NetworkConfig, **change: Any) -> tuple[DeepSpeech2, DeepSpeech2]:
    """Return a small network and what it has grown into."""
    small = made(config)
    larger = recipe_for(replace(config, **change))
    return small, started_from(grown(known(small, recipe_for(config)), larger), larger).network


@pytest.mark.parametrize(
    ("config", "change"),
    [
        (replace(CONFIG, gru_norm="none"), {"gru_hidden": 40}),
        (replace(CONFIG, gru_norm="none"), {"gru_input": 48}),
        (replace(CONFIG, gru_norm="none"), {"gru_hidden": 40, "gru_input": 48, "residual_layers": 2}),
        (RESIDUAL, {"gru_layers": 3}),
        (RESIDUAL, {"gru_layers": 4, "residual_layers": 3, "kernel_mel": 5}),
    ],
)
def test_a_larger_network_says_what_the_small_one_said(config: NetworkConfig, change: dict[str, int]) -> None:
    small, large = grown_from(config, **change)
    assert large.parameter_count > small.parameter_count
    # The bundle between the two holds float16.
    torch.testing.assert_close(scores(large), scores(small), rtol=0, atol=0.01)


def test_layer_norm_among_zeros_is_made_up_for() -> None:
    small, large = grown_from(RESIDUAL, **LARGER)
    apart = (scores(large) - scores(small)).abs().mean()
    other = (scores(made(CONFIG, seed=5)) - scores(small)).abs().mean()
    # Not wholly: the mean of the old values is drawn to zero by the new ones.
    assert apart < 0.15 * other


def test_what_is_new_learns() -> None:
    _, large = grown_from(RESIDUAL, **LARGER)
    large.train()
    torch.manual_seed(2)
    large(torch.randn(2, 61, 13), torch.tensor([61, 40]))[0][..., 1].sum().backward()
    gradients = {name: parameter.grad for name, parameter in large.named_parameters()}
    for number in range(3):
        gradient = gradients[f"recurrent.{number}.gru.weight_ih"]
        assert gradient is not None
        new = gradient[:, 2 * 40 + (24 if number < 2 else 0) :]
        assert (new.abs().sum(-1) > 0).all()
    for name in ("residuals.1.convolutions.1.weight", "projection.weight"):
        gradient = gradients[name]
        assert gradient is not None
        assert (gradient.flatten(1).abs().sum(-1) > 0).all()


def test_a_wide_kernel_keeps_its_place_in_hertz_and_a_narrow_one_its_taps() -> None:
    small = made(replace(CONFIG, kernel_mel=3))
    recipe = recipe_for(replace(CONFIG, kernel_mel=5))
    larger = replace(recipe, features=replace(recipe.features, mel=27))  # each second of 27 bands is one of the 13
    bundle = grown(known(small, recipe_for(replace(CONFIG, kernel_mel=3))), larger)
    large = started_from(bundle, larger).network
    wide, narrow = large.convolution.weight, large.get_parameter("residuals.0.convolutions.0.weight")
    torch.testing.assert_close(wide[..., ::2], small.convolution.weight, rtol=1e-3, atol=1e-3)
    assert wide[..., 1::2].abs().max() < 1e-3
    torch.testing.assert_close(narrow, small.get_parameter("residuals.0.convolutions.0.weight"), rtol=1e-3, atol=1e-3)


@pytest.mark.needs_embedded_model
def test_the_english_model_hears_at_the_reference_size(clips: Path) -> None:
    english = embedded_bundle()
    rates = []
    for bundle in (english, grown(english, read_recipe(ENGLISH_REFERENCE))):
        recognizer = Recognizer(bundle, threads=1, decoder=GreedyDecoder(bundle.alphabet))
        report = evaluate(read_manifest(clips / "clips.jsonl"), Plain(recognizer), normalise=bundle.alphabet.normalise)
        rates.append(report.cer.value)
    # 80 bands have become 128, all other sizes have grown too, and nothing was trained.
    assert rates[1] < rates[0] + 0.05
    assert bundle.features.mel == 128
    assert bundle.decoder == english.decoder


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"gru_hidden": 12}, "gru_hidden is 24, and 12 in the recipe: it cannot shrink"),
        ({"stride_time": 2}, "stride_time is 4, and 2 in the recipe: it cannot change"),
        ({"channels": 8}, "channels is 4, and 8 in the recipe: it cannot change"),
    ],
)
def test_what_cannot_grow_is_refused_by_name(change: dict[str, int], reason: str) -> None:
    with pytest.raises(TrainingError, match=reason):
        grown_from(RESIDUAL, **change)


def test_what_would_be_lost_is_refused() -> None:
    with pytest.raises(TrainingError, match="would hide those below it"):
        grown_from(CONFIG, gru_layers=3)
    with pytest.raises(TrainingError, match="gru_hidden cannot grow"):
        grown_from(replace(RESIDUAL, classifier_hidden=9), gru_hidden=40)


def test_other_letters_other_features_and_unknown_networks_are_refused() -> None:
    small, recipe = made(RESIDUAL), recipe_for(RESIDUAL)
    bundle = known(small, recipe)
    with pytest.raises(TrainingError, match="another alphabet"):
        grown(bundle, recipe_for(RESIDUAL, "abc"))
    for features in (replace(recipe.features, mel=12), replace(recipe.features, f_max=7000.0, mel=26)):
        with pytest.raises(TrainingError, match="nothing but mel may grow"):
            grown(bundle, replace(recipe, features=features))
    with pytest.raises(TrainingError, match=r"^toy: its card does not hold the recipe"):
        grown(bundle_of(small), recipe)
