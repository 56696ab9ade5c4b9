"""Hot words in a search by phones: put where their letters are, and nowhere else."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from said import SHARES, heard, lexicon_of, model_of
from test_spoken import Letters

from auricle.alphabet import ENGLISH
from auricle.decoding import BeamOptions, Hypothesis, Phrases, SpokenDecoder, align
from auricle.errors import AuricleError

MODEL = model_of(SHARES, {("go", "to"): 0.9})
OPTIONS = BeamOptions(alpha=1.0, beta=1.0, letters=0.2)


def read(log_probs: np.ndarray, hot_words: Phrases = (), options: BeamOptions = OPTIONS) -> list[Hypothesis]:
    decoder = SpokenDecoder(ENGLISH, MODEL, lexicon_of(MODEL), options, Letters)
    return decoder.decode(log_probs, hot_words=hot_words)


@pytest.mark.parametrize(
    ("letters", "phones", "hot", "text"),
    [
        ("gohe to", "G OW | T UW", ["gohe"], "gohe to"),
        ("to gohe", "T UW | G OW", ["gohe"], "to gohe"),
        ("tenn wonden", "T EH N | W AH N | D EH N", ["Wonden", "tenn"], "tenn wonden"),
        # letters that hear a space there are outweighed by a reward that is worth it
        ("tenn won den", "T EH N | W AH N | D EH N", {"Wonden": 1.0, "tenn": 0.8}, "tenn wonden"),
        ("go tenn to", "G OW | T EH N | T UW", ["go tenn"], "go tenn to"),
        ("go tenn to", "G OW | T EH N | T UW", ["tenn", "gohe", "go tenn to"], "go tenn to"),
        ("den", "T EH N", ["den", "ten"], "den"),
    ],
)
def test_a_hot_word_takes_the_place_of_what_is_said_like_it(letters: str, phones: str, hot: Phrases, text: str) -> None:
    log_probs = heard(letters, phones)
    assert read(log_probs)[0].text != text or letters == "go tenn to"
    (best,) = read(log_probs, hot)
    path = align(log_probs[:, : ENGLISH.tokens], ENGLISH.encode(text))
    assert best.text == text
    assert best.tokens == tuple(ENGLISH.encode(text))
    assert (best.first_frames, best.last_frames) == (path.first_frames, path.last_frames)
    assert len(best.agreement) == len(text.split())


def test_hot_words_that_nobody_says_change_nothing() -> None:
    log_probs = heard("go to", "G OW | T UW")
    assert read(log_probs, ["wooden", "gnome", "two tons"]) == read(log_probs)


def test_what_a_hot_word_adds_decides_where_letters_are_in_doubt() -> None:
    log_probs = heard("go to", "G OW | T UW")
    place = 2 * 1
    log_probs[place, ENGLISH.encode("oa")] = np.log([0.9, 0.05])
    options = replace(OPTIONS, acoustic=1.0)
    for reward, text in ((0.0, "go to"), (0.5, "go to"), (6.0, "ga to")):
        assert read(log_probs, {"ga": reward}, options)[0].text == text


def test_the_score_grows_by_what_the_text_is_better_by() -> None:
    log_probs = heard("gohe to", "G OW | T UW")
    before, low, high = (read(log_probs, hot)[0] for hot in ((), {"gohe": 3.0}, {"gohe": 4.0}))
    assert before.text == "go to"
    assert before.score < low.score
    assert high.score - low.score == pytest.approx(4.0)


def test_a_hot_word_alone_is_heard_where_phones_hear_nothing_and_not_in_silence() -> None:
    assert read(heard("", "|"))[0].text == ""
    assert read(heard("gohe", "|"), ["gohe"])[0].text == "gohe"
    assert read(heard("", "|").repeat(20, axis=0), {"gohe": 50.0})[0].text == ""


def test_words_that_stay_keep_what_texts_agree_on_and_a_hot_word_has_its_share() -> None:
    shares = []
    for sure in (0.35, 0.9):
        log_probs = heard("go ten gohe to", "G OW | T EH N | G OW | T UW", sure=sure)
        plain, changed = read(log_probs)[0], read(log_probs, ["gohe"])[0]
        assert (plain.text, changed.text) == ("go ten go to", "go ten gohe to")
        assert (*changed.agreement[:2], changed.agreement[3]) == (*plain.agreement[:2], plain.agreement[3])
        assert min(plain.agreement) < 0.999
        shares.append(changed.agreement[2])
    assert 0.5 < shares[0] < 0.999 < shares[1] <= 1


def test_hypotheses_stay_apart_and_in_order() -> None:
    log_probs = heard("gohe ten", "G OW | T EH N", sure=0.5)
    options = replace(OPTIONS, nbest=8, beam_threshold=40.0)
    found = read(log_probs, ["gohe"], options)
    assert found[0].text == "gohe ten"
    assert len({one.text for one in found}) == len(found) > 1
    assert all(one.score >= other.score for one, other in itertools.pairwise(found))


def test_letters_that_are_impossible_do_not_make_scores_infinite() -> None:
    log_probs = heard("gohe to", "G OW | T UW")
    letters = log_probs[:, : ENGLISH.tokens]
    letters[letters < math.log(0.1)] = -np.inf
    (best,) = read(log_probs, ["gohe", "gnome"])
    assert best.text in {"go to", "gohe to"}
    assert math.isfinite(best.score)


def test_a_hot_word_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(AuricleError, match="cannot be written in the model's alphabet"):
        read(heard("go", "G OW"), ["42"])
