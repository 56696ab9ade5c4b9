"""Spellers: what is put together for a text is what the network makes of its phones, and letters are learnt from it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from auricle.alphabet import Alphabet
from auricle.errors import RecipeError, TrainingError
from auricle.features import Array, FeatureConfig
from auricle.language.corpus import make_corpus
from auricle.training import loop
from auricle.training.module import Corpus, SpeechModule
from auricle.training.phones import END, PhoneSpeller
from auricle.training.recipe import NetworkConfig, Recipe
from auricle.training.short_run import Progress
from auricle.training.spelling.loop import fit, with_speller
from auricle.training.spelling.recipe import SpellingRecipe, read_spelling_recipe
from auricle.training.spelling.sound import Heard, Sounds
from auricle.training.spelling.texts import Sentence, Sentences

ALPHABET = Alphabet(tuple("abcdefgh "))
PHONES = ("K", "L", "M", "N")
# The same phones are spelt in two ways, which the word after them tells apart.
SAID = {"ba": "K L", "da": "K L", "fe": "M", "he": "N", "cage": "L M N"}
SPELLER = PhoneSpeller({word: (tuple(phones.split()),) for word, phones in SAID.items()}, PHONES)
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
    phones = SPELLER(text)
    frames = [frame for phone in phones for frame in [phone] * int(random.integers(1, 3)) + [0]]
    frames += [0] * (len(frames) % 2)
    probs = np.full((len(frames), len(PHONES) + 2), 0.02, np.float16)
    probs[np.arange(len(frames)), frames] = 0.9
    return Heard(probs, phones, tuple(ALPHABET.encode(text)))


def recordings(texts: list[str], times: int = 6) -> list[Heard]:
    random = np.random.default_rng(0)
    return [heard(text, random) for text in texts * times]


def sentences(texts: list[str], known: frozenset[int], longest: int = 48) -> Sentences:
    return Sentences(make_corpus([[text] for text in texts]), ALPHABET, SPELLER, known, longest)


def collapsed(tokens: list[int]) -> tuple[int, ...]:
    return tuple(token for before, token in zip([0, *tokens], tokens, strict=False) if token not in {0, before})


def read(probs: Array) -> tuple[int, ...]:
    return collapsed(probs.argmax(-1).tolist())


def test_a_text_sounds_as_its_phones_do_in_whole_steps() -> None:
    sounds = Sounds(recordings(TEXTS), outputs=2)
    assert sounds.phones == {END, 2, 3, 4, 5}
    random = np.random.default_rng(1)
    for text in (*TEXTS, "cage he", "fe fe fe"):
        made = sounds.said(SPELLER(text), random)
        assert len(made) % 2 == 0
        assert made.shape[1] == len(PHONES) + 2
        assert read(made) == SPELLER(text)


def test_pieces_are_those_of_the_same_neighbours_where_there_are_enough() -> None:
    def marked(text: str, mark: float) -> Heard:
        one = heard(text, np.random.default_rng(0))
        return replace(one, probs=np.where(one.probs == 0.02, np.float16(mark), one.probs))

    # L is between K and the end of a text in one, between K and the end of a word in the other.
    sounds = Sounds([marked("ba", 0.01)] * 3 + [marked("ba fe", 0.03)] * 3, outputs=1)
    for seed in range(10):
        made = sounds.said(SPELLER("ba"), np.random.default_rng(seed))
        begins = made.argmax(-1).tolist().index(3)
        assert (made[begins:].min(-1) < 0.015).all()
        made = sounds.said(SPELLER("ba ba"), np.random.default_rng(seed))
        ends = made.argmax(-1).tolist().index(END)
        assert (made[begins:ends].min(-1) > 0.015).all()


def test_a_long_silence_is_cut_to_what_is_next_to_the_text() -> None:
    (short,) = recordings(["cage"], 1)
    silence = np.tile(short.probs[-1:], (200, 1))
    sounds = Sounds([replace(short, probs=np.concatenate((silence, short.probs, silence)))], outputs=2)
    made = sounds.said(SPELLER("cage"), np.random.default_rng(0))
    assert read(made) == SPELLER("cage")
    assert len(short.probs) < len(made) < 50


def test_sentences_have_letters_and_phones_and_no_word_that_cannot_be_said() -> None:
    everything = frozenset(range(1, 6))
    found = sentences(["ba fe", "ba zoo", "cage ba fe ba fe"], everything, longest=2)
    batches = found.batches(100, np.random.default_rng(0))
    taken = [sentence for _ in range(3) for sentence in next(batches)][: len(found)]
    assert sorted(ALPHABET.decode(one.letters) for one in taken) == ["ba fe", "cage ba", "fe", "fe ba"]
    assert all(one.phones == SPELLER(ALPHABET.decode(one.letters)) for one in taken)
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
    sounds = Sounds(own_recordings, RECIPE.network.outputs)
    told = list[Progress]()
    grown = with_speller(RECIPE, own)
    speller, end = fit(grown, own, own_recordings, sounds, [sentences(texts, sounds.phones)], [1.0], tell=told.append)
    assert end.words >= own.words
    assert told[-1] == end
    return speller, sounds


def spelt(speller: torch.nn.Module, sounds: Sounds, text: str) -> str:
    probs = sounds.said(SPELLER(text), np.random.default_rng(7))
    steps = len(probs) // 2
    with torch.inference_mode():
        scores = speller(torch.from_numpy(probs.reshape(steps, 1, -1)), torch.tensor([steps]))
    return ALPHABET.decode(collapsed(scores.reshape(2 * steps, -1).argmax(-1).tolist()))


def test_a_speller_learns_from_text_how_words_are_spelt_that_no_recording_has() -> None:
    speller, sounds = trained(OWN, ["ba fe", "cage he"], TEXTS)
    texts = ["ba fe", "da he", "cage", "da he ba fe", "ba fe da he"]
    assert [spelt(speller, sounds, text) for text in texts] == texts


def test_a_run_ends_with_its_time() -> None:
    own = recordings(TEXTS)
    sounds = Sounds(own, RECIPE.network.outputs)
    ticks = iter(range(1_000_000))
    _, end = fit(
        with_speller(RECIPE, OWN),
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
    sounds = Sounds(own, RECIPE.network.outputs)
    texts = [sentences(TEXTS, sounds.phones)]
    first, _ = fit(with_speller(RECIPE, OWN), OWN, own, sounds, texts, [1.0])
    short = replace(OWN, words=2_000)
    told = list[float]()
    for init in (None, first.requires_grad_(True)):
        _, end = fit(with_speller(RECIPE, short), short, own, sounds, texts, [1.0], init=init)
        told.append(end.loss)
    assert told[1] < 0.5 * told[0]
    wider = replace(short, hidden=32)
    with pytest.raises(TrainingError, match="other sizes"):
        fit(with_speller(RECIPE, wider), wider, own, sounds, texts, [1.0], init=first)


def test_training_leaves_a_speller_as_it_is_and_cannot_begin_with_one(tmp_path: Path) -> None:
    recipe = with_speller(RECIPE, OWN)
    module = SpeechModule(recipe, None)  # type: ignore[arg-type]
    assert module.network.speller is not None
    assert not any(parameter.requires_grad for parameter in module.network.speller.parameters())
    with pytest.raises(TrainingError, match="teach the model that comes of it to spell"):
        loop.train(recipe, Corpus([], None), tmp_path)  # type: ignore[arg-type]


def test_a_recipe_says_which_key_it_does_not_know(tmp_path: Path) -> None:
    assert read_spelling_recipe(Path(__file__).parents[2] / "recipes" / "speller.toml").layers == 2
    path = tmp_path / "own.toml"
    path.write_text("hiden = 3\n")
    with pytest.raises(RecipeError, match="unknown key 'hiden'"):
        read_spelling_recipe(path)


def test_a_speller_without_phones_is_refused() -> None:
    with pytest.raises(ValueError, match="they need phones"):
        Recipe(name="x", network=NetworkConfig(speller_layers=1))
