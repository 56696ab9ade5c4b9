"""Beginning from a trained restorer instead of from chance: to go on with it, on other text, or with more blocks."""

from __future__ import annotations

import torch

from auricle.errors import TrainingError
from auricle.restoration.model import RestorerModel
from auricle.training.restoration.export import stored_weights
from auricle.training.restoration.network import Block, RestorerNetwork
from auricle.training.restoration.recipe import RestorerRecipe


def started_from(model: RestorerModel, recipe: RestorerRecipe) -> RestorerNetwork:
    """Return the recipe's network with the weights of a restorer, as they were rounded for its file.

    Blocks that the recipe has after the restorer's own add nothing at first. Raises TrainingError for a restorer whose
    weights have no names, and for a recipe that is otherwise of another network.
    """
    torch.manual_seed(recipe.seed)
    network = RestorerNetwork(recipe)
    weights = stored_weights(model.graph)
    if not weights:
        raise TrainingError(f"{model.name}: its weights have no names, as in restorers of old: train it again.")
    if bool(model.kinds) != recipe.kinds:
        raise TrainingError(f"{model.name}: has {'' if model.kinds else 'no '}kinds of words: say so in the recipe.")
    parameters = dict(network.named_parameters())
    for name, weight in weights.items():
        if name not in parameters or parameters[name].shape != weight.shape:
            raise TrainingError(f"{model.name}: {name} is of another network than the recipe's: take its own recipe.")
    for number, block in enumerate(network.blocks):
        assert isinstance(block, Block)
        if f"blocks.{number}.norm.weight" not in weights:
            torch.nn.init.zeros_(block.neighbours.linear.weight)
            torch.nn.init.zeros_(block.neighbours.linear.bias)
    network.load_state_dict(weights, strict=False)
    return network
