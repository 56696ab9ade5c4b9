"""`auricle export`."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auricle.cli.app import app
from auricle.cli.terminal import expect_bundle_name, save_new_model
from auricle.errors import AuricleError, MissingExtraError

if TYPE_CHECKING:
    from auricle.bundle import Bundle


class Weights(StrEnum):
    """How the bundle stores weights; recognition computes in float32 with each."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"


@app.command()
def export(  # noqa: PLR0917  (typer makes options of them)
    source: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT|RUN|MODEL",
            help="A checkpoint, a run's folder for its last.ckpt, or a model to store in other weights: a bundle "
            "(.auricle), or a built-in one.",
        ),
    ],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT.auricle", help="The bundle to write.")],
    name: Annotated[str | None, typer.Option(help="Name of the model; default: the run's, or the bundle's.")] = None,
    weights: Annotated[Weights, typer.Option(help="How to store the weights.")] = Weights.FLOAT16,
    card: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Fields to add to the model card, or to replace in it.")
    ] = None,
    prior_frames: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="The recipe's prior_frames from now on; default: those of its training."),
    ] = None,
) -> None:
    """Turn a checkpoint into a model bundle.

    It is refused when PyTorch and ONNX Runtime disagree about what the network says. A run's best.auricle is a bundle
    already: that of the epoch with the lowest word error rate on its dev set. A bundle may be exported anew, with other
    weights, name or card; its language models and settings stay.
    """
    expect_bundle_name(output, "OUTPUT.auricle")
    fields = read_card(card) if card else {}
    try:
        from auricle.training.export import PARITY
    except ModuleNotFoundError as error:
        raise MissingExtraError("export", "train") from error

    read = _from_bundle if _is_model(source) else _from_checkpoint
    bundle, network = read(source, name, weights, fields)
    if prior_frames is not None:
        normalization = replace(bundle.normalization, prior=float(prior_frames or math.inf))
        bundle = replace(bundle, normalization=normalization)
    save_new_model(bundle, output)
    typer.echo(f"{output}: {bundle.name}, {output.stat().st_size / 1e6:.2f} MB, {weights} weights")
    typer.echo(
        f"parity of ONNX Runtime with PyTorch, in float32: {_parity(network):.1e} (at most {PARITY:g} is accepted)"
    )


def _is_model(source: Path) -> bool:
    from auricle.bundle import embedded_names

    return source.suffix == ".auricle" or (str(source) in embedded_names() and not source.exists())


def _from_checkpoint(source: Path, name: str | None, weights: Weights, fields: dict[str, Any]) -> tuple[Bundle, Any]:
    from auricle.training.module import load_module

    checkpoint = source / "last.ckpt" if source.is_dir() else source
    module = load_module(checkpoint)
    return module.bundle(name or _name(checkpoint), weights=weights.value, card=fields), module.network


def _from_bundle(source: Path, name: str | None, weights: Weights, fields: dict[str, Any]) -> tuple[Bundle, Any]:
    from auricle.bundle import ACOUSTIC, find_bundle
    from auricle.training.export import checked_onnx
    from auricle.training.initial import recipe_of, started_from
    from auricle.training.spelling.export import stored_as

    bundle = stored_as(find_bundle(source), weights.value)
    network = started_from(bundle, recipe_of(bundle)).network
    files = {**bundle.files, ACOUSTIC: checked_onnx(network, weights.value)}
    return replace(bundle, name=name or bundle.name, files=files, card={**bundle.card, **fields}), network


def _name(checkpoint: Path) -> str:
    return checkpoint.resolve().parent.name if checkpoint.name == "last.ckpt" else checkpoint.stem


def _parity(network: Any) -> float:
    import numpy as np

    from auricle.training.export import check_parity

    rng = np.random.default_rng(1)
    clips = [rng.standard_normal((frames, network.mel), dtype=np.float32) for frames in (33, 100, 250)]
    return check_parity(network, clips)


def read_card(path: Path) -> dict[str, Any]:
    """Return the fields of a model card. Raises AuricleError for a file that holds none."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AuricleError(f"{path}: cannot read the model card ({error.strerror}).") from error
    except ValueError as error:
        raise AuricleError(f"{path}: the model card is not JSON ({error}).") from error
    if not isinstance(fields, dict):
        raise AuricleError(f"{path}: a model card is a JSON object, with braces around its fields.")
    return fields
