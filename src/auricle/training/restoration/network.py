"""The restorer's network: a table of hashed features, convolutions over words, two classifiers.

Convolutions and not a recurrent layer, because what they say of a word depends on a fixed number of neighbours and on
nothing else: windows that overlap by that number give the very text that one long run would.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from auricle.restoration.types import CASES, MARKS
from auricle.training.restoration.recipe import RestorerRecipe


class RestorerNetwork(nn.Module):
    """Rows [B, T, 6] of the table and a mask [B, T, 1] in, logits [B, T, marks + cases] out.

    Where the mask is zero there is no text; what stands there changes nothing.
    """

    def __init__(self, recipe: RestorerRecipe) -> None:
        super().__init__()
        self.table = nn.Embedding(recipe.rows, recipe.embedding, padding_idx=0)
        self.first = Neighbours(recipe.embedding, recipe.width, range(-recipe.reach, recipe.reach + 1))
        self.blocks = nn.ModuleList(Block(recipe.width, step, recipe.dropout) for step in recipe.dilations)
        self.norm = nn.LayerNorm(recipe.width)
        self.output = nn.Linear(recipe.width, len(MARKS) + len(CASES))
        nn.init.normal_(self.table.weight, std=0.3)
        self.table.weight.data[0] = 0

    def forward(self, rows: Tensor, mask: Tensor) -> Tensor:
        """Return logits: those of the marks, then those of the cases."""
        x = self.table(rows).sum(2) * mask
        x = nn.functional.silu(self.first(x)) * mask
        for block in self.blocks:
            x = block(x, mask)
        logits: Tensor = self.output(self.norm(x))
        return logits

    @property
    def convolutions(self) -> list[Tensor]:
        """The weights of the convolutions, that over hashed words first."""
        return [module.linear.weight for module in self.modules() if isinstance(module, Neighbours)]

    @property
    def parameter_count(self) -> int:
        """Number of weights."""
        return sum(parameter.numel() for parameter in self.parameters())


class Neighbours(nn.Module):
    """A convolution over time as one product: the words at `offsets` side by side, then a linear layer."""

    def __init__(self, inputs: int, outputs: int, offsets: Sequence[int]) -> None:
        super().__init__()
        self.offsets = tuple(offsets)
        self.linear = nn.Linear(inputs * len(self.offsets), outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, T, inputs] to [B, T, outputs]; zeros stand outside."""
        far, time = max(self.offsets), x.shape[1]
        padded = nn.functional.pad(x, (0, 0, far, far))
        beside = [padded[:, far + offset : far + offset + time] for offset in self.offsets]
        out: Tensor = self.linear(torch.cat(beside, dim=2))
        return out


class Block(nn.Module):
    """LayerNorm, a look at the words `step` before and after, SiLU, and the input added."""

    def __init__(self, width: int, step: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.neighbours = Neighbours(width, width, (-step, 0, step))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map [B, T, width] to the same shape."""
        y = nn.functional.silu(self.neighbours(self.norm(x) * mask))
        out: Tensor = (x + self.dropout(y)) * mask
        return out
