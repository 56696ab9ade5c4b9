"""The training run of a speller: recordings as the network hears them, texts as it might; Muon, averaged weights."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from auricle.errors import TrainingError
from auricle.features import Array
from auricle.spelling import by_step
from auricle.training.ctc import ctc_loss
from auricle.training.muon import Muon, parameter_groups
from auricle.training.recipe import Recipe
from auricle.training.short_run import Progress, average, rate_at, run
from auricle.training.spelling.network import Speller
from auricle.training.spelling.recipe import SpellingRecipe
from auricle.training.spelling.sound import Heard, Sounds
from auricle.training.spelling.texts import Sentence, Sentences

_AVERAGE = 0.999
_CHARACTERS_A_WORD = 5.5


def fit(  # noqa: PLR0917
    recipe: Recipe,
    own: SpellingRecipe,
    recordings: Sequence[Heard],
    sounds: Sounds,
    texts: Sequence[Sentences],
    shares: Sequence[float],
    *,
    init: Speller | None = None,
    max_minutes: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    tell: Callable[[Progress], None] = lambda progress: None,
) -> tuple[Speller, Progress]:
    """Train a speller for the network of a recipe; return it, its weights averaged, and where it ended.

    `sounds` are pieces of the recordings, and have all phones of the texts. `shares` are the parts of the words that
    are drawn from each text. The run begins with the weights of `init` if there is one. The schedule ends after the
    recipe's words, or after `max_minutes` of the `clock` (seconds), whichever is sooner. Raises TrainingError where
    `init` has other sizes than the recipe's.
    """
    random = np.random.default_rng(own.seed)
    torch.manual_seed(own.seed)
    network = Speller(recipe, own).train()
    if init is not None:
        _begin_with(network, init)
    averaged = copy.deepcopy(network).requires_grad_(False).eval()
    optimiser = Muon(parameter_groups(network, own.weight_decay), lr=own.peak_rate, betas=(0.9, 0.98))
    heard = _heard_batches(recordings, own.batch_words, random)
    sources = [text.batches(own.batch_words, random) for text in texts]
    chances = np.array(shares, float) / sum(shares)

    def take(step: int, share: float) -> tuple[float, int]:
        if random.random() < own.recorded:
            some = next(heard)
            probs = [one.probs.astype(np.float32) for one in some]
            letters, words = [one.letters for one in some], 0
        else:
            sentences: list[Sentence] = next(sources[int(random.choice(len(sources), p=chances))])
            probs = [sounds.said(sentence.phones, random) for sentence in sentences]
            letters, words = [sentence.letters for sentence in sentences], sum(one.words for one in sentences)
        for group in optimiser.param_groups:
            group["lr"] = own.peak_rate * rate_at(share, own.warmup, own.hold)
        loss = spelling_loss(network, probs, letters)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        average(averaged, network, min(_AVERAGE, 1 - 1 / (1 + step / 10)))
        return loss.item(), words

    progress = run(take, lambda _, read: read / own.words, max_minutes=max_minutes, clock=clock, tell=tell)
    return averaged, progress


def spelling_loss(network: Speller, probs: Sequence[Array], letters: Sequence[Sequence[int]]) -> Tensor:
    """Return the CTC loss of letters, in nats a character, after probabilities of phones [frames, phones] of each text.

    A last step that is not whole ends with silence.
    """
    steps = [torch.from_numpy(by_step(one, network.outputs)) for one in probs]
    lengths = torch.tensor([len(one) for one in steps])
    log_probs = network(nn.utils.rnn.pad_sequence(steps), lengths)
    targets = [torch.tensor(own, dtype=torch.int64) for own in letters]
    characters = torch.tensor([len(own) for own in targets])
    total = ctc_loss(log_probs, torch.cat(targets), network.outputs * lengths, characters)
    return total / characters.sum().clamp(min=1)


def _begin_with(network: Speller, other: Speller) -> None:
    theirs = other.state_dict()
    if {name: one.shape for name, one in theirs.items()} != {n: one.shape for n, one in network.state_dict().items()}:
        raise TrainingError("the speller to begin with has other sizes than the recipe's, or reads other phones.")
    network.load_state_dict(theirs)


def _heard_batches(recordings: Sequence[Heard], words: int, random: np.random.Generator) -> Iterator[list[Heard]]:
    """Yield for ever recordings of like length, about so many words together, in any order."""
    by_length = sorted(recordings, key=lambda one: len(one.probs))
    letters = np.cumsum([len(one.letters) for one in by_length])
    group = (letters - 1) // int(words * _CHARACTERS_A_WORD)
    parts = np.split(np.arange(len(by_length)), np.flatnonzero(np.diff(group)) + 1)
    while True:
        for place in random.permutation(len(parts)).tolist():
            yield [by_length[row] for row in parts[place]]
