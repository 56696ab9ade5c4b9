from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle.decoding.codebook import quantise
from auricle.decoding.ngram import NgramModel
from auricle.decoding.trie import SPECIALS, Floats, Level, Rare, Trie
from auricle.errors import BundleError

Arrays = dict[str, Any]


def level(*rows: tuple[int, int, float, float]) -> Level:
    parents, words, log_probs, back_offs = zip(*rows, strict=True)
    keys = np.array(parents, np.int64) << 16 | np.array(words)
    return Level(keys, np.array(log_probs, np.float32), np.array(back_offs, np.float32))


@pytest.fixture(scope="module")
def model() -> NgramModel:
    """ "the cat sat", with words 3 cat, 4 sat, 5 the; every number can be told from every other."""
    unigrams = level(
        *((0, i, -p, b) for i, (p, b) in enumerate([(9, 0), (99, -0.1), (2, 0), (4, -0.2), (5, -0.3), (3, -0.4)]))
    )
    bigrams = level((1, 5, -0.5, -0.11), (3, 4, -0.6, -0.12), (5, 3, -0.7, -0.13), (5, 4, -0.8, -0.14))
    trigrams = level((0, 3, -0.01, 0), (2, 4, -0.02, 0))
    highest = Level(trigrams.keys, trigrams.log_probs, np.zeros(0, np.float32))
    return NgramModel(Trie((*SPECIALS, "cat", "sat", "the"), (unigrams, bigrams, highest)))


def random_trie(rng: np.random.Generator, vocabulary: int, order: int, size: int) -> Trie:
    words = (*SPECIALS, *(f"w{i:05}" for i in range(vocabulary)))

    def weights(count: int) -> tuple[Floats, Floats]:
        return -rng.exponential(3, count).astype(np.float32), -rng.exponential(1, count).astype(np.float32)

    levels = [Level(np.arange(len(words), dtype=np.int64), *weights(len(words)))]
    for n in range(2, order + 1):
        keys = np.unique(rng.integers(0, len(levels[-1]), size) << 16 | rng.integers(0, len(words), size))
        log_probs, back_offs = weights(len(keys))
        levels.append(Level(keys, log_probs, back_offs[: 0 if n == order else None]))
    return Trie(words, tuple(levels))


def without_idle_weights(trie: Trie) -> Trie:
    """Return a model in which n-grams that nothing follows have no back-off weight, as in those that are estimated."""
    levels = list(trie.levels)
    for place, (lower, higher) in enumerate(pairwise(trie.levels)):
        follows = np.bincount(higher.parents, minlength=len(lower)) > 0
        levels[place] = replace(lower, back_offs=np.where(follows, lower.back_offs, 0).astype(np.float32))
    return Trie(trie.words, tuple(levels))


def plain_score(trie: Trie, words: list[int]) -> float:
    """The last word after the others by ARPA's rule, with dictionaries."""
    tables: list[dict[tuple[int, ...], int]] = [{(i,): i for i in range(len(trie.words))}]
    for level in trie.levels[1:]:
        names = {index: name for name, index in tables[-1].items()}
        pairs = zip(level.parents.tolist(), level.words.tolist(), strict=True)
        tables.append({(*names[parent], word): index for index, (parent, word) in enumerate(pairs)})

    def score(gram: tuple[int, ...]) -> float:
        if gram in tables[len(gram) - 1]:
            return float(trie.levels[len(gram) - 1].log_probs[tables[len(gram) - 1][gram]])
        context = tables[len(gram) - 2].get(gram[:-1])
        return score(gram[1:]) + (0.0 if context is None else float(trie.levels[len(gram) - 2].back_offs[context]))

    return score(tuple(words[-trie.order :]))


def test_the_longest_ngram_counts_and_the_back_offs_of_longer_contexts(model: NgramModel) -> None:
    assert model.score_sentence(["the", "cat", "sat"]) == pytest.approx(-0.5 - 0.01 - 0.02 + (-0.12 - 0.3 - 2))
    assert model.score_sentence(["sat", "the"]) == pytest.approx((-0.1 - 5) + (-0.3 - 3) + (-0.4 - 2))
    assert model.score_sentence(["the", "sat"]) == pytest.approx(-0.5 + (-0.11 - 0.8) + (-0.14 - 0.3 - 2))


def test_states_are_the_ngrams_of_the_last_words(model: NgramModel) -> None:
    state = model.start()
    assert state.dtype == np.int32
    assert state.tolist() == [1, -1]
    log_probs, states = model.score(np.stack([state, state]), np.array([5, 4]))
    assert log_probs.dtype == np.float32
    assert states.dtype == np.int32
    assert states.tolist() == [[5, 6], [4, -1]]  # bigrams are numbered on from the six unigrams
    np.testing.assert_array_equal(model.unigrams, np.array([-9, -99, -2, -4, -5, -3], np.float32))
    assert model.ids["cat"] == 3


