"""From a manifest to batches: clips of like length together, augmented anew each time, the same everywhere."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from lhotse import CutSet, MonoCut
from lhotse.dataset import DynamicBucketingSampler, SimpleCutSampler
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from auricle.alphabet import Alphabet
from auricle.features import Array, Normalization, log_mel
from auricle.manifest import Utterance
from auricle.training import augment
from auricle.training.distort import Distorter
from auricle.training.phones import PhoneSpeller
from auricle.training.recipe import Recipe
from auricle.training.store import FeatureStore, samples_of

_BUCKETS = 12
_CLIPS_A_BUCKET = 64
_AGAIN = "\0"  # stands in no id that JSON lines and files have


@dataclass(frozen=True, slots=True)
class Example:
    """An utterance that can be learnt from: its token ids, and the frames CTC needs for them before subsampling."""

    utterance: Utterance
    tokens: tuple[int, ...]
    least_frames: int
    weight: float = 1.0
    """How often it is seen in an epoch, on average: 0.5 is every other epoch, drawn anew for each."""
    phones: tuple[int, ...] = ()
    """How the text is said: ids of phones, and of the end of each word but the last."""


class Batch(NamedTuple):
    """Normalised features [B, T, mel] with lengths [B], targets (all clips' ids in one row) with lengths [B];
    `phones` are targets, too, where the recipe has any.

    Where a recipe asks for two views of each clip, the second half of the batch is the first once more, recorded and
    masked otherwise; `seconds` are those of both.
    """

    features: Tensor
    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor
    seconds: float
    phones: Tensor
    phone_lengths: Tensor


def least_frames(tokens: Sequence[int], stride: int) -> int:
    """Return the frames a clip must have: CTC needs an output frame a character, and a blank between equals."""
    repeats = sum(a == b for a, b in pairwise(tokens))
    return max(0, len(tokens) + repeats - 1) * stride + 1


def examples_of(  # noqa: PLR0917
    utterances: Sequence[Utterance],
    store: FeatureStore,
    alphabet: Alphabet,
    stride: int,
    weights: Mapping[str, float] = MappingProxyType({}),
    speller: PhoneSpeller | None = None,
) -> tuple[list[Example], dict[str, str]]:
    """Return what can be learnt from, and for each other utterance the reason why it is left out.

    An empty text says that nobody speaks, and is learnt as that: noise, music, silence. None is no text.
    `weights` are those of utterances, by id; without one, it is 1. With a `speller`, texts have their phones, too, and
    one with a word that nobody has said how to say is left out.
    """
    examples: list[Example] = []
    left_out = dict(store.failures)
    for utterance in utterances:
        if utterance.id in left_out:
            continue
        text = alphabet.normalise(utterance.text or "")
        if not text and utterance.text != "":
            left_out[utterance.id] = "no text"
            continue
        tokens = tuple(alphabet.encode(text))
        phones: tuple[int, ...] = ()
        if speller:
            try:
                phones = speller(text)
            except KeyError as error:
                left_out[utterance.id] = f"no pronunciation of {error.args[0]!r}"
                continue
        least = max(least_frames(tokens, stride), least_frames(phones, stride))
        if store.frames(utterance.id) < least:
            left_out[utterance.id] = f"too short for its text ({store.frames(utterance.id)} frames, {least} needed)"
            continue
        examples.append(Example(utterance, tokens, least, weights.get(utterance.id, 1.0), phones))
    return examples, left_out


def normalization_of(store: FeatureStore, names: Sequence[str]) -> Normalization:
    """Return the mean and standard deviation of each band over all frames of the named utterances."""
    total = squares = 0.0
    count = 0
    for name in names:
        features = store[name].astype(np.float64)
        total, squares, count = total + features.sum(0), squares + np.square(features).sum(0), count + len(features)
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - np.square(mean), 1e-4))
    return Normalization(np.asarray(mean, np.float32), np.asarray(std, np.float32))


class Clips(Dataset[Batch]):
    """Turns the names of one batch's clips into tensors, augmented anew each epoch."""

    def __init__(
        self,
        examples: Sequence[Example],
        store: FeatureStore,
        normalization: Normalization,
        recipe: Recipe,
        epoch: int,
        *,
        noise: Sequence[Utterance] = (),
    ) -> None:
        self.examples = {example.utterance.id: example for example in examples}
        self.store, self.normalization, self.recipe = store, normalization, recipe
        self.epoch = epoch
        voices = [example.utterance for example in examples]
        self.distorter = distorter_of(recipe, voices, noise) if recipe.waveform.any else None

    def __getitem__(self, names: list[str]) -> Batch:
        views = self.recipe.schedule.views
        examples = [self.examples[name.partition(_AGAIN)[0]] for name in names]
        by_clip = [self._views(example, name, views) for example, name in zip(examples, names, strict=True)]
        features = [torch.from_numpy(clip[view]) for view in range(views) for clip in by_clip]
        examples *= views
        tokens = [torch.tensor(example.tokens, dtype=torch.int64) for example in examples]
        phones = [torch.tensor(example.phones, dtype=torch.int64) for example in examples]
        return Batch(
            features=torch.nn.utils.rnn.pad_sequence(features, batch_first=True),
            lengths=torch.tensor([len(x) for x in features]),
            targets=torch.cat(tokens),
            target_lengths=torch.tensor([len(x) for x in tokens]),
            seconds=sum(self.store.frames(example.utterance.id) for example in examples)
            * self.recipe.features.hop_seconds,
            phones=torch.cat(phones),
            phone_lengths=torch.tensor([len(x) for x in phones]),
        )

    def _views(self, example: Example, name: str, views: int) -> list[Array]:
        """Return so many views of a clip: frame by frame one speech, from throats, microphones and masks apart."""
        # The draw depends on the clip and the epoch, not on the process or on what came before: resuming repeats it.
        seed = [self.recipe.schedule.seed, self.epoch, *name.encode()]
        rng = np.random.default_rng(seed)
        plan = self.distorter.plan(rng) if self.distorter else []
        features = self._distorted(example, plan, rng) if plan else self.store[example.utterance.id]
        config, mel = self.recipe.augment, self.recipe.features
        features = augment.retime(features, config, rng, example.least_frames)
        coloured = (augment.recolour(features, config, mel, rng) for _ in range(views))
        return [augment.mask(self.normalization(view), config, rng) for view in coloured]

    def _distorted(self, example: Example, plan: Sequence[str], rng: np.random.Generator) -> Array:
        assert self.distorter is not None
        config = self.recipe.features
        samples = samples_of(example.utterance, config.sample_rate)
        return log_mel(self.distorter(samples, plan, rng, (example.least_frames - 1) * config.hop + 1), config)


def distorter_of(recipe: Recipe, voices: Sequence[Utterance], noise: Sequence[Utterance] = ()) -> Distorter:
    """Return what distorts waveforms for a recipe: with recorded noise where there is any, and babble of `voices`."""
    rate = recipe.features.sample_rate

    def drawn_from(utterances: Sequence[Utterance]) -> Callable[[np.random.Generator], Array] | None:
        return (lambda rng: samples_of(utterances[int(rng.integers(len(utterances)))], rate)) if utterances else None

    return Distorter(recipe.waveform, rate, drawn_from(noise), drawn_from(voices))


def names_in_epoch(example: Example, seed: int, epoch: int) -> list[str]:
    """Return the names by which `Clips` gives an example in an epoch, as often as its weight says.

    A second time it has another name, so that it is augmented in another way.
    """
    whole, rest = divmod(example.weight, 1)
    name = example.utterance.id
    times = int(whole)
    if rest:
        times += bool(np.random.default_rng([seed, epoch, *name.encode()]).random() < rest)
    return [f"{name}{_AGAIN}{time}" if time else name for time in range(times)]


class EpochPlan(Sampler[list[str]]):
    """The batches of one epoch for one process, as lists of clip names; `done` of them are passed over when resuming.

    lhotse draws them: a total duration per batch, clips of like length together, shuffled by seed and epoch, the same
    number of batches on every process. Where fewer clips than processes are left at the end, it repeats some.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        store: FeatureStore,
        recipe: Recipe,
        *,
        epoch: int,
        rank: int = 0,
        processes: int = 1,
        done: int = 0,
    ) -> None:
        durations = {
            name: store.frames(example.utterance.id) * recipe.features.hop_seconds
            for example in examples
            for name in names_in_epoch(example, recipe.schedule.seed, epoch)
        }
        cuts = CutSet.from_cuts(
            # lhotse gives clips that it repeats another id.
            MonoCut(id=name, start=0.0, duration=duration, channel=0, custom={"name": name})
            for name, duration in durations.items()
        )
        options = {
            "max_duration": recipe.schedule.batch_seconds / processes / recipe.schedule.views,
            "shuffle": True,
            "seed": recipe.schedule.seed,
            "rank": rank,
            "world_size": processes,
        }
        buckets = min(_BUCKETS, len(durations) // _CLIPS_A_BUCKET)
        with warnings.catch_warnings():
            # lhotse advises reading cuts lazily; these are names and durations only, and lie in memory already.
            warnings.filterwarnings("ignore", message=".*eagerly read CutSet.*")
            sampler = (
                DynamicBucketingSampler(cuts, num_buckets=buckets, **options)
                if buckets > 1
                else SimpleCutSampler(cuts, **options)
            )
        sampler.set_epoch(epoch)
        batches = list(sampler)
        if recipe.schedule.shortest_first and epoch == 0:
            batches.sort(key=lambda batch: max(cut.duration for cut in batch))
        self.batches = [[cut.custom["name"] for cut in batch] for batch in batches]
        self.done = done

    def __len__(self) -> int:
        """Return the batches of the whole epoch, those passed over included."""
        return len(self.batches)

    def __iter__(self) -> Iterator[list[str]]:
        return iter(self.batches[self.done :])


def loader_of(clips: Clips, plan: EpochPlan) -> DataLoader[Batch]:
    """Return the loader of one process. Features come from the page cache: a worker would cost more than it saves."""
    return DataLoader(clips, sampler=plan, batch_size=None, num_workers=0)
