"""Which decoder a bundle asks for, and with which settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from auricle.bundle import LANGUAGE_MODEL, PRONUNCIATIONS, RECURRENT, Bundle
from auricle.confidence import Calibration, Comparison
from auricle.decoding import (
    BeamDecoder,
    BeamOptions,
    Decoder,
    GreedyDecoder,
    Hypothesis,
    NgramModel,
    Phrases,
    Pronunciations,
    RecurrentModel,
    SpokenDecoder,
    SpokenLexicon,
)
from auricle.decoding.recurrent import recurrent_from_bytes
from auricle.errors import BundleError
from auricle.features import Array

_CURVE = {"confidence_slope": "slope", "confidence_offset": "offset"}
_PLAIN = {"plain_slope": "slope", "plain_offset": "offset"}
_COMPARED = {f"compared_{part}": part for part in ("letters", "agreement", "around", "offset")}


class HotWordDecoder:
    """Reads greedily, which is quickest, until a call has hot words; for those it searches."""

    def __init__(self, greedy: GreedyDecoder, beam: BeamDecoder) -> None:
        self._greedy, self._beam = greedy, beam

    def decode(self, log_probs: Array, *, hot_words: Phrases = ()) -> list[Hypothesis]:
        """Return hypotheses for log_probs [frames, tokens], the best first. Raises AuricleError as both decoders do."""
        return self._beam.decode(log_probs, hot_words=hot_words) if hot_words else self._greedy.decode(log_probs)


def decoder_of(bundle: Bundle, *, language_model: bool = True, beam: int | None = None) -> Decoder:
    """Return a search where the bundle has a language model, and else a greedy decoder that knows hot words.

    The search is by phones where the bundle says how words are said. `language_model` may be refused; `beam` is the
    number of texts that a search keeps, the bundle's own by default.
    Raises BundleError for a language model that is damaged.
    """
    options = beam_options(bundle)
    if beam is not None:
        options = replace(options, beam=beam)
    content = bundle.files.get(LANGUAGE_MODEL) if language_model else None
    if content is not None:
        model = NgramModel.from_bytes(content, f"{bundle.name}: {LANGUAGE_MODEL}")
        lexicon = spoken_lexicon_of(bundle, model)
        if lexicon is None:
            return BeamDecoder(bundle.alphabet, model, options)
        spoken = phone_options(bundle)
        spoken = spoken if beam is None else replace(spoken, beam=beam)
        letters = partial(BeamDecoder, bundle.alphabet, model, options)
        return SpokenDecoder(bundle.alphabet, model, lexicon, spoken, letters, recurrent=recurrent_of(bundle, model))
    # What makes room for a language model is of no use without one.
    plain = BeamDecoder(bundle.alphabet, options=replace(options, acoustic=1.0, offsets=(), pairs=()))
    return plain if beam is not None else HotWordDecoder(GreedyDecoder(bundle.alphabet), plain)


def spoken_lexicon_of(bundle: Bundle, model: NgramModel) -> SpokenLexicon | None:
    """Return the words of a bundle's language model as they are said, or None. Raises BundleError for damaged ones."""
    content = bundle.files.get(PRONUNCIATIONS)
    if content is None or not bundle.phones:
        return None
    phones = len(bundle.phones)
    found = Pronunciations.from_bytes(content, model.words, phones, f"{bundle.name}: {PRONUNCIATIONS}")
    return SpokenLexicon(found, model.unigrams, phones)


def recurrent_of(bundle: Bundle, model: NgramModel) -> RecurrentModel | None:
    """Return a bundle's recurrent language model of the same words, or None. Raises BundleError for a damaged one."""
    content = bundle.files.get(RECURRENT)
    if content is None:
        return None
    return RecurrentModel(recurrent_from_bytes(content, model.vocabulary, f"{bundle.name}: {RECURRENT}"))


