"""The quick CTC loss against PyTorch's in double, and against its definition: the sum over all ways to spell a text."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from auricle.training import compiled
from auricle.training.ctc import _by_pytorch, _Compiled, ctc_loss


@pytest.fixture(autouse=True)
def _compiled() -> None:
    if compiled.library("ctc.c") is None:
        pytest.skip("no C compiler here")


def loss_and_gradient(log_probs: Tensor, text: Tensor, frames: Tensor, letters: Tensor) -> tuple[float, Tensor]:
    """Of log-probabilities [B, T, V], the gradient being that of the scores before log_softmax."""
    own = log_probs.clone().requires_grad_()
    loss_of = ctc_loss if log_probs.dtype == torch.float32 else _by_pytorch
    loss = loss_of(own, text, frames, letters)
    torch.autograd.backward(loss)
    assert own.grad is not None
    return float(loss.detach()), own.grad - log_probs.exp() * own.grad.sum(-1, keepdim=True)


def agrees(scores: Tensor, text: Tensor, frames: Tensor, letters: Tensor) -> None:
    log_probs = scores.log_softmax(-1)
    ours, gradient = loss_and_gradient(log_probs, text, frames, letters)
    theirs, right = loss_and_gradient(log_probs.double(), text, frames, letters)
    assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-6)
    assert float((gradient - right).abs().max()) < 1e-5


@settings(deadline=None)
@given(
    clips=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 25)), min_size=1, max_size=5),
    tokens=st.integers(2, 6),
    spread=st.sampled_from([0.1, 1.0, 5.0, 30.0, 200.0]),
    seed=st.integers(0, 1000),
)
def test_loss_and_gradient_are_those_of_pytorch_in_double(
    clips: list[tuple[int, int]], tokens: int, spread: float, seed: int
) -> None:
    # Few tokens: letters are often repeated. Some clips are too short for their text, some have none. The last spread
    # takes probabilities out of the range of double.
    torch.manual_seed(seed)
    frames, letters = (torch.tensor(column) for column in zip(*clips, strict=True))
    scores = torch.randn(len(clips), int(frames.max()), tokens) * spread
    agrees(scores, torch.randint(1, tokens, (int(letters.sum()),)), frames, letters)


def test_a_loss_is_the_sum_over_all_ways_to_spell_the_text() -> None:
    torch.manual_seed(1)
    log_probs, text = torch.randn(1, 5, 3).log_softmax(-1), [1, 1, 2]
    probs = log_probs[0].double().exp()
    total = 0.0
    for way in itertools.product(range(3), repeat=5):
        if [token for token, _ in itertools.groupby(way) if token] == text:
            total += float(torch.stack([probs[frame, token] for frame, token in enumerate(way)]).prod())
    found, _ = loss_and_gradient(log_probs, torch.tensor(text), torch.tensor([5]), torch.tensor([3]))
    assert found == pytest.approx(-torch.tensor(total).log().item(), rel=1e-6)


def test_a_long_clip_that_is_sure_of_another_text_loses_nothing() -> None:
    # The likeliest way through the first half is worth 1e-2000 of what leads elsewhere, and is all that there is.
    torch.manual_seed(2)
    frames, letters = 400, 120
    scores = torch.randn(1, frames, 8)
    scores[0, :, 1] += 30
    text = torch.randint(2, 8, (letters,))
    agrees(scores, text, torch.tensor([frames]), torch.tensor([letters]))
    scores[0, 200:, 1] -= 60
    agrees(scores, text, torch.tensor([frames]), torch.tensor([letters]))


def test_what_double_cannot_hold_goes_through_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    one = _Compiled.forward.__globals__["_one_by_pytorch"]

    def seen(log_probs: Tensor, text: Tensor, frames: int) -> tuple[Tensor, Tensor]:
        asked.append(frames)
        result: tuple[Tensor, Tensor] = one(log_probs, text, frames)
        return result

    monkeypatch.setitem(_Compiled.forward.__globals__, "_one_by_pytorch", seen)
    scores = torch.zeros(2, 20, 4)
    scores[1, :, 3] = 3000.0  # and the text has no 3
    arguments = torch.tensor([1, 2, 1, 2]), torch.tensor([19, 20]), torch.tensor([2, 2])
    agrees(scores, *arguments)
    assert asked == [20]


def test_padding_has_no_gradient_and_no_say() -> None:
    torch.manual_seed(3)
    scores = torch.randn(2, 12, 5).log_softmax(-1)
    arguments = torch.tensor([1, 2, 3, 4]), torch.tensor([7, 12]), torch.tensor([2, 2])
    loss, gradient = loss_and_gradient(scores, *arguments)
    assert float(gradient[0, 7:].abs().max()) == 0.0
    scores[0, 7:] = -50.0
    assert loss_and_gradient(scores, *arguments)[0] == loss


def test_a_clip_that_is_not_a_number_says_so() -> None:
    scores = torch.zeros(1, 9, 4)
    scores[0, 4] = torch.nan  # as log_softmax leaves it
    loss, gradient = loss_and_gradient(scores, torch.tensor([1]), torch.tensor([9]), torch.tensor([1]))
    assert math.isnan(loss)
    assert gradient.isnan().any()


def test_without_a_compiler_it_is_pytorchs(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(4)
    scores = torch.randn(2, 12, 5).log_softmax(-1)
    arguments = torch.tensor([1, 2, 3, 4]), torch.tensor([7, 12]), torch.tensor([2, 2])
    loss, gradient = loss_and_gradient(scores, *arguments)
    monkeypatch.setenv("AURICLE_COMPILE", "0")
    plain, plain_gradient = loss_and_gradient(scores, *arguments)
    assert plain == pytest.approx(loss, rel=1e-5)
    assert torch.allclose(gradient, plain_gradient, atol=1e-5)
