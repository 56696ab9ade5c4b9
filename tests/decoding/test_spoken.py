"""The search by phones: what is said decides which words, the model which of those said alike, letters the rest."""

from __future__ import annotations

import itertools
import math
import pickle
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from lattices import lattices
from said import PHONES, SAID, SHARES, heard, lexicon_of, model_of, recurrent_weights
from test_beam import enumerated

from auricle.alphabet import ENGLISH, Alphabet
from auricle.decoding import (
    BeamDecoder,
    BeamOptions,
    Decoder,
    Hypothesis,
    NgramModel,
    Phrases,
    Pronunciations,
    RecurrentModel,
    SpokenDecoder,
    SpokenLexicon,
    align,
)
from auricle.decoding import spoken as spoken_decoding
from auricle.decoding.forward import log_likelihoods
from auricle.decoding.trie import Rare
from auricle.errors import AuricleError
from auricle.features import Array

PAIRS = {("go", "to"): 0.9, ("one", "two"): 0.6, ("two", "too"): 0.8}
MODEL = model_of(SHARES, PAIRS)
OPTIONS = BeamOptions(alpha=1.0, beta=1.0)


class Letters:
    """Stands in for the letters' decoder, and says so."""

    def decode(self, log_probs: Array, *, hot_words: Phrases = ()) -> list[Hypothesis]:
        return [Hypothesis("letters", float(len(hot_words)), (), (), ())]


def decoder(options: BeamOptions = OPTIONS, model: NgramModel = MODEL) -> SpokenDecoder:
    return SpokenDecoder(ENGLISH, model, lexicon_of(model), options, Letters)


def texts(found: list[Hypothesis]) -> list[str]:
    return [one.text for one in found]


def test_words_are_found_as_they_are_said_however_they_are_spelled() -> None:
    log_probs = heard("wun goe", "W AH N | G OW")
    assert BeamDecoder(ENGLISH).decode(log_probs)[0].text == "wun goe"
    assert texts(decoder().decode(log_probs)) == ["one go"]


@pytest.mark.parametrize(
    ("phones", "text"),
    [
        ("T UW", "to"),
        ("G OW | T UW", "go to"),
        ("W AH N | T UW", "one two"),
        ("W AH N | T UW | T UW", "one two too"),
        ("G OW | T AH", "go to"),
    ],
)
def test_of_words_said_alike_the_model_takes_that_which_fits_what_came_before(phones: str, text: str) -> None:
    assert texts(decoder().decode(heard("", phones))) == [text]


AFTER = model_of(SHARES, {("two", "den"): 0.9, ("won", "ten"): 0.6, ("ten", "too"): 0.5})


@pytest.mark.parametrize("beam", [1, 64])
@pytest.mark.parametrize(
    ("phones", "text"),
    [
        ("T UW | G OW", "to go"),
        ("T UW | D EH N", "two den"),
        ("W AH N | T EH N | T UW | D EH N", "won ten two den"),
        ("T UW | W AH N | T EH N | T UW", "to won ten too"),
    ],
)
def test_of_words_said_alike_the_model_takes_that_which_fits_what_comes_after(
    phones: str, text: str, beam: int
) -> None:
    assert texts(decoder(replace(OPTIONS, beam=beam), AFTER).decode(heard("", phones))) == [text]
    # and no word before the last knows what comes
    assert texts(decoder(OPTIONS, AFTER).decode(heard("", "T UW"))) == ["to"]


def test_a_recurrent_model_chooses_between_words_said_alike() -> None:
    recurrent = RecurrentModel(recurrent_weights(MODEL, {"won": 0.9, "one": 0.01}))
    for part, text in ((0.0, "one"), (0.9, "won")):
        options = replace(OPTIONS, recurrent=part)
        spoken = SpokenDecoder(ENGLISH, MODEL, lexicon_of(MODEL), options, Letters, recurrent=recurrent)
        assert texts(spoken.decode(heard("", "W AH N"))) == [text]


