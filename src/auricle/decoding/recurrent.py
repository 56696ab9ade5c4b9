"""A recurrent language model of words: what it thinks of whole texts that a search has found (Mikolov et al., 2010).

It remembers a text from its beginning, where an n-gram model knows three words, and is too slow to be asked at each
step of a search. One GRU layer reads words; what comes next is told in two steps, frequent words at once and the others
by their cluster (adaptive softmax and input: Grave et al., 2017; Baevski & Auli, 2019), with the same tables in and out
(Press & Wolf, 2017). Texts that begin alike are read once as far as they do.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auricle.decoding.codebook import ENTRIES, quantise
from auricle.decoding.pronunciations import checksum
from auricle.decoding.trie import START
from auricle.errors import BundleError
from auricle.features import Array

_FORMAT = 1
_SMALL = 4_096  # values; what is smaller is stored as it is
_ROWS = 32
_ONE_THREAD = 1 << 18  # multiplications in a product above which OpenBLAS wakes all its threads


@dataclass(frozen=True)
class RecurrentWeights:
    """The weights of the network, for a vocabulary of V words in clusters of equal frequency.

    `ranks [V]` has for each word's id its place among `tables`, whose rows are the clusters' words one after another:
    `tables[c] [n_c, d_c]`, the first of which is the head, as wide as words are read, D. `up[c] [d_c, D]` and
    `down[c] [D, d_c]`, for all clusters but the head, lead from its rows to D and back. `biases[c] [n_c]` are those of
    the words, and the head's has one more for each further cluster, whose rows are `clusters [c, D]`. The GRU is
    `weight_ih [3H, D]`, `weight_hh [3H, H]`, `bias_ih` and `bias_hh [3H]`, gates in the order r, z, n;
    `output [D, H]` and `output_bias [D]` lead from its state to words.
    """

    ranks: NDArray[np.int64]
    tables: tuple[Array, ...]
    up: tuple[Array, ...]
    down: tuple[Array, ...]
    biases: tuple[Array, ...]
    clusters: Array
    weight_ih: Array
    weight_hh: Array
    bias_ih: Array
    bias_hh: Array
    output: Array
    output_bias: Array

    @property
    def cuts(self) -> NDArray[np.int64]:
        """Where in `ranks` each cluster begins, and V."""
        return np.concatenate(([0], np.cumsum([len(table) for table in self.tables])))

    def arrays(self) -> dict[str, Array]:
        """Return all but the ranks by name."""
        lists = {"table": self.tables, "up": self.up, "down": self.down, "bias": self.biases}
        named = {f"{name}_{place}": array for name, arrays in lists.items() for place, array in enumerate(arrays)}
        single = ("clusters", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "output", "output_bias")
        return {**named, **{name: getattr(self, name) for name in single}}


class Product:
    """Multiplies rows [m, K] by a matrix [K, N], on one thread.

    OpenBLAS shares even a product of half a millisecond among all cores, where its threads then wait for the next one
    turning in circles: two processes on two cores took three times as long. So the matrix is laid out in blocks of
    columns that are small enough to be left to one.
    """

    def __init__(self, matrix: Array) -> None:
        depth, self._columns = matrix.shape
        width = max(1, _ONE_THREAD // (_ROWS * depth))
        self._blocks = np.zeros((-(-self._columns // width), depth, width), matrix.dtype)
        for block, first in zip(self._blocks, range(0, self._columns, width), strict=True):
            own = matrix[:, first : first + width]
            block[:, : own.shape[1]] = own

    def columns(self, numbers: NDArray[np.int64]) -> Array:
        """Return columns [n, K] of the matrix."""
        block, place = np.divmod(numbers, self._blocks.shape[2])
        return self._blocks[block, :, place]

    def __call__(self, rows: Array) -> Array:
        """Return the product [m, N] of rows [m, K]."""
        count, depth = rows.shape
        at_a_time = min(max(count, 1), _ROWS)
        parts = np.pad(rows, ((0, -count % at_a_time), (0, 0))).reshape(-1, 1, at_a_time, depth)
        product = np.matmul(parts, self._blocks).swapaxes(1, 2)
        wide = product.shape[2] * product.shape[3]
        return np.asarray(product.reshape(len(parts) * at_a_time, wide)[:count, : self._columns])


class RecurrentModel:
    """Says how probable texts are, as ids of the words of a language model. Keeps nothing between calls."""

    def __init__(self, weights: RecurrentWeights) -> None:
        self._ranks, self._cuts = weights.ranks, weights.cuts
        self._biases = weights.biases
        self._bias_ih, self._bias_hh, self._output_bias = weights.bias_ih, weights.bias_hh, weights.output_bias
        self._head = Product(np.concatenate((weights.tables[0], weights.clusters)).T)
        self._output = Product(weights.output.T)
        self._inside = tuple(
            (Product(down), Product(table.T)) for down, table in zip(weights.down, weights.tables[1:], strict=True)
        )
        self._up = (Product(weights.weight_ih.T), *(Product(up @ weights.weight_ih.T) for up in weights.up))
        self._recurrent = Product(weights.weight_hh.T)
        start = np.zeros((1, weights.weight_hh.shape[1]), np.float32)
        self._start = self._read(self._inputs(np.array([START])), start)

    def log_probs(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Return the natural-log probability of the words of each text; of its end nothing is said."""
        lengths = np.array([len(text) for text in texts], np.int64)
        total = np.zeros(len(texts))
        words = np.zeros((len(texts), int(lengths.max(initial=0))), np.int64)
        for row, text in zip(words, texts, strict=True):
            row[: len(text)] = text
        # Texts for one recording have few words, which come again and again.
        known, kind = np.unique(words, return_inverse=True)
        kind, inputs = kind.reshape(words.shape), self._inputs(known)
        states, node = self._start, np.zeros(len(texts), np.int64)
        for step in range(words.shape[1]):
            going = np.flatnonzero(lengths > step)
            pairs = node[going] * len(known) + kind[going, step]
            distinct, place = np.unique(pairs, return_inverse=True)
            before, word = np.divmod(distinct, len(known))
            total[going] += self._next(states, before, known[word])[place]
            states = self._read(inputs.take(word, axis=0), states[before])
            node[going] = place
        return total

    def _next(self, states: Array, before: NDArray[np.int64], words: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return log-probabilities of words [n], each after the state whose row `before` [n] says."""
        outputs = self._output(states) + self._output_bias
        logits = _log_softmax(self._head(outputs) + self._biases[0])
        ranks = self._ranks[words]
        cluster = np.searchsorted(self._cuts, ranks, side="right") - 1
        first = np.where(cluster == 0, ranks, self._cuts[1] - 1 + cluster)
        found = logits[before, first].astype(np.float64)
        for number in range(1, len(self._biases)):
            here = np.flatnonzero(cluster == number)
            if not len(here):
                continue
            rows, place = np.unique(before[here], return_inverse=True)
            down, table = self._inside[number - 1]
            wanted = ranks[here] - self._cuts[number]
            # Some rows at a time: all of them may be a hundred, each with a number for every word of the cluster.
            for begin in range(0, len(rows), _ROWS):
                some = np.flatnonzero((place >= begin) & (place < begin + _ROWS))
                inside = _log_softmax(table(down(outputs[rows[begin : begin + _ROWS]])) + self._biases[number])
                found[here[some]] += inside[place[some] - begin, wanted[some]]
        return found

    def _inputs(self, words: NDArray[np.int64]) -> Array:
        """Return what the gates are given at words [n]: [n, 3H]."""
        ranks = self._ranks[words]
        inputs = np.empty((len(words), len(self._bias_ih)), np.float32)
        tables = (self._head, *(table for _, table in self._inside))
        for up, table, begin, end in zip(self._up, tables, self._cuts[:-1], self._cuts[1:], strict=True):
            here = np.flatnonzero((ranks >= begin) & (ranks < end))
            inputs[here] = up(table.columns(ranks[here] - begin))
        return inputs + self._bias_ih

    def _read(self, inputs: Array, states: Array) -> Array:
        """Return the states after words with these `inputs` [n, 3H], which follow states [n, H]."""
        hidden = states.shape[1]
        own = self._recurrent(states) + self._bias_hh
        gates = _sigmoid(inputs[:, : 2 * hidden] + own[:, : 2 * hidden])
        reset, update = gates[:, :hidden], gates[:, hidden:]
        new = np.tanh(inputs[:, 2 * hidden :] + reset * own[:, 2 * hidden :])
        return np.asarray(new + update * (states - new), np.float32)


def recurrent_to_bytes(weights: RecurrentWeights, words: Sequence[str]) -> bytes:
    """Return the content of a bundle's `recurrent.npz`: large arrays as 8-bit indices, for a vocabulary of `words`."""
    stored: dict[str, NDArray[Any]] = {
        "format": np.array([_FORMAT, len(weights.tables)], np.uint8),
        "vocabulary": np.array([checksum(words)], np.uint32),
        "ranks": weights.ranks.astype(np.uint16),
    }
    for name, array in weights.arrays().items():
        if array.size < _SMALL:
            stored[name] = array.astype(np.float32)
            continue
        indices, book = quantise(array.astype(np.float32).ravel())
        stored[name], stored[f"{name}_book"] = indices.reshape(array.shape), book
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **stored)
    return content.getvalue()


