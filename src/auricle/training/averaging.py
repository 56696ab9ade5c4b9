"""Averaging the weights of models that grew from one another: often better than the best of them.

Points of one run that are epochs apart, or models fine-tuned from the same one, lie in one basin of the loss, and their
mean lies nearer to its middle (Izmailov et al., 2018; Wortsman et al., 2022). Networks that began apart have nothing in
common to average.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from auricle.bundle import ACOUSTIC, Bundle
from auricle.errors import TrainingError
from auricle.training.export import checked_onnx
from auricle.training.graph import Weights
from auricle.training.initial import recipe_of, started_from

_OF_A_RUN = (
    "recipe",
    "recipe_hash",
    "training_hours",
    "audio_hours_seen",
    "steps",
    "steps_left_out",
    "started_from",
    "train",
    "train_weights",
    "train_clips",
)


def averaged(bundles: Sequence[Bundle], weights: Sequence[float]) -> Bundle:
    """Return the first of two or more bundles with the mean of the weights of all of them, `weights` being their parts.

    All else is the first one's, but for what the card says of a run: that is the last one's. Raises TrainingError for
    networks of other sizes, letters or features, for weights in int8 without a recipe, and for parts that are no parts.

    Weights in int8 are taken to be float16, or float32 where the others are, and so is the mean.
    """
    if len(bundles) < 2 or len(bundles) != len(weights):
        raise TrainingError("an average is of two models or more, each with a weight.")
    if min(weights) < 0 or not 0 < sum(weights) < np.inf:
        raise TrainingError("the weights of an average are not below zero, and one of them is above.")
    parts = [weight / sum(weights) for weight in weights]
    bundles = _without_int8(bundles)
    first = bundles[0]
    graphs = [onnx.load_from_string(bundle.files[ACOUSTIC]) for bundle in bundles]
    others = [{one.name: numpy_helper.to_array(one) for one in graph.graph.initializer} for graph in graphs]
    for bundle, held in zip(bundles, others, strict=True):
        _refuse_another(first, bundle, others[0], held)
    for initializer in graphs[0].graph.initializer:
        own = others[0][initializer.name]
        if own.dtype.kind == "f":
            mean = sum(
                part * held[initializer.name].astype(np.float64) for part, held in zip(parts, others, strict=True)
            )
            initializer.CopyFrom(numpy_helper.from_array(np.asarray(mean, own.dtype), initializer.name))
    sources = [
        {"name": bundle.name, "created": bundle.created, "part": round(part, 4)}
        for bundle, part in zip(bundles, parts, strict=True)
    ]
    kept = {name: fact for name, fact in first.card.items() if name not in _OF_A_RUN}
    last = {name: fact for name, fact in bundles[-1].card.items() if name in _OF_A_RUN}
    return replace(
        first,
        files={**first.files, ACOUSTIC: graphs[0].SerializeToString()},
        card={**kept, **last, "averaged": sources},
    )


def _without_int8(bundles: Sequence[Bundle]) -> list[Bundle]:
    """Return the bundles, those in int8 as the others are: int8 has a scale for each row, and no mean."""
    kinds = [{tensor.data_type for tensor in _large(bundle)} for bundle in bundles]
    others: Weights = "float32" if {TensorProto.FLOAT} in kinds else "float16"
    return [
        _stored_as(bundle, others) if TensorProto.INT8 in kind else bundle
        for bundle, kind in zip(bundles, kinds, strict=True)
    ]


def _large(bundle: Bundle) -> list[TensorProto]:
    """Return the weights that are stored in a bundle's weight type: matrices and convolutions."""
    tensors = onnx.load_from_string(bundle.files[ACOUSTIC]).graph.initializer
    return [tensor for tensor in tensors if len(tensor.dims) > 1]


def _stored_as(bundle: Bundle, weights: Weights) -> Bundle:
    if "recipe" not in bundle.card:
        raise TrainingError(f"{bundle.name}: its weights are int8; average float16 or float32, and then export.")
    network = started_from(bundle, recipe_of(bundle)).network
    return replace(bundle, files={**bundle.files, ACOUSTIC: checked_onnx(network, weights)})


def _refuse_another(
    first: Bundle, bundle: Bundle, ours: dict[str, NDArray[Any]], theirs: dict[str, NDArray[Any]]
) -> None:
    same = (bundle.features, bundle.alphabet, bundle.phones) == (first.features, first.alphabet, first.phones)
    same = same and {name: (array.shape, array.dtype) for name, array in ours.items()} == {
        name: (array.shape, array.dtype) for name, array in theirs.items()
    }
    same = same and first.normalization.prior == bundle.normalization.prior
    same = same and all(np.array_equal(array, theirs[name]) for name, array in ours.items() if array.dtype.kind != "f")
    for mine, other in (
        (first.normalization.mean, bundle.normalization.mean),
        (first.normalization.std, bundle.normalization.std),
    ):
        same = same and bool(np.allclose(mine, other, rtol=1e-5))
    if not same:
        raise TrainingError(
            f"{bundle.name} and {first.name} cannot be averaged: they differ in more than the values of their weights."
        )