def test_a_word_is_agreed_on_as_far_as_nothing_else_was_nearly_said() -> None:
    weighed = decoder(replace(OPTIONS, letters=0.1, beam_threshold=60.0))
    (clear,) = weighed.decode(heard("ten go", "T EH N | G OW", sure=0.999))
    assert clear.text == "ten go"
    assert min(clear.agreement) > 0.99
    unclear = heard("ten go", "T EH N | G OW", sure=0.999)
    first = ENGLISH.tokens + 2
    unclear[0, [first + PHONES.index("T"), first + PHONES.index("D")]] = math.log(0.48)
    unclear[0, : ENGLISH.tokens] = -math.log(ENGLISH.tokens)
    (found,) = weighed.decode(unclear)
    shares = {"ten": SHARES["ten"], "den": SHARES["den"]}
    assert found.text == "ten go"
    assert found.agreement[0] == pytest.approx(shares["ten"] / sum(shares.values()), abs=0.02)
    assert found.agreement[1] > 0.99
    assert decoder().decode(unclear)[0].agreement == ()  # only one text was looked for


def test_nothing_is_asked_about_a_text_that_is_too_far_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(log_probs: Array, texts: Sequence[Sequence[int]]) -> np.ndarray:
        asked.append(len(texts))
        return log_likelihoods(log_probs, texts)

    monkeypatch.setattr(spoken_decoding, "log_likelihoods", counted)
    clear = heard("ten to", "T EH N | T UW", sure=0.999)
    wide = replace(OPTIONS, letters=0.1, beam_threshold=60.0)
    assert texts(decoder(wide).decode(clear)) == ["ten to"]
    wanted = decoder(replace(wide, nbest=8)).decode(clear)
    assert len(wanted) == 8
    assert asked == [3, 8], "those that are said alike"


def test_letters_decide_where_phones_cannot() -> None:
    log_probs = heard("den", "T EH N", sure=0.97)
    first = ENGLISH.tokens + 2
    t, d = first + PHONES.index("T"), first + PHONES.index("D")
    log_probs[0, [t, d]] = math.log(0.48)
    assert texts(decoder().decode(log_probs)) == ["ten"]
    by_letters = decoder(replace(OPTIONS, letters=0.5)).decode(log_probs)
    assert texts(by_letters) == ["den"]
    log_probs[:, : ENGLISH.tokens] = heard("ten", "T EH N")[:, : ENGLISH.tokens]
    assert texts(decoder(replace(OPTIONS, letters=0.5)).decode(log_probs)) == ["ten"]


def test_what_letters_say_is_added_with_its_weight() -> None:
    log_probs = heard("go", "G OW")
    plain = decoder().decode(log_probs)[0]
    weighed = decoder(replace(OPTIONS, letters=0.3)).decode(log_probs)[0]
    said = log_likelihoods(log_probs[:, : ENGLISH.tokens], [ENGLISH.encode("go")])[0]
    assert weighed.score == pytest.approx(plain.score + 0.3 * said)


def test_a_recurrent_model_has_a_part_of_the_language_models_weight() -> None:
    shares = {"den": 0.9, "ten": 0.001, "to": 0.01}
    recurrent = RecurrentModel(recurrent_weights(MODEL, shares))
    log_probs = heard("ten to", "T EH N | T UW", sure=0.6)

    def read(part: float, nbest: int = 1) -> list[Hypothesis]:
        options = replace(OPTIONS, alpha=0.8, recurrent=part, nbest=nbest)
        return SpokenDecoder(ENGLISH, MODEL, lexicon_of(MODEL), options, Letters, recurrent=recurrent).decode(log_probs)

    assert texts(read(0.0)) == ["ten to"]
    assert texts(read(1.0)) == ["den to"]
    plain, weighed = ({one.text: one.score for one in read(part, 50)} for part in (0.0, 0.4))
    assert len(weighed) > 5
    assert weighed.keys() == plain.keys()
    for text, score in weighed.items():
        words = [[MODEL.ids[word] for word in text.split()]]
        more = float(recurrent.log_probs(words)[0] - MODEL.score_texts(words)[0])
        assert score == pytest.approx(plain[text] + 0.8 * 0.4 * more, abs=1e-4), text