def beam_options(bundle: Bundle) -> BeamOptions:
    """Return the settings of a search that a bundle's `decoder` defaults give. Raises BundleError for what is none."""
    return _options(bundle, bundle.decoder, bundle.alphabet.tokens)


def phone_options(bundle: Bundle) -> BeamOptions:
    """Return the settings of a search by phones: what the defaults give under `phones`. Raises as `beam_options`."""
    return _options(bundle, phone_settings(bundle), bundle.tokens - bundle.alphabet.tokens)


def phone_settings(bundle: Bundle) -> Mapping[str, Any]:
    """Return the defaults of a search by phones as the bundle has them. Raises BundleError for what is none."""
    given = bundle.decoder.get("phones", {})
    if not isinstance(given, Mapping):
        raise BundleError(f"{bundle.name}: the decoder's phones are not settings: export the model again.")
    return given


def _options(bundle: Bundle, given: Mapping[str, Any], tokens: int) -> BeamOptions:
    names = {
        "lm_weight": "alpha",
        "word_bonus": "beta",
        "unknown_penalty": "unknown",
        "beam": "beam",
        "beam_threshold": "beam_threshold",
        "acoustic_weight": "acoustic",
        "letters_weight": "letters",
        "recurrent_weight": "recurrent",
        "hearings": "hearings",
        "again_weight": "again",
    }
    found = _numbers(bundle, names, given)
    for name in {"beam", "hearings"} & found.keys():
        found[name] = int(found[name])
    offsets = given.get("token_offsets", [])
    if offsets != [] and not _is_row(offsets, tokens):
        raise BundleError(
            f"{bundle.name}: the decoder's token_offsets is not a number for each of {tokens} tokens: "
            "export the model again."
        )
    pairs = given.get("token_pairs", [])
    is_square = isinstance(pairs, list) and len(pairs) == tokens and all(_is_row(row, tokens) for row in pairs)
    if pairs != [] and not is_square:
        raise BundleError(
            f"{bundle.name}: the decoder's token_pairs is not a number for each pair of {tokens} tokens: "
            "export the model again."
        )
    return BeamOptions(
        **found, offsets=tuple(map(float, offsets)), pairs=tuple(tuple(map(float, row)) for row in pairs)
    )


def calibration_of(bundle: Bundle, *, language_model: bool = True) -> Calibration | None:
    """Return the curve of the bundle's confidences, if it has one; that for texts found without a `language_model`.

    Raises BundleError for what is no number.
    """
    if not language_model and (plain := _numbers(bundle, _PLAIN, bundle.decoder)):
        return Calibration(**plain)
    found = _numbers(bundle, _CURVE, bundle.decoder)
    compared = _numbers(bundle, _COMPARED, bundle.decoder)
    if compared and len(compared) < len(_COMPARED):
        raise BundleError(f"{bundle.name}: the decoder lacks some of {', '.join(_COMPARED)}: export the model again.")
    if not found and not compared:
        return None
    return Calibration(**found, compared=Comparison(**compared) if compared else None)


def confidence_settings(curve: Calibration, plain: Calibration | None = None) -> dict[str, float]:
    """Return a curve, and a `plain` one without a language model, as the defaults that `calibration_of` reads."""
    found = {key: getattr(curve, name) for key, name in _CURVE.items()}
    if curve.compared:
        found |= {key: getattr(curve.compared, name) for key, name in _COMPARED.items()}
    if plain:
        found |= {key: getattr(plain, name) for key, name in _PLAIN.items()}
    return {key: round(value, 4) for key, value in found.items()}


def _numbers(bundle: Bundle, names: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the bundle's defaults `given` that have a name here, under that name."""
    found = {}
    for key, name in names.items():
        if (value := given.get(key)) is None:
            continue
        if not _is_number(value):
            raise BundleError(f"{bundle.name}: the decoder's {key} is {value!r}, not a number: export the model again.")
        found[name] = value
    return found


def _is_row(value: Any, length: int) -> bool:
    return isinstance(value, list) and len(value) == length and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
