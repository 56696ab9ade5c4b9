"""The denominator against its definition, a sum over all texts, and the two ways to compute it against each other."""

import itertools
import math
from collections import defaultdict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from auricle.training import compiled
from auricle.training.mmi import Trigrams, _by_pytorch, log_denominator, trigrams

TEXTS = [((2, 3, 1, 4, 4), 1.0), ((3,), 2.0), ((), 0.5)]
TOKENS = 5


@pytest.fixture(params=["compiled", "plain"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "plain":
        monkeypatch.setenv("AURICLE_COMPILE", "0")
    elif compiled.library("mmi.c") is None:
        pytest.skip("no C compiler here")
    return str(request.param)


def likely(model: Trigrams, text: tuple[int, ...]) -> float:
    """Return the probability of a text."""
    before, result = (0, 0), 1.0
    for token in text:
        result *= float(model.follows[before[0], before[1], token - 1])
        before = before[1], token - 1
    return result * float(model.ends[before])


def by_definition(log_probs: Tensor, model: Trigrams) -> float:
    """Sum over all ways through the frames [T, V]: CTC's probability of each text, and the model's."""
    ctc: defaultdict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        text = tuple(token for token, _ in itertools.groupby(path) if token)
        ctc[text] += math.exp(sum(float(log_probs[frame, token]) for frame, token in enumerate(path)))
    return math.log(sum(probability * likely(model, text) for text, probability in ctc.items()))


def gradient(log_probs: Tensor, lengths: Tensor, model: Trigrams) -> tuple[float, Tensor]:
    own = log_probs.clone().requires_grad_()
    value = log_denominator(own, lengths, model)
    (found,) = torch.autograd.grad(value, own)
    return float(value.detach()), found


@pytest.mark.usefixtures("way")
def test_it_is_the_sum_over_all_texts() -> None:
    torch.manual_seed(0)
    model = trigrams(TEXTS, TOKENS)
    log_probs, lengths = torch.randn(2, 6, TOKENS).log_softmax(-1), torch.tensor([6, 4])
    found, _ = gradient(log_probs, lengths, model)
    expected = by_definition(log_probs[0], model) + by_definition(log_probs[1, :4], model)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.usefixtures("way")
def test_the_gradient_is_the_share_of_paths_at_each_token() -> None:
    torch.manual_seed(1)
    model = trigrams(TEXTS, TOKENS)
    log_probs, lengths = torch.randn(1, 4, TOKENS).log_softmax(-1), torch.tensor([3])
    _, found = gradient(log_probs, lengths, model)
    assert found[0, :3].sum(-1).tolist() == pytest.approx([1.0, 1.0, 1.0])
    assert float(found[0, 3].abs().max()) == 0.0
    step = 1e-3
    for frame, token in itertools.product(range(3), range(TOKENS)):
        up, down = log_probs[0, :3].double().clone(), log_probs[0, :3].double().clone()
        up[frame, token] += step
        down[frame, token] -= step
        slope = (by_definition(up, model) - by_definition(down, model)) / (2 * step)
        assert float(found[0, frame, token]) == pytest.approx(slope, abs=1e-5)


@settings(deadline=None, max_examples=30)
@given(
    frames=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    tokens=st.integers(2, 20),
    spread=st.sampled_from([0.1, 1.0, 5.0, 30.0]),
    seed=st.integers(0, 1000),
)
def test_both_ways_agree(frames: list[int], tokens: int, spread: float, seed: int) -> None:
    if compiled.library("mmi.c") is None:
        pytest.skip("no C compiler here")
    torch.manual_seed(seed)
    model = trigrams([(torch.randint(1, tokens, (30,)).tolist(), 1.0)], tokens)
    log_probs, lengths = (torch.randn(len(frames), max(frames), tokens) * spread).log_softmax(-1), torch.tensor(frames)
    found, through = gradient(log_probs, lengths, model)
    own = log_probs.clone().requires_grad_()
    plain = _by_pytorch(own, lengths, model)
    (right,) = torch.autograd.grad(plain, own)
    assert found == pytest.approx(float(plain.detach()), rel=1e-5)
    assert float((through - right).abs().max()) < 1e-5


@pytest.mark.usefixtures("way")
def test_a_clip_of_which_nothing_is_left_adds_nothing() -> None:
    model = trigrams(TEXTS, TOKENS)
    log_probs = torch.zeros(2, 3, TOKENS).log_softmax(-1)
    whole, _ = gradient(log_probs[:1], torch.tensor([3]), model)
    log_probs[1, 1] = -math.inf
    found, through = gradient(log_probs, torch.tensor([3, 3]), model)
    assert found == pytest.approx(whole)
    assert through[0].isfinite().all()


def test_the_likelihood_of_texts_is_that_of_their_tokens() -> None:
    model = trigrams(TEXTS, TOKENS)
    row, lengths = torch.tensor([2, 3, 1, 4, 4, 3]), torch.tensor([5, 1, 0])
    expected = sum(math.log(likely(model, text)) for text, _ in TEXTS)
    assert model.log_likelihood(row, lengths) == pytest.approx(expected)


def test_probabilities_sum_to_one_and_are_never_zero() -> None:
    model = trigrams(TEXTS, TOKENS)
    sums = model.follows.sum(-1) + model.ends
    assert sums.flatten().tolist() == pytest.approx([1.0] * (TOKENS - 1) ** 2)
    assert float(model.follows.min()) > 0
    assert float(model.ends.min()) > 0


def test_what_was_seen_is_likely_as_often_as_its_weight_says() -> None:
    often, seldom = (2, 3, 4), (2, 4, 3)
    model = trigrams([(often, 9.0), (seldom, 1.0)], TOKENS)
    assert likely(model, often) > 5 * likely(model, seldom) > 5 * likely(model, (4, 2, 3))


def test_without_texts_all_tokens_are_alike() -> None:
    model = trigrams([], TOKENS)
    assert model.follows.flatten().tolist() == pytest.approx([1 / TOKENS] * (TOKENS - 1) ** 3)