def test_a_rare_word_is_found_as_it_is_said_and_a_recurrent_model_hears_of_an_unknown_one() -> None:
    rare = Rare(("gnu", "tooth"), np.log(np.array([0.3, 0.01], np.float32)))
    wider = NgramModel(replace(MODEL.trie, rare=rare))
    said = {**SAID, "gnu": (("N", "UW"),), "tooth": (("T", "UW", "TH"),)}
    lexicon = SpokenLexicon(Pronunciations.of(wider.words, said, PHONES), wider.unigrams, len(PHONES))
    recurrent = RecurrentModel(recurrent_weights(MODEL, {"<unk>": 0.2, "den": 0.9}))

    def read(part: float) -> dict[str, float]:
        options = replace(OPTIONS, alpha=0.8, recurrent=part, nbest=50)
        made = SpokenDecoder(ENGLISH, wider, lexicon, options, Letters, recurrent=recurrent)
        return {one.text: one.score for one in made.decode(heard("go gnu", "G OW | N UW", sure=0.9))}

    assert next(iter(read(0.0))) == "go gnu"
    plain, weighed = read(0.0), read(0.5)
    assert weighed["go gnu"] - plain["go gnu"] == pytest.approx(
        0.8
        * 0.5
        * float(recurrent.log_probs([[MODEL.ids["go"], 0]])[0] - MODEL.score_texts([[MODEL.ids["go"], 0]])[0]),
        abs=1e-4,
    )


AGAIN = replace(OPTIONS, hearings=2, again=0.5)


TO, GO = ("to", "T UW"), ("go", "G OW")


def between(share: float) -> Array:
    """What is heard when it may be either "to" or "go": letters and phones, with this share of the first."""
    to, go = (np.exp(heard(*one)) for one in (TO, GO))
    return np.asarray(np.log(share * to + (1 - share) * go), np.float32)


def test_what_is_heard_again_decides_between_texts_that_are_near_each_other() -> None:
    first, second = between(0.5), heard(*GO)
    alone, either = decoder(), decoder(AGAIN)
    times = []

    def again() -> Array:
        times.append(1)
        return second

    assert texts(alone.decode(first)) == texts(alone.decode(first, again=again)) == ["to"]
    assert not times
    assert texts(either.decode(first, again=again)) == ["go"]
    assert len(times) == 1
    assert either.decode(np.hstack((first, second))) == either.decode(first, again=again)
    assert len(times) == 2
    assert texts(decoder(replace(AGAIN, again=0.0)).decode(first, again=again)) == ["to"]
    assert len(times) == 2


def test_nothing_is_heard_again_where_one_text_is_clear() -> None:
    clear = heard("one go", "W AH N | G OW", sure=0.999)
    assert texts(decoder(AGAIN).decode(clear, again=lambda: pytest.fail("heard again"))) == ["one go"]


def test_other_hearings_have_their_part_of_the_networks_weight() -> None:
    options = replace(AGAIN, acoustic=0.6, letters=0.3, nbest=9)
    hearings = [between(share) for share in (0.5, 0.4, 0.7)]
    before = {one.text: one.score for one in decoder(replace(options, again=0.0)).decode(hearings[0])}
    after = {one.text: one.score for one in decoder(options).decode(np.hstack(hearings))}
    for text, said in (TO, GO):
        phones = [PHONES.index(phone) + 2 for phone in said.split()]
        likely = [
            0.6 * log_likelihoods(one[:, ENGLISH.tokens :], [phones])[0]
            + 0.3 * log_likelihoods(one[:, : ENGLISH.tokens], [ENGLISH.encode(text)])[0]
            for one in hearings
        ]
        assert after[text] - before[text] == pytest.approx(0.5 * ((likely[1] + likely[2]) / 2 - likely[0]), abs=1e-5)