def test_an_unknown_word_has_the_probability_of_unk_and_cuts_the_context(model: NgramModel) -> None:
    log_probs, states = model.score(model.start()[None], np.array([0]))
    assert log_probs[0] == pytest.approx(-9 - 0.1)
    assert states.tolist() == [[0, -1]]
    assert model.score_sentence(["dog", "cat"]) == pytest.approx((-9 - 0.1) - 4 + (-0.2 - 2))


def changed(content: bytes, change: Callable[[Arrays], object]) -> bytes:
    arrays: Arrays = dict(np.load(io.BytesIO(content)))
    change(arrays)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def put(name: str, value: Any) -> Callable[[Arrays], object]:
    return lambda arrays: arrays.update({name: np.asarray(value)})


def one(name: str, index: int, value: float) -> Callable[[Arrays], object]:
    def change(arrays: Arrays) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name][index] = value

    return change


def text(words: str) -> Any:
    return np.frombuffer(words.encode(), np.uint8)


RARE = Rare(("ant", "emu", "yak"), np.log(np.array([0.5, 0.2, 0.1], np.float32)))


def test_rare_words_share_what_unknown_ones_have(model: NgramModel) -> None:
    wider = NgramModel(replace(model.trie, rare=RARE))
    assert wider.vocabulary == model.words
    assert wider.words == (*model.words, "ant", "emu", "yak")
    assert wider.score_sentence(["emu", "cat"]) == pytest.approx((-9 - 0.1 + math.log(0.2)) - 4 + (-0.2 - 2))
    assert wider.score_sentence(["dog", "cat"]) == model.score_sentence(["dog", "cat"])
    assert wider.unigrams[wider.ids["yak"]] == pytest.approx(-9 + math.log(0.1))
    report = wider.perplexity([["the", "yak"], ["dog"]])
    assert (report.words, report.unknown) == (3, 1)
    assert wider.in_vocabulary(np.array([0, 5, 6, 8])).tolist() == [0, 5, 0, 0]
    assert RARE.share == pytest.approx(0.8)


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 60), st.integers(1, 300))
@settings(max_examples=30, deadline=None)
def test_a_rare_word_is_to_any_model_what_an_unknown_one_is(seed: int, order: int, vocabulary: int, size: int) -> None:
    trie = random_trie(np.random.default_rng(seed), vocabulary, order, size)
    plain, wider = NgramModel(trie), NgramModel(replace(trie, rare=RARE))
    words = np.random.default_rng(seed).integers(0, len(wider.words), (20, 7))
    states = np.full((20, order - 1), -1, np.int32)
    for step in words.T:
        own = wider.in_vocabulary(step)
        expected, after = plain.score(states, own)
        log_probs, states = wider.score(states, step)
        np.testing.assert_array_equal(states, after)
        shares = np.concatenate((np.zeros(len(trie.words)), RARE.log_shares))[step]
        np.testing.assert_allclose(log_probs, expected + shares, atol=2e-5, rtol=1e-6)


def test_a_file_keeps_rare_words_and_says_that_it_has_them(model: NgramModel) -> None:
    content = NgramModel(replace(model.trie, rare=RARE)).to_bytes()
    read = NgramModel.from_bytes(content)
    assert read.words[-3:] == RARE.words
    np.testing.assert_array_equal(read.trie.rare.log_shares, RARE.log_shares)
    formats = [int(np.load(io.BytesIO(one))["format"][0]) for one in (content, model.to_bytes())]
    assert formats == [3, 2]


BAD_RARE = {
    "not in order": put("rare", text("b\na\nc")),
    "one twice": put("rare", text("a\na\nb")),
    "an empty one": put("rare", text("\na\nb")),
    "one of the vocabulary": put("rare", text("ant\ncat\nyak")),
    "more than shares": put("rare", text("a\nb\nc\nd")),
    "shares of more than one": one("rare_log_shares_book", 0, 0.5),
    "no number": one("rare_log_shares_book", 0, math.nan),
}


