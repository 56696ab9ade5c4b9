"""The training run of a speller: recordings as the network hears them, texts as it might; Muon, averaged weights."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from auricle.bundle import ACOUSTIC, Bundle
from auricle.errors import TrainingError
from auricle.features import Array
from auricle.training.ctc import ctc_loss
from auricle.training.export import checked_onnx
from auricle.training.initial import recipe_of, started_from
from auricle.training.muon import Muon, parameter_groups
from auricle.training.network import DeepSpeech2, Speller
from auricle.training.recipe import NetworkConfig, Recipe
from auricle.training.short_run import Progress, average, run
from auricle.training.spelling.recipe import SpellingRecipe
from auricle.training.spelling.sound import Heard, Sounds
from auricle.training.spelling.texts import Sentence, Sentences

_AVERAGE = 0.999
_CHARACTERS_A_WORD = 5.5


def with_speller(recipe: Recipe, own: SpellingRecipe) -> Recipe:
    """Return a network's recipe with a speller of these sizes in it."""
    network = replace(recipe.network, speller_layers=own.layers, speller_hidden=own.hidden, speller_input=own.width)
    return replace(recipe, network=network)


def given(bundle: Bundle, network: DeepSpeech2, speller: Speller, recipe: Recipe, facts: Mapping[str, Any]) -> Bundle:
    """Return a bundle with a speller behind its network, in float16; `recipe` has it, and `facts` are for the card.

    Raises TrainingError when the parity check fails.
    """
    network.config, network.speller = recipe.network, speller
    card = {"recipe": recipe.to_dict(), "recipe_hash": recipe.digest, "parameters": network.parameter_count}
    return replace(
        bundle,
        files={**bundle.files, ACOUSTIC: checked_onnx(network, "float16")},
        card={**bundle.card, **card, "speller": dict(facts)},
    )


def speller_of(bundle: Bundle) -> Speller:
    """Return a bundle's speller. Raises TrainingError where it has none."""
    speller = started_from(bundle, recipe_of(bundle)).network.speller
    if speller is None:
        raise TrainingError(f"{bundle.name}: the model to begin with has not learnt to spell.")
    return speller.requires_grad_(True)


def taken_over(bundle: Bundle, spelt: Bundle) -> Bundle:
    """Return a bundle with the speller of another one of the same phones and letters, in float16.

    Raises TrainingError where that has none, or one for other phones, letters or frames.
    """
    speller, theirs, base = speller_of(spelt), recipe_of(spelt), recipe_of(bundle)
    sizes = (theirs.network.outputs, spelt.phones, spelt.alphabet)
    if sizes != (base.network.outputs, bundle.phones, bundle.alphabet):
        raise TrainingError(f"{spelt.name} spells other phones, or in other letters, than {bundle.name} hears.")
    heard = started_from(bundle, replace(base, network=replace(base.network, speller_layers=0))).network.eval()
    return given(
        bundle,
        heard,
        speller,
        replace(base, network=base.network.spelling_as(theirs.network)),
        spelt.card.get("speller", {}),
    )


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
    """Train a speller for the network of a recipe that has one; return it, its weights averaged, and where it ended.

    `sounds` are pieces of the recordings, and have all phones of the texts. `shares` are the parts of the words that
    are drawn from each text. The run begins with the weights of `init` if there is one. The schedule ends after the
    recipe's words, or after `max_minutes` of the `clock` (seconds), whichever is sooner. Raises TrainingError where
    `init` has other sizes than the recipe's.
    """
    random = np.random.default_rng(own.seed)
    torch.manual_seed(own.seed)
    network = Speller(replace(recipe.network, gru_dropout=own.dropout), *recipe.outputs).train()
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
            group["lr"] = own.peak_rate * _rate(share, own)
        loss = spelling_loss(network, probs, letters, recipe.network)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        average(averaged, network, min(_AVERAGE, 1 - 1 / (1 + step / 10)))
        return loss.item(), words

    progress = run(take, lambda _, read: read / own.words, max_minutes=max_minutes, clock=clock, tell=tell)
    return averaged, progress


def spelling_loss(
    network: Speller, probs: Sequence[Array], letters: Sequence[Sequence[int]], config: NetworkConfig
) -> Tensor:
    """Return the CTC loss of letters, in nats a character, after probabilities of phones [frames, phones] of each text.

    The frames of each are a multiple of the network's outputs.
    """
    frames = torch.tensor([len(one) for one in probs])
    steps = frames // config.outputs
    by_step = [torch.from_numpy(one.reshape(len(one) // config.outputs, -1)) for one in probs]
    scores = network(nn.utils.rnn.pad_sequence(by_step), steps)
    by_clip = scores.transpose(0, 1).reshape(len(probs), int(steps.max()) * config.outputs, -1)
    targets = [torch.tensor(own, dtype=torch.int64) for own in letters]
    lengths = torch.tensor([len(own) for own in targets])
    total = ctc_loss(by_clip.log_softmax(-1), torch.cat(targets), frames, lengths)
    return total / lengths.sum().clamp(min=1)


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


def _rate(share: float, recipe: SpellingRecipe) -> float:
    """Return the part of the peak rate at this part of the run: linear up, held, linear down."""
    return max(min(share / recipe.warmup, (1 - share) / max(1 - recipe.hold, 1e-9), 1.0), 5e-3)