def test_a_text_goes_on_from_what_was_before_it() -> None:
    log_probs = heard("", "T UW")
    assert texts(decoder().decode(log_probs)) == ["to"]
    assert texts(decoder().decode(log_probs, before="go one")) == ["two"]
    assert texts(decoder().decode(log_probs, before="one two")) == ["too"]
    assert texts(decoder().decode(log_probs, before="one unheard")) == ["two"]
    assert texts(decoder().decode(log_probs, before="unheard")) == ["to"]


def test_a_text_that_letters_rule_out_stays_where_there_is_no_other() -> None:
    log_probs = heard("", "T EH N", sure=0.999)
    log_probs[:, 1 : ENGLISH.tokens] = -np.inf
    assert texts(decoder(replace(OPTIONS, letters=0.01)).decode(log_probs))[0] in {"", "ten"}


def test_its_frames_are_those_of_the_letters() -> None:
    log_probs = heard("go to", "G OW | T UW")
    best = decoder().decode(log_probs)[0]
    path = align(log_probs[:, : ENGLISH.tokens], ENGLISH.encode("go to"))
    assert best.tokens == tuple(ENGLISH.encode("go to"))
    assert (best.first_frames, best.last_frames) == (path.first_frames, path.last_frames)
    assert best.first_frames == (0, 2, 4, 6, 8)


def test_silence_and_nothing_are_an_empty_text() -> None:
    for log_probs in (heard("", "T")[1:].repeat(9, axis=0), heard("", "T")[:0]):
        for options in (OPTIONS, replace(OPTIONS, letters=0.3)):
            (best,) = decoder(options).decode(log_probs)
            assert (best.text, best.tokens, best.first_frames) == ("", (), ())


def test_a_text_with_more_letters_than_frames_is_passed_over() -> None:
    model = model_of({"through": 0.5, "two": 0.1})
    lexicon = lexicon_of(model, {"through": [("T", "UW")], "two": [("T", "UW"), ("T", "W")]})
    log_probs = heard("tw", "T UW")
    assert len(log_probs) == 4
    log_probs[2, ENGLISH.tokens + 2 + PHONES.index("W")] = math.log(0.05)
    found = SpokenDecoder(ENGLISH, model, lexicon, replace(OPTIONS, letters=0.2), Letters).decode(log_probs)
    assert "through" not in texts(found)
    assert texts(found) == ["two"]


def test_what_the_letters_take_for_silence_is_silence() -> None:
    """A tone, a knock: phones and the language model make a word of it, and the letters hear nothing."""
    by_letters = replace(OPTIONS, letters=0.2)
    assert texts(decoder().decode(heard("", "G OW"))) == ["go"]
    assert decoder(by_letters).decode(heard("", "G OW"))[0].tokens == ()
    assert texts(decoder(by_letters).decode(heard("g", "G OW"))) == ["go"]


@pytest.mark.parametrize(("of_letters", "text"), [(0.55, ""), (0.75, "go")])
def test_letters_that_hardly_outweigh_silence_are_silence(of_letters: float, text: str) -> None:
    log_probs = heard("go", "G OW")
    for frame, token in zip((0, 2), ENGLISH.encode("go"), strict=True):
        log_probs[frame, : ENGLISH.tokens] = math.log(1e-6)
        log_probs[frame, [token, 0]] = np.log([of_letters, 1 - of_letters])
    assert texts(decoder(replace(OPTIONS, letters=0.2)).decode(log_probs)) == [text]


@pytest.mark.parametrize("phrase", ["gone", "letter", "letters go"])
def test_hot_words_that_are_not_found_change_nothing(phrase: str) -> None:
    log_probs = heard("go", "G OW")
    assert decoder().decode(log_probs, hot_words=[phrase]) == decoder().decode(log_probs)


def test_what_phones_make_no_word_of_is_read_by_letters_whose_decoder_is_made_once() -> None:
    made: list[int] = []

    def letters() -> Decoder:
        made.append(1)
        return Letters()

    spoken = SpokenDecoder(ENGLISH, MODEL, lexicon_of(MODEL), OPTIONS, letters)
    spoken.decode(heard("go", "G OW"), hot_words=["gone"])
    assert not made
    nothing = heard("go", "G OW")
    nothing[:, ENGLISH.tokens :] = -np.inf
    for _ in range(2):
        (best,) = spoken.decode(nothing, hot_words=["go", "gone"])
        assert (best.text, best.score) == ("letters", 2.0)
    assert len(made) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("column", [3, ENGLISH.tokens + 3])
