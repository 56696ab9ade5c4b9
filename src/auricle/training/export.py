"""From a trained network to a bundle: its ONNX graph, refused unless it says what torch says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor, nn

from auricle.acoustic import AcousticModel
from auricle.alphabet import Alphabet
from auricle.bundle import ACOUSTIC, Bundle
from auricle.errors import TrainingError
from auricle.features import Array, FeatureConfig, Normalization
from auricle.training.graph import Graph, Weights, stored_weights
from auricle.training.network import DeepSpeech2

PARITY = 1e-4
"""Largest difference of a log-probability between torch and ONNX Runtime, both in float32."""


def to_onnx(network: DeepSpeech2, weights: Weights = "float32") -> bytes:
    """Return the serialised graph, from features and lengths to log_probs and out_lengths as a bundle has them."""
    graph = Graph(network, weights)
    config = network.config
    mask_in = _mask(graph, "lengths", graph.op("Shape", "features", start=1, end=2))
    x = graph.op("Mul", "features", graph.op("Unsqueeze", mask_in, graph.constant([2])))
    frames = _shortened(graph, graph.op("Shape", "features", start=1, end=2), config.stride)
    _shortened(graph, "lengths", config.stride, outputs=["out_lengths"])
    lengths = _shortened(graph, "lengths", config.stride_time)

    x = graph.convolution(graph.op("Unsqueeze", x, graph.constant([1])), network.convolution)
    mask = _mask(graph, lengths, graph.op("Shape", x, start=2, end=3))
    mask = graph.op("Unsqueeze", mask, graph.constant([1, 3]))
    x = graph.op("Mul", x, mask)
    for block in network.residuals:
        x = _residual(graph, x, mask, block)
    x = graph.op("Transpose", x, perm=[2, 0, 1, 3])
    x = graph.op("Reshape", x, graph.constant([0, 0, -1]))
    x = graph.linear(x, network.projection)
    sequence_lens = graph.op("Cast", lengths, to=TensorProto.INT32)
    for layer in network.recurrent:
        x = graph.recurrent(x, sequence_lens, layer)
    if network.norm is not None:
        x = graph.norm(x, network.norm)
    *hidden, last = network.classifier
    for linear in hidden:
        assert isinstance(linear, nn.Linear)
        x = graph.op("Gelu", graph.linear(x, linear))
    assert isinstance(last, nn.Linear)
    x = graph.op("Transpose", graph.linear(x, last), perm=[1, 0, 2])
    if config.outputs > 1:
        x = graph.op("Reshape", x, graph.constant([0, -1, network.tokens]))
        x = graph.op("Slice", x, graph.constant([0]), frames, graph.constant([1]))
    if len(network.alphabets) == 1:
        graph.op("LogSoftmax", x, outputs=["log_probs"], axis=-1)
    else:
        names = [f"scores_{number}" for number in range(len(network.alphabets))]
        graph.op("Split", x, graph.constant(network.alphabets), outputs=names, axis=-1)
        graph.op("Concat", *(graph.op("LogSoftmax", one, axis=-1) for one in names), outputs=["log_probs"], axis=-1)
    return graph.model(
        "deep_speech_2",
        [("features", TensorProto.FLOAT, ["B", "T", network.mel]), ("lengths", TensorProto.INT64, ["B"])],
        [("log_probs", TensorProto.FLOAT, ["B", "T_out", network.tokens]), ("out_lengths", TensorProto.INT64, ["B"])],
    )


def _shortened(graph: Graph, lengths: str, stride: int, outputs: Sequence[str] | None = None) -> str:
    """Divide lengths by the stride and round up."""
    return graph.op(
        "Div", graph.op("Add", lengths, graph.constant([stride - 1])), graph.constant([stride]), outputs=outputs
    )


def _mask(graph: Graph, lengths: str, steps: str) -> str:
    """Return float32 [B, T]: one where a frame is inside its clip."""
    steps = graph.op("Squeeze", steps, graph.constant([0]))
    positions = graph.op("Range", graph.constant(0), steps, graph.constant(1))
    inside = graph.op("Less", positions, graph.op("Unsqueeze", lengths, graph.constant([1])))
    return graph.op("Cast", inside, to=TensorProto.FLOAT)


def _residual(graph: Graph, x: str, mask: str, block: Any) -> str:
    y = x
    for norm, convolution in zip(block.norms, block.convolutions, strict=True):
        y = graph.op("Mul", graph.op("Gelu", graph.norm(y, norm)), mask)
        y = graph.convolution(y, convolution)
    return graph.op("Mul", graph.op("Add", x, y), mask)


def read_weights(bundle: Bundle, network: DeepSpeech2) -> dict[str, Tensor]:
    """Return the weights of a bundle's acoustic model, float32, under the names and in the layout of `network`.

    The last layer has the rows of the bundle's own alphabet, and of its phones. Raises TrainingError for a graph whose
    weights have no names, and for other sizes than the network's.
    """
    last = {f"classifier.{len(network.classifier) - 1}.{kind}" for kind in ("weight", "bias")}
    return stored_weights(bundle.files[ACOUSTIC], network, bundle.name, last)


def check_parity(network: DeepSpeech2, batch: Sequence[Array]) -> float:
    """Return the largest difference of a log-probability between torch and ONNX Runtime on a ragged batch, in float32.

    The ONNX side sees the clips together and each alone; torch sees them together. Raises TrainingError above 1e-4.
    """
    network.eval()
    lengths = torch.tensor([len(features) for features in batch])
    padded = nn.utils.rnn.pad_sequence([torch.from_numpy(features) for features in batch], batch_first=True)
    with torch.inference_mode():
        log_probs, out_lengths = network(padded, lengths)
    expected = [row[:length].numpy() for row, length in zip(log_probs, out_lengths, strict=True)]
    session = AcousticModel(to_onnx(network), mel=network.mel, tokens=network.tokens, threads=1)
    alone = [session.log_probs([features])[0] for features in batch]
    worst = max(
        float(np.abs(ours - theirs).max())
        for results in (session.log_probs(batch), alone)
        for ours, theirs in zip(results, expected, strict=True)
    )
    if not worst <= PARITY:
        raise TrainingError(
            f"export refused: ONNX Runtime and PyTorch differ by {worst:.2g}, and {PARITY:g} is the most."
        )
    return worst


def checked_onnx(network: DeepSpeech2, weights: Weights) -> bytes:
    """Return the serialised graph as `to_onnx` does. Raises TrainingError unless the parity check passes."""
    rng = np.random.default_rng(0)
    stride = network.config.stride
    ragged = (1, stride, 3 * stride + 1, 97, 40)
    check_parity(network, [rng.standard_normal((frames, network.mel), dtype=np.float32) for frames in ragged])
    return to_onnx(network, weights)


def to_bundle(
    network: DeepSpeech2,
    *,
    name: str,
    version: str,
    created: str,
    features: FeatureConfig,
    normalization: Normalization,
    alphabet: Alphabet,
    phones: Sequence[str] = (),
    weights: Weights = "float16",
    card: Mapping[str, Any] | None = None,
) -> Bundle:
    """Return a bundle of the network. Raises TrainingError unless the parity check passes."""
    return Bundle(
        name=name,
        version=version,
        created=created,
        features=features,
        normalization=normalization,
        alphabet=alphabet,
        phones=tuple(phones),
        frame_seconds=network.config.stride * features.hop_seconds,
        files={ACOUSTIC: checked_onnx(network, weights)},
        decoder={"kind": "greedy"},
        card=dict(card or {}),
    )
