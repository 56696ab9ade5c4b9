"""The training run of a recurrent language model: sentences drawn from several texts, Muon, averaged weights."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from auricle.decoding.recurrent import RecurrentWeights
from auricle.errors import LanguageModelError
from auricle.training.muon import Muon
from auricle.training.short_run import Progress, average, rate_at, run
from auricle.training.words.data import Sentences
from auricle.training.words.network import WordsNetwork
from auricle.training.words.recipe import WordsRecipe

_AVERAGE = 0.999


def fit(
    texts: Sequence[Sentences],
    shares: Sequence[float],
    start: int,
    recipe: WordsRecipe,
    words: int,
    *,
    init: RecurrentWeights | None = None,
    max_minutes: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    tell: Callable[[Progress], None] = lambda progress: None,
) -> tuple[WordsNetwork, Progress]:
    """Train a network for a vocabulary of so many words; return it with averaged weights, and where the run ended.

    `shares` are the parts of the words that are drawn from each text, until the recipe has the first one alone. `start`
    is the rank of what is read before a first word. The run begins with the weights `init` if they are given, whose
    ranks are then those of the texts. The schedule ends after the recipe's words, or after `max_minutes` of the `clock`
    (seconds), whichever is sooner. Raises LanguageModelError where `init` is of other sizes than the recipe's, except
    that its GRU may be narrower.
    """
    random = np.random.default_rng(recipe.seed)
    torch.manual_seed(recipe.seed)
    network = WordsNetwork(recipe, words).train()
    if init is not None:
        _begin_with(network, init)
    averaged = copy.deepcopy(network).requires_grad_(False).eval()
    optimiser = Muon(network.groups(recipe.weight_decay), lr=recipe.peak_rate, betas=(0.9, 0.98))
    sources = [text.batches(recipe.batch_words, start, random) for text in texts]
    chances = np.array(shares, float) / sum(shares)

    def take(step: int, share: float) -> tuple[float, int]:
        alone = share > 1 - recipe.first_alone
        read, told = next(sources[0 if alone else int(random.choice(len(sources), p=chances))])
        for group in optimiser.param_groups:
            group["lr"] = recipe.peak_rate * rate_at(share, recipe.warmup, recipe.hold)
        loss = network(read, told).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        average(averaged, network, min(_AVERAGE, 1 - 1 / (1 + step / 10)))
        return loss.item(), int((told >= 0).sum())

    progress = run(take, lambda _, heard: heard / recipe.words, max_minutes=max_minutes, clock=clock, tell=tell)
    return averaged, progress


def to_weights(network: WordsNetwork, ranks: Sequence[int]) -> RecurrentWeights:
    """Return a network's weights for a vocabulary whose ids have these ranks."""

    def array(values: torch.Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return values.detach().float().cpu().numpy().copy()

    gru = network.gru
    return RecurrentWeights(
        ranks=np.array(ranks, np.int64),
        tables=tuple(map(array, network.tables)),
        up=tuple(map(array, network.up)),
        down=tuple(map(array, network.down)),
        biases=tuple(map(array, network.biases)),
        clusters=array(network.clusters),
        weight_ih=array(gru.weight_ih[0] * network.scale),
        weight_hh=array(gru.weight_hh[0]),
        bias_ih=array(gru.bias_ih[0]),
        bias_hh=array(gru.bias_hh[0]),
        output=array(network.output.weight),
        output_bias=array(network.output.bias),
    )


@torch.no_grad()
def _begin_with(network: WordsNetwork, weights: RecurrentWeights) -> None:
    """Give a network the weights that `to_weights` made of one like it, or of one with a narrower GRU.

    Further units read words and all units by chance, as they were made, and nothing reads them: neither the old units
    nor the words that come out. So each text is as probable as before. Chance has to be that of a new network: units
    that read by numbers as large as learnt ones are noise, of which eighty minutes of training made nothing.
    """
    gru = network.gru
    arrays = weights.arrays()
    lists = {"table": network.tables, "up": network.up, "down": network.down, "bias": network.biases}
    # `up` and `down` have a place for each cluster but the head.
    places: dict[str, torch.Tensor] = {
        f"{name}_{place}": own for name, owns in lists.items() for place, own in enumerate(owns)
    }
    places |= {"clusters": network.clusters, "output_bias": network.output.bias}
    network.output.weight[:, weights.weight_hh.shape[1] :] = 0
    places["output"] = network.output.weight[:, : weights.weight_hh.shape[1]]
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        own, given = getattr(gru, name), arrays[name]
        of_gates = own.view(3, gru.hidden, -1)[:, : len(given) // 3]
        columns = given.size // len(given)
        if name == "weight_hh":
            of_gates[..., columns:] = 0
        places[name] = of_gates[..., :columns]
    if {name: array.size for name, array in arrays.items()} != {name: own.numel() for name, own in places.items()}:
        raise LanguageModelError("the weights to begin with are of another network than the recipe's.")
    for name, own in places.items():
        own.copy_(torch.from_numpy(arrays[name]).view(own.shape))
    places["weight_ih"].div_(network.scale)
