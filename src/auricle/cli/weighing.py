"""Which weights a bundle's searches are to have: those with the fewest word errors, by letters and by phones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from auricle.cli.terminal import Bar
from auricle.errors import BundleError

if TYPE_CHECKING:
    from auricle.alphabet import Alphabet
    from auricle.bundle import Bundle
    from auricle.decoding import BeamOptions, Decoder, NgramModel, RecurrentModel, SpokenDecoder, SpokenLexicon
    from auricle.features import Array
    from auricle.language.tune import Clip, Point

_POINTS = 60  # one to begin at, 18 on the coarse grid, one beside it, and at most twenty twice after it


def weighed(
    source: Bundle,
    start: Bundle,
    clips: list[Clip],
    texts: list[str],
    processes: int,
    *,
    tuning_beam: int | None,
    only_phones: bool,
    given: Mapping[str, float],
) -> tuple[list[Point], dict[str, Any], Decoder]:
    """Search for the language model's weights: the points tried, best first, the settings chosen, a decoder with them.

    Without a language model there is nothing to weigh. `given` are weights to take, and then none are searched for.
    Raises BundleError where only phones are to be weighed and the bundle has none, and where nothing is.
    """
    from auricle.bundle import LANGUAGE_MODEL
    from auricle.decoders import beam_options, phone_options, phone_settings, recurrent_of, spoken_lexicon_of
    from auricle.decoding import BeamDecoder, GreedyDecoder, NgramModel, SpokenDecoder
    from auricle.language.tune import letter_frequencies, letter_pairs, token_pairs

    content = source.files.get(LANGUAGE_MODEL)
    model = NgramModel.from_bytes(content) if content is not None else None
    lexicon = spoken_lexicon_of(source, model) if model else None
    if only_phones and lexicon is None:
        raise BundleError(f"{source.name}: does not say how words are said, so there are no weights of phones to find.")
    if model is None and given:
        raise BundleError(f"{source.name}: has no language model, so there is nothing to weigh.")
    if model is None:
        return [], {}, GreedyDecoder(source.alphabet)
    letters = source.alphabet.tokens
    by_letters = partial(BeamDecoder, source.alphabet, model)
    look = partial(_looked_for, beam=tuning_beam, processes=processes, given=given)
    own = chosen = beam_options(source)
    points: list[Point] = []
    weights: dict[str, Any] = {"kind": "beam"}
    if lexicon is None or not (only_phones or given):
        following = letter_pairs(texts, source.alphabet) if any(texts) else None
        frequencies = letter_frequencies(clips, slice(0, letters))
        begun = _tuned(beam_options(start), frequencies, following)
        points = look("tuning", clips, by_letters, own, frequencies, following, start=begun)
        chosen = _options(points[0], own, frequencies, following, given=given)
        weights |= {**_settings(chosen), "unknown_penalty": chosen.unknown}
    decoder: Decoder = by_letters(chosen)
    if lexicon is None:
        return points, weights, decoder
    said = lexicon.spell(texts, model.ids)
    following = token_pairs(said, source.tokens - letters) if any(texts) else None
    frequencies, own = letter_frequencies(clips, slice(letters, source.tokens)), phone_options(source)
    # What reads hot words does not matter here, and need not be sent about.
    recurrent = recurrent_of(source, model)
    by_phones = partial(_spoken, source.alphabet, model, lexicon, recurrent)
    begun = _tuned(phone_options(start), frequencies, following) if start.phones else None
    asked: dict[str, Any] = {"spoken": True, "recurrent": recurrent is not None}
    points = look("tuning by phones", clips, by_phones, own, frequencies, following, start=begun, **asked)
    chosen = _options(points[0], own, frequencies, following, given=given)
    spoken = {**phone_settings(source), **_settings(chosen), "letters_weight": chosen.letters}
    if recurrent:
        spoken["recurrent_weight"] = chosen.recurrent
    if chosen.hearings > 1:
        spoken["again_weight"] = chosen.again
    judging = SpokenDecoder(source.alphabet, model, lexicon, chosen, lambda: decoder, recurrent=recurrent)
    return points, {**weights, "phones": spoken}, judging


def _looked_for(
    what: str,
    clips: list[Clip],
    decoder: Callable[[BeamOptions], Decoder],
    options: BeamOptions,
    *known: Any,
    beam: int | None,
    given: Mapping[str, float],
    start: Point | None,
    processes: int,
    **asked: Any,
) -> list[Point]:
    """Return the points that a search for weights tries, best first, with a bar and perhaps a beam of its own.

    Weights that are given are the only point.
    """
    from auricle.language.tune import judged_at, point_of
    from auricle.language.tune import tune as search

    narrow = replace(options, beam=beam or options.beam)
    with Bar(what) as bar:
        if given:
            point = replace(point_of(options, *known), **given)
            return [judged_at(point, _options(point, narrow, *known, given=given), clips, decoder, processes=processes)]
        asked |= {"progress": _counting(bar), "start": start, "processes": processes}
        return search(clips, decoder, narrow, *known, **asked)


def _options(
    point: Point, own: BeamOptions, frequencies: Array, following: Array | None, *, given: Mapping[str, float]
) -> BeamOptions:
    """Return a search's options at a point. Of those that none of the weights given is about, none changes."""
    found = point.options(own, frequencies, following)
    if given and "pairs" not in given:
        found = replace(found, pairs=own.pairs)
    if given and not {"prior", "blank"} & given.keys():
        found = replace(found, offsets=own.offsets)
    return found


def _tuned(options: BeamOptions, frequencies: Array, following: Array | None) -> Point | None:
    """Return the point of a bundle's weights, or None where they were never tuned: those are nobody's choice."""
    from auricle.language.tune import point_of

    return point_of(options, frequencies, following) if options.offsets else None


def _spoken(
    alphabet: Alphabet,
    model: NgramModel,
    lexicon: SpokenLexicon,
    recurrent: RecurrentModel | None,
    options: BeamOptions,
) -> SpokenDecoder:
    from auricle.decoding import GreedyDecoder, SpokenDecoder

    return SpokenDecoder(alphabet, model, lexicon, options, partial(GreedyDecoder, alphabet), recurrent=recurrent)


def _settings(chosen: BeamOptions) -> dict[str, Any]:
    return {
        "lm_weight": chosen.alpha,
        "word_bonus": chosen.beta,
        "acoustic_weight": chosen.acoustic,
        "token_offsets": list(chosen.offsets),
        "token_pairs": list(map(list, chosen.pairs)),
    }


def _counting(bar: Bar) -> Any:
    done = 0

    def tell(point: Point) -> None:
        nonlocal done
        done += 1
        bar.tell(
            min(1.0, done / _POINTS),
            f"alpha {point.alpha:g}, beta {point.beta:g}, unknown {point.unknown:g}: WER {point.wer:.1%}",
        )

    return tell
