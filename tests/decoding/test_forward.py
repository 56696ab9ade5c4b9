"""CTC's sum over all paths against enumeration of them, and against PyTorch's."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from lattices import lattices
from test_beam import enumerated

from auricle.decoding.forward import log_likelihoods

TEXTS = st.lists(st.lists(st.integers(1, 3), max_size=6).map(tuple), min_size=1, max_size=5)


@given(lattices(), TEXTS)
def test_it_is_the_sum_over_all_paths_of_each_text(log_probs: np.ndarray, texts: list[tuple[int, ...]]) -> None:
    expected = enumerated(log_probs)
    for text, found in zip(texts, log_likelihoods(log_probs, texts), strict=True):
        if text in expected:
            assert found == pytest.approx(math.log(expected[text]), abs=1e-9)
        else:
            assert found == -math.inf


@given(st.data())
def test_it_is_what_pytorch_says(data: st.DataObject) -> None:
    frames, tokens = data.draw(st.integers(1, 60)), data.draw(st.integers(2, 30))
    scores = data.draw(arrays(np.float64, (frames, tokens), elements=st.floats(-20, 0)))
    log_probs = np.asarray(torch.from_numpy(scores).log_softmax(-1))
    texts = data.draw(st.lists(st.lists(st.integers(1, tokens - 1), max_size=frames), min_size=1, max_size=6))
    count = len(texts)
    losses = torch.nn.functional.ctc_loss(
        torch.from_numpy(log_probs)[:, None].expand(frames, count, tokens),
        torch.tensor([token for text in texts for token in text], dtype=torch.int64),
        torch.full((count,), frames),
        torch.tensor([len(text) for text in texts]),
        reduction="none",
    )
    np.testing.assert_allclose(log_likelihoods(log_probs, texts), -losses.numpy(), atol=1e-8)


def test_a_text_says_the_same_alone_and_beside_longer_ones() -> None:
    log_probs = np.log(np.random.default_rng(0).dirichlet(np.ones(5), 40))
    texts = [(), (1,), (2, 2), (1, 2, 3, 4) * 5, (4, 4, 4)]
    alone = [log_likelihoods(log_probs, [text])[0] for text in texts]
    np.testing.assert_allclose(log_likelihoods(log_probs, texts), alone, rtol=1e-12)


def test_the_empty_text_is_blanks_alone() -> None:
    log_probs = np.log(np.random.default_rng(1).dirichlet(np.ones(4), 30))
    assert log_likelihoods(log_probs, [()])[0] == pytest.approx(log_probs[:, 0].sum())


def test_equals_need_a_blank_between_them_and_what_does_not_fit_is_impossible() -> None:
    even = np.full((2, 3), math.log(1 / 3))
    assert log_likelihoods(even, [(1, 2), (1, 1), (1, 2, 1)]).tolist() == [
        pytest.approx(2 * math.log(1 / 3)),
        -math.inf,
        -math.inf,
    ]
    assert log_likelihoods(even[:1], [(1,)])[0] == pytest.approx(math.log(1 / 3))


def test_without_frames_there_is_only_the_empty_text() -> None:
    assert log_likelihoods(np.zeros((0, 4), np.float32), [(), (1,)]).tolist() == [0.0, -math.inf]
    assert log_likelihoods(np.zeros((3, 4), np.float32), []).shape == (0,)


def test_a_long_recording_neither_underflows_nor_loses_digits() -> None:
    log_probs = np.log(np.random.default_rng(2).dirichlet(np.ones(30), 3000))
    text = tuple(np.random.default_rng(3).integers(1, 30, 900).tolist())
    loss = torch.nn.functional.ctc_loss(
        torch.from_numpy(log_probs), torch.tensor(text), torch.tensor(3000), torch.tensor(900), reduction="none"
    )
    assert log_likelihoods(log_probs, [text])[0] == pytest.approx(-float(loss), rel=1e-9)


def test_impossible_tokens_make_a_text_impossible_and_raise_nothing() -> None:
    log_probs = np.log(np.full((20, 3), 1 / 2, np.float32))
    log_probs[:, 2] = -np.inf
    possible, impossible = log_likelihoods(log_probs, [(1,), (1, 2)])
    assert np.isfinite(possible)
    assert impossible == -math.inf
