"""The recurrence of a GRU layer and its gradient, as tensor operations: what runs where `compiled` does not."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from auricle.training.compiled import kernel


class Recurrence(Protocol):
    """What `gru` asks of it, for D directions, one or two. H units, gates in the order r, z, n.

    Biases [D, 4H] are those of r, z, n's input and n's state.
    """

    def recur(self, gates: Tensor, biases: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run over W_ih x, [D, T, B, 3H] in the type of the products, with W_hh [D, 3H, H].

        Returns states [D, T + 1, B, H], the same in the type of the products, and what the gradient needs of each step,
        [D, T, B, 4H]: r, z, n and W_hn h + b_hn.
        """
        ...

    def recur_backward(
        self, grad: Tensor, weight: Tensor, states: Tensor, saved: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of W_hh h + b_hh and of W_ih x + b_ih, [2, T, B, 3H], and of the biases, [2, 4H].

        `grad` [2, T, B, H] is that of the states, and may be overwritten. The first two have the type of the products.
        """
        ...


def recurrence(products: torch.dtype, state: torch.dtype, hidden: int) -> Recurrence:
    """Return the quickest recurrence there is for products and states of these types."""
    compiled = kernel(products) if state == torch.float32 and hidden % 2 == 0 else None
    return compiled or TensorRecurrence()


class TensorRecurrence:
    """The recurrence in PyTorch: all directions in one loop, all that can be outside of it outside."""

    def recur(self, gates: Tensor, biases: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `Recurrence.recur`."""
        directions, steps, batch, width = gates.shape
        hidden = width // 3
        gates = gates + biases[:, None, None, :width]
        bias_n = biases[:, None, width:]
        product = weight.transpose(1, 2).contiguous()
        states = gates.new_empty(directions, steps + 1, batch, hidden)
        states[:, 0] = 0
        saved = gates.new_empty(directions, steps, batch, 4 * hidden)
        recurrent = product.new_empty(directions, batch, width)
        for step in range(steps):
            state, row, gate = states[:, step], saved[:, step], gates[:, step]
            torch.bmm(state.to(product.dtype), product, out=recurrent)
            rz, new, hidden_n = row.split((2 * hidden, hidden, hidden), dim=-1)  # type: ignore[no-untyped-call]
            torch.add(gate[..., : 2 * hidden], recurrent[..., : 2 * hidden], out=rz)
            rz.sigmoid_()
            torch.add(recurrent[..., 2 * hidden :], bias_n, out=hidden_n)
            torch.addcmul(gate[..., 2 * hidden :], rz[..., :hidden], hidden_n, out=new)
            new.tanh_()
            torch.lerp(new, state, rz[..., hidden:], out=states[:, step + 1])
        return states, states.to(product.dtype), saved

    def recur_backward(
        self, grad: Tensor, weight: Tensor, states: Tensor, saved: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `Recurrence.recur_backward`."""
        directions, steps, batch, hidden = grad.shape
        r, z, n, hidden_n = saved.unflatten(-1, (4, hidden)).unbind(-2)  # type: ignore[no-untyped-call]
        # d(loss)/d(each gate's input) is d(loss)/d(h') times a factor known before the loop.
        to_n = (1 - z).mul_(1 - n * n)
        recurrent = saved.new_empty(directions, steps, batch, 3, hidden)
        torch.mul(to_n * hidden_n, r * (1 - r), out=recurrent[..., 0, :])
        torch.mul(states[:, :-1] - n, z * (1 - z), out=recurrent[..., 1, :])
        torch.mul(to_n, r, out=recurrent[..., 2, :])
        carried = saved.new_zeros(directions, batch, hidden)
        narrow = weight.new_empty(directions, batch, hidden)
        for step in range(steps - 1, -1, -1):
            total = grad[:, step].add_(carried)
            factors = recurrent[:, step]
            factors.mul_(total.unsqueeze(-2))
            torch.bmm(factors.flatten(-2).to(weight.dtype), weight, out=narrow)
            torch.addcmul(narrow, total, z[:, step], out=carried)
        recurrent = recurrent.flatten(-2)
        inputs = recurrent.clone()
        torch.mul(grad, to_n, out=inputs[..., 2 * hidden :])
        biases = torch.cat((inputs.sum((1, 2)), recurrent[..., 2 * hidden :].sum((1, 2))), dim=-1)
        return recurrent.to(weight.dtype), inputs.to(weight.dtype), biases