def recurrent_from_bytes(content: bytes, words: Sequence[str], where: str) -> RecurrentWeights:
    """Read what `recurrent_to_bytes` wrote for a language model's `words`. Raises BundleError, naming `where`."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            stored = {name: arrays[name] for name in arrays.files}
        if int(stored["vocabulary"][0]) != checksum(words):
            raise BundleError(f"{where}: this is the recurrent model of another language model's words.")
        weights = _weights(stored)
        _check(weights, len(words))
    except BundleError:
        raise
    except Exception as error:  # zipfile and numpy let out those of every parser below them
        raise BundleError(f"{where}: not a recurrent language model, or a damaged one: get it again.") from error
    return weights


def _weights(stored: Mapping[str, NDArray[Any]]) -> RecurrentWeights:
    form, clusters = stored["format"].tolist()
    if form != _FORMAT:
        raise ValueError(f"format {form}")

    def array(name: str) -> Array:
        values = stored[name]
        book = stored.get(f"{name}_book")
        if book is not None and (len(book) > ENTRIES or values.dtype != np.uint8):
            raise ValueError(name)
        return np.ascontiguousarray(values if book is None else book.take(values), np.float32)

    return RecurrentWeights(
        ranks=stored["ranks"].astype(np.int64),
        tables=tuple(array(f"table_{number}") for number in range(clusters)),
        up=tuple(array(f"up_{number}") for number in range(clusters - 1)),
        down=tuple(array(f"down_{number}") for number in range(clusters - 1)),
        biases=tuple(array(f"bias_{number}") for number in range(clusters)),
        **{
            name: array(name)
            for name in ("clusters", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "output", "output_bias")
        },
    )


def _check(weights: RecurrentWeights, words: int) -> None:
    """Raise ValueError for weights that do not fit together, or are not numbers."""
    width, hidden = weights.output.shape
    sizes = [table.shape for table in weights.tables]
    rest = sizes[1:]
    expected = {
        "clusters": (len(rest), width),
        "weight_ih": (3 * hidden, width),
        "weight_hh": (3 * hidden, hidden),
        "bias_ih": (3 * hidden,),
        "bias_hh": (3 * hidden,),
        "output_bias": (width,),
        "bias_0": (sizes[0][0] + len(rest),),
        **{f"bias_{number}": (size[0],) for number, size in enumerate(rest, start=1)},
        **{f"up_{number}": (size[1], width) for number, size in enumerate(rest)},
        **{f"down_{number}": (width, size[1]) for number, size in enumerate(rest)},
    }
    arrays = weights.arrays()
    wrong = [name for name, shape in expected.items() if arrays[name].shape != shape]
    if wrong or sizes[0][1] != width or not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError(f"{wrong} do not fit")
    is_order = len(weights.ranks) == words and np.array_equal(np.sort(weights.ranks), np.arange(words))
    if not is_order or weights.cuts[-1] != words:
        raise ValueError("ranks are no order of the words")


def _log_softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """Return log-probabilities [n, m], where `logits` were."""
    logits -= logits.max(axis=1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return logits


def _sigmoid(x: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))
