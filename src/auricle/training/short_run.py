"""What the runs of small networks share: steps until the schedule or the clock ends, rates, and averaged weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from auricle.training.stopping import Stop

_TOLD_EVERY = 25  # steps


@dataclass(frozen=True)
class Progress:
    """How far a run is: `share` of it in [0, 1], the step, the mean loss since it was last told, words read.

    `signal` is the number of the one that ended it before its time, or 0.
    """

    share: float
    step: int
    loss: float
    words: int
    signal: int = 0


def run(
    take: Callable[[int, float], tuple[float, int]],
    share_of: Callable[[int, int], float],
    *,
    max_minutes: float | None,
    clock: Callable[[], float],
    tell: Callable[[Progress], None],
) -> Progress:
    """Take steps until the run's share is 1, and return where it ended.

    `take` is given the step's number, from 1 on, and the share of the run that is done before it; it returns a loss and
    the words that were read. `share_of` says the share after so many steps and words in all. `max_minutes` of the
    `clock` (seconds) end it sooner, and so do SIGTERM and Ctrl-C, the second of which is not waited for.
    """
    begun, losses, words, share, step = clock(), list[float](), 0, 0.0, 0
    stop, ended = Stop(), False
    with stop.listening():
        while not ended:
            step += 1
            loss, read = take(step, share)
            losses.append(loss)
            words += read
            share = share_of(step, words)
            if max_minutes is not None:
                share = max(share, (clock() - begun) / (60 * max_minutes))
            ended = share >= 1 or stop.signal > 0
            if step % _TOLD_EVERY == 0 or ended:
                progress = Progress(min(share, 1.0), step, float(np.mean(losses)), words, stop.signal)
                tell(progress)
                losses.clear()
    return progress


def rate_at(share: float, warmup: float, hold: float) -> float:
    """Return the part of the peak rate at this part of a run: linear up, held, linear down; never quite nothing."""
    return max(min(share / warmup, (1 - share) / max(1 - hold, 1e-9), 1.0), 5e-3)


@torch.no_grad()
def average(averaged: nn.Module, network: nn.Module, kept: float) -> None:
    """Move averaged weights towards a network's, so that `kept` of them stays."""
    for mean, parameter in zip(averaged.parameters(), network.parameters(), strict=True):
        mean.lerp_(parameter, 1 - kept)
