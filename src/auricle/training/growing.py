"""Growing a trained network into a larger one, so that what the small one has learnt need not be learnt again.

New units and layers are added such that at first they say nothing, and the larger network says what the small one said
(net2net: Chen et al., 2016; there units are doubled, here the new ones begin by chance). A new GRU unit has zeros where
its new state is reckoned, so its state stays zero, and chance wherever others read it, so that it learns. LayerNorm
reads the zeros too, which its gain makes up for. A new residual layer ends in zeros, and adds nothing.

More mel bands are the one thing that cannot be added without a trace: the same band of frequencies is then more bands
wide, and what read the old bands reads the new ones between which an old one would lie. That costs the English model
a point of characters (docs/experiments.md).
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from auricle.bundle import ACOUSTIC, Bundle
from auricle.errors import TrainingError
from auricle.features import FeatureConfig, Normalization
from auricle.training.export import checked_onnx
from auricle.training.gru import BiGRU
from auricle.training.initial import recipe_of, started_from
from auricle.training.module import SpeechModule
from auricle.training.network import DeepSpeech2, RecurrentLayer, ResidualConvolution
from auricle.training.recipe import Recipe

_MAY_GROW = ("kernel_mel", "residual_layers", "gru_layers", "gru_hidden", "gru_input")
_NO_MATTER = ("dropout", "gru_dropout", "gru_dropout_locked", "auxiliary_layer")


def grown(bundle: Bundle, recipe: Recipe) -> Bundle:
    """Return the bundle with its network grown to the sizes of a recipe, in float16; `--init` then begins from it.

    Bands, layers and units may become more, all else has to be as it was; language models and settings stay. Raises
    TrainingError for a bundle that does not say what network it has, and for what would have to shrink or to change.
    """
    own = recipe_of(bundle)
    _refuse_change(bundle.name, own, recipe)
    small = started_from(bundle, own).network
    positions = _positions(own.features, recipe.features)
    mean, std = (
        np.interp(positions, np.arange(own.features.mel), values).astype(np.float32)
        for values in (bundle.normalization.mean, bundle.normalization.std)
    )
    normalization = Normalization(mean, std, prior=bundle.normalization.prior)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(recipe.schedule.seed)
        large = SpeechModule(recipe, normalization).network
        _grow_front_end(small, large, positions)
        _grow_recurrent(small, large)
    return replace(
        bundle,
        features=recipe.features,
        normalization=normalization,
        files={**bundle.files, ACOUSTIC: checked_onnx(large, "float16")},
        card={
            **bundle.card,
            "recipe": recipe.to_dict(),
            "recipe_hash": recipe.digest,
            "parameters": large.parameter_count,
            "grown_from": f"{bundle.name} {bundle.version}, {small.parameter_count:,} parameters",
        },
    )


def _refuse_change(name: str, own: Recipe, recipe: Recipe) -> None:
    if (recipe.alphabet, recipe.phones) != (own.alphabet, own.phones):
        raise TrainingError(f"{name}: has another alphabet or other phones than the recipe: grow it with its own.")
    if replace(recipe.features, mel=own.features.mel) != own.features or recipe.features.mel < own.features.mel:
        raise TrainingError(f"{name}: of its features nothing but mel may grow, and nothing may change or shrink.")
    theirs, ours = asdict(own.network), asdict(recipe.network)
    for key, value in theirs.items():
        may = key in _NO_MATTER or (ours[key] >= value if key in _MAY_GROW else ours[key] == value)
        if not may:
            kind = "cannot shrink" if key in _MAY_GROW else "cannot change"
            raise TrainingError(
                f"{name}: {key} is {value}, and {ours[key]} in the recipe: it {kind} as a network grows."
            )
    if recipe.network.gru_layers > own.network.gru_layers and not own.network.gru_residual:
        raise TrainingError(f"{name}: without gru_residual a new layer would hide those below it: keep gru_layers.")
    if recipe.network.gru_hidden > own.network.gru_hidden and own.network.classifier_hidden:
        raise TrainingError(f"{name}: with classifier_hidden, gru_hidden cannot grow.")


def _positions(old: FeatureConfig, new: FeatureConfig) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return where each new band lies among the old ones, [mel]: both divide the same range of the mel scale evenly."""
    return (np.arange(new.mel) + 1.0) * (old.mel + 1) / (new.mel + 1) - 1


def _between(wanted: Tensor, given: Tensor) -> Tensor:
    """Return the matrix [wanted, given] that interpolates values at evenly spaced places; outer ones are continued."""
    if len(given) == 1:
        return torch.ones(len(wanted), 1)
    place = (wanted - given[0]) / (given[1] - given[0])
    lower = place.floor().clamp(0, len(given) - 2).long()
    part = (place - lower).float()
    matrix = torch.zeros(len(wanted), len(given))
    rows = torch.arange(len(wanted))
    matrix[rows, lower] += 1 - part
    matrix[rows, lower + 1] += part
    return matrix


