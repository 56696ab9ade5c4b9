"""Muon: steps that go equally far in all directions of each inner matrix, and AdamW's for everything else."""

from pathlib import Path

import pytest
import torch
from torch import nn

from auricle.training.gru import BiGRU
from auricle.training.muon import Muon, matrices_of, orthogonal, parameter_groups
from auricle.training.network import DeepSpeech2
from auricle.training.recipe import read_recipe

TINY = Path(__file__).parents[2] / "recipes" / "tiny.toml"


def with_values(rows: int, columns: int, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a matrix of these singular values, and its left and right singular vectors."""
    chance = torch.Generator().manual_seed(0)
    left, _ = torch.linalg.qr(torch.randn(rows, len(values), generator=chance))
    right, _ = torch.linalg.qr(torch.randn(columns, len(values), generator=chance))
    return left * values @ right.T, left, right


@pytest.mark.parametrize("shape", [(96, 96), (200, 96), (96, 300)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_directions_become_alike_and_stay_where_they_are(shape: tuple[int, int], dtype: torch.dtype) -> None:
    matrix, left, right = with_values(*shape, torch.logspace(-2, 0, 96))
    turned = left.T @ orthogonal(matrix * 1e-4, dtype) @ right
    along = turned.diagonal()
    assert 0.4 < float(along.min()) < float(along.max()) < 1.6  # from a hundredth to one, before
    assert float((turned - along.diag()).abs().max()) < (1e-3 if dtype == torch.float32 else 0.1)


def test_a_matrix_of_zeros_makes_no_step() -> None:
    assert not orthogonal(torch.zeros(4, 7)).any()


def network() -> DeepSpeech2:
    torch.manual_seed(0)
    recipe = read_recipe(TINY)
    return DeepSpeech2(recipe.network, recipe.features.mel, 29)


def loss_of(net: DeepSpeech2) -> torch.Tensor:
    chance = torch.Generator().manual_seed(1)
    log_probs, _ = net.forward(torch.randn(2, 60, 40, generator=chance), torch.tensor([60, 50]))
    return log_probs[..., 5].mean().neg()


def test_every_gate_of_a_gru_is_a_matrix_of_its_own() -> None:
    net = network()
    gru = next(module for module in net.modules() if isinstance(module, BiGRU))
    before = gru.weight_hh.detach().clone()
    optimizer = Muon(parameter_groups(net, weight_decay=0.0), lr=0.01)
    torch.autograd.backward(loss_of(net))
    optimizer.step()
    gates = matrices_of((gru.weight_hh.detach() - before) / (0.01 * 0.2 * 96**0.5))
    assert gates.shape == (6, 96, 96)
    for gate in gates:  # of two clips the gradient has few directions, but the first of them has the length of a step
        assert 0.4 < float(torch.linalg.matrix_norm(gate, 2)) < 1.8  # products in bfloat16 are a little off


def test_all_parameters_are_in_one_group_and_the_first_and_the_last_layer_are_adamws() -> None:
    net = network()
    inner, rest, spared = (group["params"] for group in parameter_groups(net, weight_decay=0.1))
    everyone = [*inner, *rest, *spared]
    assert len(everyone) == len({id(parameter) for parameter in everyone}) == len(list(net.parameters()))
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    assert {names[id(parameter)].rpartition(".")[2] for parameter in inner} == {"weight", "weight_ih", "weight_hh"}
    assert all(parameter.ndim > 1 for parameter in inner)
    ends = [module.weight for module in (*first_convolution(net), *classifiers(net))]
    assert {id(weight) for weight in ends} == {id(parameter) for parameter in rest}


def first_convolution(net: DeepSpeech2) -> list[nn.Conv2d]:
    return [next(module for module in net.modules() if isinstance(module, nn.Conv2d))]


def classifiers(net: DeepSpeech2) -> list[nn.Linear]:
    return [module for module in net.modules() if isinstance(module, nn.Linear) and module.out_features == 29]


def test_the_rest_makes_adamws_steps_to_the_digit() -> None:
    ours, theirs = network(), network()
    mine = Muon(parameter_groups(ours, weight_decay=0.1), lr=1e-3, betas=(0.9, 0.98))
    _, rest, spared = parameter_groups(theirs, weight_decay=0.1)
    adamw = torch.optim.AdamW([rest, spared], lr=1e-3, betas=(0.9, 0.98))
    for net, optimizer in ((ours, mine), (theirs, adamw)):
        torch.autograd.backward(loss_of(net))
        optimizer.step()
    moved = {id(parameter) for group in (rest, spared) for parameter in group["params"]}
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other) == (id(other) in moved)


def test_a_closure_that_empties_the_gradients_empties_all_of_them() -> None:
    net = network()
    optimizer = Muon(parameter_groups(net, weight_decay=0.0), lr=0.0)  # stands still, so that each pass is the same

    def closure() -> float:
        optimizer.zero_grad()
        loss = loss_of(net)
        torch.autograd.backward(loss)
        return float(loss.detach())

    optimizer.step(closure)
    once = [parameter.grad.clone() for parameter in net.parameters() if parameter.grad is not None]
    optimizer.step(closure)
    twice = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
    assert once
    for first, second in zip(once, twice, strict=True):
        torch.testing.assert_close(first, second)
