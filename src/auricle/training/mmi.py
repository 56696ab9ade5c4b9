"""What all that could have been said has of the frames: the denominator of maximum mutual information.

CTC makes the right phones likely, and a network does that in part by knowing which phones follow which: the language
model of the search knows that better, and would count it twice. Maximum mutual information (Bahl et al., 1986; without
lattices: Povey et al., 2016; over CTC's paths: Xiang & Ou, 2019) makes them likelier than all other phones *given* how
often phones follow each other. A text's CTC loss is its numerator, and this the rest: the logarithm of the sum over all
texts of the product of its probability by trigrams of phones and of what CTC gives it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from auricle.features import Array
from auricle.training.compiled import call, library

_LANES = 8
_BEFORE = 1
"""What texts begin after, twice: the end of a word."""


@dataclass(frozen=True)
class Trigrams:
    """How likely each token is after two others, in double; token 0 is the blank, and has no place here.

    Indices are those of tokens less one. No text has its first token, the end of a word, twice in a row, and so each
    text begins after two of them.
    """

    follows: Tensor
    """Probability of the third token after the first two [V - 1, V - 1, V - 1]."""
    ends: Tensor
    """Probability that the text ends after two tokens [V - 1, V - 1]: with those of the tokens it sums to one."""

    @cached_property
    def padded(self) -> tuple[Tensor, ...]:
        """The four arrays of `mmi.c`."""
        said = len(self.ends)
        width = -(-said // _LANES) * _LANES
        by_last = self.follows.transpose(0, 1).clone()  # [last, previous, next]
        again = torch.diagonal(by_last, dim1=0, dim2=2).T.clone()  # [last, previous]
        torch.diagonal(by_last, dim1=0, dim2=2).zero_()
        arrays = (by_last, by_last.transpose(1, 2), again, self.ends)
        return tuple(torch.nn.functional.pad(x, (0, width - said)).contiguous() for x in arrays)

    def log_likelihood(self, texts: Tensor, lengths: Tensor) -> float:
        """Return the log-probability of texts, in nats: their tokens stand in one row, with lengths [B]."""
        total = 0.0
        for text in torch.split(texts.cpu() - 1, lengths.tolist()):
            said = torch.cat((text.new_zeros(2), text))
            total += float(self.follows[said[:-2], said[1:-1], text].log().sum())
            total += float(self.ends[said[-2], said[-1]].log())
        return total


def trigrams(texts: Iterable[tuple[Sequence[int], float]], tokens: int) -> Trigrams:
    """Count tokens in texts, each with its weight, and smooth by what is known of two tokens, and of one.

    Each order takes as much from the order below as it has kinds of tokens (Witten & Bell, 1991).
    """
    said = tokens - 1
    rows, weights = [], []
    for text, weight in texts:
        rows.append(np.array([_BEFORE, _BEFORE, *text, tokens], dtype=np.int64) - 1)
        weights.append(np.full(len(text) + 1, weight))
    first, second, third = (
        np.concatenate([row[at : len(row) - 2 + at] for row in rows]) if rows else np.zeros(0, np.int64)
        for at in range(3)
    )
    place = (first * said + second) * tokens + third
    weight_of = np.concatenate(weights) if rows else np.zeros(0)
    counts = np.bincount(place, weight_of, said * said * tokens).reshape(said, said, tokens)
    likely: Array = np.full(tokens, 1 / tokens)
    for order in (counts.sum((0, 1)), counts.sum(0), counts):
        kinds = (order > 0).sum(-1, keepdims=True).clip(1)
        likely = (order + kinds * likely) / (order.sum(-1, keepdims=True) + kinds)
    found = torch.from_numpy(np.ascontiguousarray(likely))
    return Trigrams(follows=found[..., :said], ends=found[..., said])


def log_denominator(log_probs: Tensor, lengths: Tensor, model: Trigrams) -> Tensor:
    """Return the denominators' logarithms in nats, summed over the clips.

    `log_probs` [B, T, V] are natural logarithms, blank is token 0, `lengths` [B] is int64. The gradient is the share of
    all paths that is at each token in each frame. A clip of which nothing is left adds nothing.
    """
    found = library("mmi.c") if log_probs.device.type == "cpu" else None
    if found is None:
        return _by_pytorch(log_probs, lengths, model)
    total: Tensor = _Compiled.apply(log_probs, lengths, model, found)  # type: ignore[no-untyped-call]
    return total


def _by_pytorch(log_probs: Tensor, lengths: Tensor, model: Trigrams) -> Tensor:
    """Go through the frames with tensor operations, all clips at once."""
    probs = log_probs.double().exp()
    batch, frames, tokens = probs.shape
    follows, ends = (x.to(probs.device) for x in (model.follows, model.ends))
    again = torch.diagonal(follows, dim1=1, dim2=2)  # [previous, last]
    spoken = probs.new_zeros(batch, tokens - 1, tokens - 1)
    blank = spoken.clone()
    blank[:, 0, 0] = 1.0
    total = probs.new_zeros(batch)
    for frame in range(frames):
        inside = (frame < lengths.to(probs.device))[:, None, None]
        prob = probs[:, frame, None, :]
        next_ = torch.einsum("bij,ijk->bjk", spoken + blank, follows)
        without = torch.diag_embed((spoken * again).sum(1))  # a token twice in a row needs a blank between
        moved = prob[..., 1:] * (next_ - without + spoken)
        rested = prob[..., :1] * (spoken + blank)
        scale = moved.sum((1, 2)) + rested.sum((1, 2))
        scale = torch.where(inside[:, 0, 0], scale, 1.0)
        spoken = torch.where(inside, moved / scale[:, None, None], spoken)
        blank = torch.where(inside, rested / scale[:, None, None], blank)
        total = total + scale.log()
    total = total + ((spoken + blank) * ends).sum((1, 2)).log()
    return torch.where(total.isfinite(), total, 0.0).sum().to(log_probs.dtype)


class _Compiled(torch.autograd.Function):
    """Value and gradient at once, a clip at a time."""

    @staticmethod
    def forward(ctx: Any, log_probs: Tensor, lengths: Tensor, model: Trigrams, found: ctypes.CDLL) -> Tensor:
        batch, frames, tokens = log_probs.shape
        # C would read and write elsewhere without a word.
        assert tokens == len(model.ends) + 1
        assert int(lengths.max()) <= frames
        scales = torch.zeros(batch, frames + 1, dtype=torch.float64)
        grad = torch.zeros(batch, frames, tokens)
        probs = log_probs.detach().double().exp_().contiguous()
        lengths = lengths.to(torch.int64).contiguous()
        found.denominator_space.restype = ctypes.c_long
        space = torch.empty(
            found.denominator_space(ctypes.c_long(frames), ctypes.c_long(tokens - 1)), dtype=torch.float64
        )
        call(found, "denominator", (probs, lengths, *model.padded, scales, grad, space), (batch, frames, tokens - 1))
        inside = torch.arange(frames + 1) <= lengths[:, None]
        totals = torch.where(inside, scales, 1.0).log().sum(-1)
        right = totals.isfinite()
        grad[~right] = 0.0
        ctx.save_for_backward(grad)
        total: Tensor = torch.where(right, totals, 0.0).sum()
        return total.to(log_probs.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = ctx.saved_tensors
        return grad * upstream, None, None, None