@pytest.mark.parametrize("change", BAD_RARE.values(), ids=list(BAD_RARE))
def test_rare_words_that_are_none_are_refused(model: NgramModel, change: Callable[[Arrays], object]) -> None:
    content = NgramModel(replace(model.trie, rare=RARE)).to_bytes()
    NgramModel.from_bytes(changed(content, lambda arrays: None))
    with pytest.raises(BundleError, match=r"^my.npz: [^\n]*: build or get it again\.$"):
        NgramModel.from_bytes(changed(content, change), "my.npz")


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 60), st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_any_model_scores_as_the_rule_says(seed: int, order: int, vocabulary: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    trie = random_trie(rng, vocabulary, order, size)
    model = NgramModel(trie)
    words = rng.integers(0, len(trie.words), (20, 7))
    states = np.full((20, order - 1), -1, np.int32)
    for place in range(7):
        log_probs, states = model.score(states, words[:, place])
        expected = [plain_score(trie, row[: place + 1]) for row in words.tolist()]
        np.testing.assert_allclose(log_probs, expected, rtol=1e-4)


def test_perplexity_counts_ends_and_tells_unknown_words_apart(model: NgramModel) -> None:
    report = model.perplexity([["the", "cat"], ["dog"], []])
    assert (report.sentences, report.words, report.unknown) == (3, 3, 1)
    assert report.oov_rate == pytest.approx(1 / 3)
    total = sum(model.score_sentence(s) for s in (["the", "cat"], ["dog"], []))
    assert report.perplexity == pytest.approx(math.exp(-total / 6))
    assert report.known_perplexity == pytest.approx(math.exp(-(total + 9.1) / 5))


def test_perplexity_of_nothing_is_not_a_number(model: NgramModel) -> None:
    assert math.isnan(model.perplexity([]).perplexity)


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 2000), st.integers(1, 4000), st.booleans())
@settings(max_examples=20, deadline=None)
def test_a_file_keeps_the_model(seed: int, order: int, vocabulary: int, size: int, idle: bool) -> None:
    trie = random_trie(np.random.default_rng(seed), vocabulary, order, size)
    trie = trie if idle else without_idle_weights(trie)
    content = NgramModel(trie).to_bytes()
    read = NgramModel.from_bytes(content).trie
    assert read.words == trie.words
    np.testing.assert_array_equal(read.levels[0].log_probs, trie.levels[0].log_probs)
    for ours, theirs in zip(read.levels, trie.levels, strict=True):
        np.testing.assert_array_equal(ours.keys, theirs.keys)
        for name in ("log_probs", "back_offs"):
            error = getattr(ours, name) - getattr(theirs, name)
            assert np.sqrt(np.mean(error**2)) <= 0.03 if len(error) else name == "back_offs"
    assert NgramModel.from_bytes(content).to_bytes() == content


def test_quantised_values_are_close_and_few_values_are_exact() -> None:
    values = -np.random.default_rng(3).gamma(4, 1, 100_000).astype(np.float32)
    values[:5_000] = 0
    indices, book = quantise(values)
    assert indices.dtype == np.uint8
    assert book.dtype == np.float32
    assert len(book) == 256
    assert np.sqrt(np.mean((book[indices] - values) ** 2)) < 0.01 * values.std()
    assert (book[indices][:5_000] == 0).all()
    few = np.repeat(values[5_000:5_256], 7)
    indices, book = quantise(few)
    np.testing.assert_array_equal(book[indices], few)
    indices, book = quantise(values[:0])
    assert len(indices) == len(book) == 0


@pytest.fixture(scope="module")
def content() -> bytes:
    return NgramModel(without_idle_weights(random_trie(np.random.default_rng(5), 30, 3, 200))).to_bytes()


HOSTILE = {
    "no vocabulary": lambda arrays: arrays.pop("vocabulary"),
    "no trigrams": lambda arrays: arrays.pop("words_3"),
    "other format": put("format", np.array([4, 3], np.uint8)),
    "rare words without any": put("format", np.array([3, 3], np.uint8)),
    "earlier format": put("format", np.array([1, 3], np.uint8)),
    "order zero": put("format", np.array([2, 0], np.uint8)),
    "order without arrays": put("format", np.array([2, 9], np.uint8)),
    "objects": put("words_2", np.array([{}, []], dtype=object)),
    "text": put("words_2", np.array(["a"])),
    "wide words": lambda arrays: arrays.update(words_2=arrays["words_2"].astype(np.int64)),
    "two dimensions": lambda arrays: arrays.update(words_2=arrays["words_2"][None]),
    "word out of range": one("words_3", 0, 60_000),
    "children too many": one("children_2", 0, 255),
    "children wrap around": lambda arrays: arrays.update(children_2=np.full(33, 2**32 - 1, np.uint32)),
    "contexts too many": lambda arrays: arrays.update(contexts_2=np.append(arrays["contexts_2"], np.uint8(0))),
    "contexts without children": put("contexts_2", np.full(25, 255, np.uint8)),
    "back-offs of what is no context": lambda arrays: arrays.update(
        back_offs_2=np.append(arrays["back_offs_2"], np.uint8(0))
    ),
    "no back-off for what is no context": lambda arrays: arrays.update(
        back_offs_2_book=arrays["back_offs_2_book"] - np.float32(1)
    ),
    "children of nobody": lambda arrays: arrays.update(children_3=np.append(arrays["children_3"], np.uint8(0))),
    "order lost": lambda arrays: arrays.update(words_2=arrays["words_2"][::-1].copy()),
    "index out of the book": lambda arrays: arrays.update(log_probs_2_book=arrays["log_probs_2_book"][:3]),
    "probability above one": one("log_probs_1", 4, 0.5),
    "not a number": one("log_probs_2_book", 0, math.nan),
    "infinite back-off": one("back_offs_2_book", 0, math.inf),
    "infinite back-off of a word": one("back_offs_1", 0, math.inf),
    "unsorted vocabulary": put("vocabulary", text("\n".join([*SPECIALS, *(f"w{9 - i}" for i in range(30))]))),
    "no specials": put("vocabulary", text("\n".join(f"w{i:02}" for i in range(33)))),
    "not UTF-8": put("vocabulary", np.array([255, 254], np.uint8)),
    "short unigrams": lambda arrays: arrays.update(back_offs_1=arrays["back_offs_1"][1:]),
    "too few indices": lambda arrays: arrays.update(log_probs_2=arrays["log_probs_2"][1:]),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=list(HOSTILE))