def _grow_front_end(small: DeepSpeech2, large: DeepSpeech2, positions: np.ndarray[Any, Any]) -> None:
    """Convolutions and projection: each weight that read an old band reads the new ones on both sides of its place."""
    step = float(positions[1] - positions[0]) if len(positions) > 1 else 1.0  # old bands from one new band to the next
    _convolve(small.convolution, large.convolution, step)
    stride = small.config.stride_mel
    old = torch.arange(0, small.mel, stride, dtype=torch.float64)
    new = torch.from_numpy(positions)[::stride]
    to_new = _between(new.clamp(old[0], old[-1]), old)
    for number, module in enumerate(large.residuals):
        block = cast(ResidualConvolution, module)
        if number >= len(small.residuals):
            nn.init.zeros_(cast(nn.Conv2d, block.convolutions[1]).weight)
            nn.init.zeros_(cast(Tensor, block.convolutions[1].bias))
            continue
        given = cast(ResidualConvolution, small.residuals[number])
        for norm, theirs in zip(block.norms, given.norms, strict=True):
            for kind in ("weight", "bias"):
                getattr(norm, kind).copy_(to_new @ getattr(theirs, kind))
        for convolution, theirs in zip(block.convolutions, given.convolutions, strict=True):
            _convolve(theirs, convolution, step)
    width = small.projection.out_features
    by_band = small.projection.weight.view(width, small.config.channels, -1) @ _between(old.clamp(new[0], new[-1]), new)
    nn.init.zeros_(large.projection.weight)
    nn.init.zeros_(large.projection.bias)
    large.projection.weight[:width].copy_(by_band.flatten(1))
    large.projection.bias[:width].copy_(small.projection.bias)


def _convolve(small: nn.Module, large: nn.Module, step: float) -> None:
    """Copy a kernel [out, in, time, bands], its taps where they were on the mel scale if the new ones reach as far.

    A kernel too narrow for that keeps its taps as they are: continued beyond its edge it would be worse (on the English
    model, from 80 bands to 128, 15.5 % of characters wrong before any training, and 13.9 % so).
    """
    assert isinstance(small, nn.Conv2d)
    assert isinstance(large, nn.Conv2d)
    assert small.bias is not None
    assert large.bias is not None
    taps, given = (torch.arange(one.kernel_size[1], dtype=torch.float64) for one in (large, small))
    taps, given = (taps - taps.mean()) * step, given - given.mean()
    if taps[-1] + 1e-9 < given[-1]:
        taps = taps / step
    large.weight.copy_(small.weight @ _between(given, taps))
    large.bias.copy_(small.bias)


def _grow_recurrent(small: DeepSpeech2, large: DeepSpeech2) -> None:
    hidden, more = small.config.gru_hidden, large.config.gru_hidden
    stream = torch.cat([torch.arange(hidden), more + torch.arange(hidden)])  # where both directions' old units are
    kept = torch.arange(small.config.gru_input)
    for number, module in enumerate(large.recurrent):
        layer = cast(RecurrentLayer, module)
        old = cast(RecurrentLayer, small.recurrent[number]) if number < len(small.recurrent) else None
        if old is not None and old.norm is not None and layer.norm is not None:
            _normalise(old.norm, layer.norm, kept)
        _grow_gru(old.gru if old is not None else None, layer.gru, kept)
        kept = stream
    if small.norm is not None and large.norm is not None:
        _normalise(small.norm, large.norm, stream)
    if small.config.classifier_hidden:
        large.classifier.load_state_dict(small.classifier.state_dict())
    else:
        theirs, last = (cast(nn.Linear, one.classifier[0]) for one in (small, large))
        last.weight[:, stream] = theirs.weight
        last.bias.copy_(theirs.bias)


def _normalise(small: nn.LayerNorm, large: nn.LayerNorm, kept: Tensor) -> None:
    """LayerNorm over old values among zeros: they make the spread smaller than it was, and the gain makes up for it."""
    large.weight[kept] = small.weight * (len(small.weight) / len(large.weight)) ** 0.5
    large.bias[kept] = small.bias


def _grow_gru(small: BiGRU | None, large: BiGRU, kept: Tensor) -> None:
    """Old units read old ones as they did and new ones by chance; new units stay at zero until they have learnt."""
    units = small.hidden if small is not None else 0
    # The last third of the rows reckons the new state, tanh(0) for as long as they are zero.
    for parameter in (large.weight_ih, large.weight_hh, large.bias_ih, large.bias_hh):
        parameter[:, 2 * large.hidden + units :] = 0
    if small is None:
        return
    own = torch.arange(units)
    rows = torch.cat([gate * large.hidden + own for gate in range(3)])
    for direction in range(2):
        for name, columns in (("weight_ih", kept), ("weight_hh", own)):
            source, target = getattr(small, name)[direction], getattr(large, name)[direction]
            target[rows[:, None], columns] = source
        large.bias_ih[direction, rows] = small.bias_ih[direction]
        large.bias_hh[direction, rows] = small.bias_hh[direction]
