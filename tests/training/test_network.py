"""The network: padding and neighbours must never reach a clip's result, whatever the recipe."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import MEL, TOKENS, configs, made
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from auricle.training.gru import products_in
from auricle.training.network import DeepSpeech2, LockedDropout, decayed_parameters
from auricle.training.recipe import NetworkConfig

CONFIGS = configs()
LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=4)
SMALL = NetworkConfig(channels=2, residual_layers=1, gru_layers=3, gru_hidden=8, gru_input=8, classifier_hidden=0)


def batch_of(clips: list[Tensor], fill: float = 0.0) -> tuple[Tensor, Tensor]:
    padded = nn.utils.rnn.pad_sequence(clips, batch_first=True, padding_value=fill)
    return padded, torch.tensor([len(clip) for clip in clips])


@torch.inference_mode()
def run(network: DeepSpeech2, features: Tensor, lengths: Tensor) -> list[Tensor]:
    log_probs, out_lengths = network(features, lengths)
    return [row[:length] for row, length in zip(log_probs, out_lengths, strict=True)]


def close(ours: list[Tensor], theirs: list[Tensor], tolerance: float = 1e-9) -> None:
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


def exact(config: NetworkConfig, seed: int) -> DeepSpeech2:
    """A network in float64, where a difference is a leak and never rounding."""
    return made(config, seed).double()


def random(length: int) -> Tensor:
    return torch.randn(length, MEL, dtype=torch.float64)


def test_the_reference_sizes_have_the_course_projects_parameters() -> None:
    with torch.device("meta"):
        assert DeepSpeech2(NetworkConfig(), 128, 29).parameter_count == 23_705_373


@settings(max_examples=40, deadline=None)
@given(CONFIGS, LENGTHS, st.integers(0, 99))
def test_a_clip_alone_gives_what_it_gives_in_a_ragged_batch(
    config: NetworkConfig, lengths: list[int], seed: int
) -> None:
    network = exact(config, seed)
    clips = [random(length) for length in lengths]
    together = run(network, *batch_of(clips))
    close(together, [run(network, *batch_of([clip]))[0] for clip in clips])
    assert [len(log_probs) for log_probs in together] == [-(-length // config.stride) for length in lengths]


def test_in_single_precision_a_clip_alone_differs_in_the_last_digits_at_most() -> None:
    network = made(NetworkConfig(gru_hidden=64, gru_input=96, channels=8, classifier_hidden=0))
    clips = [torch.randn(length, MEL) for length in (60, 1, 33, 7)]
    close(run(network, *batch_of(clips)), [run(network, *batch_of([clip]))[0] for clip in clips], tolerance=1e-5)


@settings(max_examples=40, deadline=None)
@given(CONFIGS, LENGTHS, st.integers(0, 99), st.integers(1, 30))
def test_what_stands_behind_a_clips_end_never_reaches_it(
    config: NetworkConfig, lengths: list[int], seed: int, extra: int
) -> None:
    network = exact(config, seed)
    features, sizes = batch_of([random(length) for length in lengths])
    noise = 100 * torch.randn(len(lengths), features.shape[1] + extra, MEL, dtype=torch.float64)
    for row, clip, length in zip(noise, features, lengths, strict=True):
        row[:length] = clip[:length]
    close(run(network, noise, sizes), run(network, features, sizes))


@settings(max_examples=30, deadline=None)
@given(CONFIGS, st.integers(1, 200))
def test_frames_that_come_out_are_those_that_go_in_by_the_stride_rounded_up(config: NetworkConfig, n: int) -> None:
    # The course project took T // 2 where its convolution gave one more.
    network = made(config)
    log_probs, lengths = network(torch.randn(1, n, MEL), torch.tensor([n]))
    assert log_probs.shape == (1, -(-n // config.stride), TOKENS)
    assert lengths.tolist() == network.out_lengths(torch.tensor([n])).tolist() == [log_probs.shape[1]]


@settings(max_examples=25, deadline=None)
@given(CONFIGS, st.permutations(range(4)), st.integers(0, 99))
def test_another_order_of_the_batch_is_another_order_of_the_results(
    config: NetworkConfig, order: list[int], seed: int
) -> None:
    network = exact(config, seed)
    clips = [random(length) for length in (12, 30, 7, 30)]
    results = run(network, *batch_of(clips))
    close(run(network, *batch_of([clips[i] for i in order])), [results[i] for i in order])


def test_each_result_depends_on_all_of_its_clip_and_nothing_of_the_others() -> None:
    # The course project's layers 2 to 5 recurred over the batch: a clip heard its neighbours, not its own past.
    network = made(replace(SMALL, kernel_time=3, residual_layers=0))
    features = torch.randn(3, 20, MEL, requires_grad=True)
    log_probs, _ = network(features, torch.tensor([20, 20, 20]))
    (gradient,) = torch.autograd.grad(log_probs[1, 5].square().sum(), features)
    reach = gradient.abs().sum(-1)
    assert (reach[1] > 0).all()
    assert (reach[[0, 2]] == 0).all()


@settings(max_examples=20, deadline=None)
@given(CONFIGS, LENGTHS)
def test_every_frame_is_a_distribution(config: NetworkConfig, lengths: list[int]) -> None:
    for log_probs in run(made(config), *batch_of([torch.randn(length, MEL) for length in lengths])):
        assert torch.isfinite(log_probs).all()
        torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(len(log_probs)), rtol=0, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(CONFIGS)
def test_every_parameter_is_learnt(config: NetworkConfig) -> None:
    network = made(config)
    log_probs, _ = network(torch.randn(2, 25, MEL), torch.tensor([25, 18]))
    torch.autograd.backward(log_probs[:, :, 0].sum())
    untouched = {name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    assert not untouched - without_effect(config)


def without_effect(config: NetworkConfig) -> set[str]:
    """Biases that are constant over the bands, which the LayerNorm after them takes away: rounding alone moves them."""
    return {f"residuals.{number}.convolutions.0.bias" for number in range(config.residual_layers)}


def test_the_biases_excused_from_learning_change_nothing() -> None:
    config = replace(SMALL, residual_layers=2)
    network = exact(config, 0)
    clips = batch_of([random(12), random(30)])
    before = run(network, *clips)
    for name in without_effect(config):
        network.get_parameter(name).data += 3.0
    close(run(network, *clips), before)
    network.get_parameter("residuals.0.convolutions.1.bias").data += 3.0
    assert any(not torch.allclose(one, other) for one, other in zip(run(network, *clips), before, strict=True))


@settings(max_examples=20, deadline=None)
@given(CONFIGS)
def test_decay_shrinks_matrices_and_spares_biases_and_norms(config: NetworkConfig) -> None:
    network = made(config)
    decayed, spared = decayed_parameters(network)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    assert sorted([names[id(p)] for p in (*decayed, *spared)]) == sorted(names.values())
    for parameter in decayed:
        assert "bias" not in names[id(parameter)]
        assert "norm" not in names[id(parameter)]
        assert parameter.dim() > 1
    for parameter in spared:
        assert "bias" in names[id(parameter)] or "norm" in names[id(parameter)]


def test_dropout_is_for_training_alone() -> None:
    network = made(SMALL)
    features, lengths = torch.randn(1, 30, MEL), torch.tensor([30])
    torch.testing.assert_close(network(features, lengths)[0], network(features, lengths)[0], rtol=0, atol=0)
    network.train()
    assert not torch.allclose(network(features, lengths)[0], network(features, lengths)[0])


def test_a_residual_stands_only_where_the_widths_agree() -> None:
    wide = made(replace(SMALL, gru_residual=True, gru_input=9))
    assert [layer.residual for layer in wide.recurrent] == [False, True, True]
    assert wide.norm is not None
    even = made(replace(SMALL, gru_residual=True, gru_input=16))
    assert [layer.residual for layer in even.recurrent] == [True, True, True]


def test_an_even_kernel_is_refused() -> None:
    for kernels in ((4, 3), (3, 4)):
        with pytest.raises(ValueError, match="must be odd"):
            NetworkConfig(kernel_time=kernels[0], kernel_mel=kernels[1])


def test_parameter_count_counts_what_a_checkpoint_holds() -> None:
    network = made(SMALL)
    assert network.parameter_count == sum(int(np.prod(value.shape)) for value in network.state_dict().values())


def test_locked_dropout_takes_the_same_units_from_every_frame() -> None:
    torch.manual_seed(0)
    dropout = LockedDropout(0.5)
    x = torch.randn(40, 3, 64)
    dropped = dropout(x)
    kept = dropped != 0
    assert (kept == kept[:1]).all()
    assert not (kept[:, 0] == kept[:, 1]).all()
    assert 0.3 < kept.float().mean() < 0.7
    torch.testing.assert_close(dropped[kept], 2 * x[kept])
    torch.testing.assert_close(dropout.eval()(x), x)


def test_a_second_classifier_teaches_the_layers_below_it_and_changes_no_result() -> None:
    config = replace(SMALL, auxiliary_layer=1)
    network = made(config).train()
    features, lengths = torch.randn(2, 30, MEL), torch.tensor([30, 21])
    _, early, _ = network.both(features, lengths)
    assert early is not None
    torch.testing.assert_close(early.exp().sum(-1), torch.ones(early.shape[:2]))
    torch.autograd.backward(early[:, :, 1].sum())
    assert network.convolution.weight.grad is not None
    assert all(parameter.grad is None for parameter in network.recurrent[1].parameters())
    network.zero_grad()
    _, early, _ = network.both(features, lengths, apart=True)
    assert early is not None
    torch.autograd.backward(early[:, :, 1].sum())
    taught = {name.partition(".")[0] for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert taught == {"auxiliary"}
    assert network.eval().both(features, lengths)[1] is None
    assert made(SMALL).train().both(features, lengths)[1] is None
    with pytest.raises(ValueError, match="auxiliary_layer must lie below gru_layers"):
        replace(SMALL, auxiliary_layer=SMALL.gru_layers)


def test_in_training_bfloat16_products_change_the_result_and_the_gradients_by_rounding_alone() -> None:
    config = NetworkConfig(channels=8, gru_hidden=64, gru_input=96, gru_layers=2, dropout=0, gru_dropout=0)
    network = made(config, mel=40).train()
    features, lengths = torch.randn(3, 120, 40), torch.tensor([120, 61, 33])
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        network.zero_grad()
        with products_in(dtype):
            log_probs, _ = network(features, lengths)
            log_probs[..., 0].sum().backward()
        weight = network.convolution.weight
        assert weight.grad is not None
        assert log_probs.dtype == weight.grad.dtype == torch.float32
        found.append((log_probs.detach(), weight.grad.clone()))
    for exact_one, rounded in zip(*found, strict=True):
        difference = float((rounded - exact_one).norm() / exact_one.norm())
        assert 0 < difference < 0.03

    with products_in(torch.bfloat16), torch.inference_mode():
        rounded = network.eval()(features, lengths)[0]
    torch.testing.assert_close(rounded, network(features, lengths)[0].detach(), rtol=0, atol=1e-6)
