"""Beginning from a trained model instead of from chance: fine-tuning, also with another alphabet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from auricle.alphabet import BLANK
from auricle.bundle import Bundle
from auricle.errors import TrainingError
from auricle.training.export import read_weights
from auricle.training.module import SpeechModule
from auricle.training.recipe import Recipe, make_recipe


def started_from(bundle: Bundle, recipe: Recipe) -> SpeechModule:
    """Return a module for the recipe whose network has the weights of a bundle, and its normalisation.

    The classifier is taken over character by character, and phone by phone: those that the bundle does not know begin
    by chance, as does a second classifier, which no bundle has. Where the recipe has more frames of characters for a
    step than the bundle, each of the bundle's is repeated, which changes no text. Raises TrainingError where features
    or sizes differ.
    """
    if bundle.features != recipe.features:
        raise TrainingError(f"{bundle.name}: was trained on other features than the recipe has: copy its [features].")
    module = SpeechModule(recipe, bundle.normalization)
    weights = read_weights(bundle, module.network)
    last = f"classifier.{len(module.network.classifier) - 1}"
    known = _rows(bundle.alphabet.characters, bundle.phones)
    wanted = _rows(recipe.alphabet, recipe.phones)
    parameters = dict(module.network.named_parameters())
    with torch.no_grad():
        for name, weight in weights.items():
            if name.rpartition(".")[0] == last:
                _take_rows(parameters[name], weight, wanted, known, bundle.name)
            else:
                parameters[name].copy_(weight)
    module.card["started_from"] = f"{bundle.name} {bundle.version}"
    return module


def recipe_of(bundle: Bundle) -> Recipe:
    """Return the recipe in a bundle's card, with the bundle's own alphabet, phones and features.

    `started_from` with it gives the bundle's network back. Raises TrainingError where the card holds none.
    """
    card = bundle.card.get("recipe")
    if not isinstance(card, dict):
        raise TrainingError(f"{bundle.name}: its card does not hold the recipe of its network.")
    if isinstance(network := card.get("network"), dict):  # version 16 of `english` had its speller in its network
        card = {**card, "network": {key: value for key, value in network.items() if not key.startswith("speller_")}}
    recipe = make_recipe(card, f"the recipe in the card of {bundle.name}")
    prior = bundle.normalization.prior
    return replace(
        recipe,
        alphabet=tuple(bundle.alphabet.characters),
        phones=bundle.phones,
        prior_frames=int(prior) if prior < math.inf else 0,
        features=bundle.features,
    )


def _rows(letters: Sequence[str], phones: Sequence[str]) -> list[str]:
    """Return a name for each row that the classifier has in a frame: no letter is as long as a phone's name here."""
    return ["", *letters, *([f"phone {phone}" for phone in ("", " ", *phones)] if phones else [])]


def _take_rows(parameter: Tensor, weight: Tensor, wanted: list[str], known: list[str], name: str) -> None:
    """Copy the rows of a classifier for the characters that both have; the blank stands first in each frame's rows."""
    assert wanted[BLANK] == known[BLANK]
    frames, given = len(parameter) // len(wanted), len(weight) // len(known)
    if frames % given:
        raise TrainingError(f"{name}: gives another number of frames a step than the recipe: copy its [network].")
    ours, theirs = parameter.view(frames, len(wanted), -1), weight.view(given, len(known), -1)
    theirs = theirs.repeat_interleave(frames // given, dim=0)
    for row, character in enumerate(wanted):
        if character in known:
            ours[:, row] = theirs[:, known.index(character)]