def test_a_file_that_is_no_model_is_refused_in_one_sentence(content: bytes, change: Callable[[Arrays], object]) -> None:
    with pytest.raises(BundleError, match=r"^my.npz: [^\n]*: build or get it again\.$"):
        NgramModel.from_bytes(changed(content, change), "my.npz")


def test_the_unchanged_file_is_a_model(content: bytes) -> None:
    NgramModel.from_bytes(changed(content, lambda arrays: None))


def test_arrays_that_unpack_to_many_times_the_file_are_refused(content: bytes) -> None:
    file = io.BytesIO()
    np.savez_compressed(file, **dict(np.load(io.BytesIO(content))), more=np.zeros(1_000_000, np.uint8))
    with pytest.raises(BundleError, match="its arrays are more than 100 times larger than the file"):
        NgramModel.from_bytes(file.getvalue())


@pytest.mark.parametrize("order", [1, 2, 4])
def test_an_earlier_file_which_says_of_each_ngram_how_many_follow_is_read(order: int) -> None:
    made = without_idle_weights(random_trie(np.random.default_rng(7), 50, order, 400))
    trie = NgramModel.from_bytes(NgramModel(made).to_bytes()).trie

    def earlier(arrays: Arrays) -> None:
        arrays["format"] = np.array([1, order], np.uint8)
        for lower, level in pairwise(range(1, order + 1)):
            del arrays[f"contexts_{lower}"]
            children = np.bincount(trie.levels[level - 1].parents, minlength=len(trie.levels[lower - 1]))
            arrays[f"children_{level}"] = children.astype(np.uint16)
            if level < order:
                indices, book = quantise(trie.levels[level - 1].back_offs)
                arrays[f"back_offs_{level}"], arrays[f"back_offs_{level}_book"] = indices, book

    read = NgramModel.from_bytes(changed(NgramModel(trie).to_bytes(), earlier)).trie
    assert read.words == trie.words
    for ours, theirs in zip(read.levels, trie.levels, strict=True):
        np.testing.assert_array_equal(ours.keys, theirs.keys)
        np.testing.assert_array_equal(ours.log_probs, theirs.log_probs)
        np.testing.assert_array_equal(ours.back_offs, theirs.back_offs)


def test_a_header_that_promises_more_than_there_is_allocates_nothing(content: bytes) -> None:
    def header(shape: str, descr: str = "'<u2'") -> bytes:
        text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
        return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text

    for bad in (
        header("(1 << 60,)"),
        header("(1000000000000,)"),
        header("(-1,)"),
        header("()"),
        header("(1,)", "'|O'"),
    ):
        file = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(file, "w") as target:
            for name in source.namelist():
                target.writestr(name, bad if name == "words_2.npy" else source.read(name))
        with pytest.raises(BundleError):
            NgramModel.from_bytes(file.getvalue())


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_bytes_let_anything_else_escape(data: st.DataObject) -> None:
    whole = NgramModel(random_trie(np.random.default_rng(5), 6, 3, 20)).to_bytes()
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))] if data.draw(st.booleans()) else whole)
    for _ in range(data.draw(st.integers(0, 6))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    refused = ""
    try:
        NgramModel.from_bytes(bytes(damaged)).score_sentence(["w00001"])
    except BundleError as error:
        refused = str(error)
    assert re.fullmatch(r"|lm\.npz: [^\n]*: build or get it again\.", refused)


@given(st.binary(max_size=300))
def test_foreign_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"^lm\.npz: "):
        NgramModel.from_bytes(content)
