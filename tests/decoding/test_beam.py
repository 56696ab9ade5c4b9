"""Prefix beam search against enumeration of every path, and against the sentences of a real language model."""

import itertools
import math
import pickle
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from lattices import collapse, lattices

from auricle.alphabet import ENGLISH, Alphabet
from auricle.decoding import BeamDecoder, BeamOptions, GreedyDecoder, NgramModel
from auricle.decoding.trie import Level, Trie
from auricle.errors import AuricleError

AB = Alphabet(("a", "b", " "))
WIDE = BeamOptions(beam=2000, beam_threshold=math.inf, token_threshold=math.inf, nbest=2000)


def enumerated(log_probs: np.ndarray) -> Mapping[tuple[int, ...], float]:
    """The probability of each text: the sum over all paths that spell it."""
    total: dict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        total[collapse(path)] += math.exp(sum(float(log_probs[i, token]) for i, token in enumerate(path)))
    return total


def unigram_model(words: Mapping[str, float]) -> NgramModel:
    """A model of words with these probabilities, whatever came before."""
    ordered = ("<unk>", "<s>", "</s>", *sorted(words))
    log_probs = np.log([0.01, 1e-30, 0.1, *(words[word] for word in sorted(words))]).astype(np.float32)
    level = Level(np.arange(len(ordered), dtype=np.int64), log_probs, np.zeros(len(ordered), np.float32))
    return NgramModel(Trie(ordered, (level,)))


@given(lattices())
def test_a_wide_beam_finds_every_text_with_its_exact_probability(log_probs: np.ndarray) -> None:
    expected = enumerated(log_probs)
    hypotheses = BeamDecoder(AB, options=WIDE).decode(log_probs)
    found = {hypothesis.tokens: hypothesis.score for hypothesis in hypotheses}
    assert set(found) == set(expected)
    for tokens, score in found.items():
        assert score == pytest.approx(math.log(expected[tokens]), abs=1e-4)
    assert math.exp(hypotheses[0].score) == pytest.approx(max(expected.values()), rel=1e-4)


@given(lattices(frames=8), st.integers(1, 8))
def test_scores_descend_and_frames_are_in_order(log_probs: np.ndarray, beam: int) -> None:
    hypotheses = BeamDecoder(AB, options=BeamOptions(beam=beam, nbest=beam)).decode(log_probs)
    scores = [hypothesis.score for hypothesis in hypotheses]
    assert scores == sorted(scores, reverse=True)
    assert len({hypothesis.text for hypothesis in hypotheses}) == len(hypotheses)
    for hypothesis in hypotheses:
        edges = [edge for pair in zip(hypothesis.first_frames, hypothesis.last_frames, strict=True) for edge in pair]
        assert edges == sorted(edges)
        assert len(hypothesis.tokens) == len(hypothesis.first_frames)


NARROW = st.builds(
    BeamOptions,
    beam=st.integers(1, 6),
    nbest=st.just(6),
    beam_threshold=st.sampled_from((0.5, 3.0, math.inf)),
    alpha=st.floats(-0.5, 2),
    unknown=st.floats(-4, 4),
)


@given(lattices(frames=8), NARROW, st.sampled_from(((), ("ab",), {"b a": 3.0, "a": 5.0})))
def test_what_a_narrow_search_leaves_out_early_would_not_have_been_kept(
    log_probs: np.ndarray, options: BeamOptions, hot: Sequence[str] | Mapping[str, float]
) -> None:
    decoder = BeamDecoder(AB, unigram_model({"a": 0.4, "b": 0.2, "ab": 0.2, "ba": 0.05}), options)
    # Of texts that are equally good any may be kept: there shall be none.
    log_probs = log_probs - np.random.default_rng(5).random(log_probs.shape, np.float32) / 64
    found = decoder.decode(log_probs, hot_words=hot)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("auricle.decoding.prefix_search._Search._least", lambda *_: -math.inf)
        assert [(one.text, one.score) for one in found] == [
            (one.text, one.score) for one in decoder.decode(log_probs, hot_words=hot)
        ]


