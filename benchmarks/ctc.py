"""The CTC loss and its gradient: auricle's, compiled, against PyTorch's. Prints a table for RESULTS.md.

    python benchmarks/ctc.py [--rounds 15]

Scores are drawn, and letters stand out of them where they might be spoken, as a network's do that has learnt; the
texts are as long for their frames as LibriSpeech's (17 letters a second, 50 frames a second). Errors are those of the
gradient before log_softmax, against PyTorch's in double. One thread. Rounds of both are made in turn.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from datetime import UTC, datetime

import torch
from torch import Tensor

from auricle.training.compiled import library
from auricle.training.ctc import _by_pytorch, ctc_loss

TOKENS = 29
BATCHES = ((4, 14.4), (16, 3.6), (1, 24.0))
"""Clips, and seconds each."""


def drawn(clips: int, seconds: float, height: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return scores [B, T, V], tokens, frames and letters; `height` is that of the right letters above the others."""
    frames, letters = round(50 * seconds), round(17 * seconds)
    texts = torch.randint(1, TOKENS, (clips, letters))
    scores = torch.randn(clips, frames, TOKENS)
    scores[:, :, 0] += height
    at = torch.linspace(0, frames - 1, letters).long()
    scores[torch.arange(clips)[:, None], at, texts] += 2 * height
    return scores, texts.flatten(), torch.full((clips,), frames), torch.full((clips,), letters)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    if library("ctc.c") is None:
        raise SystemExit("no C compiler here: there is nothing to compare")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"{platform.machine()}, one thread, {datetime.now(UTC):%Y-%m-%d}, PyTorch {torch.__version__}\n")
    print("milliseconds: median (least to most)\n")
    print("| clips | auricle | PyTorch | times as fast | error, auricle | error, PyTorch |")
    print("|---|---|---|---|---|---|")
    for clips, seconds in BATCHES:
        scores, *rest = drawn(clips, seconds, height=4.0)
        right = gradient(_by_pytorch, scores.double(), rest)[0]
        spent: dict[str, list[float]] = {"auricle": [], "PyTorch": []}
        errors = {}
        for number in range(rounds + 1):
            for name, loss_of in (("auricle", ctc_loss), ("PyTorch", _by_pytorch)):
                found, took = gradient(loss_of, scores, rest)
                errors[name] = float((found - right).norm() / right.norm())
                if number:
                    spent[name].append(1000 * took)
        cells = [f"{statistics.median(took):.2f} ({min(took):.2f} to {max(took):.2f})" for took in spent.values()]
        ratio = statistics.median(b / a for a, b in zip(*spent.values(), strict=True))
        cells += [f"{ratio:.1f}", *(f"{error:.0e}" for error in errors.values())]
        print(f"| {clips} of {seconds} s | {' | '.join(cells)} |", flush=True)


def gradient(loss_of: object, scores: Tensor, rest: list[Tensor]) -> tuple[Tensor, float]:
    """Return the gradient of the scores, and the seconds that loss and gradient took."""
    own = scores.clone().requires_grad_()
    log_probs = own.log_softmax(-1)
    start = time.perf_counter()
    loss = loss_of(log_probs, *rest)  # type: ignore[operator]
    (through,) = torch.autograd.grad(loss, log_probs)
    took = time.perf_counter() - start
    return through - log_probs.detach().exp() * through.sum(-1, keepdim=True), took


if __name__ == "__main__":
    main()
