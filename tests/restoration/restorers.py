"""Restorers for tests: one that says what it is told to, and one of a small network that says all kinds of things."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from auricle.restoration import Pauses, RestorerModel, Written
from auricle.training.restoration.export import to_model
from auricle.training.restoration.network import RestorerNetwork
from auricle.training.restoration.recipe import RestorerRecipe

torch.set_num_threads(1)

SMALL = RestorerRecipe(name="small", rows=256, embedding=8, width=16, reach=2, dilations=(1, 3, 2), window=32, batch=4)


class Told:
    """Gives back readable text that is known: its words are the words asked for."""

    def __init__(self, text: str) -> None:
        self._written = [_taken_apart(token) for token in text.replace(" —", "—").split()]

    def restore(self, words: Sequence[str], pauses: Pauses | None = None) -> list[Written]:
        assert [word.text.lower() for word in self._written] == list(words)
        return self._written


def _taken_apart(token: str) -> Written:
    return Written(token[:-1], token[-1]) if token[-1] in ",.?!;:—" else Written(token)


def small_network(seed: int = 3, loud: float = 8.0) -> RestorerNetwork:
    """A network with random weights, so `loud` that each mark and case comes up."""
    torch.manual_seed(seed)
    network = RestorerNetwork(SMALL).eval()
    with torch.no_grad():
        network.output.weight.mul_(loud)
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        network.table.weight[0] = 0
    return network


def small_model(seed: int = 3) -> RestorerModel:
    return to_model(
        small_network(seed),
        SMALL,
        name="small",
        version="0",
        created="2026-11-23",
        stored={"mcdonald": "McDonald", "ii": "II"},
    )
