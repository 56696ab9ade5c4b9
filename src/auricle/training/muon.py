"""Muon: momentum whose matrices are made orthogonal before each step (Jordan et al., 2024), beside AdamW for the rest.

The gradient of a layer has few large directions and many small ones. AdamW scales each value by itself and leaves that
so; Muon goes equally far in all directions of a matrix, so that the rare ones are learnt as well. Its steps are scaled
to the size of AdamW's (Liu et al., 2025, "Muon is scalable for LLM training"), which lets both share one learning rate
and one weight decay.

Each gate of each direction of a GRU is a matrix of its own. The processes of a run share the work: each makes its part
of the matrices orthogonal, and all receive all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from auricle.training.gru import BiGRU, products
from auricle.training.network import ResidualConvolution, decayed_parameters

_MOMENTUM = 0.95
_SIZE = 0.2
"""Root mean square of AdamW's steps in practice, in learning rates."""
_POLAR = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
)
"""The first polynomials of the Polar Express (Amsel et al., 2025), each applied to what the one before it has left."""


class Muon(torch.optim.AdamW):
    """AdamW, but for the parameter groups with `"orthogonal": True`, which take Muon's steps."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take up a saved state. AdamW's own way expects its `step` in every one, which Muon's do not have."""
        torch.optim.Optimizer.__setstate__(self, state)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Make one step of both kinds."""
        # The closure empties the gradients of all groups, so all must be there while it runs.
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        every = self.param_groups
        self.param_groups = [group for group in every if not group.get("orthogonal")]
        try:
            super().step()
        finally:
            self.param_groups = every
        for group in every:
            if group.get("orthogonal"):
                self._go_equally_far(group)
        return loss

    def _go_equally_far(self, group: dict[str, Any]) -> None:
        parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
        directions = [matrix for parameter in parameters for matrix in matrices_of(self._ahead(parameter))]
        steps = iter(_shared(directions))
        for parameter in parameters:
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            for weight in matrices_of(parameter):
                weight.add_(next(steps), alpha=-group["lr"] * _SIZE * math.sqrt(max(weight.shape)))

    def _ahead(self, parameter: nn.Parameter) -> Tensor:
        """Move the parameter's momentum, and return where Nesterov's look ahead takes it."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum: Tensor = state["momentum"].lerp_(parameter.grad, 1 - _MOMENTUM)
        return parameter.grad.lerp(momentum, _MOMENTUM)


def matrices_of(parameter: Tensor) -> Tensor:
    """Return views [n, rows, columns] of what is one matrix each.

    These are the six gates of a bidirectional GRU's weight [2, 3H, I]; the whole weight [out, in] of a linear layer;
    and that of a convolution [out, in, height, width], a row for each output.
    """
    if parameter.ndim == 3:
        return parameter.view(-1, parameter.shape[1] // 3, parameter.shape[2])
    return parameter.flatten(1).unsqueeze(0)


def orthogonal(matrix: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return the matrix [rows, columns] with its singular values brought near one, in float32.

    Values from the largest down to a hundredth of it end between 0.4 and 1.6, lesser ones below that. That is near
    enough: more polynomials would cost more time than they save steps.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = (x / (x.norm() * 1.01 + 1e-20)).to(dtype)
    for first, third, fifth in _POLAR:
        gram = x @ x.T
        gram = torch.addmm(gram, gram, gram, beta=third, alpha=fifth)
        x = torch.addmm(x, gram, x, beta=first)
    return (x.T if tall else x).float()


def _shared(matrices: list[Tensor]) -> list[Tensor]:
    """Return each matrix made orthogonal. Every process makes its part and gives it to the others."""
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    processes = torch.distributed.get_world_size() if together else 1
    rank = torch.distributed.get_rank() if together else 0
    costs = [matrix.numel() * min(matrix.shape) for matrix in matrices]
    makers = _divided(costs, processes)
    sizes = [matrix.numel() for matrix in matrices]
    flat = torch.zeros(sum(sizes), device=matrices[0].device if matrices else None)
    out = [part.view_as(matrix) for part, matrix in zip(torch.split(flat, sizes), matrices, strict=True)]
    for matrix, maker, place in zip(matrices, makers, out, strict=True):
        if maker == rank:
            place.copy_(orthogonal(matrix, torch.float32 if matrix.is_cuda else products()))
    if processes > 1:
        torch.distributed.all_reduce(flat)
    return out


def _divided(costs: list[int], processes: int) -> list[int]:
    """Return which process takes each piece of work: the dearest first, each to whoever has least."""
    loads, makers = [0] * processes, [0] * len(costs)
    for index in sorted(range(len(costs)), key=lambda index: -costs[index]):
        makers[index] = loads.index(min(loads))
        loads[makers[index]] += costs[index]
    return makers


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split the parameters: the inner matrices for Muon; first convolution, classifiers, biases and norms for AdamW."""
    inner: list[Tensor] = [cast(nn.Linear, network.projection).weight]
    for module in network.modules():
        if isinstance(module, BiGRU):
            inner += [module.weight_ih, module.weight_hh]
        if isinstance(module, ResidualConvolution):
            inner += [weight for weight in module.convolutions.parameters() if weight.ndim > 1]
    taken = {id(parameter) for parameter in inner}
    decayed, spared = decayed_parameters(network)
    rest = [parameter for parameter in decayed if id(parameter) not in taken]
    return [
        {"params": inner, "weight_decay": weight_decay, "orthogonal": True},
        {"params": rest, "weight_decay": weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
