"""Means of weights: what a network of mean weights says, and what has no mean."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import made
from test_export import bundle_of
from test_initial import CONFIG, recipe_for, scores

from auricle.bundle import Bundle
from auricle.errors import TrainingError
from auricle.features import Normalization
from auricle.training.averaging import averaged
from auricle.training.graph import Weights
from auricle.training.initial import started_from
from auricle.training.network import DeepSpeech2


def two() -> tuple[DeepSpeech2, DeepSpeech2]:
    """Return a network and one that has learnt on from it, by chance."""
    first, second = made(CONFIG), made(CONFIG)
    second.load_state_dict(first.state_dict())
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return first, second


def network_of(bundle: Bundle) -> DeepSpeech2:
    return started_from(bundle, recipe_for(CONFIG)).network


def test_the_mean_says_what_a_network_with_the_mean_weights_says() -> None:
    first, second = two()
    mean = averaged([bundle_of(first), bundle_of(second)], [3, 1])
    expected = made(CONFIG)
    expected.load_state_dict(
        {name: 0.75 * value + 0.25 * second.state_dict()[name] for name, value in first.state_dict().items()}
    )
    torch.testing.assert_close(scores(network_of(mean)), scores(expected), rtol=0, atol=1e-5)
    assert not torch.allclose(scores(first), scores(expected), atol=1e-3)


def test_all_else_is_the_first_ones_and_the_card_says_what_was_averaged() -> None:
    first, second = (bundle_of(network) for network in two())
    first = replace(first, card={"data": "ours", "steps": 100, "steps_left_out": 1})
    second = replace(second, name="later", decoder={"kind": "greedy", "beam": 3}, card={"data": "its", "steps": 7})
    mean = averaged([first, second], [1, 1])
    assert (mean.name, mean.decoder, mean.alphabet) == (first.name, first.decoder, first.alphabet)
    assert mean.card == {"data": "ours", "steps": 7, "averaged": mean.card["averaged"]}
    assert [(one["name"], one["part"]) for one in mean.card["averaged"]] == [("toy", 0.5), ("later", 0.5)]


def test_half_precision_stays_half_precision() -> None:
    first, second = (bundle_of(network, "float16") for network in two())
    mean = averaged([first, second], [1, 1])
    assert len(mean.files["acoustic.onnx"]) == len(first.files["acoustic.onnx"])
    halfway = (scores(network_of(first)) - scores(network_of(mean))).abs().max()
    assert 0 < halfway < (scores(network_of(first)) - scores(network_of(second))).abs().max()


@pytest.mark.parametrize("other", ["float16", "float32"])
def test_weights_in_int8_are_taken_as_the_others_are(other: Weights) -> None:
    first, second = two()
    card = {"recipe": recipe_for(CONFIG).to_dict()}
    small = replace(bundle_of(first, "int8"), card=card)
    mean = averaged([small, bundle_of(second, other)], [1, 1])
    expected = averaged([bundle_of(first, other), bundle_of(second, other)], [1, 1])
    assert len(mean.files["acoustic.onnx"]) == len(expected.files["acoustic.onnx"])
    torch.testing.assert_close(scores(network_of(mean)), scores(network_of(expected)), rtol=0, atol=0.25)
    alone = averaged([small, small], [1, 1])
    torch.testing.assert_close(scores(network_of(alone)), scores(network_of(small)), rtol=0, atol=0.01)


def test_what_has_no_mean_is_refused() -> None:
    first, second = two()
    bundle = bundle_of(first)
    louder = Normalization(np.full(13, 2, np.float32), np.ones(13, np.float32))
    for other in (
        bundle_of(made(replace(CONFIG, gru_hidden=20))),
        replace(bundle_of(second), normalization=louder),
        replace(bundle_of(second), normalization=replace(bundle.normalization, prior=700)),
        replace(bundle_of(second), phones=("AA",)),
    ):
        with pytest.raises(TrainingError, match="differ"):
            averaged([bundle, other], [1, 1])
    with pytest.raises(TrainingError, match="int8"):
        averaged([bundle, bundle_of(second, "int8")], [1, 1])
    for weights in ([1.0], [0.0, 0.0], [1.0, -0.5]):
        with pytest.raises(TrainingError, match="weight"):
            averaged([bundle, bundle_of(second)], weights)
