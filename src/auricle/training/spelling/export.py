"""Spellers in bundles: into one, out of it again, from one bundle to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from onnx import TensorProto
from pydantic import ValidationError
from torch import nn

from auricle.bundle import SPELLER, Bundle
from auricle.errors import TrainingError
from auricle.spelling import SpellingModel, by_step
from auricle.training.export import PARITY
from auricle.training.graph import Graph, Weights, stored_weights
from auricle.training.initial import recipe_of
from auricle.training.spelling.network import Speller
from auricle.training.spelling.recipe import sizes_of

_FACTS = "speller"  # in a card: what the speller's recipe says, and what it has read


def spelling(bundle: Bundle, speller: Speller, facts: Mapping[str, Any], weights: Weights = "float16") -> Bundle:
    """Return a bundle with a speller; `facts` are for its card, the recipe's among them.

    Raises TrainingError when the parity check fails.
    """
    facts = {**facts, "parameters": sum(parameter.numel() for parameter in speller.parameters())}
    return replace(
        bundle,
        files={**bundle.files, SPELLER: checked_speller(speller, weights)},
        card={**bundle.card, _FACTS: facts},
    )


def speller_of(bundle: Bundle) -> Speller:
    """Return a bundle's speller. Raises TrainingError where it has none, or one whose sizes the card does not say."""
    if SPELLER not in bundle.files:
        raise TrainingError(f"{bundle.name}: the model has not learnt to spell.")
    try:
        own = sizes_of(bundle.card.get(_FACTS))
    except ValidationError as error:
        raise TrainingError(f"{bundle.name}: its card does not hold the sizes of its speller.") from error
    speller = Speller(recipe_of(bundle), own)
    speller.load_state_dict(stored_weights(bundle.files[SPELLER], speller, f"the speller of {bundle.name}"))
    return speller


def taken_over(bundle: Bundle, other: Bundle) -> Bundle:
    """Return a bundle with the speller of another one of the same phones and letters, in float16.

    Raises TrainingError where that has none, or one for other phones, letters or frames.
    """
    speller, theirs, ours = speller_of(other), recipe_of(other), recipe_of(bundle)
    if (theirs.network.outputs, other.phones, other.alphabet) != (ours.network.outputs, bundle.phones, bundle.alphabet):
        raise TrainingError(f"{other.name} spells other phones, or in other letters, than {bundle.name} hears.")
    return spelling(bundle, speller, other.card[_FACTS])


def stored_as(bundle: Bundle, weights: Weights) -> Bundle:
    """Return a bundle whose speller, if it has one, is stored in other weights. Raises as `speller_of` for its card."""
    if SPELLER not in bundle.files:
        return bundle
    return replace(bundle, files={**bundle.files, SPELLER: checked_speller(speller_of(bundle), weights)})


def checked_speller(speller: Speller, weights: Weights) -> bytes:
    """Return the serialised graph of a speller, as a bundle has it.

    Raises TrainingError when PyTorch and ONNX Runtime differ, in float32, by more than `PARITY`.
    """
    rng = np.random.default_rng(0)
    batch = [np.log(rng.dirichlet(np.ones(speller.phones), frames)).astype(np.float32) for frames in (1, 40, 7, 97)]
    model = SpellingModel(_onnx(speller, "float32"), phones=speller.phones, letters=speller.letters, threads=1)
    steps = [torch.from_numpy(by_step(np.exp(one), speller.outputs)) for one in batch]
    with torch.inference_mode():
        together = nn.utils.rnn.pad_sequence(steps)
        expected = speller.eval()(together, torch.tensor([len(one) for one in steps])).numpy()
    worst = max(
        float(np.abs(ours - theirs[: len(ours)]).max())
        for results in (model.log_probs(batch), [model.log_probs([one])[0] for one in batch])
        for ours, theirs in zip(results, expected, strict=True)
    )
    if not worst <= PARITY:
        raise TrainingError(
            f"export refused: ONNX Runtime and PyTorch differ by {worst:.2g} about letters, and {PARITY:g} is the most."
        )
    return _onnx(speller, weights)


def _onnx(speller: Speller, weights: Weights) -> bytes:
    graph = Graph(speller, weights)
    x = graph.linear(graph.op("Transpose", "phones", perm=[1, 0, 2]), speller.projection)
    lengths = graph.op("Cast", "lengths", to=TensorProto.INT32)
    for layer in speller.recurrent:
        x = graph.recurrent(x, lengths, layer)
    x = graph.op("Transpose", graph.linear(graph.norm(x, speller.norm), speller.output), perm=[1, 0, 2])
    x = graph.op("Reshape", x, graph.constant([0, -1, speller.letters]))
    graph.op("LogSoftmax", x, outputs=["log_probs"], axis=-1)
    return graph.model(
        "speller",
        [
            ("phones", TensorProto.FLOAT, ["B", "steps", speller.outputs * speller.phones]),
            ("lengths", TensorProto.INT64, ["B"]),
        ],
        [("log_probs", TensorProto.FLOAT, ["B", "frames", speller.letters])],
    )