@given(lattices(frames=5), st.floats(0.1, 2), st.floats(-2, 2))
def test_fusion_adds_the_language_model_and_a_bonus_for_each_word(
    log_probs: np.ndarray, alpha: float, beta: float
) -> None:
    words = {"a": 0.4, "b": 0.2, "ab": 0.2, "ba": 0.05}
    model = unigram_model(words)
    options = BeamOptions(
        beam=2000, beam_threshold=math.inf, token_threshold=math.inf, alpha=alpha, beta=beta, unknown=-3.0
    )

    def fused(tokens: tuple[int, ...], probability: float) -> float:
        text = AB.decode(tokens)
        if text.startswith(" ") or "  " in text or probability == 0:
            return -math.inf
        score = math.log(probability)
        for word in text.split():
            score += beta + alpha * math.log(words.get(word, 0.01)) + (0 if word in words else -3.0)
        return score

    best = max(fused(*item) for item in enumerated(log_probs).items())
    assert BeamDecoder(AB, model, options).decode(log_probs)[0].score == pytest.approx(best, abs=1e-3)


def certain(text: str, alphabet: Alphabet = ENGLISH, sure: float = 0.9) -> np.ndarray:
    """Log-probabilities that spell a text, each character for a frame and a blank after it."""
    path = [token for character in alphabet.encode(text) for token in (character, 0)]
    probabilities = np.full((len(path), alphabet.tokens), (1 - sure) / (alphabet.tokens - 1), np.float32)
    probabilities[np.arange(len(path)), path] = sure
    return np.asarray(np.log(probabilities), np.float32)


@given(lattices(), st.sampled_from([0.5, 0.7, 1.3]), st.tuples(*[st.floats(-2, 2)] * AB.tokens))
def test_the_network_can_be_weighed_and_its_tokens_shifted(
    log_probs: np.ndarray, acoustic: float, offsets: tuple[float, ...]
) -> None:
    weighed = BeamOptions(WIDE.beam, math.inf, math.inf, nbest=2000, acoustic=acoustic, offsets=offsets)
    found = {one.tokens: one.score for one in BeamDecoder(AB, options=weighed).decode(log_probs)}
    expected = enumerated(acoustic * np.asarray(log_probs, np.float64) + np.array(offsets))
    assert set(found) == set(expected)
    for tokens, score in found.items():
        assert score == pytest.approx(math.log(expected[tokens]), abs=1e-4)


@given(lattices(), st.lists(st.floats(-2, 2), min_size=AB.tokens**2, max_size=AB.tokens**2))
def test_what_follows_which_letter_can_be_weighed(log_probs: np.ndarray, values: list[float]) -> None:
    pairs = np.reshape(values, (AB.tokens, AB.tokens))
    weighed = BeamOptions(WIDE.beam, math.inf, math.inf, nbest=2000, pairs=tuple(map(tuple, pairs.tolist())))
    found = {one.tokens: one.score for one in BeamDecoder(AB, options=weighed).decode(log_probs)}
    expected = enumerated(np.asarray(log_probs, np.float64))
    assert set(found) == set(expected)
    for tokens, score in found.items():
        added = sum(pairs[before, token] for before, token in itertools.pairwise((0, *tokens)))
        assert score == pytest.approx(math.log(expected[tokens]) + added, abs=1e-4)


@pytest.mark.parametrize("acoustic", [0.5, 1.0, 2.0])
def test_a_lower_weight_does_not_try_more_tokens(acoustic: float) -> None:
    below = np.array([[-3.0, 0.0, -1.9, -2.1]])  # the blank, which is always tried, and the letters
    options = replace(WIDE, acoustic=acoustic, token_threshold=2.0)
    found = {one.tokens for one in BeamDecoder(AB, options=options).decode(below)}
    assert found == {(), (1,), (2,)}


def test_weights_that_make_no_sense_are_refused() -> None:
    with pytest.raises(AuricleError, match="must be above zero"):
        BeamOptions(acoustic=0.0)
    with pytest.raises(AuricleError, match="keeps nothing; it must be above zero"):
        BeamOptions(beam_threshold=0.0)
    with pytest.raises(AuricleError, match="2 offsets for 4 tokens"):
        BeamDecoder(AB, options=BeamOptions(offsets=(0.0, 0.0)))
    for pairs in (((0.0,) * 4,) * 3, ((0.0,) * 3,) * 4):
        with pytest.raises(AuricleError, match="no square of 4 tokens"):
            BeamDecoder(AB, options=BeamOptions(pairs=pairs))


@pytest.mark.parametrize("text", ["a", "hello world", "aab", "it's all well"])
def test_one_beam_on_a_sure_lattice_reads_what_greedy_reads(text: str) -> None:
    greedy = GreedyDecoder(ENGLISH).decode(certain(text))[0]
    beam = BeamDecoder(ENGLISH, options=BeamOptions(beam=1)).decode(certain(text))[0]
    assert (beam.text, beam.tokens) == (greedy.text, greedy.tokens)
    assert (beam.first_frames, beam.last_frames) == (greedy.first_frames, greedy.last_frames)


