"""GRU layers over padded batches, bidirectional or in reading order, exact for every length, and quick on a CPU.

The equations and the gate order (reset, update, new) are those of `torch.nn.GRU` (Cho et al., 2014, in the variant of
cuDNN, where the reset gate acts after the recurrent product):

    r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)
    z = sigmoid(W_iz x + b_iz + W_hz h + b_hz)
    n = tanh(W_in x + b_in + r * (W_hn h + b_hn))
    h' = (1 - z) * n + z * h

The backward direction reads each sequence reversed within its own length, so that padding always comes last: what
happens there never reaches a valid frame, and no step needs a mask.

On a CPU both directions run in one loop. `nn.GRU` adds to the weight gradient at every step; here every gate's
derivative is laid out beforehand, only the state's gradient stays in the loop, and the weight gradient is one product
over all steps. On a GPU the same parameters go through cuDNN.

Where the processor multiplies bfloat16 (AMX, AVX512-BF16), the products do, eight times and twice as fast; states,
gates and all sums over time stay in float32, and so does all of it outside training. `products_in` chooses for a part
of a program.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from auricle.training.recurrence import recurrence


def fastest_products() -> torch.dtype:
    """Return the type whose products this processor makes fastest: bfloat16 where it has instructions for it."""
    cpu = torch.cpu
    quick = cpu._is_amx_tile_supported() or cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if quick else torch.float32


_PRODUCTS: ContextVar[torch.dtype] = ContextVar("products")


def products() -> torch.dtype:
    """Return the type that matrix products on the CPU are made in here: `fastest_products` unless chosen otherwise."""
    return _PRODUCTS.get(None) or fastest_products()


@contextmanager
def products_in(dtype: torch.dtype) -> Iterator[None]:
    """Make the products of a block in float32 or bfloat16, whatever the processor."""
    token = _PRODUCTS.set(dtype)
    try:
        yield
    finally:
        _PRODUCTS.reset(token)


class BiGRU(nn.Module):
    """One bidirectional layer: [T, B, input] and lengths [B] in, [T, B, 2 * hidden] out, zero after each length.

    Parameters have two directions in front: `weight_ih [2, 3H, I]`, `weight_hh [2, 3H, H]`, `bias_ih` and `bias_hh`
    [2, 3H].
    """

    def __init__(self, input_size: int, hidden: int) -> None:
        super().__init__()
        self.input_size, self.hidden = input_size, hidden
        self.weight_ih = nn.Parameter(torch.empty(2, 3 * hidden, input_size))
        self.weight_hh = nn.Parameter(torch.empty(2, 3 * hidden, hidden))
        self.bias_ih = nn.Parameter(torch.zeros(2, 3 * hidden))
        self.bias_hh = nn.Parameter(torch.zeros(2, 3 * hidden))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot for the input weights, orthogonal for each recurrent gate (Saxe et al., 2013), zero biases."""
        _fill(self.weight_ih, self.weight_hh)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Run both directions; `lengths` (int64 [B]) are frames, all above zero."""
        steps = len(x)
        reverse = reversal(lengths, steps).view(-1)
        run = self._cudnn if x.is_cuda else self._loop
        return run(x, reverse) * valid(lengths, steps).unsqueeze(-1)

    def _loop(self, x: Tensor, reverse: Tensor) -> Tensor:
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        # Autocast would turn the very sums to bfloat16 that must not be.
        with torch.autocast("cpu", enabled=False):
            x = x.to(self.weight_ih.dtype)
            dtype = products() if self.training and x.dtype == torch.float32 else x.dtype
            out: Tensor = _Bidirectional.apply(x, reverse, *weights, dtype)  # type: ignore[no-untyped-call]
        return out

    def _cudnn(self, x: Tensor, reverse: Tensor) -> Tensor:
        outputs = []
        for direction in range(2):
            weights = [w[direction] for w in (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)]
            initial = x.new_zeros(1, x.shape[1], self.hidden)
            ordered = _reordered(x, reverse) if direction else x
            out = torch._VF.gru(ordered, initial, weights, True, 1, 0.0, self.training, False, False)[0]
            outputs.append(_reordered(out, reverse) if direction else out)
        return torch.cat(outputs, dim=-1)


class GRU(nn.Module):
    """One layer in reading order: [T, B, input] in, [T, B, hidden] out. What stands after a text changes nothing in it.

    Its parameters have one direction in front, as `BiGRU`'s have two.
    """

    def __init__(self, input_size: int, hidden: int) -> None:
        super().__init__()
        self.input_size, self.hidden = input_size, hidden
        self.weight_ih = nn.Parameter(torch.empty(1, 3 * hidden, input_size))
        self.weight_hh = nn.Parameter(torch.empty(1, 3 * hidden, hidden))
        self.bias_ih = nn.Parameter(torch.zeros(1, 3 * hidden))
        self.bias_hh = nn.Parameter(torch.zeros(1, 3 * hidden))
        _fill(self.weight_ih, self.weight_hh)

    def forward(self, x: Tensor) -> Tensor:
        """Run over all texts of a batch, each from a state of zeros."""
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        with torch.autocast("cpu", enabled=False):
            x = x.to(self.weight_ih.dtype)
            dtype = products() if self.training and x.dtype == torch.float32 else x.dtype
            out: Tensor = _Forward.apply(x, *weights, dtype)  # type: ignore[no-untyped-call]
        return out


def _fill(weight_ih: Tensor, weight_hh: Tensor) -> None:
    """Glorot for the input weights, orthogonal for each recurrent gate (Saxe et al., 2013)."""
    hidden = weight_hh.shape[-1]
    for direction in range(len(weight_hh)):
        for gate in range(3):
            rows = slice(gate * hidden, (gate + 1) * hidden)
            nn.init.xavier_uniform_(weight_ih.data[direction, rows])
            nn.init.orthogonal_(weight_hh.data[direction, rows])


def valid(lengths: Tensor, steps: int) -> Tensor:
    """Return a mask [T, B], true where a frame belongs to its sequence."""
    return torch.arange(steps, device=lengths.device)[:, None] < lengths[None, :]


def reversal(lengths: Tensor, steps: int) -> Tensor:
    """Return row indices [T, B] into [T * B, ...] that reverse each sequence within its length; padding stays put."""
    batch = len(lengths)
    time = torch.arange(steps, device=lengths.device)[:, None].expand(steps, batch)
    source = torch.where(time < lengths, lengths - 1 - time, time)
    return source * batch + torch.arange(batch, device=lengths.device)


def _reordered(x: Tensor, rows: Tensor) -> Tensor:
    """Return x [T, B, ...] with its T * B rows in another order."""
    return x.reshape(len(rows), -1).index_select(0, rows).view_as(x)


class _Bidirectional(torch.autograd.Function):
    """The whole layer: x [T, B, I] to states [T, B, 2H]. Inside, direction comes first: products need no copies."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd calls it by position
        ctx: Any,
        x: Tensor,
        reverse: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
        dtype: torch.dtype,
    ) -> Tensor:
        steps, batch, _ = x.shape
        hidden, full = weight_hh.shape[-1], x.dtype
        # Each weight is converted once a batch: at every step it would cost more than the product.
        x, weight_ih, weight_hh = x.to(dtype), weight_ih.to(dtype), weight_hh.to(dtype)
        biases = _side_by_side(bias_ih, bias_hh)
        gates = x.new_empty(2, steps, batch, 3 * hidden)
        for direction, ordered in enumerate((x, _reordered(x, reverse))):
            rows = gates[direction].view(steps * batch, -1)
            torch.mm(ordered.reshape(steps * batch, -1), weight_ih[direction].T, out=rows)
        states, narrow, saved = recurrence(dtype, full, hidden).recur(gates, biases, weight_hh)
        ctx.save_for_backward(x, reverse, weight_ih, weight_hh, states, narrow, saved)
        return torch.cat((states[0, 1:], _reordered(states[1, 1:], reverse)), dim=-1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, reverse, weight_ih, weight_hh, states, narrow, saved = ctx.saved_tensors
        steps, batch, hidden = len(x), x.shape[1], weight_hh.shape[-1]
        dtype, full = x.dtype, grad.dtype
        gradients = torch.stack((grad[..., :hidden], _reordered(grad[..., hidden:], reverse)))
        run = recurrence(dtype, full, hidden)
        recurrent, inputs, biases = run.recur_backward(gradients, weight_hh, states, saved)
        rows = steps * batch
        recurrent, inputs = recurrent.view(2, rows, -1), inputs.view(2, rows, -1)
        bias_grads = _apart(biases)
        weight_hh_grad = torch.bmm(recurrent.transpose(1, 2), narrow[:, :-1].reshape(2, rows, hidden)).to(full)
        flat = x.reshape(rows, -1)
        weight_ih_grad = torch.empty_like(weight_ih, dtype=full)
        weight_ih_grad[0] = inputs[0].T @ flat
        weight_ih_grad[1] = inputs[1].T @ flat.index_select(0, reverse)
        x_grad = (inputs[1] @ weight_ih[1]).index_select(0, reverse).addmm_(inputs[0], weight_ih[0]).view_as(x)
        return x_grad.to(full), None, weight_ih_grad, weight_hh_grad, *bias_grads, None


class _Forward(torch.autograd.Function):
    """The layer in reading order: x [T, B, I] to states [T, B, H]."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd calls it by position
        ctx: Any,
        x: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
        dtype: torch.dtype,
    ) -> Tensor:
        hidden, full = weight_hh.shape[-1], x.dtype
        x, weight_ih, weight_hh = x.to(dtype), weight_ih.to(dtype), weight_hh.to(dtype)
        gates = (x @ weight_ih[0].T).unsqueeze(0)
        run = recurrence(dtype, full, hidden)
        states, narrow, saved = run.recur(gates, _side_by_side(bias_ih, bias_hh), weight_hh)
        ctx.save_for_backward(x, weight_ih, weight_hh, states, narrow, saved)
        return states[0, 1:]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_ih, weight_hh, states, narrow, saved = ctx.saved_tensors
        rows, hidden, full = grad.shape[0] * grad.shape[1], grad.shape[-1], grad.dtype
        run = recurrence(x.dtype, full, hidden)
        # The gradient may be overwritten, and may be a view of something else.
        recurrent, inputs, biases = run.recur_backward(grad.unsqueeze(0).clone(), weight_hh, states, saved)
        flat = inputs.view(rows, -1)
        weight_hh_grad = recurrent.view(rows, -1).T @ narrow[0, :-1].reshape(rows, hidden)
        weight_ih_grad = flat.T @ x.reshape(rows, -1)
        x_grad = (flat @ weight_ih[0]).view_as(x)
        return x_grad.to(full), weight_ih_grad.to(full)[None], weight_hh_grad.to(full)[None], *_apart(biases), None


def _side_by_side(bias_ih: Tensor, bias_hh: Tensor) -> Tensor:
    """Return biases [D, 4H]: those of r and z, of n's input, of n's state."""
    hidden = bias_hh.shape[-1] // 3
    # The recurrent biases of r and z only ever stand beside the input's.
    both = bias_ih + nn.functional.pad(bias_hh[:, : 2 * hidden], (0, hidden))
    return torch.cat((both, bias_hh[:, 2 * hidden :]), dim=-1)


def _apart(grad: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of both biases from that of those side by side."""
    hidden = grad.shape[-1] // 4
    return grad[:, : 3 * hidden], torch.cat((grad[:, : 2 * hidden], grad[:, 3 * hidden :]), dim=-1)
