"""How fast a network is trained: as auricle does, and as it is usually written. Prints rows for RESULTS.md.

    python benchmarks/training.py MANIFEST.jsonl [--recipe R.toml] [--steps 6] [--precision float32] [--no-plain]

(a) is a step as `auricle train --processes CORES` makes it: `training.gru` and `training.ctc`, one thread a process,
gradients averaged between them, the recipe's optimiser, and its phones with `phone_mmi`, where it has any. (b) is the
same network with `nn.GRU` over packed sequences, PyTorch's CTC (of phones, too, but without `phone_mmi`) and AdamW,
float32, in one process with all cores. Both see the same batches, of clips as long as the manifest's, with four phones
for five letters; what the features hold does not matter to the clock. A step is forward, loss, backward, averaging,
clipping and the optimiser's. The two halves are timed apart, on one thread. --no-plain leaves (b) out, which takes
minutes a step for large networks.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.multiprocessing.spawn import start_processes
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from auricle.alphabet import ENGLISH
from auricle.features import Normalization
from auricle.manifest import Utterance, read_manifest
from auricle.training.ctc import ctc_loss
from auricle.training.data import Clips, EpochPlan, examples_of, loader_of
from auricle.training.gru import BiGRU, fastest_products, products_in
from auricle.training.loop import keep_freed_memory
from auricle.training.mmi import log_denominator, trigrams
from auricle.training.module import optimizer_of
from auricle.training.network import DeepSpeech2
from auricle.training.recipe import Recipe, read_recipe
from auricle.training.store import FeatureStore

Clip: TypeAlias = tuple[int, int]
"""Frames, and characters."""


class PlainGRU(nn.Module):
    """What a BiGRU is usually written as."""

    def __init__(self, layer: BiGRU) -> None:
        super().__init__()
        self.gru = nn.GRU(layer.input_size, layer.hidden, bidirectional=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """As BiGRU's."""
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        out: Tensor = pad_packed_sequence(self.gru(packed)[0], total_length=len(x))[0]
        return out


def network_of(recipe: Recipe, *, plain: bool = False) -> DeepSpeech2:
    torch.manual_seed(0)
    network = DeepSpeech2(recipe.network, recipe.features.mel, *recipe.outputs).train()
    if plain:
        for layer in network.recurrent:
            assert isinstance(layer.gru, BiGRU)
            layer.gru = PlainGRU(layer.gru)
    return network


def batches_of(clips: Sequence[Clip], recipe: Recipe, processes: int) -> Iterator[list[Clip]]:
    """Yield batches as a run makes them: clips of like length, so many seconds together in each process."""
    most = recipe.schedule.batch_seconds / processes / recipe.features.hop_seconds
    batch: list[Clip] = []
    for clip in sorted(clips):
        if batch and (len(batch) + 1) * clip[0] > most:
            yield batch
            batch = []
        batch.append(clip)
    if batch:
        yield batch


Loss: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Of log-probabilities [B, T, V], tokens of all texts, frames and tokens [B]."""


def plain_loss(log_probs: Tensor, targets: Tensor, frames: Tensor, counts: Tensor) -> Tensor:
    """As ctc_loss, with PyTorch's."""
    return nn.functional.ctc_loss(
        log_probs.transpose(0, 1), targets, frames, counts, reduction="sum", zero_infinity=True
    )


def losses_of(recipe: Recipe) -> list[Loss]:
    """Return the losses of letters and, where there are any, of phones, as `training.module` has them."""
    weight, mmi = recipe.schedule.phone_weight, recipe.schedule.phone_mmi
    if not recipe.phones:
        return [ctc_loss]
    known = trigrams([(list(range(2, recipe.outputs[1])), 1.0)], recipe.outputs[1])

    def of_phones(log_probs: Tensor, targets: Tensor, frames: Tensor, counts: Tensor) -> Tensor:
        said = ctc_loss(log_probs, targets, frames, counts)
        if mmi:
            said = said + mmi * (log_denominator(log_probs, frames, known) - known.log_likelihood(targets, counts))
        return weight * said

    return [lambda *inputs: (1 - weight) * ctc_loss(*inputs), of_phones]


