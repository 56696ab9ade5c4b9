"""From a trained restorer to its file: the ONNX graph node by node, refused unless it says what torch says.

With `int8` the convolutions multiply whole numbers: a quarter of the bytes, and more than twice as fast where the
processor has instructions for it. What goes in is rounded to steps that were measured beforehand and are the same for
every text: steps that suit each text, as ONNX Runtime's dynamic quantisation has them, would make what is said of a
word depend on words that are far away. Weights have seven bits and not eight, so that a sum of two products fits into
16 bits, which processors without those instructions need: all say the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
_OPSET, _IR, _FLOAT = 20, 10, TensorProto.FLOAT
_SMALLEST = 1024  # values; biases and norms stay in float32, they weigh nothing
_MOST_WEIGHT, _MOST_INPUT, _MIDDLE = 63, 127, 128  # of a weight, of an input on either side of its zero, and this zero
_MOST_ROW = 127  # of the table, which is looked up and not multiplied
_COVERED = 0.9999  # of the inputs that were measured; the few beyond are cut off
_TABLE = "table.weight"
_SCALE, _INPUT = ".scale", ".input"  # beside a weight's name: what a column was rounded to, times the inputs' step
MOST_LOST = 0.02
"""Largest part of words for which rounding to whole numbers may change the likeliest mark or case."""


class _Graph:
    """An ONNX graph under construction; methods add a node and return the name of its output.

    `steps` has for each convolution that is to multiply whole numbers the step to which its inputs are rounded. Weights
    are stored under the names that they have in the network, so that `stored_weights` finds them again.
    """

    def __init__(self, network: nn.Module, steps: Mapping[Neighbours, float]) -> None:
        self._steps = steps
        self._names: Mapping[int, str] = {id(own): name for name, own in network.named_parameters()}
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def op(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, values: NDArray[Any], name: str | None = None) -> str:
        name = name or f"c_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def weight(self, tensor: torch.Tensor) -> str:
        """Store a weight; a matrix stands as products take it, [inputs, outputs]."""
        values, name = _array(tensor.t()), self._names[id(tensor)]
        if values.size < _SMALLEST:
            return self.constant(values, name)
        return self.op("Cast", self.constant(values.astype(np.float16), name), to=_FLOAT)

    def linear(self, x: str, layer: nn.Linear, output: str | None = None) -> str:
        return self.op("Gemm", x, self.weight(layer.weight), self.weight(layer.bias), output=output)

    def norm(self, x: str, layer: nn.LayerNorm) -> str:
        # Step by step: ONNX Runtime's own LayerNormalization takes 5 ns a value, a third of the whole network's time.
        last, least = self.constant(np.array([1])), self.constant(np.array(layer.eps, np.float32))
        centred = self.op("Sub", x, self.op("ReduceMean", x, last, keepdims=1))
        variance = self.op("ReduceMean", self.op("Mul", centred, centred), last, keepdims=1)
        spread = self.op("Sqrt", self.op("Add", variance, least))
        normal = self.op("Mul", centred, self.op("Reciprocal", spread))
        return self.op("Add", self.op("Mul", normal, self.weight(layer.weight)), self.weight(layer.bias))

    def neighbours(self, x: str, layer: Neighbours) -> str:
        far = max(layer.offsets)
        x = self.op("Pad", x, self.constant(np.array([far, 0, far, 0])))
        if step := self._steps.get(layer):
            zero = self.constant(np.array(_MIDDLE, np.uint8))
            name = self._names[id(layer.linear.weight)] + _INPUT
            x = self.op("QuantizeLinear", x, self.constant(np.array(step, np.float32), name), zero)
        beside = [self._slice(x, far + offset, offset - far) for offset in layer.offsets]
        words = self.op("Concat", *beside, axis=1)
        y = self._whole(words, zero, step, layer.linear) if step else self.linear(words, layer.linear)
        return self.op("Mul", y, self.op("Sigmoid", y))

    def table(self, rows: str, table: nn.Embedding) -> str:
        """Return the sum of a word's rows."""
        weights, name, last = _array(table.weight), self._names[id(table.weight)], self.constant(np.array([1]))
        if not self._steps:
            found = self.op("Cast", self.op("Gather", self.constant(weights.astype(np.float16), name), rows), to=_FLOAT)
            return self.op("ReduceSum", found, last, keepdims=0)
        whole, steps = _rounded(weights, _MOST_ROW)
        found = self.op("Cast", self.op("Gather", self.constant(whole, name), rows), to=_FLOAT)
        return self.op("Mul", self.op("ReduceSum", found, last, keepdims=0), self.constant(steps, name + _SCALE))

    def _whole(self, x: str, zero: str, step: float, layer: nn.Linear) -> str:
        """Return a linear layer's outputs for inputs that are whole numbers, counted in `step` from `zero`."""
        (whole, steps), name = _rounded(_array(layer.weight.T), _MOST_WEIGHT), self._names[id(layer.weight)]
        product = self.op("Cast", self.op("MatMulInteger", x, self.constant(whole, name), zero), to=_FLOAT)
        scaled = self.op("Mul", product, self.constant(steps * np.float32(step), name + _SCALE))
        return self.op("Add", scaled, self.weight(layer.bias))

    def _slice(self, x: str, begin: int, end: int) -> str:
        """Return rows [begin, end) of x; `end` counts from behind, and 0 is all."""
        stop = end if end < 0 else np.iinfo(np.int64).max
        return self.op("Slice", x, *(self.constant(np.array([value])) for value in (begin, stop, 0)))


