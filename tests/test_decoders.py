"""What a bundle asks for is what decodes."""

from dataclasses import replace

import numpy as np
import pytest
from said import PHONES, SAID, SHARES, heard, model_of, recurrent_weights

from auricle.bundle import ACOUSTIC, LANGUAGE_MODEL, PRONUNCIATIONS, RECURRENT, embedded_bundle
from auricle.confidence import Calibration, Comparison
from auricle.decoders import beam_options, calibration_of, confidence_settings, decoder_of
from auricle.decoding import BeamDecoder, Pronunciations, SpokenDecoder
from auricle.decoding.recurrent import recurrent_to_bytes
from auricle.errors import AuricleError, BundleError
from auricle.recognizer import Recognizer

BUNDLE = embedded_bundle()
PLAIN = replace(BUNDLE, files={ACOUSTIC: BUNDLE.files[ACOUSTIC]}, decoder={})


def noise() -> np.ndarray:
    scores = np.random.default_rng(3).normal(size=(60, PLAIN.alphabet.tokens)).astype(np.float32)
    return np.asarray(scores - np.log(np.exp(scores).sum(1, keepdims=True)), np.float32)


def test_without_a_language_model_hot_words_alone_make_it_search() -> None:
    decoder = decoder_of(PLAIN)
    log_probs = noise()
    greedy = decoder.decode(log_probs)[0]
    # The score of greedy reading is that of one path, that of a search the sum over all paths of its text.
    assert greedy.score == pytest.approx(float(log_probs.max(axis=1).sum()), rel=1e-5)
    assert decoder.decode(log_probs, hot_words={"zyx": 20.0})[0].text.count("zyx") > 0


def test_a_damaged_language_model_is_named() -> None:
    damaged = replace(PLAIN, files={**PLAIN.files, LANGUAGE_MODEL: b"PK damaged"})
    with pytest.raises(BundleError, match=r"english: lm\.npz"):
        decoder_of(damaged)
    assert decoder_of(damaged, language_model=False).decode(noise())


def test_the_bundles_settings_are_used_and_may_be_overruled() -> None:
    defaults = {"kind": "beam", "lm_weight": 0.3, "word_bonus": 2.0, "unknown_penalty": -5.0, "confidence_slope": 1.0}
    options = beam_options(replace(PLAIN, decoder=defaults))
    assert (options.alpha, options.beta, options.unknown) == (0.3, 2.0, -5.0)
    decoder = decoder_of(PLAIN, beam=7)
    assert isinstance(decoder, BeamDecoder)
    assert decoder.options.beam == 7
    with pytest.raises(AuricleError, match="beam"):
        decoder_of(PLAIN, beam=0)


def test_what_makes_room_for_a_language_model_is_left_out_without_one() -> None:
    offsets = [0.5, *[-0.25] * (BUNDLE.alphabet.tokens - 1)]
    pairs = [offsets] * BUNDLE.alphabet.tokens
    changed = {"acoustic_weight": 0.7, "token_offsets": offsets, "token_pairs": pairs}
    by_letters = {name: content for name, content in BUNDLE.files.items() if name != PRONUNCIATIONS}
    tuned = replace(BUNDLE, files=by_letters, decoder={**BUNDLE.decoder, **changed})
    with_model, without = decoder_of(tuned), decoder_of(tuned, language_model=False, beam=8)
    assert isinstance(with_model, BeamDecoder)
    assert isinstance(without, BeamDecoder)
    assert (with_model.options.acoustic, with_model.options.offsets) == (0.7, tuple(offsets))
    assert with_model.options.pairs == tuple(map(tuple, pairs))
    assert (without.options.acoustic, without.options.offsets, without.options.pairs) == (1.0, (), ())


@pytest.mark.parametrize("value", ["wide", 1.0, [0.0], [None] * 29, [float("inf")] * 29])
def test_offsets_are_a_number_for_each_token(value: object) -> None:
    assert BUNDLE.alphabet.tokens == 29
    with pytest.raises(BundleError, match="token_offsets is not a number for each of 29 tokens"):
        decoder_of(replace(BUNDLE, decoder={"token_offsets": value}))


@pytest.mark.parametrize("value", ["wide", [[0.0] * 29], [[0.0] * 28] * 29, [0.0] * 29, [[None] * 29] * 29])
def test_pairs_are_a_number_for_each_pair_of_tokens(value: object) -> None:
    with pytest.raises(BundleError, match="token_pairs is not a number for each pair of 29 tokens"):
        decoder_of(replace(BUNDLE, decoder={"token_pairs": value}))


@pytest.mark.parametrize("value", ["wide", float("nan"), True, [1]])
@pytest.mark.parametrize("key", ["lm_weight", "beam", "acoustic_weight", "confidence_slope", "compared_letters"])
def test_a_setting_that_is_no_number_is_named(key: str, value: object) -> None:
    with pytest.raises(BundleError, match=rf"english: the decoder's {key} is .* not a number"):
        Recognizer(replace(PLAIN, decoder={key: value}))


