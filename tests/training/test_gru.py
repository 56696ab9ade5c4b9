"""The quick GRU against `torch.nn.GRU`, which reads packed sequences and is the definition."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from auricle.training import compiled
from auricle.training.gru import GRU, BiGRU, fastest_products, products, products_in


@contextmanager
def recurrence(kind: str) -> Iterator[None]:
    """Have the recurrence run in C or as tensor operations; skip a test that asks for C where it is not to be had."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AURICLE_COMPILE", str(int(kind == "compiled")))
        if kind == "compiled" and compiled.kernel(products()) is None:
            pytest.skip(f"no compiled recurrence with products in {products()} here")
        yield


both_recurrences = pytest.mark.parametrize("kind", ["tensors", "compiled"])


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
    return float((ours - theirs).detach().norm() / theirs.detach().norm().clamp(min=1e-12))


SHAPES = given(
    lengths=st.lists(st.integers(1, 23), min_size=1, max_size=5),
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 12)),
    extra=st.integers(0, 3),
    seed=st.integers(0, 1000),
)


def layer_with_biases(sizes: tuple[int, int], seed: int) -> BiGRU:
    torch.manual_seed(seed)
    layer = BiGRU(*sizes)
    for bias in (layer.bias_ih, layer.bias_hh):
        bias.data.normal_()
    return layer


def gradients_of(layer: BiGRU, lengths: list[int], extra: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Run the layer and `nn.GRU` forth and back: for the output and each gradient, ours and theirs."""
    reference = as_nn_gru(layer)
    x = torch.randn(max(lengths), len(lengths), layer.input_size)
    padded = torch.cat((x, torch.randn(extra, *x.shape[1:]))).requires_grad_()
    x.requires_grad_()
    ours = layer(padded, torch.tensor(lengths))
    theirs = reference_run(reference, x, torch.tensor(lengths))
    assert torch.all(ours[max(lengths) :] == 0)
    ours = ours[: max(lengths)]
    probe = torch.randn_like(theirs)
    torch.autograd.backward([(ours * probe).sum(), (theirs * probe).sum()])
    assert padded.grad is not None
    assert x.grad is not None
    found = {"out": (ours.detach(), theirs.detach()), "x": (padded.grad[: max(lengths)], x.grad)}
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        found[name] = (
            getattr(layer, name).grad,
            torch.stack([getattr(reference, f"{name}_l0{suffix}").grad for suffix in ("", "_reverse")]),
        )
    return found


@both_recurrences
@settings(max_examples=25, deadline=None)
@SHAPES
def test_outputs_and_gradients_are_those_of_nn_gru_on_ragged_batches(
    kind: str, lengths: list[int], sizes: tuple[int, int], extra: int, seed: int
) -> None:
    with products_in(torch.float32), recurrence(kind):
        for name, (ours, theirs) in gradients_of(layer_with_biases(sizes, seed), lengths, extra).items():
            assert relative(ours, theirs) < 1e-5, name


@both_recurrences
@settings(max_examples=25, deadline=None)
@SHAPES
def test_products_in_bfloat16_change_gradients_by_its_rounding_alone(
    kind: str, lengths: list[int], sizes: tuple[int, int], extra: int, seed: int
) -> None:
    # Eight bits of mantissa: 0.4 % a product. In a network of a few units a gradient may all but cancel out, and what
    # is left of it is mostly rounding, so that shapes of a usable size are asked for.
    layer = layer_with_biases((16 * sizes[0], 16 * sizes[1]), seed)
    with products_in(torch.bfloat16), recurrence(kind):
        for name, (ours, theirs) in gradients_of(layer, lengths, extra).items():
            assert ours.dtype == torch.float32
            assert relative(ours, theirs) < 1e-2, name


@both_recurrences
@settings(max_examples=15, deadline=None)
@SHAPES
def test_a_layer_in_reading_order_is_nn_gru_too(
    kind: str, lengths: list[int], sizes: tuple[int, int], extra: int, seed: int
) -> None:
    torch.manual_seed(seed)
    layer, reference = GRU(*sizes), nn.GRU(*sizes)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        with torch.no_grad():
            getattr(layer, name)[0].copy_(getattr(reference, f"{name}_l0"))
    x, wanted = torch.randn(max(lengths) + extra, len(lengths), sizes[0]), torch.randn(sizes[1])
    given, expected = x.clone().requires_grad_(), x.clone().requires_grad_()
    with products_in(torch.float32), recurrence(kind):
        ours, theirs = layer(given), reference(expected)[0]
        for out in (ours, theirs):
            (out.square() @ wanted).sum().backward()
    assert relative(ours, theirs) < 1e-5
    assert given.grad is not None
    assert expected.grad is not None
    assert relative(given.grad, expected.grad) < 1e-5
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        assert relative(getattr(layer, name).grad[0], getattr(reference, f"{name}_l0").grad) < 1e-5, name


@both_recurrences
def test_long_sequences_and_full_batches_are_those_of_nn_gru_too(kind: str) -> None:
    # More clips than rows of a block, units that fill no panel, and sums over thousands of frames.
    torch.manual_seed(0)
    with products_in(torch.float32), recurrence(kind):
        for name, (ours, theirs) in gradients_of(BiGRU(24, 70), [310] * 8 + [1, 120, 309], 2).items():
            assert relative(ours, theirs) < 1e-5, name


@both_recurrences
def test_what_is_not_a_number_stays_none(kind: str) -> None:
    # The training loop leaves out a step by it.
    layer, x = layer_with_biases((4, 6), 0), torch.randn(9, 2, 4)
    x[3, 1, 2] = torch.nan
    for dtype in (torch.float32, torch.bfloat16):
        with products_in(dtype), recurrence(kind):
            out = layer(x, torch.tensor([9, 9]))
        assert out[:, 0].isfinite().all()
        assert out[3:, 1].isnan().any(dim=-1).all()


def test_without_a_compiler_the_recurrence_is_made_of_tensor_operations(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiled._compiled.cache_clear()
    try:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setenv("CC", "no-compiler-of-this-name")
        assert compiled.kernel(torch.float32) is None
        compiled._compiled.cache_clear()
        monkeypatch.setenv("CC", "false")  # one that fails
        assert compiled.kernel(torch.float32) is None
        with products_in(torch.float32):
            assert BiGRU(4, 6)(torch.randn(5, 1, 4), torch.tensor([5])).isfinite().all()
    finally:
        compiled._compiled.cache_clear()


def test_a_compiled_recurrence_is_kept_for_the_next_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiled._compiled.cache_clear()
    try:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        if compiled.kernel(torch.float32) is None:
            pytest.skip("no C compiler here")
        (kept,) = (tmp_path / "auricle").iterdir()
        written = kept.stat().st_mtime_ns
        compiled._compiled.cache_clear()
        assert compiled.kernel(torch.float32) is not None
        assert [one.stat().st_mtime_ns for one in (tmp_path / "auricle").iterdir()] == [written]
    finally:
        compiled._compiled.cache_clear()


def test_bfloat16_is_chosen_where_the_processor_multiplies_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with products_in(torch.bfloat16):
        assert products() == torch.bfloat16
    assert products() == fastest_products()
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert fastest_products() == torch.bfloat16
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert fastest_products() == torch.float32


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
