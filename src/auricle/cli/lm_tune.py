"""`auricle lm tune`."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auricle.cli.lm import lm_app
from auricle.cli.terminal import expect_bundle_name, load_recognizer, save_bundle, setting, write_whole
from auricle.cli.weighing import weighed
from auricle.errors import AuricleError

if TYPE_CHECKING:
    from auricle.calibration import Bin
    from auricle.confidence import Calibration
    from auricle.decoding import Decoder
    from auricle.language.tune import Clip, Point


@lm_app.command()
def tune(  # noqa: PLR0917  (typer makes options of them)
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="The model to tune: a path or a built-in name.")],
    manifests: Annotated[
        list[Path],
        typer.Option("--manifest", "-m", metavar="FILE.jsonl", help="Speech to tune on (dev); may be given again."),
    ],
    output: Annotated[Path, typer.Option(metavar="NEW.auricle", help="The bundle to write.")],
    trained_on: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.jsonl", help="What the model was trained on, for its texts alone; may be given again."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Take N utterances, spread evenly over the manifests.")
    ] = None,
    beam: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Texts that a search keeps, from now on too; default: as the bundle has."
        ),
    ] = None,
    beam_threshold: Annotated[
        float | None,
        typer.Option(
            "--beam-threshold",
            metavar="NATS",
            help="Of those, drop what is so far below the best, from now on too; default: as the bundle has.",
        ),
    ] = None,
    hearings: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=4,
            metavar="N",
            help="Times that the network hears each sound, where phones are searched by, from now on too: each takes "
            "as long as the first; default: as the bundle has.",
        ),
    ] = None,
    tuning_beam: Annotated[
        int | None,
        typer.Option(
            "--tuning-beam",
            min=1,
            metavar="N",
            help="Texts that a search keeps while weights are looked for: few are quicker; default: as --beam.",
        ),
    ] = None,
    only_phones: Annotated[
        bool, typer.Option("--only-phones", help="Leave what a search by letters is told as it is.")
    ] = False,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="BUNDLE",
            help="Begin at the weights of this bundle too, such as the version before; default: its own.",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=NUMBER,...",
            help="Look for no weights, but take these, by the names below; others stay as they are. A bundle that is "
            "searched by phones keeps what its search by letters is told.",
        ),
    ] = None,
    noise: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="Recorded noise: each clip is heard with it as well, and confidences hold there too; may be given "
            "again.",
        ),
    ] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Processes to decode in; default: all cores.")] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the errors over the weights, and the reliability.")
    ] = None,
) -> None:
    """Find the weights with the fewest word errors, and make confidences honest.

    Writes a copy of the bundle with both as its defaults. alpha weighs the language model, beta is added for each word,
    unknown for each word that the language model does not have; acoustic weighs the network, prior says how much of the
    letters' own frequencies is taken from it, and blank is added to its blank. Given the texts that it was trained on,
    a part of what they say follows which letter is taken away, too (pairs). Where the bundle says how its words are
    said, all this is found for phones as well, and weights for what the letters say of their texts, and a recurrent
    language model and further hearings (again) if there are any. A bundle without a language model has its confidences
    calibrated only. With --noise confidences are fitted to each clip as it is and once more in noise, and weights to
    clips as they are. Tune on speech that the model was not trained on and that you will not judge it by.
    """
    from auricle.bundle import LANGUAGE_MODEL, find_bundle
    from auricle.cli.listening import listen
    from auricle.decoders import confidence_settings, phone_options, phone_settings
    from auricle.decoding import GreedyDecoder
    from auricle.manifest import read_manifests

    expect_bundle_name(output)
    given_weights = _given(weights) if weights else {}
    if given_weights and start:
        raise AuricleError("--start says where to look for weights, and --weights which to take: give one of them.")
    if "pairs" in given_weights and not trained_on:
        raise AuricleError("--weights: pairs are those of the texts of --trained-on, which is missing.")
    recognizer = load_recognizer(bundle, None)  # with its language model, so with the letters that are read beside it
    source = recognizer.bundle
    given = {"beam": beam, "beam_threshold": beam_threshold}
    width = {name: value for name, value in given.items() if value is not None}
    decoder = dict(source.decoder) if only_phones else {**source.decoder, **width}
    if source.phones and width:
        decoder["phones"] = {**phone_settings(source), **width}
    if hearings is not None:
        if not source.phones:
            raise AuricleError("--hearings: the bundle does not say how words are said, and nothing is heard again.")
        decoder["phones"] = {**decoder.get("phones", {}), "hearings": hearings}
    source = replace(source, decoder=decoder)
    texts = [source.alphabet.normalise(learnt.text or "") for learnt in read_manifests(trained_on or ())]
    if trained_on and not any(texts):
        raise AuricleError(f"{trained_on[0]}: holds no text that the alphabet can write; leave --trained-on out.")
    heard = phone_options(source).hearings if source.phones else 1
    clips, in_noise = listen(recognizer, manifests, limit=limit, hearings=heard, noise=noise or ())
    begun = find_bundle(start) if start else source
    if begun.alphabet != source.alphabet or begun.phones not in {(), source.phones}:
        raise AuricleError(f"{start}: writes other letters or phones than {bundle}, so its weights are of no use here.")
    points, chosen_weights, best = weighed(
        source,
        begun,
        clips,
        texts,
        processes or os.cpu_count() or 1,
        tuning_beam=tuning_beam,
        only_phones=only_phones,
        given=given_weights,
    )
    for point in points[:5]:
        typer.echo(_row(point, given_weights))
    curve, before, after = _calibrated([*clips, *in_noise], best, source.alphabet.tokens)
    typer.echo(f"confidence: {_believed(before, after)}")
    plain = None
    if LANGUAGE_MODEL in source.files:
        # Who reads without it has other letters, and other errors.
        alone = load_recognizer(bundle, None, no_lm=True)
        heard_alone = chain(*listen(alone, manifests, limit=limit, noise=noise or (), again=True))
        plain, *shown = _calibrated(heard_alone, GreedyDecoder(source.alphabet), source.alphabet.tokens)
        typer.echo(f"without the language model: {_believed(*shown)}")
    chosen = {**source.decoder, **chosen_weights, **confidence_settings(curve, plain)}
    save_bundle(replace(source, decoder=chosen), output)
    if picture:
        write_whole(picture, _picture(points, before, after))
    phones = chosen.pop("phones", {})
    typer.echo(f"{output}: {_shown(chosen)}")
    if phones:
        typer.echo(f"by phones: {_shown(phones)}")


def _calibrated(clips: Iterable[Clip], decoder: Decoder, letters: int) -> tuple[Calibration, list[Bin], list[Bin]]:
    """Return the curve of a decoder's confidences, and how far they can be believed without and with it.

    Of the clips' log-probabilities a decoder that reads letters alone is given these alone.
    """
    from auricle.calibration import fit, judged_words, reliability
    from auricle.decoding import GreedyDecoder

    given = ((heard[:, :letters], text) for heard, text in clips) if isinstance(decoder, GreedyDecoder) else clips
    known, right = judged_words(given, decoder, letters=letters)
    curve = fit(known, right)
    return curve, reliability([word.letters for word in known], right), reliability(map(curve, known), right)


def _believed(before: Sequence[Bin], after: Sequence[Bin]) -> str:
    """Return how far confidences can be believed before and after calibration, and of how many words that is said."""
    from auricle.calibration import calibration_error

    words = sum(bin.words for bin in after)
    right = sum(bin.words * bin.right for bin in after) / max(1, words)
    return (
        f"error {calibration_error(before):.3f} before, {calibration_error(after):.3f} after calibration, "
        f"{words:,} words of which {right:.0%} are right"
    )


def _shown(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {setting(one)}" for name, one in settings.items())


def _given(weights: str) -> dict[str, float]:
    """Read weights: names of a `Point`, each with a number. Raises AuricleError."""
    from auricle.language.tune import STEPS

    found: dict[str, float] = {}
    for part in weights.split(","):
        name, _, value = part.strip().partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise AuricleError(f"--weights: {part.strip()!r} is not a name and a number, such as alpha=0.8.") from None
        if name not in STEPS or not math.isfinite(found[name]):
            raise AuricleError(f"--weights: {part.strip()!r} says none of {', '.join(STEPS)} a finite number.")
    return found


def _row(point: Point, given: Mapping[str, float]) -> str:
    """Return a point's weights, those that were `given` alone if any were: the others are as the bundle has them."""
    from auricle.language.tune import STEPS

    weights = " ".join(f"{name} {getattr(point, name):<6g}" for name in given or STEPS)
    others = "other weights as they were  " if given else ""
    return f"{weights} {others}WER {point.wer:.2%}"


def _picture(points: Sequence[Point], before: Sequence[Bin], after: Sequence[Bin]) -> bytes:
    from auricle.report.tuning import tuning_png

    least: dict[tuple[float, float], float] = {}
    for point in reversed(points):  # the best come last
        least[point.alpha, point.beta] = point.wer
    shown = [(*weights, wer) for weights, wer in least.items()]
    return tuning_png(shown, before, after)
