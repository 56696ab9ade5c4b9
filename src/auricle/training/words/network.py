"""The recurrent language model's network; `decoding.recurrent` says what it is and how it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from auricle.training.gru import GRU, products
from auricle.training.words.recipe import WordsRecipe


class WordsNetwork(nn.Module):
    """Words go in and come out as their ranks, the most frequent first.

    `words` is the size of the vocabulary; the clusters of a recipe that it does not fill are left out.
    """

    def __init__(self, recipe: WordsRecipe, words: int) -> None:
        super().__init__()
        inner = [cut for cut in recipe.clusters if cut < words]
        self.cuts = (0, *inner, words)
        widths = recipe.widths[: len(inner) + 1]
        width = widths[0]
        sizes = [end - begin for begin, end in zip(self.cuts, self.cuts[1:], strict=False)]
        self.tables = nn.ParameterList(_normal(size, own) for size, own in zip(sizes, widths, strict=True))
        self.up = nn.ParameterList(_normal(own, width) for own in widths[1:])
        self.down = nn.ParameterList(_normal(width, own, width) for own in widths[1:])
        self.clusters = nn.Parameter(torch.zeros(len(inner), width))
        self.biases = nn.ParameterList(
            nn.Parameter(torch.zeros(size + (len(inner) if number == 0 else 0))) for number, size in enumerate(sizes)
        )
        # Rows are of length one, so that as outputs they do not shout; what is read is to be of the size of a state.
        self.scale = 0.5 * width**0.5
        self.gru = GRU(width, recipe.hidden)
        self.output = nn.Linear(recipe.hidden, width)
        self.dropout = nn.Dropout(recipe.dropout)

    def forward(self, read: Tensor, told: Tensor) -> Tensor:
        """Return minus the log-probability of the words `told` [n], ranks, after `read` [T, B], where told is not -1.

        `told` is [T, B], and what returns [n], in its order.
        """
        outputs = self.output(self.dropout(self.gru(self.dropout(self._embedded(read)))))
        here = told >= 0
        return self._surprise(outputs[here], told[here])

    def _embedded(self, ranks: Tensor) -> Tensor:
        flat = ranks.reshape(-1)
        found = nn.functional.embedding(flat.clamp(max=self.cuts[1] - 1), self.tables[0])
        for number, up in enumerate(self.up, start=1):
            here = self._of_cluster(flat, number)
            if len(here):
                found = found.index_copy(0, here, self.tables[number][flat[here] - self.cuts[number]] @ up)
        embedded: Tensor = found.view(*ranks.shape, -1) * self.scale
        return embedded

    def _surprise(self, outputs: Tensor, ranks: Tensor) -> Tensor:
        cluster = sum(((ranks >= cut).long() for cut in self.cuts[1:-1]), torch.zeros_like(ranks))
        first = torch.where(cluster == 0, ranks, self.cuts[1] - 1 + cluster)
        head = torch.cat((self.tables[0], self.clusters))
        surprise = self._cross_entropy(outputs, head, self.biases[0], first)
        for number, down in enumerate(self.down, start=1):
            here = self._of_cluster(ranks, number)
            if len(here):
                inside = self._cross_entropy(
                    outputs[here] @ down, self.tables[number], self.biases[number], ranks[here] - self.cuts[number]
                )
                surprise = surprise.index_add(0, here, inside)
        return surprise

    def _of_cluster(self, ranks: Tensor, number: int) -> Tensor:
        return ((ranks >= self.cuts[number]) & (ranks < self.cuts[number + 1])).nonzero()[:, 0]

    def _cross_entropy(self, x: Tensor, rows: Tensor, bias: Tensor, target: Tensor) -> Tensor:
        """Return the cross entropy [n] of targets [n] under softmax(rows x + bias); in training with quick products."""
        quick = self.training and x.device.type == "cpu" and products() == torch.bfloat16
        with torch.autocast("cpu", torch.bfloat16, enabled=quick):
            logits = nn.functional.linear(x, rows, bias)
        return nn.functional.cross_entropy(logits.float(), target, reduction="none")

    def groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Return the parameters as Muon takes them: inner matrices made orthogonal, tables and biases by AdamW."""
        inner = [self.gru.weight_ih, self.gru.weight_hh, self.output.weight, *self.up, *self.down]
        taken = {id(parameter) for parameter in inner}
        rest = [parameter for parameter in self.parameters() if id(parameter) not in taken]
        return [
            {"params": inner, "weight_decay": weight_decay, "orthogonal": True},
            {"params": rest, "weight_decay": 0.0},
        ]


def _normal(rows: int, columns: int, inputs: int | None = None) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, columns) * (inputs or columns) ** -0.5)


def parameters_in(network: nn.Module) -> int:
    """Return how many weights a network has."""
    return sum(parameter.numel() for parameter in network.parameters())


def ranks_by(counts: Sequence[float] | Tensor) -> Tensor:
    """Return the rank of each word by how often it was seen, the most frequent first; of equals, the first."""
    order = torch.as_tensor(counts).argsort(descending=True, stable=True)
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order))
    return ranks