def test_what_is_no_probability_is_refused(value: float, column: int) -> None:
    log_probs = heard("go", "G OW")
    log_probs[0, column] = value
    with pytest.raises(AuricleError, match="hold NaN or infinity"):
        decoder().decode(log_probs)


def test_several_texts_are_each_there_once_and_best_first() -> None:
    log_probs = heard("ten to", "T EH N | T UW", sure=0.5)
    for letters in (0.0, 0.2):
        found = decoder(replace(OPTIONS, nbest=5, letters=letters, beam_threshold=40.0)).decode(log_probs)
        scores = [one.score for one in found]
        assert 1 < len(set(texts(found))) == len(found) <= 5
        assert scores == sorted(scores, reverse=True)
        assert (
            texts(decoder(replace(OPTIONS, letters=letters, beam_threshold=40.0)).decode(log_probs)) == texts(found)[:1]
        )


def test_offsets_and_pairs_are_those_of_phones() -> None:
    tokens = len(PHONES) + 2
    offsets = [0.0] * tokens
    offsets[2 + PHONES.index("T")] = -8.0
    log_probs = heard("ten", "T EH N")
    assert texts(decoder(replace(OPTIONS, offsets=tuple(offsets))).decode(log_probs)) == ["den"]
    pairs = np.zeros((tokens, tokens))
    pairs[0, 2 + PHONES.index("T")] = -20.0
    weighed = replace(OPTIONS, pairs=tuple(map(tuple, pairs.tolist())))
    assert texts(decoder(weighed).decode(log_probs)) == ["den"]
    for wrong in ({"offsets": (0.0,) * ENGLISH.tokens}, {"pairs": ((0.0,) * ENGLISH.tokens,) * ENGLISH.tokens}):
        with pytest.raises(AuricleError, match=f"offsets and pairs of a search by phones are for {tokens} tokens"):
            decoder(replace(OPTIONS, **wrong))


def test_a_decoder_can_be_sent_to_another_process() -> None:
    letters = partial(BeamDecoder, ENGLISH, MODEL, BeamOptions(beam=8))
    recurrent = RecurrentModel(recurrent_weights(MODEL, {"too": 0.5, "won": 0.3}))
    options = replace(OPTIONS, letters=0.1, recurrent=0.7)
    spoken = SpokenDecoder(ENGLISH, MODEL, lexicon_of(MODEL), options, letters, recurrent=recurrent)
    again = pickle.loads(pickle.dumps(spoken))
    log_probs = heard("wun too", "W AH N | T UW", sure=0.6)
    assert again.options == spoken.options
    assert again.decode(log_probs) == spoken.decode(log_probs)
    assert again.decode(log_probs, hot_words=["won"]) == spoken.decode(log_probs, hot_words=["won"])


# Small enough to enumerate

AB = Alphabet(("a", "b", " "))
P = ("X", "Y")
WORDS = {"a": 0.3, "b": 0.1, "ab": 0.2, "ba": 0.05}
WAYS = {"a": (("X",),), "b": (("Y",), ("X", "Y")), "ab": (("X", "Y"),), "ba": (("Y", "X"),)}
SMALL = model_of(WORDS)
IN_PAIRS = model_of(WORDS, {("b", "b"): 0.3, ("ab", "a"): 0.1, ("b", "a"): 0.5, ("a", "ab"): 0.1})
WIDE = BeamOptions(beam=2000, beam_threshold=math.inf, token_threshold=math.inf, nbest=2000)


