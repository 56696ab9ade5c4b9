"""The training run: examples drawn from the text, AdamW or Muon, a rate that climbs and falls, averaged weights."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from auricle.errors import TrainingError
from auricle.restoration.features import ROWS_PER_WORD, pause_rows
from auricle.restoration.types import MARKS
from auricle.training.muon import Muon
from auricle.training.restoration.augment import Example, Vocabulary, draw_pauses, with_errors
from auricle.training.restoration.corpus import UNKNOWN_CASE, TaggedText
from auricle.training.restoration.network import RestorerNetwork
from auricle.training.restoration.recipe import RestorerRecipe
from auricle.training.short_run import Progress, average, run

_IGNORED = UNKNOWN_CASE
_CUT_WORDS = 10  # at an end that was cut somewhere, too little is known to learn from
_AVERAGE = 0.998


@dataclass(frozen=True)
class Batch:
    """Examples side by side: `rows` [B, T, 6], `mask` [B, T, 1], `marks` and `cases` [B, T] with -1 where ignored."""

    rows: Tensor
    mask: Tensor
    marks: Tensor
    cases: Tensor


def fit(
    text: TaggedText,
    recipe: RestorerRecipe,
    *,
    kinds: Mapping[str, int] | None = None,
    network: RestorerNetwork | None = None,
    max_minutes: float | None = None,
    clock: Callable[[], float] = time.process_time,
    tell: Callable[[Progress], None] = lambda progress: None,
) -> tuple[RestorerNetwork, Progress]:
    """Train a network on a text; return it with averaged weights, ready to evaluate, and where the run ended.

    `kinds` are those of `features.word_rows`; without them the network reads words' first letters instead. Training
    begins from `network` where there is one, and changes it.
    The schedule ends after the recipe's epochs or after `max_minutes` of the `clock` (seconds; by default this
    process's own, so that what else runs on the machine does not bend the schedule), whichever is sooner. Raises
    TrainingError for a text shorter than an example.
    """
    if len(text.ids) <= recipe.window:
        raise TrainingError(f"the text has {len(text.ids)} words, less than one example ({recipe.window}): give more.")
    torch.manual_seed(recipe.seed)
    network = (network or RestorerNetwork(recipe)).train()
    averaged = copy.deepcopy(network).requires_grad_(False).eval()
    optimiser = _optimiser(network, recipe)
    batches = _batches(text, recipe, kinds)
    steps = math.ceil(recipe.epochs * len(text.ids) / (recipe.batch * recipe.window))

    def take(step: int, share: float) -> tuple[float, int]:
        batch = next(batches)
        for group in optimiser.param_groups:
            group["lr"] = recipe.peak_rate * _rate(share, recipe.warmup)
        loss = _step(network, optimiser, batch, recipe)
        average(averaged, network, min(_AVERAGE, 1 - 1 / step))
        return loss, int(batch.mask.sum())

    progress = run(take, lambda done, _: done / steps, max_minutes=max_minutes, clock=clock, tell=tell)
    return averaged, progress


def make_batch(examples: Sequence[Example], vocabulary: Vocabulary) -> Batch:
    """Return examples as tensors, the shorter ones filled up with nothing."""
    size, longest = len(examples), max(len(example.ids) for example in examples)
    rows = np.zeros((size, longest, ROWS_PER_WORD), np.int32)
    mask = np.zeros((size, longest, 1), np.float32)
    marks, cases = np.full((2, size, longest), _IGNORED, np.int64)
    for number, example in enumerate(examples):
        length = len(example.ids)
        rows[number, :length] = vocabulary.rows_of(example.ids) if example.rows is None else example.rows
        rows[number, :length, -1] = pause_rows(None if example.pauses is None else example.pauses.tolist(), length)
        mask[number, :length] = 1
        marks[number, :length] = example.marks
        cases[number, :length] = example.cases
    return Batch(*map(torch.from_numpy, (rows, mask, marks, cases)))


def _optimiser(network: RestorerNetwork, recipe: RestorerRecipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(
            network.parameters(), lr=recipe.peak_rate, weight_decay=recipe.weight_decay, fused=True
        )
    taken = {id(weight) for weight in network.convolutions}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in taken]
    groups: list[dict[str, Any]] = [{"params": network.convolutions, "orthogonal": True}, {"params": rest}]
    return Muon(groups, lr=recipe.peak_rate, weight_decay=recipe.weight_decay)


def _step(network: RestorerNetwork, optimiser: torch.optim.Optimizer, batch: Batch, recipe: RestorerRecipe) -> float:
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
        logits = network(batch.rows, batch.mask).flatten(0, 1).float()
    of_marks, of_cases = logits[:, : len(MARKS)], logits[:, len(MARKS) :]
    loss = nn.functional.cross_entropy(of_marks, batch.marks.flatten(), ignore_index=_IGNORED)
    loss = loss + recipe.case_weight * nn.functional.cross_entropy(
        of_cases, batch.cases.flatten(), ignore_index=_IGNORED
    )
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    return loss.item()


def _batches(text: TaggedText, recipe: RestorerRecipe, kinds: Mapping[str, int] | None) -> Iterator[Batch]:
    """Yield batches for ever: in each epoch every word about once, in examples of random order and random cuts."""
    random = np.random.default_rng(recipe.seed)
    vocabulary = Vocabulary(text.words, np.bincount(text.ids, minlength=len(text.words)), recipe.rows, kinds)
    examples: list[Example] = []
    while True:
        first = int(random.integers(recipe.window))
        places = np.arange(first, len(text.ids) - recipe.window + 1, recipe.window)
        for place in random.permutation(places if len(places) else np.array([0])).tolist():
            examples.append(draw_example(text, place, recipe, vocabulary, random))
            if len(examples) == recipe.batch:
                yield make_batch(examples, vocabulary)
                examples = []


def draw_example(
    text: TaggedText, place: int, recipe: RestorerRecipe, vocabulary: Vocabulary, random: np.random.Generator
) -> Example:
    """Return the words of an example that begins at `place`, with errors and pauses as the recipe has them.

    An example that is cut anywhere says nothing of the words at its ends; so the end of a text means a paragraph's end.
    """
    begin, end = place, place + recipe.window
    whole = random.random() < recipe.whole
    ends = np.flatnonzero(text.ends[begin:end])
    if whole and len(ends) > 1:
        begin, end = begin + int(ends[0]) + 1, begin + int(ends[-1]) + 1
    ids, marks, cases = (values[begin:end].astype(np.int64) for values in (text.ids, text.marks, text.cases))
    example = Example(ids, marks, cases)
    if random.random() < recipe.with_errors:
        example = with_errors(example, recipe.most_errors * random.random(), vocabulary, random)
    if recipe.forgotten:
        example.rows = vocabulary.partly_forgotten(example.ids, recipe.forgotten, random)
    if random.random() < recipe.known_pauses:
        example.pauses = draw_pauses(example.marks, random)
        example.pauses[-1] = math.nan  # a transcript does not say what follows its last word
    if not (whole and len(ends) > 1):
        for values in (example.marks, example.cases):
            values[:_CUT_WORDS] = values[-_CUT_WORDS:] = _IGNORED
    return example


def _rate(share: float, warmup: float) -> float:
    """Return the part of the peak rate at this part of the run: linear up, linear down."""
    return max(min(share / warmup, (1 - share) / (1 - warmup)), 1e-3)
