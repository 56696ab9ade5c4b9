"""From a trained network to a bundle: the ONNX graph is built node by node, and refused unless it says what torch says.

The graph is written out by hand because exporters have frozen the time axis of bidirectional loops, and because ONNX's
operator GRU takes the lengths that padding needs. Its gates stand in the order update, reset, new, so rows are moved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from auricle.acoustic import AcousticModel
from auricle.alphabet import Alphabet
from auricle.bundle import ACOUSTIC, Bundle
from auricle.errors import TrainingError
from auricle.features import Array, FeatureConfig, Normalization
from auricle.training.network import DeepSpeech2

Weights: TypeAlias = Literal["float32", "float16", "int8"]
PARITY = 1e-4
"""Largest difference of a log-probability between torch and ONNX Runtime, both in float32."""
_OPSET = 20
_IR = 10
_SCALE = ".scale"
_SMALLEST = 1024  # values; biases and norms stay in float32, they weigh nothing


class _Graph:
    """An ONNX graph under construction. Methods add a node and return the name of its output.

    Weights are stored under the names that they have in the network, so that `read_weights` finds them again.
    """

    def __init__(self, weights: Weights, names: Mapping[int, str]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._weights = weights
        self._names = names
        self._count = 0

    def op(self, kind: str, *inputs: str, outputs: Sequence[str] | None = None, **attributes: Any) -> str:
        names = list(outputs) if outputs else [self._name(kind.lower())]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0]

    def constant(self, values: Any, dtype: npt.DTypeLike = np.int64) -> str:
        return self._initializer(np.asarray(values, dtype))

    def weight(self, tensor: Tensor, axis: int = 0, *, rows: Tensor | None = None) -> str:
        """Store a tensor in the graph's weight type and return it as float32; int8 has a scale per index of `axis`.

        `rows` is the order in which the rows of dimension 1 are stored.
        """
        ordered = tensor if rows is None else tensor[:, rows]
        return self.stored(ordered.detach().cpu().numpy(), self._names[id(tensor)], axis)

    def stored(self, values: npt.NDArray[np.float32], name: str, axis: int = 0) -> str:
        values = np.ascontiguousarray(values)
        if self._weights == "float32" or values.size < _SMALLEST:
            return self._initializer(values, name)
        if self._weights == "float16":
            return self.op("Cast", self._initializer(values.astype(np.float16), name), to=TensorProto.FLOAT)
        # ONNX scales one axis: the leading ones are folded into it and unfolded again.
        folded = values.reshape(-1, int(np.prod(values.shape[axis + 1 :])))
        scale = np.maximum(np.abs(folded).max(axis=1), 1e-12) / 127
        stored = self._initializer(np.round(folded / scale[:, None]).astype(np.int8), name)
        zero = self._initializer(np.zeros(len(scale), np.int8))
        scales = self._initializer(scale.astype(np.float32), name + _SCALE)
        restored = self.op("DequantizeLinear", stored, scales, zero, axis=0)
        return self.op("Reshape", restored, self.constant(values.shape))

    def _initializer(self, values: npt.NDArray[Any], name: str | None = None) -> str:
        name = name or self._name("c")
        self.initializers.append(numpy_helper.from_array(values, name))
        return name

    def _name(self, stem: str) -> str:
        self._count += 1
        return f"{stem}_{self._count}"

    def linear(self, x: str, layer: nn.Linear) -> str:
        weight = self.op("Transpose", self.weight(layer.weight), perm=[1, 0])
        return self.op("Add", self.op("MatMul", x, weight), self.weight(layer.bias))

    def norm(self, x: str, layer: nn.Module) -> str:
        assert isinstance(layer, nn.LayerNorm)
        return self.op(
            "LayerNormalization", x, self.weight(layer.weight), self.weight(layer.bias), axis=-1, epsilon=layer.eps
        )

    def convolution(self, x: str, layer: nn.Module) -> str:
        assert isinstance(layer, nn.Conv2d)
        assert layer.bias is not None
        time, mel = (int(pad) for pad in layer.padding)
        return self.op(
            "Conv",
            x,
            self.weight(layer.weight),
            self.weight(layer.bias),
            kernel_shape=list(layer.kernel_size),
            strides=list(layer.stride),
            pads=[time, mel, time, mel],
        )


def to_onnx(network: DeepSpeech2, weights: Weights = "float32") -> bytes:
    """Return the serialised graph, from features and lengths to log_probs and out_lengths as a bundle has them."""
    graph = _Graph(weights, {id(parameter): name for name, parameter in network.named_parameters()})
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
    for number, layer in enumerate(network.recurrent):
        x = _recurrent(graph, x, sequence_lens, layer, f"recurrent.{number}.gru")
    if network.norm is not None:
        x = graph.norm(x, network.norm)
    *hidden, last = network.classifier
    for linear in hidden:
        assert isinstance(linear, nn.Linear)
        x = graph.op("Gelu", graph.linear(x, linear))
    assert isinstance(last, nn.Linear)
    x = graph.linear(x, last)
    if network.speller is not None:
        x = _spelt(graph, x, sequence_lens, network)
    x = graph.op("Transpose", x, perm=[1, 0, 2])
    if config.outputs > 1:
        x = graph.op("Reshape", x, graph.constant([0, -1, network.tokens]))
        x = graph.op("Slice", x, graph.constant([0]), frames, graph.constant([1]))
    if len(network.alphabets) == 1:
        graph.op("LogSoftmax", x, outputs=["log_probs"], axis=-1)
    else:
        names = [f"scores_{number}" for number in range(len(network.alphabets))]
        graph.op("Split", x, graph.constant(network.alphabets), outputs=names, axis=-1)
        graph.op("Concat", *(graph.op("LogSoftmax", one, axis=-1) for one in names), outputs=["log_probs"], axis=-1)
    return bytes(_model(graph, network).SerializeToString())


def _shortened(graph: _Graph, lengths: str, stride: int, outputs: Sequence[str] | None = None) -> str:
    """Divide lengths by the stride and round up."""
    return graph.op(
        "Div", graph.op("Add", lengths, graph.constant([stride - 1])), graph.constant([stride]), outputs=outputs
    )


def _mask(graph: _Graph, lengths: str, steps: str) -> str:
    """Return float32 [B, T]: one where a frame is inside its clip."""
    steps = graph.op("Squeeze", steps, graph.constant([0]))
    positions = graph.op("Range", graph.constant(0), steps, graph.constant(1))
    inside = graph.op("Less", positions, graph.op("Unsqueeze", lengths, graph.constant([1])))
    return graph.op("Cast", inside, to=TensorProto.FLOAT)


def _residual(graph: _Graph, x: str, mask: str, block: Any) -> str:
    y = x
    for norm, convolution in zip(block.norms, block.convolutions, strict=True):
        y = graph.op("Mul", graph.op("Gelu", graph.norm(y, norm)), mask)
        y = graph.convolution(y, convolution)
    return graph.op("Mul", graph.op("Add", x, y), mask)


def _recurrent(graph: _Graph, x: str, sequence_lens: str, layer: Any, name: str) -> str:
    y = graph.norm(x, layer.norm) if layer.norm is not None else x
    y = graph.op("Gelu", y) if layer.gelu else y
    gru, hidden = layer.gru, layer.gru.hidden
    rows = _moved(hidden, (1, 0, 2))
    biases = torch.cat((gru.bias_ih[:, rows], gru.bias_hh[:, rows]), dim=1)
    states = graph.op(
        "GRU",
        y,
        graph.weight(gru.weight_ih, axis=1, rows=rows),
        graph.weight(gru.weight_hh, axis=1, rows=rows),
        graph.stored(biases.detach().cpu().numpy(), f"{name}.biases", axis=1),
        sequence_lens,
        direction="bidirectional",
        hidden_size=hidden,
        linear_before_reset=1,
    )
    states = graph.op("Transpose", states, perm=[0, 2, 1, 3])  # [T, 2, B, H] to [T, B, 2, H]
    states = graph.op("Reshape", states, graph.constant([0, 0, -1]))
    return graph.op("Add", x, states) if layer.residual else states


def _spelt(graph: _Graph, scores: str, sequence_lens: str, network: DeepSpeech2) -> str:
    """Return scores [T', B, outputs * tokens] whose letters are what the speller makes of the phones."""
    speller, outputs, letters = network.speller, network.config.outputs, network.alphabets[0]
    assert speller is not None
    by_step = graph.op("Reshape", scores, graph.constant([0, 0, outputs, network.tokens]))
    graph.op("Split", by_step, graph.constant(network.alphabets), outputs=["heard_letters", "heard_phones"], axis=-1)
    x = graph.op("Reshape", graph.op("Softmax", "heard_phones", axis=-1), graph.constant([0, 0, -1]))
    x = graph.linear(x, speller.projection)
    for number, layer in enumerate(speller.recurrent):
        x = _recurrent(graph, x, sequence_lens, layer, f"speller.recurrent.{number}.gru")
    x = graph.linear(graph.norm(x, speller.norm), speller.output)
    x = graph.op("Reshape", x, graph.constant([0, 0, outputs, letters]))
    x = graph.op("Concat", x, "heard_phones", axis=-1)
    return graph.op("Reshape", x, graph.constant([0, 0, -1]))


def _moved(hidden: int, gates: Sequence[int]) -> Tensor:
    """Return the rows of a gate matrix with its three gates in another order."""
    return torch.cat([torch.arange(gate * hidden, (gate + 1) * hidden) for gate in gates])


def read_weights(bundle: Bundle, network: DeepSpeech2) -> dict[str, Tensor]:
    """Return the weights of a bundle's acoustic model, float32, under the names and in the layout of `network`.

    What serves training alone, such as a second classifier, is not in a bundle. The last layer has the rows of the
    bundle's own alphabet, and of its phones. Raises TrainingError for a graph whose weights have no names, and for
    other sizes than the network's.
    """
    graph = onnx.load_from_string(bundle.files[ACOUSTIC]).graph
    stored = {one.name: numpy_helper.to_array(one).astype(np.float32) for one in graph.initializer}
    if "projection.weight" not in stored:
        raise TrainingError(f"{bundle.name}: its weights have no names, as in bundles of old: export the model again.")
    for name in [name for name in stored if name.endswith(_SCALE)]:
        stored[name.removesuffix(_SCALE)] *= stored[name][:, None]
    for name in [name for name in stored if name.endswith(".biases")]:
        layer = name.removesuffix("biases")
        stored[layer + "bias_ih"], stored[layer + "bias_hh"] = np.split(stored[name].reshape(2, -1), 2, axis=1)
    last = {f"classifier.{len(network.classifier) - 1}.{kind}" for kind in ("weight", "bias")}
    weights = dict[str, Tensor]()
    for name, parameter in network.named_parameters():
        if (values := stored.get(name)) is None:
            if name.startswith("auxiliary"):
                continue
            raise TrainingError(f"{bundle.name}: has no {name}, which the recipe's network has: take its own recipe.")
        shape = [-1, *parameter.shape[1:]] if name in last else list(parameter.shape)
        if values.size % math.prod(parameter.shape[1:]) or (name not in last and values.size != parameter.numel()):
            raise TrainingError(
                f"{bundle.name}: {name} has other sizes than in the recipe's network: take its own recipe."
            )
        weight = torch.from_numpy(values.reshape(shape).copy())
        weights[name] = weight[:, _moved(weight.shape[1] // 3, (1, 0, 2))] if ".gru." in name else weight
    return weights


def _model(graph: _Graph, network: DeepSpeech2) -> onnx.ModelProto:
    value = helper.make_tensor_value_info
    proto = helper.make_graph(
        graph.nodes,
        "deep_speech_2",
        [value("features", TensorProto.FLOAT, ["B", "T", network.mel]), value("lengths", TensorProto.INT64, ["B"])],
        [
            value("log_probs", TensorProto.FLOAT, ["B", "T_out", network.tokens]),
            value("out_lengths", TensorProto.INT64, ["B"]),
        ],
        graph.initializers,
    )
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="auricle")
    model.ir_version = _IR
    onnx.checker.check_model(model)
    return model


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
