"""The denominator of maximum mutual information and its gradient, compiled, against tensor operations.

    python benchmarks/mmi.py [--rounds 15]

Prints a table for RESULTS.md. 40 phones and the end of a word, 50 frames a second; the trigrams are of drawn texts,
which costs what real ones cost: all of them are looked at. Errors are those of the gradient, against tensor operations
in double. One thread. Rounds of both are made in turn.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

import torch
from torch import Tensor

from auricle.training.compiled import library
from auricle.training.mmi import Trigrams, _by_pytorch, log_denominator, trigrams

TOKENS = 42
BATCHES = ((4, 14.4), (16, 3.6), (1, 24.0))
"""Clips, and seconds each."""

Way = Callable[[Tensor, Tensor, Trigrams], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    if library("mmi.c") is None:
        raise SystemExit("no C compiler here: there is nothing to compare")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    texts = torch.randint(1, TOKENS, (200, 50)).tolist()
    model = trigrams([(text, 1.0) for text in texts], TOKENS)
    print(f"{platform.machine()}, one thread, {datetime.now(UTC):%Y-%m-%d}, PyTorch {torch.__version__}\n")
    print("milliseconds: median (least to most)\n")
    print("| clips | compiled | tensor operations | times as fast | microseconds a frame | error |")
    print("|---|---|---|---|---|---|")
    ways: dict[str, Way] = {"compiled": log_denominator, "tensors": _by_pytorch}
    for clips, seconds in BATCHES:
        frames = round(50 * seconds)
        log_probs = (4 * torch.randn(clips, frames, TOKENS)).log_softmax(-1)
        spent: dict[str, list[float]] = {name: [] for name in ways}
        found: dict[str, Tensor] = {}
        for number in range(rounds + 1):
            for name, way in ways.items():
                found[name], took = gradient(way, log_probs, torch.full((clips,), frames), model)
                if number:
                    spent[name].append(1000 * took)
        error = float((found["compiled"] - found["tensors"]).norm() / found["tensors"].norm())
        cells = [f"{statistics.median(took):.1f} ({min(took):.1f} to {max(took):.1f})" for took in spent.values()]
        ratio = statistics.median(b / a for a, b in zip(*spent.values(), strict=True))
        each = 1000 * statistics.median(spent["compiled"]) / (clips * frames)
        print(f"| {clips} of {seconds} s | {' | '.join(cells)} | {ratio:.1f} | {each:.1f} | {error:.0e} |", flush=True)


def gradient(way: Way, log_probs: Tensor, lengths: Tensor, model: Trigrams) -> tuple[Tensor, float]:
    """Return the gradient of log-probabilities, and the seconds that value and gradient took."""
    own = log_probs.clone().requires_grad_()
    start = time.perf_counter()
    (found,) = torch.autograd.grad(way(own, lengths, model), own)
    return found, time.perf_counter() - start


if __name__ == "__main__":
    main()