def step_of(
    model: nn.Module, network: DeepSpeech2, recipe: Recipe, losses: Sequence[Loss], optimizer: torch.optim.Optimizer
) -> Callable[[list[Clip]], None]:
    for group in optimizer.param_groups:
        group["lr"] = 1e-6

    def step(batch: list[Clip]) -> None:
        lengths = torch.tensor([frames for frames, _ in batch])
        characters = torch.tensor([count for _, count in batch])
        features = torch.randn(len(batch), int(lengths.max()), recipe.features.mel)
        log_probs, out_lengths = model(features, lengths)
        loss = log_probs.new_zeros(())
        spoken = (characters, -(-4 * characters // 5))
        parts = torch.split(log_probs, list(network.alphabets), -1)
        for part, counts, loss_of in zip(parts, spoken, losses, strict=False):
            targets = torch.randint(2, part.shape[-1], (int(counts.sum()),))
            loss = loss + loss_of(part, targets, out_lengths, counts)
        torch.autograd.backward(loss / characters.sum())
        nn.utils.clip_grad_norm_(network.parameters(), recipe.schedule.clip_norm)
        optimizer.step()
        optimizer.zero_grad()

    return step


def spread(batches: list[list[Clip]], steps: int) -> list[list[Clip]]:
    """Choose batches of all lengths."""
    return [batches[(2 * number + 1) * len(batches) // (2 * steps)] for number in range(steps)]


def ours(  # noqa: PLR0917
    rank: int, processes: int, recipe: Recipe, clips: list[Clip], steps: int, dtype: torch.dtype, out: Path
) -> None:
    """One process of (a); the first writes the hours of audio per hour of each step, and its peak memory in MB."""
    keep_freed_memory()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.distributed.init_process_group("gloo", f"file://{out}.meet", rank=rank, world_size=processes)
    network = network_of(recipe)
    model = DistributedDataParallel(network, find_unused_parameters=True)
    step = step_of(model, network, recipe, losses_of(recipe), optimizer_of(network, recipe.schedule))
    chosen = spread(list(batches_of(clips, recipe, processes)), steps)
    speeds = []
    with products_in(dtype):
        step(chosen[0])
        for batch in chosen:
            torch.distributed.barrier()
            start = time.perf_counter()
            step(batch)
            torch.distributed.barrier()
            speeds.append(processes * seconds_of(batch, recipe) / (time.perf_counter() - start))
    if rank == 0:
        torch.save((speeds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000), out)
    torch.distributed.destroy_process_group()


def plainly(recipe: Recipe, clips: list[Clip], steps: int, processes: int) -> list[float]:
    """(b): hours of audio per hour of each step, over the same clips as in all processes of (a) together."""
    torch.set_num_threads(processes)
    network = network_of(recipe, plain=True)
    adamw = optimizer_of(network, replace(recipe.schedule, optimizer="adamw"))
    step = step_of(network, network, recipe, [plain_loss, plain_loss], adamw)
    chosen = [batch * processes for batch in spread(list(batches_of(clips, recipe, processes)), steps)]
    step(chosen[0])
    speeds = []
    for batch in chosen:
        start = time.perf_counter()
        step(batch)
        speeds.append(seconds_of(batch, recipe) / (time.perf_counter() - start))
    return speeds


def halves(recipe: Recipe, clips: list[Clip], processes: int, dtype: torch.dtype) -> tuple[float, float]:
    """Return seconds of computing per second of speech, on one thread, of the front end and of the recurrent layers."""
    torch.set_num_threads(1)
    network = network_of(recipe)
    batches = list(batches_of(clips, recipe, processes))
    batch = batches[len(batches) // 2]
    frames = torch.tensor([frames for frames, _ in batch])
    lengths = -(-frames // recipe.network.stride_time)
    features = torch.randn(len(batch), int(frames.max()), recipe.features.mel)
    inner = torch.randn(int(lengths.max()), len(batch), recipe.network.gru_input, requires_grad=True)

    def front() -> Tensor:
        return network.front_end(features, lengths)

    def recurrent() -> Tensor:
        x = inner
        for layer in network.recurrent:
            x = layer(x, lengths)
        return x

    found = []
    for half in (front, recurrent):
        spent = []
        for _ in range(4):
            start = time.perf_counter()
            with products_in(dtype), torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
                torch.autograd.backward(half().sum())
            spent.append(time.perf_counter() - start)
        found.append(statistics.median(spent[1:]) / seconds_of(batch, recipe))
    return found[0], found[1]


def arithmetic(recipe: Recipe) -> tuple[float, float]:
    """Return additions and multiplications per second of speech, in billions, of front end and recurrent layers.

    Only products and convolutions count, forth and (twice as many) back.
    """
    network = recipe.network
    frames = 1 / (recipe.features.hop_seconds * network.stride_time)
    bands = -(-recipe.features.mel // network.stride_mel)
    first = network.channels * network.kernel_time * network.kernel_mel * bands * 2 / 3  # it hands no gradient back
    residual = 2 * network.residual_layers * 9 * network.channels**2 * bands
    front = first + residual + network.channels * bands * network.gru_input
    widths = [network.gru_input, *[2 * network.gru_hidden] * (network.gru_layers - 1)]
    recurrent = sum(2 * 3 * network.gru_hidden * (width + network.gru_hidden) for width in widths)
    return 6 * frames * front / 1e9, 6 * frames * recurrent / 1e9


def product_speed(dtype: torch.dtype, size: int = 2048) -> float:
    """Return the billions of additions and multiplications a second of a large product, on one thread."""
    torch.set_num_threads(1)
    left, right = torch.randn(2, size, size).to(dtype)
    spent = []
    for _ in range(6):
        start = time.perf_counter()
        torch.mm(left, right)
        spent.append(time.perf_counter() - start)
    middle: float = statistics.median(spent[1:])
    return 2 * size**3 / middle / 1e9


def loader_speed(utterances: list[Utterance], recipe: Recipe) -> float:
    """Return hours of audio per hour that the loader gives, from features on disk."""
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore.open(utterances, recipe.features, Path(folder), workers=os.cpu_count() or 1)
        examples, _ = examples_of(utterances, store, ENGLISH, recipe.network.stride)
        plain = Normalization(*(torch.ones(2, recipe.features.mel).numpy()))
        plan = EpochPlan(examples, store, recipe, epoch=0)
        start = time.perf_counter()
        seconds: float = sum(batch.seconds for batch in loader_of(Clips(examples, store, plain, recipe, 0), plan))
        return seconds / (time.perf_counter() - start)


def seconds_of(batch: list[Clip], recipe: Recipe) -> float:
    return sum(frames for frames, _ in batch) * recipe.features.hop_seconds


def row(name: str, speeds: list[float]) -> str:
    return f"| {name} | {statistics.median(speeds):.1f} | {min(speeds):.1f} to {max(speeds):.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/reference.toml"))
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto")
    parser.add_argument("--no-plain", action="store_true")
    arguments = parser.parse_args()
    recipe = read_recipe(arguments.recipe)
    dtype = fastest_products() if arguments.precision == "auto" else getattr(torch, arguments.precision)
    processes = os.cpu_count() or 1
    utterances = read_manifest(arguments.manifest)
    clips = [
        (round(one.duration / recipe.features.hop_seconds), len(one.text))
        for one in utterances
        if one.duration and one.text
    ]
    print(
        f"{platform.machine()}, {processes} cores, {datetime.now(UTC):%Y-%m-%d}, {recipe.name}, products in {dtype}\n"
    )
    print("| what | hours of audio per hour | least to most |\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "ours"
        options: Any = (processes, recipe, clips, arguments.steps, dtype, out)
        start_processes(ours, options, processes)  # type: ignore[no-untyped-call]
        ours_speeds, memory = torch.load(out)
    print(row(f"(a) auricle, {processes} processes", ours_speeds), flush=True)
    if not arguments.no_plain:
        plain_speeds = plainly(recipe, clips, arguments.steps, processes)
        print(row("(b) nn.GRU, packed, one process", plain_speeds), flush=True)
        ratios = [a / b for a, b in zip(ours_speeds, plain_speeds, strict=True)]
        print(f"| (a) over (b) | {statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} |")
    front, recurrent = halves(recipe, clips, processes, dtype)
    print(f"| front end alone, one thread | {1 / front:.1f} | |")
    print(f"| recurrent layers alone, one thread | {1 / recurrent:.1f} | |", flush=True)
    print(f"| loader, one process | {loader_speed(utterances[:300], recipe):.0f} | |")
    print(f"\npeak memory of a process of (a): {memory:.0f} MB")
    for name, work, took in zip(("front end", "recurrent layers"), arithmetic(recipe), (front, recurrent), strict=True):
        print(f"{name}: {work:.2f} billion operations for a second of speech, {work / took:.0f} billion a second")
    print(f"a product of 2048 x 2048 x 2048: {product_speed(dtype):.0f} billion a second")


if __name__ == "__main__":
    main()