def test_confidences_are_calibrated_where_the_bundle_says_how() -> None:
    assert calibration_of(PLAIN) is None
    tuned = replace(PLAIN, decoder={"confidence_slope": 0.5, "confidence_offset": -1.0})
    assert calibration_of(tuned) == Calibration(0.5, -1.0)
    both = Calibration(0.5, -1.0, Comparison(0.375, 0.25, 0.125, -1.5))
    assert calibration_of(replace(PLAIN, decoder=confidence_settings(both))) == both
    assert calibration_of(replace(PLAIN, decoder=confidence_settings(both)), language_model=False) == both
    tuned = replace(PLAIN, decoder=confidence_settings(both, Calibration(0.25, 0.125)))
    assert calibration_of(tuned) == both
    assert calibration_of(tuned, language_model=False) == Calibration(0.25, 0.125)


def test_a_curve_that_lacks_a_part_is_named() -> None:
    settings = confidence_settings(Calibration(compared=Comparison(0.375, 0.25, 0.125, -1.5)))
    del settings["compared_around"]
    with pytest.raises(BundleError, match=r"english: the decoder lacks some of compared_letters, .*compared_around"):
        Recognizer(replace(PLAIN, decoder=settings))


MODEL = model_of(SHARES)
SAID_PLAIN = replace(
    PLAIN,
    phones=PHONES,
    files={
        **PLAIN.files,
        LANGUAGE_MODEL: MODEL.to_bytes(),
        PRONUNCIATIONS: Pronunciations.of(MODEL.words, SAID, PHONES).to_bytes(),
    },
)


def test_a_bundle_that_says_how_words_are_said_is_searched_by_phones() -> None:
    settings = {"lm_weight": 0.9, "letters_weight": 0.3, "beam": 20, "beam_threshold": 9.5}
    settings |= {"hearings": 3, "again_weight": 0.4}
    spoken = replace(SAID_PLAIN, decoder={"lm_weight": 0.4, "phones": settings})
    decoder = decoder_of(spoken)
    assert isinstance(decoder, SpokenDecoder)
    assert (decoder.options.alpha, decoder.options.letters, decoder.options.beam) == (0.9, 0.3, 20)
    assert decoder.options.beam_threshold == 9.5
    assert (decoder.options.hearings, decoder.options.again) == (3, 0.4)
    log_probs = heard("onee", "W AH N")
    assert decoder.decode(log_probs)[0].text == "one"
    assert decoder_of(spoken, language_model=False).decode(log_probs)[0].text == "onee"
    narrow = decoder_of(spoken, beam=7)
    assert isinstance(narrow, SpokenDecoder)
    assert narrow.options.beam == 7
    assert isinstance(narrow._letters, BeamDecoder)
    assert (narrow._letters.options.beam, narrow._letters.options.alpha) == (7, 0.4)


def test_without_pronunciations_or_phones_the_letters_are_searched() -> None:
    files = {name: content for name, content in SAID_PLAIN.files.items() if name != PRONUNCIATIONS}
    for plain in (replace(SAID_PLAIN, files=files), replace(SAID_PLAIN, phones=())):
        assert isinstance(decoder_of(plain), BeamDecoder)


@pytest.mark.parametrize(
    ("phones", "message"),
    [
        (3, "the decoder's phones are not settings"),
        ({"beam": "wide"}, "the decoder's beam is 'wide', not a number"),
        ({"token_offsets": [0.0] * 29}, "token_offsets is not a number for each of 12 tokens"),
        ({"token_pairs": [[0.0]]}, "token_pairs is not a number for each pair of 12 tokens"),
    ],
)
def test_damaged_settings_of_phones_are_named(phones: object, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        decoder_of(replace(SAID_PLAIN, decoder={"phones": phones}))


@pytest.mark.parametrize("hearings", [0, 5])
def test_a_sound_is_heard_once_to_four_times(hearings: int) -> None:
    with pytest.raises(AuricleError, match=f"{hearings} hearings of one sound: give 1 to 4"):
        decoder_of(replace(SAID_PLAIN, decoder={"phones": {"hearings": hearings}}))


def test_damaged_pronunciations_are_named() -> None:
    with pytest.raises(BundleError, match=r"english: pronunciations\.npz"):
        decoder_of(replace(SAID_PLAIN, files={**SAID_PLAIN.files, PRONUNCIATIONS: b"PK damaged"}))


def test_a_recurrent_language_model_is_asked_where_the_bundle_has_one() -> None:
    content = recurrent_to_bytes(recurrent_weights(MODEL, {"den": 0.9, "ten": 0.0001}), MODEL.words)
    files = {**SAID_PLAIN.files, RECURRENT: content}
    log_probs = heard("ten", "T EH N", sure=0.6)
    for part, text in ((0.0, "ten"), (1.0, "den")):
        given = replace(SAID_PLAIN, files=files, decoder={"phones": {"recurrent_weight": part}})
        assert decoder_of(given).decode(log_probs)[0].text == text


def test_a_damaged_recurrent_language_model_is_named() -> None:
    with pytest.raises(BundleError, match=r"english: recurrent\.npz: not a recurrent language model"):
        decoder_of(replace(SAID_PLAIN, files={**SAID_PLAIN.files, RECURRENT: b"PK damaged"}))
