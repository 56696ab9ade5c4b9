"""Which decoder a bundle asks for, and with which settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from auricle.bundle import LANGUAGE_MODEL, Bundle
from auricle.decoding import BeamDecoder, BeamOptions, Decoder, GreedyDecoder, Hypothesis, NgramModel, Phrases
from auricle.errors import BundleError
from auricle.features import Array
from auricle.transcript import Calibration


class HotWordDecoder:
    """Reads greedily, which is quickest, until a call has hot words; for those it searches."""

    def __init__(self, greedy: GreedyDecoder, beam: BeamDecoder) -> None:
        self._greedy, self._beam = greedy, beam

    def decode(self, log_probs: Array, *, hot_words: Phrases = ()) -> list[Hypothesis]:
        """Return hypotheses for log_probs [frames, tokens], the best first. Raises AuricleError as both decoders do."""
        return self._beam.decode(log_probs, hot_words=hot_words) if hot_words else self._greedy.decode(log_probs)


def decoder_of(bundle: Bundle, *, language_model: bool = True, beam: int | None = None) -> Decoder:
    """Return a beam search where the bundle has a language model, and else a greedy decoder that knows hot words.

    `language_model` may be refused; `beam` is the number of texts that a search keeps, the bundle's own by default.
    Raises BundleError for a language model that is damaged.
    """
    options = beam_options(bundle)
    if beam is not None:
        options = replace(options, beam=beam)
    content = bundle.files.get(LANGUAGE_MODEL) if language_model else None
    if content is not None:
        model = NgramModel.from_bytes(content, f"{bundle.name}: {LANGUAGE_MODEL}")
        return BeamDecoder(bundle.alphabet, model, options)
    # What makes room for a language model is of no use without one.
    plain = BeamDecoder(bundle.alphabet, options=replace(options, acoustic=1.0, offsets=(), pairs=()))
    return plain if beam is not None else HotWordDecoder(GreedyDecoder(bundle.alphabet), plain)


def beam_options(bundle: Bundle) -> BeamOptions:
    """Return the settings of a search that a bundle's `decoder` defaults give. Raises BundleError for what is none."""
    names = {
        "lm_weight": "alpha",
        "word_bonus": "beta",
        "unknown_penalty": "unknown",
        "beam": "beam",
        "acoustic_weight": "acoustic",
    }
    found = _numbers(bundle, names)
    if "beam" in found:
        found["beam"] = int(found["beam"])
    offsets = bundle.decoder.get("token_offsets", [])
    tokens = bundle.alphabet.tokens
    if offsets != [] and not _is_row(offsets, tokens):
        raise BundleError(
            f"{bundle.name}: the decoder's token_offsets is not a number for each of {tokens} tokens: "
            "export the model again."
        )
    pairs = bundle.decoder.get("token_pairs", [])
    is_square = isinstance(pairs, list) and len(pairs) == tokens and all(_is_row(row, tokens) for row in pairs)
    if pairs != [] and not is_square:
        raise BundleError(
            f"{bundle.name}: the decoder's token_pairs is not a number for each pair of {tokens} tokens: "
            "export the model again."
        )
    return BeamOptions(
        **found, offsets=tuple(map(float, offsets)), pairs=tuple(tuple(map(float, row)) for row in pairs)
    )


def calibration_of(bundle: Bundle) -> Calibration | None:
    """Return the curve of the bundle's confidences, if it has one. Raises BundleError for what is no number."""
    found = _numbers(bundle, {"confidence_slope": "slope", "confidence_offset": "offset"})
    return Calibration(**found) if found else None


def _numbers(bundle: Bundle, names: Mapping[str, str]) -> dict[str, Any]:
    """Return those of the bundle's `decoder` defaults that have a name here, under that name."""
    found = {}
    for key, name in names.items():
        if (value := bundle.decoder.get(key)) is None:
            continue
        if not _is_number(value):
            raise BundleError(f"{bundle.name}: the decoder's {key} is {value!r}, not a number: export the model again.")
        found[name] = value
    return found


def _is_row(value: Any, length: int) -> bool:
    return isinstance(value, list) and len(value) == length and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
