"""Spellers: what is put together for a text is what the network makes of its phones, and letters are learnt from it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle.alphabet import Alphabet
from auricle.bundle import ACOUSTIC, LANGUAGE_MODEL, SPELLER, Bundle
from auricle.decoding import Hypothesis, Phrases
from auricle.errors import BundleError, RecipeError, TrainingError
from auricle.features import Array, FeatureConfig, Normalization
from auricle.language.corpus import make_corpus
from auricle.recognizer import Recognizer
from auricle.spelling import SpellingModel, by_step
from auricle.training.export import to_bundle
from auricle.training.graph import Weights
from auricle.training.initial import recipe_of
from auricle.training.network import DeepSpeech2
from auricle.training.phones import END, PhoneSpeller
from auricle.training.recipe import NetworkConfig, Recipe
from auricle.training.short_run import Progress
from auricle.training.spelling.export import checked_speller, speller_of, spelling, stored_as, taken_over
from auricle.training.spelling.loop import fit
from auricle.training.spelling.network import Speller
from auricle.training.spelling.recipe import SpellingRecipe, read_spelling_recipe
from auricle.training.spelling.sound import Heard, Sounds
from auricle.training.spelling.texts import Sentence, Sentences

ALPHABET = Alphabet(tuple("abcdefgh "))
PHONES = ("K", "L", "M", "N")
# The same phones are spelt in two ways, which the word after them tells apart.
SAID = {"ba": "K L", "da": "K L", "fe": "M", "he": "N", "cage": "L M N"}
DICTIONARY = PhoneSpeller({word: (tuple(phones.split()),) for word, phones in SAID.items()}, PHONES)
RECIPE = Recipe(
    name="base",
    alphabet=ALPHABET.characters,
    phones=PHONES,
    features=FeatureConfig(mel=13),
    network=NetworkConfig(channels=2, gru_layers=1, gru_hidden=8, gru_input=8, stride_time=4, outputs=2),
)
OWN = SpellingRecipe("own", layers=1, hidden=24, width=16, dropout=0.0, batch_words=60, words=40_000, peak_rate=4e-3)
TEXTS = ["ba fe", "da he", "cage", "ba fe ba fe", "da he da he cage", "cage ba fe", "da he ba fe"]


def heard(text: str, random: np.random.Generator) -> Heard:
    """What a network might make of a text: each phone for a frame or two, a blank after it, and never quite sure."""
    phones = DICTIONARY(text)
    frames = [frame for phone in phones for frame in [phone] * int(random.integers(1, 3)) + [0]]
    frames += [0] * (len(frames) % 2)
    probs = np.full((len(frames), len(PHONES) + 2), 0.02, np.float16)
    probs[np.arange(len(frames)), frames] = 0.9
    return Heard(probs, phones, tuple(ALPHABET.encode(text)))


def recordings(texts: list[str], times: int = 6) -> list[Heard]:
    random = np.random.default_rng(0)
    return [heard(text, random) for text in texts * times]


def sentences(texts: list[str], known: frozenset[int], longest: int = 48) -> Sentences:
    return Sentences(make_corpus([[text] for text in texts]), ALPHABET, DICTIONARY, known, longest)


def collapsed(tokens: list[int]) -> tuple[int, ...]:
    return tuple(token for before, token in zip([0, *tokens], tokens, strict=False) if token not in {0, before})


def read(probs: Array) -> tuple[int, ...]:
    return collapsed(probs.argmax(-1).tolist())


def test_a_text_sounds_as_its_phones_do() -> None:
    sounds = Sounds(recordings(TEXTS))
    assert sounds.phones == {END, 2, 3, 4, 5}
    random = np.random.default_rng(1)
    for text in (*TEXTS, "cage he", "fe fe fe"):
        made = sounds.said(DICTIONARY(text), random)
        assert made.shape[1] == len(PHONES) + 2
        assert read(made) == DICTIONARY(text)


def test_pieces_are_those_of_the_same_neighbours_where_there_are_enough() -> None:
    def marked(text: str, mark: float) -> Heard:
        one = heard(text, np.random.default_rng(0))
        return replace(one, probs=np.where(one.probs == 0.02, np.float16(mark), one.probs))

    # L is between K and the end of a text in one, between K and the end of a word in the other.
    sounds = Sounds([marked("ba", 0.01)] * 3 + [marked("ba fe", 0.03)] * 3)
    for seed in range(10):
        made = sounds.said(DICTIONARY("ba"), np.random.default_rng(seed))
        begins = made.argmax(-1).tolist().index(3)
        assert (made[begins:].min(-1) < 0.015).all()
        made = sounds.said(DICTIONARY("ba ba"), np.random.default_rng(seed))
        ends = made.argmax(-1).tolist().index(END)
        assert (made[begins:ends].min(-1) > 0.015).all()


def test_a_long_silence_is_cut_to_what_is_next_to_the_text() -> None:
    (short,) = recordings(["cage"], 1)
    silence = np.tile(short.probs[-1:], (200, 1))
    sounds = Sounds([replace(short, probs=np.concatenate((silence, short.probs, silence)))])
    made = sounds.said(DICTIONARY("cage"), np.random.default_rng(0))
    assert read(made) == DICTIONARY("cage")
    assert len(short.probs) < len(made) < 50


def test_sentences_have_letters_and_phones_and_no_word_that_cannot_be_said() -> None:
    everything = frozenset(range(1, 6))
    found = sentences(["ba fe", "ba zoo", "cage ba fe ba fe"], everything, longest=2)
    batches = found.batches(100, np.random.default_rng(0))
    taken = [sentence for _ in range(3) for sentence in next(batches)][: len(found)]
    assert sorted(ALPHABET.decode(one.letters) for one in taken) == ["ba fe", "cage ba", "fe", "fe ba"]
    assert all(one.phones == DICTIONARY(ALPHABET.decode(one.letters)) for one in taken)
    assert sum(one.words for one in taken) == 7
    assert len(sentences(["ba fe", "he"], everything - {5})) == 1  # nobody has said N
    assert len(sentences(["ba fe", "he"], everything - {END})) == 0


def test_every_sentence_comes_once_before_one_comes_again() -> None:
    found = sentences([" ".join(["ba"] * count) for count in range(1, 30)], frozenset(range(1, 6)))
    batches = found.batches(40, np.random.default_rng(0))
    taken: list[Sentence] = []
    while len(taken) < len(found):
        batch = next(batches)
        assert sum(one.words for one in batch) <= 80
        taken += batch
    assert sorted(one.words for one in taken) == list(range(1, 30))


def trained(own: SpellingRecipe, heard_texts: list[str], texts: list[str]) -> tuple[torch.nn.Module, Sounds]:
    torch.set_num_threads(1)
    own_recordings = recordings(heard_texts)
    sounds = Sounds(own_recordings)
    told = list[Progress]()
    speller, end = fit(RECIPE, own, own_recordings, sounds, [sentences(texts, sounds.phones)], [1.0], tell=told.append)
    assert end.words >= own.words
    assert told[-1] == end
    return speller, sounds


def spelt(speller: torch.nn.Module, sounds: Sounds, text: str) -> str:
    probs = sounds.said(DICTIONARY(text), np.random.default_rng(7))
    steps = torch.from_numpy(by_step(probs, 2))
    with torch.inference_mode():
        letters = speller(steps.unsqueeze(1), torch.tensor([len(steps)]))[0]
    return ALPHABET.decode(collapsed(letters.argmax(-1).tolist()))


def test_a_speller_learns_from_text_how_words_are_spelt_that_no_recording_has() -> None:
    speller, sounds = trained(OWN, ["ba fe", "cage he"], TEXTS)
    texts = ["ba fe", "da he", "cage", "da he ba fe", "ba fe da he"]
    assert [spelt(speller, sounds, text) for text in texts] == texts


def test_a_run_ends_with_its_time() -> None:
    own = recordings(TEXTS)
    sounds = Sounds(own)
    ticks = iter(range(1_000_000))
    _, end = fit(
        RECIPE,
        OWN,
        own,
        sounds,
        [sentences(TEXTS, sounds.phones)],
        [1.0],
        max_minutes=1,
        clock=lambda: float(next(ticks)),
    )
    assert end.step == 60
    assert end.share == 1.0


def test_a_run_may_begin_with_a_speller_of_its_own_size() -> None:
    own = recordings(TEXTS)
    sounds = Sounds(own)
    texts = [sentences(TEXTS, sounds.phones)]
    first, _ = fit(RECIPE, OWN, own, sounds, texts, [1.0])
    short = replace(OWN, words=2_000)
    told = list[float]()
    for init in (None, first.requires_grad_(True)):
        _, end = fit(RECIPE, short, own, sounds, texts, [1.0], init=init)
        told.append(end.loss)
    assert told[1] < 0.5 * told[0]
    wider = replace(short, hidden=32)
    with pytest.raises(TrainingError, match="other sizes"):
        fit(RECIPE, wider, own, sounds, texts, [1.0], init=first)


def test_a_recipe_says_which_key_it_does_not_know(tmp_path: Path) -> None:
    assert read_spelling_recipe(Path(__file__).parents[2] / "recipes" / "speller.toml").layers == 2
    path = tmp_path / "own.toml"
    path.write_text("hiden = 3\n")
    with pytest.raises(RecipeError, match="unknown key 'hiden'"):
        read_spelling_recipe(path)


def a_speller(layers: int = 1) -> Speller:
    """A speller in which nothing is zero: biases and norms are random too."""
    torch.manual_seed(0)
    speller = Speller(RECIPE, replace(OWN, layers=layers)).eval()
    for parameter in speller.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return speller


def a_bundle(recipe: Recipe = RECIPE) -> Bundle:
    torch.manual_seed(3)
    return to_bundle(
        DeepSpeech2(recipe.network, recipe.features.mel, *recipe.outputs).eval(),
        name="base",
        version="1",
        created="now",
        features=recipe.features,
        normalization=Normalization(np.zeros(13, np.float32), np.ones(13, np.float32)),
        alphabet=Alphabet(recipe.alphabet),
        phones=recipe.phones,
        card={"recipe": recipe.to_dict()},
    )


def some_phones(frames: int, seed: int = 0) -> Array:
    return np.log(np.random.default_rng(seed).dirichlet(np.ones(len(PHONES) + 2), frames)).astype(np.float32)


def model_of(bundle: Bundle) -> SpellingModel:
    return SpellingModel(bundle.files[SPELLER], phones=len(PHONES) + 2, letters=ALPHABET.tokens, threads=1)


@settings(max_examples=20, deadline=None)
@given(frames=st.lists(st.integers(1, 60), min_size=1, max_size=5), layers=st.integers(1, 3))
def test_a_clip_is_spelt_alone_as_it_is_among_others(frames: list[int], layers: int) -> None:
    model = model_of(spelling(a_bundle(), a_speller(layers=layers), OWN.to_dict(), "float32"))
    clips = [some_phones(count, seed) for seed, count in enumerate(frames)]
    together = model.log_probs(clips)
    for clip, letters in zip(clips, together, strict=True):
        assert letters.shape == (len(clip), ALPHABET.tokens)
        np.testing.assert_allclose(np.exp(letters.astype(np.float64)).sum(axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(letters, model.log_probs([clip])[0], atol=1e-5)
    assert model.log_probs([]) == []


def test_the_last_step_ends_with_silence() -> None:
    probs = np.full((3, 4), 0.25, np.float32)
    assert by_step(probs, 2).tolist() == [[0.25] * 8, [0.25] * 4 + [1, 0, 0, 0]]
    np.testing.assert_array_equal(by_step(probs, 1), probs)
    np.testing.assert_array_equal(by_step(probs, 3), probs.reshape(1, 12))


@pytest.mark.parametrize("weights", ["float32", "float16", "int8"])
def test_a_bundle_gives_its_speller_back(weights: Weights) -> None:
    ours = a_speller()
    bundle = stored_as(spelling(a_bundle(), ours, OWN.to_dict(), "float32"), weights)
    theirs = speller_of(bundle)
    tolerance = {"float32": 0, "float16": 1e-3, "int8": 2e-2}[weights]
    for name, parameter in ours.state_dict().items():
        torch.testing.assert_close(theirs.state_dict()[name], parameter, rtol=0, atol=tolerance)
    assert all(parameter.requires_grad for parameter in theirs.parameters())
    assert bundle.card["speller"]["parameters"] == sum(parameter.numel() for parameter in ours.parameters())
    plain = a_bundle()
    assert stored_as(plain, weights) is plain


def test_what_is_no_speller_is_refused() -> None:
    spelt = spelling(a_bundle(), a_speller(), OWN.to_dict())
    with pytest.raises(TrainingError, match="has not learnt to spell"):
        speller_of(a_bundle())
    for card in ({}, {"layers": 0, "hidden": 24, "width": 16}, "none"):
        with pytest.raises(TrainingError, match="does not hold the sizes"):
            speller_of(replace(spelt, card={**spelt.card, "speller": card}))
    with pytest.raises(BundleError, match="reads 12 values a step and writes 10 letters"):
        SpellingModel(spelt.files[SPELLER], phones=7, letters=10)
    with pytest.raises(BundleError, match="inputs and outputs"):
        SpellingModel(spelt.files[ACOUSTIC], phones=6, letters=10)
    with pytest.raises(BundleError, match="the speller cannot be loaded"):
        SpellingModel(b"damaged", phones=6, letters=10)
    broken = a_speller()
    broken.output.bias.data[0] = np.nan
    with pytest.raises(TrainingError, match="export refused"):
        checked_speller(broken, "float16")


def test_a_speller_goes_to_a_model_of_the_same_phones_letters_and_frames_alone() -> None:
    spelt = spelling(a_bundle(), a_speller(), OWN.to_dict(), "float32")
    taken = taken_over(replace(a_bundle(), name="other"), spelt)
    assert taken.name == "other"
    ours, theirs = (model_of(one).log_probs([some_phones(9)])[0] for one in (taken, spelt))
    np.testing.assert_allclose(ours, theirs, atol=0.02)
    for other in (
        replace(RECIPE, phones=("K", "L", "M", "P")),
        replace(RECIPE, alphabet=tuple("abcdefgx ")),
        replace(RECIPE, network=replace(RECIPE.network, outputs=1)),
    ):
        with pytest.raises(TrainingError, match="spells other phones, or in other letters"):
            taken_over(a_bundle(other), spelt)


class Overheard:
    """A decoder that keeps what it is given."""

    def __init__(self) -> None:
        self.given: list[Array] = []

    def decode(self, log_probs: Array, *, hot_words: Phrases = ()) -> list[Hypothesis]:
        self.given.append(log_probs)
        return [Hypothesis("", 0.0, (), (), ())]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("files", "asked", "alone"),
    [({}, True, True), ({LANGUAGE_MODEL: b""}, False, True), ({LANGUAGE_MODEL: b""}, True, False)],
)
def test_spelt_letters_are_read_where_no_language_model_is_asked(
    files: dict[str, bytes], asked: bool, alone: bool, threads: int
) -> None:
    bundle = spelling(a_bundle(), a_speller(), OWN.to_dict(), "float32")
    bundle = replace(bundle, files={**bundle.files, **files})
    decoder = Overheard()
    recognizer = Recognizer(bundle, threads=threads, decoder=decoder, language_model=asked)
    sounds = [np.random.default_rng(seed).normal(0, 0.1, 16_000 + 100 * seed).astype(np.float32) for seed in range(6)]
    clips = [recognizer.read(one, sample_rate=16_000) for one in sounds]
    list(recognizer.transcribe_many(clips, plain=True))
    assert len(decoder.given) == 6
    by_length = sorted(decoder.given, key=len)
    network = Recognizer(a_bundle(), threads=1)
    for clip, read_from in zip(clips, by_length, strict=True):
        np.testing.assert_allclose(read_from, recognizer.log_probs(clip, phones=True), atol=1e-4)
        letters, phones = np.split(network.log_probs(clip, phones=True), [ALPHABET.tokens], axis=1)
        expected = model_of(bundle).log_probs([phones])[0] if alone else letters
        np.testing.assert_allclose(read_from, np.hstack((expected, phones)), atol=1e-4)
        assert abs(letters - model_of(bundle).log_probs([phones])[0]).max() > 0.1


def test_a_model_whose_card_has_its_speller_in_its_network_is_read_without_it() -> None:
    bundle = a_bundle()  # as version 16 of `english` had it
    network = {**RECIPE.to_dict()["network"], "speller_layers": 2, "speller_hidden": 320, "speller_input": 384}
    old = replace(bundle, card={"recipe": {**RECIPE.to_dict(), "network": network}})
    assert recipe_of(old).network == RECIPE.network