def said_with(phones: tuple[int, ...]) -> list[tuple[str, ...]]:
    """The rows of words that are said with these phones, 1 after a word."""
    words: list[list[str]] = []
    for ended, group in itertools.groupby(phones, key=lambda phone: phone == 1):
        row = tuple(group)
        if ended:
            if len(row) > 1 or not words:
                return []
            continue
        words.append([word for word, ways in WAYS.items() if tuple(P[phone - 2] for phone in row) in ways])
    return list(itertools.product(*words))


@pytest.mark.parametrize("model", [SMALL, IN_PAIRS], ids=["words", "pairs"])
@given(phones=lattices(), alpha=st.floats(0.1, 2), beta=st.floats(-2, 2))
def test_a_wide_search_finds_every_text_with_its_exact_score(
    model: NgramModel, phones: np.ndarray, alpha: float, beta: float
) -> None:
    expected: dict[str, float] = {}
    for tokens, probability in enumerated(phones).items():
        for words in said_with(tokens) if probability > 0 else []:
            of_words = float(model.score_texts([[model.ids[word] for word in words]])[0])
            score = math.log(probability) + alpha * of_words + beta * len(words)
            expected[" ".join(words)] = max(score, expected.get(" ".join(words), -math.inf))
    # As many frames of letters as any text may need.
    expected = {text: score for text, score in expected.items() if needed(text) <= len(phones)}
    letters = np.full((len(phones), AB.tokens), math.log(1 / AB.tokens), np.float32)
    spoken = SpokenDecoder(AB, model, lexicon_of(model, WAYS, P), replace(WIDE, alpha=alpha, beta=beta), Letters)
    found = {one.text: one.score for one in spoken.decode(np.concatenate((letters, phones), axis=1))}
    assert found.keys() == expected.keys()
    for text, score in found.items():
        assert score == pytest.approx(expected[text], abs=1e-3)


def needed(text: str) -> int:
    return len(text) + sum(one == two for one, two in itertools.pairwise(text))


ANY = arrays(
    np.float32,
    st.tuples(st.integers(0, 10), st.just(AB.tokens + len(P) + 2)),
    elements=st.one_of(st.floats(-(2.0**99), 50, width=32), st.just(-math.inf)),
)


@given(ANY, st.integers(1, 5), st.integers(1, 5), st.sampled_from([0.0, 0.3]))
def test_no_matrix_crashes_it_and_it_writes_no_word_that_the_model_has_not(
    log_probs: np.ndarray, beam: int, nbest: int, letters: float
) -> None:
    options = BeamOptions(beam=beam, nbest=nbest, letters=letters)
    found = SpokenDecoder(AB, SMALL, lexicon_of(SMALL, WAYS, P), options, Letters).decode(log_probs)
    assert 1 <= len(found) <= nbest
    if texts(found) != ["letters"]:  # whom it asks where it finds no word
        assert {word for text in texts(found) for word in text.split(" ")} <= {"", *WORDS}
    for one in found:
        assert len(one.tokens) == len(one.first_frames) == len(one.last_frames)


def test_where_phones_make_no_whole_word_the_letters_are_read() -> None:
    log_probs = heard("wun", "W AH N", sure=1 - 1e-9)[:3]  # it breaks off before the N, and nothing else is likely
    assert texts(decoder().decode(log_probs)) == ["letters"]


def test_with_no_word_that_is_said_only_nothing_is_found() -> None:
    nothing = Pronunciations.of(MODEL.words, {}, PHONES)
    lexicon = SpokenLexicon(nothing, MODEL.unigrams, len(PHONES))
    found = SpokenDecoder(ENGLISH, MODEL, lexicon, OPTIONS, Letters).decode(heard("go", "G OW"))
    assert texts(found) in (["letters"], [""])


@pytest.mark.parametrize("word", sorted(SAID))
def test_a_model_of_single_words_can_be_searched_by_phones(word: str) -> None:
    whole = model_of(SHARES).trie
    model = NgramModel(replace(whole, levels=whole.levels[:1]))
    likely = {"two": "to", "too": "to", "won": "one"}.get(word, word)
    assert texts(decoder(model=model).decode(heard(word, " ".join(SAID[word][0])))) == [likely]
