"""The CTC loss (Graves et al., 2006): the negative log-probability of a text, over all ways to spell it in the frames.

PyTorch's takes a seventh of a training step on a CPU: an exponential and a logarithm for each letter of each frame.
Here `ctc.c` adds probabilities themselves, in double, each frame scaled to the sum one: ten to eighteen times as fast,
and nearer to the true gradient than logarithms in float32 (benchmarks/ctc.py). Clips whose probabilities leave even the
range of double go through PyTorch's, as all do where there is no C compiler.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor, nn

from auricle.training.compiled import call, library

_AGREE = 1e-6
"""By how much, in parts, the two directions may differ in the loss before something was lost on the way."""


def ctc_loss(log_probs: Tensor, targets: Tensor, lengths: Tensor, target_lengths: Tensor) -> Tensor:
    """Return the loss in nats, summed over the clips; a clip that is too short for its text adds nothing.

    `log_probs` [B, T, V] are natural logarithms, blank is token 0; `targets` holds all clips' tokens in one row, and
    `lengths` and `target_lengths` [B] are int64. As with PyTorch's, the gradient is right behind `log_softmax` only.
    """
    found = library("ctc.c") if log_probs.device.type == "cpu" and log_probs.dtype == torch.float32 else None
    if found is None:
        return _by_pytorch(log_probs, targets, lengths, target_lengths)
    loss: Tensor = _Compiled.apply(log_probs, targets, lengths, target_lengths, found)  # type: ignore[no-untyped-call]
    return loss


def _by_pytorch(log_probs: Tensor, targets: Tensor, lengths: Tensor, target_lengths: Tensor) -> Tensor:
    return nn.functional.ctc_loss(
        log_probs.transpose(0, 1), targets, lengths, target_lengths, reduction="sum", zero_infinity=True
    )


class _Compiled(torch.autograd.Function):
    """Loss and gradient at once: the gradient's sums are what the loss is made of."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd calls it by position
        ctx: Any, log_probs: Tensor, targets: Tensor, lengths: Tensor, target_lengths: Tensor, found: ctypes.CDLL
    ) -> Tensor:
        batch, frames, tokens = log_probs.shape
        # C would read and write elsewhere without a word.
        assert int(target_lengths.sum()) == len(targets)
        assert int(lengths.max()) <= frames
        assert not len(targets) or 0 < int(targets.min()) <= int(targets.max()) < tokens
        scales = torch.zeros(2, batch, frames, dtype=torch.float64)
        grad = torch.zeros(batch, frames, tokens)
        probs = log_probs.detach().double().exp_().contiguous()
        targets, lengths, letters = (x.to(torch.int64).contiguous() for x in (targets, lengths, target_lengths))
        found.ctc_space.restype = ctypes.c_long
        sizes = (ctypes.c_long(int(size)) for size in (frames, letters.max(), tokens))
        space = torch.empty(found.ctc_space(*sizes), dtype=torch.float64)
        call(found, "ctc", (probs, targets, lengths, letters, *scales, grad, space), (batch, frames, tokens))
        spoken = torch.arange(frames) < lengths[:, None]
        losses, back = -torch.where(spoken, scales, 1.0).log().sum(-1)
        right = losses.isfinite() & ((losses - back).abs() <= _AGREE * losses.abs().clamp(min=1.0))
        for clip in torch.nonzero(~right).flatten().tolist():
            end = int(letters[: clip + 1].sum())
            text = targets[end - int(letters[clip]) : end]
            losses[clip], grad[clip] = _one_by_pytorch(log_probs[clip], text, int(lengths[clip]))
        ctx.save_for_backward(grad)
        total: Tensor = losses.sum()
        return total.to(log_probs.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = ctx.saved_tensors
        return grad * upstream, None, None, None, None


def _one_by_pytorch(log_probs: Tensor, text: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Return loss and gradient of a clip's log-probabilities [T, V], in double."""
    with torch.enable_grad():
        own = log_probs.detach().double().unsqueeze(0).requires_grad_()
        loss = _by_pytorch(own, text, torch.tensor([frames]), torch.tensor([len(text)]))
        (grad,) = torch.autograd.grad(loss, own)
    return loss.detach(), grad[0].float()
