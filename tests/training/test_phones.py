"""A network that writes phones beside letters: its targets, its two distributions, its loss, its bundle, its start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import MEL, TOKENS, configs, made
from hypothesis import given, settings
from test_export import ALPHABET, FEATURES, ragged

from auricle.acoustic import AcousticModel
from auricle.alphabet import ENGLISH
from auricle.bundle import ACOUSTIC, Bundle
from auricle.features import FeatureConfig, Normalization
from auricle.manifest import Utterance, read_manifest
from auricle.training.data import Clips, examples_of, least_frames
from auricle.training.export import PARITY, check_parity, to_bundle
from auricle.training.initial import started_from
from auricle.training.mmi import log_denominator
from auricle.training.module import Corpus, SpeechModule
from auricle.training.network import DeepSpeech2
from auricle.training.phones import PhoneSpeller
from auricle.training.recipe import NetworkConfig, Recipe
from auricle.training.store import FeatureStore

CLIPS = read_manifest(Path(__file__).parents[1] / "clips" / "clips.jsonl")
NAMES = ("K", "AE", "T")
SPELLER = PhoneSpeller({"cat": [["K", "AE", "T"], ["T"]], "at": [["AE", "T"]], "ox": [["X"]]}, NAMES)
CONFIG = NetworkConfig(
    channels=4, residual_layers=1, gru_layers=2, gru_hidden=24, gru_input=32, classifier_hidden=0, outputs=2,
    stride_time=4,
)  # fmt: skip
NORMALIZATION = Normalization(np.zeros(MEL, np.float32), np.ones(MEL, np.float32))


def bundle_of(network: DeepSpeech2, phones: tuple[str, ...] = NAMES) -> Bundle:
    return to_bundle(
        network, name="toy", version="1", created="now", features=FEATURES, normalization=NORMALIZATION,
        alphabet=ALPHABET, phones=phones, weights="float32",
    )  # fmt: skip


def recipe_for(config: NetworkConfig, phones: tuple[str, ...] = NAMES, letters: str = "abcde ") -> Recipe:
    return Recipe(name="on", alphabet=tuple(letters), phones=phones, features=FeatureConfig(mel=MEL), network=config)


def test_texts_are_spelled_as_their_words_are_said_first() -> None:
    assert SPELLER("cat at") == (2, 3, 4, 1, 3, 4)
    assert SPELLER("") == ()
    for word in ("dog", "ox"):
        with pytest.raises(KeyError, match=word):
            SPELLER(f"cat {word}")


def test_a_clip_with_a_word_that_nobody_says_is_left_out_by_that_word(tmp_path: Path) -> None:
    said, unsaid, long = (replace(clip, text=text) for clip, text in zip(CLIPS, ("cat", "a cat", "at"), strict=False))
    speller = replace(SPELLER, pronunciations={**SPELLER.pronunciations, "at": [["AE", "T"] * 200]})
    utterances = [said, unsaid, long]
    store = FeatureStore.open(utterances, FeatureConfig(), tmp_path)
    examples, left_out = examples_of(utterances, store, ENGLISH, 4, {}, speller)
    assert [(one.utterance, one.phones) for one in examples] == [(said, (2, 3, 4))]
    assert left_out[unsaid.id] == "no pronunciation of 'a'"
    assert left_out[long.id].startswith("too short for its text")
    assert f"{least_frames((3, 4) * 200, 4)} needed" in left_out[long.id]


@pytest.mark.parametrize("agreement", [0.0, 1.0])
def test_a_batch_has_the_phones_of_its_clips(tmp_path: Path, agreement: float) -> None:
    first, second = CLIPS[:2]
    utterances = [Utterance(first.id, first.audio_filepath, "cat"), Utterance(second.id, second.audio_filepath, "at")]
    store = FeatureStore.open(utterances, FeatureConfig(), tmp_path)
    examples, _ = examples_of(utterances, store, ENGLISH, 4, {}, SPELLER)
    recipe = Recipe(name="x", phones=NAMES)
    recipe = replace(recipe, schedule=replace(recipe.schedule, agreement=agreement))
    views = recipe.schedule.views
    normalization = Normalization(np.zeros(recipe.features.mel, np.float32), np.ones(recipe.features.mel, np.float32))
    batch = Clips(examples, store, normalization, recipe, 0)[[first.id, second.id]]
    assert batch.phones.tolist() == [2, 3, 4, 3, 4] * views
    assert batch.phone_lengths.tolist() == [3, 2] * views


@settings(max_examples=15, deadline=None)
@given(configs(smallest=12))
def test_letters_and_phones_are_a_distribution_each_in_torch_and_onnx_runtime(config: NetworkConfig) -> None:
    torch.manual_seed(1)  # else the weights are those that the tests before it have left
    network = made(config, phones=5)
    with torch.inference_mode():
        log_probs, _ = network(torch.randn(2, 30, MEL), torch.tensor([30, 17]))
    assert log_probs.shape[-1] == network.tokens == TOKENS + 5
    for half in log_probs.split([TOKENS, 5], -1):
        torch.testing.assert_close(half.exp().sum(-1), torch.ones(half.shape[:-1]))
    assert check_parity(network, ragged()) < PARITY


def test_a_bundle_has_columns_for_letters_and_phones() -> None:
    bundle = bundle_of(made(CONFIG, phones=5))
    assert (bundle.phones, bundle.tokens) == (NAMES, TOKENS + 5)
    model = AcousticModel(bundle.files[ACOUSTIC], mel=MEL, tokens=bundle.tokens, threads=1)
    assert model.log_probs([ragged()[2]])[0].shape[1] == TOKENS + 5


def rows(network: DeepSpeech2) -> torch.Tensor:
    weight: torch.Tensor = network.state_dict()["classifier.0.weight"]
    return weight.view(2, network.tokens, -1)


def test_a_network_started_from_one_without_phones_keeps_its_letters() -> None:
    network = made(CONFIG)
    started = started_from(bundle_of(network, ()), recipe_for(CONFIG, letters="abcdef ")).network
    torch.testing.assert_close(rows(started)[:, :TOKENS], rows(network), rtol=0, atol=0)
    assert rows(started).shape[1] == TOKENS + 1 + 5
    assert rows(started)[:, TOKENS:].norm() > 0


def test_a_network_started_from_one_with_phones_keeps_both() -> None:
    network = made(CONFIG, phones=5)
    wanted = recipe_for(CONFIG, ("T", "K", "Z"), "abcdef ")
    started = rows(started_from(bundle_of(network), wanted).network)
    torch.testing.assert_close(started[:, :TOKENS], rows(network)[:, :TOKENS], rtol=0, atol=0)
    # After the space, which is new: the blank, the end of a word, T and K.
    kept = rows(network)[:, TOKENS:][:, [0, 1, 4, 2]]
    torch.testing.assert_close(started[:, TOKENS + 1 :][:, :4], kept, rtol=0, atol=0)


@pytest.mark.parametrize("mmi", [0.0, 0.6])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_loss_is_the_weighted_mean_of_the_letters_and_the_phones(weight: float, mmi: float, tmp_path: Path) -> None:
    utterances = [replace(CLIPS[0], text="cat at"), replace(CLIPS[1], text="at")]
    store = FeatureStore.open(utterances, FeatureConfig(mel=MEL), tmp_path)
    recipe = recipe_for(CONFIG, letters="abct ")
    recipe = replace(recipe, schedule=replace(recipe.schedule, phone_weight=weight, phone_mmi=mmi))
    alphabet = replace(ALPHABET, characters=recipe.alphabet)
    examples, left_out = examples_of(utterances, store, alphabet, recipe.network.stride, {}, SPELLER)
    assert not left_out
    batch = Clips(examples, store, NORMALIZATION, recipe, 0)[[one.id for one in utterances]]
    module = SpeechModule(recipe, NORMALIZATION).eval()
    module.corpus = Corpus(examples, store)
    module.card["started_from"] = "english"
    module.on_fit_start()
    log_probs, lengths = module.network(batch.features, batch.lengths)
    letters, phones = log_probs.split(list(recipe.outputs), -1)

    def loss(half: torch.Tensor, targets: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.ctc_loss(half.transpose(0, 1), targets, lengths, sizes, reduction="sum")

    said = loss(phones, batch.phones, batch.phone_lengths)
    if mmi:
        assert module.following is not None
        told = module.following.log_likelihood(batch.phones, batch.phone_lengths)
        against = said - told + log_denominator(phones, lengths, module.following)
        assert float(against.detach()) > 0  # no text has more than all of them together
        said = (1 - mmi) * said + mmi * against
    expected = (1 - weight) * loss(letters, batch.targets, batch.target_lengths) + weight * said
    found = module._ctc(log_probs, lengths, batch, following=module.following)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_a_run_from_chance_learns_phones_by_ctc(tmp_path: Path) -> None:
    utterances = [replace(CLIPS[0], text="cat")]
    store = FeatureStore.open(utterances, FeatureConfig(mel=MEL), tmp_path)
    recipe = recipe_for(CONFIG, letters="act ")
    module = SpeechModule(replace(recipe, schedule=replace(recipe.schedule, phone_mmi=0.5)), NORMALIZATION)
    module.corpus = Corpus(examples_of(utterances, store, ALPHABET, 1, {}, SPELLER)[0], store)
    module.on_fit_start()
    assert module.following is None


def test_phones_are_counted_as_often_as_clips_are_heard(tmp_path: Path) -> None:
    utterances = [replace(CLIPS[0], text="cat"), replace(CLIPS[1], text="at")]
    store = FeatureStore.open(utterances, FeatureConfig(mel=MEL), tmp_path)
    recipe = recipe_for(CONFIG, letters="act ")
    recipe = replace(recipe, schedule=replace(recipe.schedule, phone_mmi=0.5))
    alphabet = replace(ALPHABET, characters=recipe.alphabet)
    begins = []
    for often in (9.0, 0.1):
        examples, _ = examples_of(utterances, store, alphabet, 1, {utterances[0].id: often}, SPELLER)
        module = SpeechModule(recipe, NORMALIZATION)
        module.corpus, module.card["started_from"] = Corpus(examples, store), "english"
        module.on_fit_start()
        assert module.following is not None
        begins.append(float(module.following.follows[0, 0, 1]))  # K, at the beginning of a text
    assert begins[0] > 3 * begins[1]
