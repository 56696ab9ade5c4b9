"""The quick GRU against `torch.nn.GRU`, which reads packed sequences and is the definition."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from auricle.training.gru import BiGRU


def as_nn_gru(layer: BiGRU) -> nn.GRU:
    reference = nn.GRU(layer.input_size, layer.hidden, bidirectional=True)
    for direction, suffix in enumerate(("", "_reverse")):
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(reference, f"{name}_l0{suffix}").data.copy_(getattr(layer, name)[direction])
    return reference


def reference_run(reference: nn.GRU, x: Tensor, lengths: Tensor) -> Tensor:
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    out: Tensor = pad_packed_sequence(reference(packed)[0], total_length=len(x))[0]
    return out


def relative(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm().clamp(min=1e-12))


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 23), min_size=1, max_size=5),
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 12)),
    extra=st.integers(0, 3),
    seed=st.integers(0, 1000),
)
def test_outputs_and_gradients_are_those_of_nn_gru_on_ragged_batches(
    lengths: list[int], sizes: tuple[int, int], extra: int, seed: int
) -> None:
    torch.manual_seed(seed)
    layer = BiGRU(*sizes)
    for bias in (layer.bias_ih, layer.bias_hh):
        bias.data.normal_()
    reference = as_nn_gru(layer)
    x = torch.randn(max(lengths), len(lengths), sizes[0])
    padded = torch.cat((x, torch.randn(extra, *x.shape[1:]))).requires_grad_()
    x.requires_grad_()
    ours = layer(padded, torch.tensor(lengths))
    theirs = reference_run(reference, x, torch.tensor(lengths))
    assert torch.all(ours[max(lengths) :] == 0)
    torch.testing.assert_close(ours[: max(lengths)], theirs, rtol=1e-5, atol=1e-6)

    probe = torch.randn_like(theirs)
    torch.autograd.backward([(ours[: max(lengths)] * probe).sum(), (theirs * probe).sum()])
    assert padded.grad is not None
    assert x.grad is not None
    assert relative(padded.grad[: max(lengths)], x.grad) < 1e-5
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        theirs_grad = torch.stack([getattr(reference, f"{name}_l0{suffix}").grad for suffix in ("", "_reverse")])
        assert relative(getattr(layer, name).grad, theirs_grad) < 1e-5, name


def test_a_sequence_does_not_see_its_neighbours_or_its_padding() -> None:
    torch.manual_seed(0)
    layer = BiGRU(6, 8)
    x = torch.randn(20, 3, 6)
    together = layer(x, torch.tensor([20, 7, 13]))
    alone = layer(x[:7, 1:2], torch.tensor([7]))
    torch.testing.assert_close(together[:7, 1:2], alone, rtol=0, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU at hand for the cuDNN path")
def test_cudnn_gives_what_the_loop_gives() -> None:
    torch.manual_seed(0)
    layer = BiGRU(6, 8)
    x, lengths = torch.randn(20, 3, 6), torch.tensor([20, 7, 13])
    on_cpu = layer(x, lengths)
    torch.testing.assert_close(layer.cuda()(x.cuda(), lengths.cuda()).cpu(), on_cpu, rtol=1e-4, atol=1e-5)
