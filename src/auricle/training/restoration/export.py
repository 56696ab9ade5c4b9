"""From a trained restorer to its file: the ONNX graph node by node, refused unless it says what torch says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from auricle.errors import TrainingError
from auricle.restoration.features import ROWS_PER_WORD, pause_rows, word_rows
from auricle.restoration.model import RestorerModel
from auricle.restoration.neural import NeuralRestorer
from auricle.restoration.types import CASES, MARKS
from auricle.training.restoration.network import Block, Neighbours, RestorerNetwork
from auricle.training.restoration.recipe import RestorerRecipe

PARITY = 1e-4
"""Largest difference of a logit between torch and ONNX Runtime, both with the stored float16 weights."""
_OPSET, _IR = 20, 10
_SMALLEST = 1024  # values; biases and norms stay in float32, they weigh nothing


class _Graph:
    """An ONNX graph under construction; methods add a node and return the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def op(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, values: NDArray[Any]) -> str:
        name = f"c_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def weight(self, values: NDArray[np.float32]) -> str:
        if values.size < _SMALLEST:
            return self.constant(values)
        return self.op("Cast", self.constant(values.astype(np.float16)), to=TensorProto.FLOAT)

    def linear(self, x: str, layer: nn.Linear, output: str | None = None) -> str:
        return self.op("Gemm", x, self.weight(_array(layer.weight.T)), self.weight(_array(layer.bias)), output=output)

    def norm(self, x: str, layer: nn.LayerNorm) -> str:
        # Step by step: ONNX Runtime's own LayerNormalization takes 5 ns a value, a third of the whole network's time.
        last, least = self.constant(np.array([1])), self.constant(np.array(layer.eps, np.float32))
        centred = self.op("Sub", x, self.op("ReduceMean", x, last, keepdims=1))
        variance = self.op("ReduceMean", self.op("Mul", centred, centred), last, keepdims=1)
        spread = self.op("Sqrt", self.op("Add", variance, least))
        normal = self.op("Mul", centred, self.op("Reciprocal", spread))
        scaled = self.op("Mul", normal, self.weight(_array(layer.weight)))
        return self.op("Add", scaled, self.weight(_array(layer.bias)))

    def neighbours(self, x: str, layer: Neighbours) -> str:
        far = max(layer.offsets)
        padded = self.op("Pad", x, self.constant(np.array([far, 0, far, 0])))
        beside = [self._slice(padded, far + offset, offset - far) for offset in layer.offsets]
        return self.op("Gelu", self.linear(self.op("Concat", *beside, axis=1), layer.linear))

    def _slice(self, x: str, begin: int, end: int) -> str:
        """Return rows [begin, end) of x; `end` counts from behind, and 0 is all."""
        stop = end if end < 0 else np.iinfo(np.int64).max
        return self.op("Slice", x, *(self.constant(np.array([value])) for value in (begin, stop, 0)))


def to_onnx(network: RestorerNetwork) -> bytes:
    """Return the serialised graph: `rows [T, 6]` of one text to `scores [T, marks + cases]`."""
    graph = _Graph()
    table = graph.constant(_array(network.table.weight).astype(np.float16))
    found = graph.op("Cast", graph.op("Gather", table, "rows"), to=TensorProto.FLOAT)
    x = graph.op("ReduceSum", found, graph.constant(np.array([1])), keepdims=0)
    x = graph.neighbours(x, network.first)
    for block in network.blocks:
        assert isinstance(block, Block)
        x = graph.op("Add", x, graph.neighbours(graph.norm(x, block.norm), block.neighbours))
    graph.linear(graph.norm(x, network.norm), network.output, output="scores")
    value = helper.make_tensor_value_info
    proto = helper.make_graph(
        graph.nodes,
        "restorer",
        [value("rows", TensorProto.INT32, ["T", ROWS_PER_WORD])],
        [value("scores", TensorProto.FLOAT, ["T", len(MARKS) + len(CASES)])],
        graph.initializers,
    )
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="auricle")
    model.ir_version = _IR
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def to_model(
    network: RestorerNetwork,
    recipe: RestorerRecipe,
    *,
    name: str,
    version: str,
    created: str,
    stored: Mapping[str, str],
    card: Mapping[str, Any] | None = None,
    kinds: Mapping[str, int] | None = None,
) -> RestorerModel:
    """Return the restorer of a network, its weights rounded to float16. Raises TrainingError without parity."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.numel() >= _SMALLEST:
                parameter.copy_(parameter.half().float())
    model = RestorerModel(
        name=name,
        version=version,
        created=created,
        rows=recipe.rows,
        context=recipe.context,
        biases=(0.0,) * len(MARKS),
        stored=dict(stored),
        graph=to_onnx(network),
        card=dict(card or {}),
        kinds=dict(kinds or {}),
    )
    check_parity(network, model)
    return model


def check_parity(network: RestorerNetwork, model: RestorerModel) -> float:
    """Return the largest difference of a logit on random words. Raises TrainingError above 1e-4."""
    random = np.random.default_rng(0)
    worst = 0.0
    for length in (1, 2, 3 * model.context, 700):
        words = ["".join(map(chr, random.integers(97, 123, random.integers(1, 9)))) for _ in range(length)]
        pauses = np.where(random.random(length) < 0.5, np.nan, random.random(length)).tolist()
        ours = NeuralRestorer(model).scores(words, pauses)
        worst = max(worst, float(np.abs(ours - _torch_scores(network, model, words, pauses)).max()))
    if not worst <= PARITY:
        raise TrainingError(f"export refused: ONNX Runtime and PyTorch differ by {worst:.2g}, more than {PARITY:g}.")
    return worst


def _torch_scores(
    network: RestorerNetwork, model: RestorerModel, words: Sequence[str], pauses: Sequence[float]
) -> NDArray[np.float32]:
    rows = word_rows(words, network.table.num_embeddings, model.kinds)
    rows[:, -1] = pause_rows(pauses, len(words))
    with torch.inference_mode():
        logits = network.eval()(torch.from_numpy(rows)[None], torch.ones(1, len(words), 1))[0]
    scores: NDArray[np.float32] = logits.numpy()
    return scores


def _array(values: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.detach().cpu().numpy()
    return array
