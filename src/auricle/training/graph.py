"""ONNX graphs, node by node, and the weights in them: what the export of each network is made of.

They are written out by hand because exporters have frozen the time axis of bidirectional loops, and because ONNX's
operator GRU takes the lengths that padding needs. Its gates stand in the order update, reset, new, so rows are moved.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from auricle.errors import TrainingError

Weights: TypeAlias = Literal["float32", "float16", "int8"]
"""How a graph stores its weights; it computes in float32 with each."""
_OPSET = 20
_IR = 10
Shapes: TypeAlias = Sequence[tuple[str, int, Sequence[str | int]]]
"""Inputs or outputs of a graph: name, ONNX type, dimensions."""
_SCALE = ".scale"
_BIASES = "biases"  # both of a GRU's
_SMALLEST = 1024  # values; biases and norms stay in float32, they weigh nothing


class Graph:
    """An ONNX graph under construction. Methods add a node and return the name of its output.

    Weights are stored under the names that they have in the network, so that `stored_weights` finds them again.
    """

    def __init__(self, network: nn.Module, weights: Weights) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._weights = weights
        self._names: Mapping[int, str] = {id(own): name for name, own in network.named_parameters()}
        self._count = 0

    def op(self, kind: str, *inputs: str, outputs: Sequence[str] | None = None, **attributes: Any) -> str:
        """Add a node of an ONNX operator."""
        names = list(outputs) if outputs else [self._name(kind.lower())]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0]

    def constant(self, values: Any, dtype: npt.DTypeLike = np.int64) -> str:
        """Store values that are not weights."""
        return self._initializer(np.asarray(values, dtype))

    def weight(self, tensor: Tensor, axis: int = 0, *, rows: Tensor | None = None, nothing: str | None = None) -> str:
        """Store a tensor in the graph's weight type and return it as float32; int8 has a scale per index of `axis`.

        `rows` is the order in which the rows of dimension 1 are stored. Where a `nothing` is given, int8 is not made
        float32 before that is known.
        """
        ordered = tensor if rows is None else tensor[:, rows]
        return self.stored(ordered.detach().cpu().numpy(), self._names[id(tensor)], axis, nothing=nothing)

    def nothing(self, x: str) -> str:
        """Return a zero [1] that is known once x is."""
        size = self.op("Cast", self.op("Shape", x, end=1), to=TensorProto.FLOAT)
        return self.op("Mul", size, self.constant([0], np.float32))

    def stored(self, values: npt.NDArray[np.float32], name: str, axis: int = 0, *, nothing: str | None = None) -> str:
        """Store values under a name in the graph's weight type, and return them as float32, as `weight` does."""
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
        scales = self.op("Add", scales, nothing) if nothing else scales
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
        """Add a linear layer over the last dimension."""
        weight = self.op("Transpose", self.weight(layer.weight), perm=[1, 0])
        return self.op("Add", self.op("MatMul", x, weight), self.weight(layer.bias))

    def norm(self, x: str, layer: nn.Module) -> str:
        """Add a LayerNorm over the last dimension."""
        assert isinstance(layer, nn.LayerNorm)
        return self.op(
            "LayerNormalization", x, self.weight(layer.weight), self.weight(layer.bias), axis=-1, epsilon=layer.eps
        )

    def convolution(self, x: str, layer: nn.Module) -> str:
        """Add a convolution over [B, C, T, bands]."""
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

    def recurrent(self, x: str, sequence_lens: str, layer: Any) -> str:
        """Add a RecurrentLayer over [T, B, width], each clip within its length [B] in int32."""
        y = self.norm(x, layer.norm) if layer.norm is not None else x
        y = self.op("Gelu", y) if layer.gelu else y
        gru, hidden = layer.gru, layer.gru.hidden
        rows = _moved(hidden, (1, 0, 2))
        biases = torch.cat((gru.bias_ih[:, rows], gru.bias_hh[:, rows]), dim=1)
        name = self._names[id(gru.bias_ih)].removesuffix("bias_ih") + _BIASES
        # ONNX Runtime would make float32 of all layers' weights first of all, and have them in memory at once.
        nothing = self.nothing(y) if self._weights == "int8" else None
        states = self.op(
            "GRU",
            y,
            self.weight(gru.weight_ih, axis=1, rows=rows, nothing=nothing),
            self.weight(gru.weight_hh, axis=1, rows=rows, nothing=nothing),
            self.stored(biases.detach().cpu().numpy(), name, axis=1, nothing=nothing),
            sequence_lens,
            direction="bidirectional",
            hidden_size=hidden,
            linear_before_reset=1,
        )
        states = self.op("Transpose", states, perm=[0, 2, 1, 3])  # [T, 2, B, H] to [T, B, 2, H]
        states = self.op("Reshape", states, self.constant([0, 0, -1]))
        return self.op("Add", x, states) if layer.residual else states

    def model(self, name: str, inputs: Shapes, outputs: Shapes) -> bytes:
        """Return the serialised model of this graph; it is checked."""
        proto = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(*value) for value in inputs],
            [helper.make_tensor_value_info(*value) for value in outputs],
            self.initializers,
        )
        model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="auricle")
        model.ir_version = _IR
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())


def stored_weights(content: bytes, network: nn.Module, bundle: str, last: Collection[str] = ()) -> dict[str, Tensor]:
    """Return the weights that a graph stores, float32, under the names and in the layout of `network`.

    What serves training alone, such as a second classifier, is not in a graph. Those in `last` may have other rows.
    Raises TrainingError, which names the `bundle`, for a graph whose weights have no names, and for other sizes than
    the network's.
    """
    graph = onnx.load_from_string(content).graph
    stored = {one.name: numpy_helper.to_array(one).astype(np.float32) for one in graph.initializer}
    if "projection.weight" not in stored:
        raise TrainingError(f"{bundle}: its weights have no names, as in bundles of old: export the model again.")
    for name in [name for name in stored if name.endswith(_SCALE)]:
        stored[name.removesuffix(_SCALE)] *= stored[name][:, None]
    for name in [name for name in stored if name.endswith("." + _BIASES)]:
        layer = name.removesuffix(_BIASES)
        stored[layer + "bias_ih"], stored[layer + "bias_hh"] = np.split(stored[name].reshape(2, -1), 2, axis=1)
    weights = dict[str, Tensor]()
    for name, parameter in network.named_parameters():
        if (values := stored.get(name)) is None:
            if name.startswith("auxiliary"):
                continue
            raise TrainingError(f"{bundle}: has no {name}, which the recipe's network has: take its own recipe.")
        shape = [-1, *parameter.shape[1:]] if name in last else list(parameter.shape)
        if values.size % math.prod(parameter.shape[1:]) or (name not in last and values.size != parameter.numel()):
            raise TrainingError(f"{bundle}: {name} has other sizes than in the recipe's network: take its own recipe.")
        weight = torch.from_numpy(values.reshape(shape).copy())
        weights[name] = weight[:, _moved(weight.shape[1] // 3, (1, 0, 2))] if ".gru." in name else weight
    return weights


def _moved(hidden: int, gates: Sequence[int]) -> Tensor:
    """Return the rows of a gate matrix with its three gates in another order."""
    return torch.cat([torch.arange(gate * hidden, (gate + 1) * hidden) for gate in gates])