def to_onnx(network: RestorerNetwork, steps: Mapping[Neighbours, float] | None = None) -> bytes:
    """Return the serialised graph: `rows [T, 6]` of one text to `scores [T, marks + cases]`.

    `steps` are those of `input_steps`, for a graph of whole numbers.
    """
    graph = _Graph(network, steps or {})
    x = graph.neighbours(graph.table("rows", network.table), network.first)
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


def stored_weights(graph: bytes) -> dict[str, torch.Tensor]:
    """Return the weights that a graph of `to_onnx` stores, float32, under the network's names and in its layout.

    Those that were rounded are what they were rounded to. A graph whose weights have no names has none.
    """
    constants = {one.name: numpy_helper.to_array(one) for one in onnx.load_from_string(graph).graph.initializer}
    weights = {}
    for name, values in constants.items():
        if name.endswith((".weight", ".bias")):
            whole = values.astype(np.float32) * constants.get(name + _SCALE, np.float32(1))
            weight = torch.from_numpy(whole / constants.get(name + _INPUT, np.float32(1)))
            weights[name] = weight if name == _TABLE else weight.t().contiguous()
    return weights


@torch.inference_mode()
def input_steps(network: RestorerNetwork, rows: NDArray[np.int32]) -> dict[Neighbours, float]:
    """Return the step to which the inputs of each block's convolution are rounded, from those for rows [T, 6].

    The first convolution stays as it is: sums of a table's rows have no common size.
    """
    seen: dict[Neighbours, float] = {}

    def look(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(layer, Neighbours)
        seen[layer] = float(np.quantile(np.abs(_array(inputs[0])), _COVERED)) / _MOST_INPUT

    blocks = [block for block in network.blocks if isinstance(block, Block)]
    hooks = [block.neighbours.register_forward_pre_hook(look) for block in blocks]
    network.eval()(torch.from_numpy(rows)[None], torch.ones(1, len(rows), 1))
    for hook in hooks:
        hook.remove()
    return seen


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
    words: Sequence[str] = (),
) -> RestorerModel:
    """Return the restorer of a network. Raises TrainingError unless the file says what the network says.

    Its weights are rounded to float16. With `recipe.int8` most of them are whole numbers, for which `words` have to be
    a text of the kind that will be restored: how large the network's values become is measured on it.
    """
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
    if not recipe.int8:
        return model
    rows = word_rows(words, recipe.rows, model.kinds)
    whole = replace(model, graph=to_onnx(network, input_steps(network, rows)))
    lost = changed(model, whole, words)
    if not lost <= MOST_LOST:
        raise TrainingError(f"export refused: whole numbers change {lost:.1%} of the words, more than {MOST_LOST:.0%}.")
    return whole


def changed(model: RestorerModel, other: RestorerModel, words: Sequence[str]) -> float:
    """Return for which part of the words two restorers differ in the likeliest mark or case."""
    ours, theirs = (NeuralRestorer(one).scores(words) for one in (model, other))
    differ = [
        ours[:, part].argmax(axis=1) != theirs[:, part].argmax(axis=1)
        for part in (slice(len(MARKS)), slice(len(MARKS), None))
    ]
    return float(np.logical_or(*differ).mean())


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


def _rounded(weights: NDArray[np.float32], most: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return weights as whole numbers up to `most` on either side, and the step of each column [columns]."""
    steps = np.maximum(np.abs(weights).max(axis=0), np.float32(1e-9)) / np.float32(most)
    return np.rint(weights / steps).astype(np.int8), steps.astype(np.float32)


def _array(values: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.detach().cpu().numpy()
    return array
