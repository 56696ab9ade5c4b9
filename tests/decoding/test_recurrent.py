"""The recurrent language model: against torch's own GRU, one text at a time, and what a file must be."""

import io
import itertools

import numpy as np
import pytest

from auricle.decoding.recurrent import (
    Product,
    RecurrentModel,
    RecurrentWeights,
    recurrent_from_bytes,
    recurrent_to_bytes,
)
from auricle.decoding.trie import SPECIALS, START
from auricle.errors import BundleError

torch = pytest.importorskip("torch")

WORDS = (*SPECIALS, *sorted("".join(letters) for letters in itertools.product("abcd", repeat=3)))
SIZES = ((20, 16), (30, 8), (len(WORDS) - 50, 4))
HIDDEN = 24


def some_weights(seed: int = 0) -> RecurrentWeights:
    random = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * 0.7).astype(np.float32)

    width, rest = SIZES[0][1], SIZES[1:]
    return RecurrentWeights(
        ranks=random.permutation(len(WORDS)),
        tables=tuple(normal(*size) for size in SIZES),
        up=tuple(normal(size, width) for _, size in rest),
        down=tuple(normal(width, size) for _, size in rest),
        biases=(normal(SIZES[0][0] + len(rest)), *(normal(count) for count, _ in rest)),
        clusters=normal(len(rest), width),
        weight_ih=normal(3 * HIDDEN, width),
        weight_hh=normal(3 * HIDDEN, HIDDEN),
        bias_ih=normal(3 * HIDDEN),
        bias_hh=normal(3 * HIDDEN),
        output=normal(width, HIDDEN),
        output_bias=normal(width),
    )


def by_torch(weights: RecurrentWeights, text: list[int]) -> float:
    """The same by torch's GRU and by probabilities of all words, written out."""
    w = weights
    inputs = np.concatenate((w.tables[0], *(table @ up for table, up in zip(w.tables[1:], w.up, strict=True))))
    gru = torch.nn.GRU(w.output.shape[0], HIDDEN)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(gru, f"{name}_l0").data[:] = torch.from_numpy(getattr(w, name))
    read = torch.from_numpy(inputs[w.ranks[[START, *text[:-1]]]])
    with torch.inference_mode():
        states = gru(read)[0]
    outputs = states @ torch.from_numpy(w.output).T + torch.from_numpy(w.output_bias)
    head = outputs @ torch.from_numpy(np.concatenate((w.tables[0], w.clusters))).T + torch.from_numpy(w.biases[0])
    head = head.log_softmax(-1)
    parts = [head[:, : SIZES[0][0]]]
    for number, (down, table) in enumerate(zip(w.down, w.tables[1:], strict=True)):
        inside = outputs @ torch.from_numpy(down) @ torch.from_numpy(table).T + torch.from_numpy(w.biases[number + 1])
        parts.append(inside.log_softmax(-1) + head[:, SIZES[0][0] + number, None])
    every = torch.cat(parts, dim=1)
    assert torch.allclose(every.exp().sum(1), torch.ones(len(text)), atol=1e-5)
    return float(every[torch.arange(len(text)), torch.from_numpy(w.ranks[text])].sum())


def test_texts_that_begin_alike_are_as_probable_as_each_by_itself() -> None:
    weights, random = some_weights(), np.random.default_rng(1)
    long = random.integers(3, len(WORDS), 12).tolist()
    texts = [long, long[:5], [*long[:6], 7, 9, 30, 31], [*long[:5], 40], [3], [3], random.integers(3, 60, 9).tolist()]
    found = RecurrentModel(weights).log_probs(texts)
    assert found == pytest.approx([by_torch(weights, text) for text in texts], abs=1e-3)
    assert found[4] == found[5]


@pytest.mark.parametrize(("depth", "columns"), [(512, 1536), (256, 1003), (24, 700), (3, 5), (9_000, 2)])
def test_a_product_is_that_of_a_matrix_in_parts_that_one_thread_makes(depth: int, columns: int) -> None:
    random = np.random.default_rng(0)
    matrix = random.standard_normal((depth, columns)).astype(np.float32)
    product = Product(matrix)
    _, _, width = product._blocks.shape
    assert 32 * depth * width <= 1 << 18 or width == 1
    for count in (0, 1, 31, 32, 33, 100):
        rows = random.standard_normal((count, depth)).astype(np.float32)
        assert product(rows) == pytest.approx(rows @ matrix, abs=1e-3 * depth**0.5)


def test_nothing_has_a_probability_of_one() -> None:
    model = RecurrentModel(some_weights())
    assert model.log_probs([[], [5]])[0] == 0
    assert model.log_probs([]).shape == (0,)


def test_a_file_holds_the_model_within_what_eight_bits_can_say() -> None:
    weights = some_weights()
    content = recurrent_to_bytes(weights, WORDS)
    again = recurrent_from_bytes(content, WORDS, "x")
    texts = [[4, 9, 33, 60], [50, 51]]
    assert RecurrentModel(again).log_probs(texts) == pytest.approx(RecurrentModel(weights).log_probs(texts), abs=0.2)
    assert recurrent_to_bytes(again, WORDS) == content


def test_a_file_of_other_words_or_of_anything_else_is_refused_by_name() -> None:
    content = recurrent_to_bytes(some_weights(), WORDS)
    with pytest.raises(BundleError, match="x: this is the recurrent model of another language model's words"):
        recurrent_from_bytes(content, (*WORDS[:-1], "zzz"), "x")
    for bad in (b"", content[:-200], b"\x89PNG" + content):
        with pytest.raises(BundleError, match="x: not a recurrent language model, or a damaged one"):
            recurrent_from_bytes(bad, WORDS, "x")


@pytest.mark.parametrize("name", ["format", "ranks", "table_1", "weight_hh", "bias_0", "down_1", "output", "clusters"])
def test_weights_that_do_not_fit_together_are_refused(name: str) -> None:
    with np.load(io.BytesIO(recurrent_to_bytes(some_weights(), WORDS))) as arrays:
        stored = dict(arrays)
    stored[name] = stored[name][:-1]
    changed = io.BytesIO()
    np.savez(changed, **stored)
    with pytest.raises(BundleError, match="not a recurrent language model"):
        recurrent_from_bytes(changed.getvalue(), WORDS, "x")