def test_the_language_model_corrects_a_letter_that_was_nearly_heard() -> None:
    log_probs = certain("the cet sat", sure=0.6)
    e, a = ENGLISH.encode("ea")
    log_probs[10, [e, a]] = np.log([0.5, 0.4])
    model = unigram_model({"the": 0.2, "cat": 0.1, "sat": 0.1})
    assert BeamDecoder(ENGLISH).decode(log_probs)[0].text == "the cet sat"
    assert BeamDecoder(ENGLISH, model).decode(log_probs)[0].text == "the cat sat"


def test_a_word_that_no_model_knows_can_still_be_spelled() -> None:
    model = unigram_model({"the": 0.2, "cat": 0.1})
    assert BeamDecoder(ENGLISH, model).decode(certain("the zyx cat", sure=0.97))[0].text == "the zyx cat"


def test_hot_words_win_where_the_sound_is_unsure_with_and_without_a_model() -> None:
    log_probs = certain("mister bret said")
    e, a = ENGLISH.encode("ea")
    log_probs[18, [e, a]] = np.log([0.5, 0.3])
    for model in (None, unigram_model({"mister": 0.2, "said": 0.1, "bret": 0.001})):
        decoder = BeamDecoder(ENGLISH, model)
        assert decoder.decode(log_probs)[0].text == "mister bret said"
        assert decoder.decode(log_probs, hot_words=["Brat"])[0].text == "mister brat said"
        assert decoder.decode(log_probs, hot_words={"mister brat": 1.5})[0].text == "mister brat said"
        assert decoder.decode(log_probs, hot_words=["bratwurst"])[0].text == "mister bret said"


def test_a_hot_word_that_the_model_lacks_earns_nothing_for_a_beginning_that_is_known() -> None:
    """Its price is made up for where it is paid: or whatever begins like it would put all else out of the beam."""
    decoder = BeamDecoder(AB, unigram_model({"a": 0.4, "ab": 0.2}), BeamOptions(unknown=-50.0))
    hot = decoder._automaton({"aba": 1.0, "a b": 1.0})
    assert hot is not None
    node, steps = hot.start, []
    for token in AB.encode("aba"):
        steps.append(float(hot.reward[node, token]))
        node = int(hot.step[node, token])
    assert steps == pytest.approx([1.0, 1.0, 51.0])


def test_hot_words_outside_the_alphabet_are_refused_by_name() -> None:
    with pytest.raises(AuricleError, match=r"hot word 'R2D2' cannot be written .*no '2'"):
        BeamDecoder(ENGLISH).decode(certain("a"), hot_words=["fine", "R2D2"])
    with pytest.raises(AuricleError, match="hot word '…' cannot be written"):
        BeamDecoder(ENGLISH).decode(certain("a"), hot_words=["…"])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_probability_is_refused(value: float) -> None:
    log_probs = certain("a")
    log_probs[0, 3] = value
    with pytest.raises(AuricleError, match="hold NaN or infinity"):
        BeamDecoder(ENGLISH).decode(log_probs)


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(0, 12), st.just(4)),
        elements=st.one_of(st.floats(-(2.0**99), 50, width=32), st.just(-math.inf)),
    ),
    st.sampled_from([(), ("a",), ("ab b", "ba")]),
    st.booleans(),
)
def test_no_matrix_crashes_it(log_probs: np.ndarray, hot: Sequence[str], with_model: bool) -> None:
    model = unigram_model({"a": 0.5, "bab": 0.1}) if with_model else None
    (best,) = BeamDecoder(AB, model, BeamOptions(beam=4)).decode(log_probs, hot_words=hot)
    assert len(best.tokens) == len(best.text) == len(best.first_frames)


def test_no_frames_are_an_empty_text() -> None:
    (best,) = BeamDecoder(ENGLISH).decode(np.zeros((0, ENGLISH.tokens), np.float32))
    assert (best.text, best.tokens) == ("", ())


def test_a_beam_of_nothing_is_refused() -> None:
    with pytest.raises(AuricleError, match="beam and nbest of 1 or more"):
        BeamOptions(beam=0)


def test_a_decoder_can_be_sent_to_another_process() -> None:
    decoder = BeamDecoder(ENGLISH, unigram_model({"cat": 0.1}), BeamOptions(beam=8))
    again = pickle.loads(pickle.dumps(decoder))
    log_probs = certain("cat", sure=0.6)
    assert again.options == decoder.options
    assert again.decode(log_probs, hot_words=["at"]) == decoder.decode(log_probs, hot_words=["at"])
