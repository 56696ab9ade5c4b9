"""From a manifest to batches."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from helpers import made
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle.alphabet import ENGLISH
from auricle.features import FeatureConfig, Normalization
from auricle.manifest import Utterance, read_manifest
from auricle.training.data import (
    Clips,
    EpochPlan,
    Example,
    examples_of,
    least_frames,
    loader_of,
    names_in_epoch,
    normalization_of,
)
from auricle.training.recipe import NetworkConfig, Recipe, make_recipe
from auricle.training.store import FeatureStore

CLIPS = Path(__file__).parents[1] / "clips"
CONFIG = FeatureConfig()
UTTERANCES = read_manifest(CLIPS / "clips.jsonl")
RECIPE = make_recipe({"name": "test", "schedule": {"batch_seconds": 60.0}}, "test")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return FeatureStore.open(UTTERANCES, CONFIG, tmp_path_factory.mktemp("store"))


def test_normalization_is_numpys_over_all_frames_together(store: FeatureStore) -> None:
    names = [utterance.id for utterance in UTTERANCES[1:]]
    frames = np.concatenate([store[name] for name in names]).astype(np.float64)
    normalization = normalization_of(store, names)
    np.testing.assert_allclose(normalization.mean, frames.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(normalization.std, frames.std(axis=0), rtol=1e-4)


def test_a_band_that_never_changes_is_not_divided_by_zero(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000), 16_000)
    store = FeatureStore.open([Utterance("a", tmp_path / "silence.wav")], CONFIG, tmp_path)
    assert np.isfinite(normalization_of(store, ["a"])(store["a"])).all()


# What can be learnt from


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=8), st.integers(1, 4))
def test_the_least_frames_are_the_fewest_that_ctc_can_align(tokens: list[int], stride: int) -> None:
    least = least_frames(tokens, stride)

    def loss(frames: int) -> float:
        out = -(-frames // stride)
        log_probs = torch.randn(out, 1, 4).log_softmax(-1)
        lengths = torch.tensor([out]), torch.tensor([len(tokens)])
        return float(torch.nn.functional.ctc_loss(log_probs, torch.tensor([tokens]), *lengths))

    assert np.isfinite(loss(least))
    assert least == 1 or not np.isfinite(loss(least - 1))


def test_clips_without_text_or_too_short_for_it_are_left_out_with_the_reason(store: FeatureStore) -> None:
    first, second, third = UTTERANCES[:3]
    silent = Utterance(first.id, first.audio_filepath, "!?")
    hasty = Utterance(second.id, second.audio_filepath, "word " * 40)
    examples, left_out = examples_of([silent, hasty, third], store, ENGLISH, 4)
    assert [example.utterance for example in examples] == [third]
    assert left_out == {first.id: "no text", second.id: "too short for its text (299 frames, 793 needed)"}


def test_a_clip_with_an_empty_text_is_learnt_as_one_in_which_nobody_speaks(store: FeatureStore) -> None:
    first, second = UTTERANCES[:2]
    quiet, unknown = Utterance(first.id, first.audio_filepath, ""), Utterance(second.id, second.audio_filepath)
    (example,), left_out = examples_of([quiet, unknown], store, ENGLISH, 4)
    assert (example.utterance, example.tokens, example.least_frames) == (quiet, (), 1)
    assert left_out == {second.id: "no text"}


def test_an_example_has_the_ids_of_its_normalised_text(store: FeatureStore) -> None:
    utterance = Utterance(UTTERANCES[0].id, UTTERANCES[0].audio_filepath, "Don’t, Æsop!")  # noqa: RUF001
    (example,), _ = examples_of([utterance], store, ENGLISH, 2)
    assert ENGLISH.decode(example.tokens) == "don't aesop"
    assert example.least_frames == least_frames(example.tokens, 2)


# Batches


def corpus(count: int, seed: int = 0) -> tuple[list[Example], FeatureStore]:
    """Examples that have names and lengths, which is all that a plan looks at."""
    frames = np.random.default_rng(seed).integers(100, 1600, count)
    lengths = {f"clip-{i}": int(n) for i, n in enumerate(frames)}
    examples = [Example(Utterance(name, Path(name), "a"), (3,), 1) for name in lengths]
    return examples, cast(FeatureStore, SimpleNamespace(frames=lengths.__getitem__))


def plan(count: int = 200, *, epoch: int = 0, rank: int = 0, processes: int = 1, done: int = 0) -> EpochPlan:
    return EpochPlan(*corpus(count), RECIPE, epoch=epoch, rank=rank, processes=processes, done=done)


def names(batches: Sequence[Sequence[str]]) -> list[str]:
    return list(itertools.chain.from_iterable(batches))


@pytest.mark.parametrize("count", [1, 5, 127, 128, 500])
def test_one_process_sees_each_clip_once(count: int) -> None:
    assert sorted(names(list(plan(count)))) == sorted(example.utterance.id for example in corpus(count)[0])


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13, 21, 128, 129, 300, 301, 302, 303])
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_the_clips_and_take_as_many_steps(count: int, processes: int) -> None:
    plans = [plan(count, rank=rank, processes=processes) for rank in range(processes)]
    assert len({len(each) for each in plans}) == 1
    seen = Counter(names([batch for each in plans for batch in each]))
    assert set(seen) == {example.utterance.id for example in corpus(count)[0]}
    # lhotse repeats clips in the last step alone, when fewer of them than processes are left for it.
    assert seen.total() - count < processes
    assert all(batch for each in plans for batch in each)
    early = Counter(names([batch for each in plans for batch in list(each)[:-1]]))
    assert set(early.values()) <= {1}


def test_a_repeated_clip_can_be_loaded() -> None:
    # lhotse gives the second one another id, by which no features are found.
    assert all(list(plan(1, rank=rank, processes=2)) == [["clip-0"]] for rank in range(2))


def test_seed_and_epoch_decide_the_plan() -> None:
    assert list(plan(epoch=3)) == list(plan(epoch=3))
    assert list(plan(epoch=3)) != list(plan(epoch=4))
    assert list(plan(5, epoch=3)) != list(plan(5, epoch=4))


def test_what_is_done_is_passed_over() -> None:
    whole, rest = plan(epoch=2), plan(epoch=2, done=7)
    assert list(rest) == list(whole)[7:]
    assert len(rest) == len(whole)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_step_holds_no_more_sound_than_the_recipe_says(processes: int) -> None:
    examples, store = corpus(400)
    plans = [EpochPlan(examples, store, RECIPE, epoch=0, rank=r, processes=processes) for r in range(processes)]
    for step in zip(*plans, strict=True):
        seconds = sum(store.frames(name) for batch in step for name in batch) * 0.01
        assert seconds <= RECIPE.schedule.batch_seconds * 1.001 + 16.0 * (processes > 1)


def test_clips_of_like_length_come_together() -> None:
    examples, store = corpus(2000)
    batches = [[store.frames(name) for name in batch] for batch in EpochPlan(examples, store, RECIPE, epoch=0)]
    padding = sum(len(batch) * max(batch) - sum(batch) for batch in batches) / sum(map(sum, batches))
    assert padding < 0.1


def test_weights_say_how_often_a_clip_is_seen() -> None:
    examples, store = corpus(300)
    weights = {example.utterance.id: (0.0, 0.5, 2.0)[number % 3] for number, example in enumerate(examples)}
    weighed = [replace(example, weight=weights[example.utterance.id]) for example in examples]
    seen = [
        Counter(name.partition("\0")[0] for name in names(list(EpochPlan(weighed, store, RECIPE, epoch=epoch))))
        for epoch in range(20)
    ]
    for name, weight in weights.items():
        times = [each[name] for each in seen]
        assert set(times) <= ({int(weight)} if weight % 1 == 0 else {0, 1})
    halves = [each[name] for each in seen for name, weight in weights.items() if weight == 0.5]
    assert 0.45 < sum(halves) / len(halves) < 0.55
    assert seen[0] != seen[1]
    assert list(EpochPlan(weighed, store, RECIPE, epoch=3)) == list(EpochPlan(weighed, store, RECIPE, epoch=3))


def test_the_first_epoch_may_go_from_short_clips_to_long_ones() -> None:
    recipe = replace(RECIPE, schedule=replace(RECIPE.schedule, shortest_first=True))
    examples, store = corpus(400)

    def longest(epoch: int, rank: int = 0) -> list[int]:
        plan = EpochPlan(examples, store, recipe, epoch=epoch, rank=rank, processes=2)
        return [max(store.frames(name) for name in batch) for batch in plan]

    assert longest(0) == sorted(longest(0))
    assert longest(1) != sorted(longest(1))
    # What two processes do together is alike in length: neither waits for the other.
    assert max(abs(a - b) for a, b in zip(longest(0, 0), longest(0, 1), strict=True)) < 300


# Tensors


def clips_of(store: FeatureStore, epoch: int = 0, augment: dict[str, float] | None = None) -> Clips:
    recipe = make_recipe({"name": "test", "augment": augment or {}}, "test")
    examples, left_out = examples_of(UTTERANCES, store, ENGLISH, 4)
    assert not left_out
    return Clips(examples, store, normalization_of(store, [UTTERANCES[0].id]), recipe, epoch)


def test_a_batch_holds_the_normalised_features_and_the_texts(store: FeatureStore) -> None:
    clips = clips_of(store, augment={"frequency_masks": 0, "time_masks": 0})
    chosen = [UTTERANCES[1], UTTERANCES[0]]
    batch = clips[[utterance.id for utterance in chosen]]
    assert batch.features.shape == (2, 710, 80)
    assert batch.lengths.tolist() == [299, 710]
    texts = torch.split(batch.targets, batch.target_lengths.tolist())
    assert [ENGLISH.decode(text.tolist()) for text in texts] == [utterance.text for utterance in chosen]
    assert batch.seconds == pytest.approx(10.09)
    for row, utterance in zip(batch.features, chosen, strict=True):
        expected = clips.normalization(store[utterance.id])
        np.testing.assert_allclose(row[: len(expected)].numpy(), expected, atol=1e-6)
        assert not row[len(expected) :].any()


def test_a_clip_that_is_seen_again_is_augmented_in_another_way(store: FeatureStore) -> None:
    example = Example(UTTERANCES[1], (1,), 1, weight=2.0)
    first, again = names_in_epoch(example, 1, 0)
    batch = clips_of(store)[[first, again]]
    assert batch.target_lengths[0] == batch.target_lengths[1]
    assert not torch.equal(batch.features[0], batch.features[1])


def of_two_views(**augment: float) -> Recipe:
    return make_recipe({"name": "test", "augment": augment, "schedule": {"agreement": 0.2}}, "test")


def test_two_views_of_a_clip_are_by_two_throats_from_two_distances(store: FeatureStore) -> None:
    clips, unmasked = clips_of(store), {"frequency_masks": 0, "time_masks": 0}
    clips.recipe = of_two_views(stretch=0.1, gain=6.0, **unmasked)
    one, other = clips[[UTTERANCES[1].id]].features * torch.from_numpy(clips.normalization.std)
    assert len(one) != store.frames(UTTERANCES[1].id)  # stretched, and both alike: frame by frame the same speech
    loud = one.mean(1).topk(len(one) // 4).indices
    louder = (one - other)[loud, :40]  # above, this clip is at the floor, which stays where it is
    assert float(louder.mean().abs()) > 0.02
    assert float(louder.std()) < 0.03 * float(louder.mean().abs())

    clips.recipe = of_two_views(warp=0.1, **unmasked)
    one, other = clips[[UTTERANCES[1].id]].features
    frames = torch.corrcoef(torch.stack([one.mean(1), other.mean(1)]))[0, 1]
    assert not torch.equal(one, other)
    assert float(frames) > 0.99


def test_two_views_of_a_clip_have_masks_of_their_own(store: FeatureStore) -> None:
    clips = clips_of(store)
    clips.recipe = of_two_views(stretch=0.1)
    chosen = [UTTERANCES[1], UTTERANCES[0]]
    batch = clips[[utterance.id for utterance in chosen]]
    one, other = batch.features.chunk(2)
    assert batch.lengths[:2].tolist() == batch.lengths[2:].tolist()
    masked = (one == 0) | (other == 0)
    assert torch.equal(one[~masked], other[~masked])
    assert not torch.equal(one, other)
    assert 0.02 < float(masked[1].float().mean()) < 0.8
    texts = [ENGLISH.decode(text.tolist()) for text in torch.split(batch.targets, batch.target_lengths.tolist())]
    assert texts == [utterance.text for utterance in chosen] * 2
    assert batch.seconds == pytest.approx(2 * 10.09)


def test_two_views_take_the_room_of_two_clips() -> None:
    examples, store = corpus(400)
    recipe = replace(RECIPE, schedule=replace(RECIPE.schedule, agreement=0.2))

    def longest(recipe: Recipe) -> float:
        return max(sum(store.frames(name) for name in batch) for batch in EpochPlan(examples, store, recipe, epoch=0))

    assert longest(recipe) == pytest.approx(longest(RECIPE) / 2, rel=0.1)


def test_a_clip_is_augmented_by_seed_epoch_and_name_whoever_is_beside_it(store: FeatureStore) -> None:
    one, two = UTTERANCES[1].id, UTTERANCES[2].id
    options = {"stretch": 0.1, "gain": 6.0, "low_pass": 0.5}
    alone = clips_of(store, augment=options)[[one]].features[0]
    beside = clips_of(store, augment=options)[[two, one]]
    torch.testing.assert_close(beside.features[1, : len(alone)], alone, rtol=0, atol=0)
    later = clips_of(store, 1, options)[[one]].features[0]
    assert alone.shape != later.shape or not torch.equal(alone, later)


def test_a_clip_is_never_squeezed_below_what_its_text_needs(tmp_path: Path) -> None:
    utterance = Utterance("fast", UTTERANCES[1].audio_filepath, "ab" * 37)  # 74 letters in 75 output frames
    store = FeatureStore.open([utterance], CONFIG, tmp_path)
    (example,), _ = examples_of([utterance], store, ENGLISH, 4)
    recipe = make_recipe({"name": "test", "augment": {"stretch": 0.4}}, "test")
    still = Normalization(np.zeros(80, np.float32), np.ones(80, np.float32))
    lengths = [int(Clips([example], store, still, recipe, epoch)[["fast"]].lengths[0]) for epoch in range(60)]
    assert min(lengths) == example.least_frames == 293


def test_a_loader_walks_the_plan_and_a_network_takes_its_batches(store: FeatureStore) -> None:
    clips = clips_of(store)
    recipe = make_recipe({"name": "test", "schedule": {"batch_seconds": 9.0}}, "test")
    epoch = EpochPlan(list(clips.examples.values()), store, recipe, epoch=0)
    config = NetworkConfig(channels=1, residual_layers=0, gru_layers=1, gru_hidden=2, gru_input=2, stride_time=4)
    network = made(config, mel=80, tokens=ENGLISH.tokens)
    loaded = list(loader_of(clips, epoch))
    assert len(loaded) == len(epoch) > 1
    for batch in loaded:
        log_probs, lengths = network(batch.features, batch.lengths)
        loss = torch.nn.functional.ctc_loss(
            log_probs.transpose(0, 1), batch.targets, lengths, batch.target_lengths, reduction="none"
        )
        assert torch.isfinite(loss).all()
