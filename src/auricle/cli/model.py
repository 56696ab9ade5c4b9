"""`auricle model show`, `list`, `average` and `grow`; `spell` is in `model_spell`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auricle.cli.app import app
from auricle.cli.export import read_card
from auricle.cli.terminal import expect_bundle_name, load_recognizer, save_new_model, setting
from auricle.errors import MissingExtraError

if TYPE_CHECKING:
    from auricle.bundle import Bundle

model_app = typer.Typer(
    no_args_is_help=True, help="Look at model bundles, average them, grow them, teach them to spell."
)
app.add_typer(model_app, name="model")


@model_app.command()
def show(
    model: Annotated[
        str | None, typer.Argument(metavar="[NAME|PATH]", help="A bundle, or a built-in model; default: English.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as one JSON document.")] = False,
) -> None:
    """Say what a model is, once its checksums are verified and ONNX Runtime has accepted its network."""
    bundle = load_recognizer(model, threads=1).bundle
    if as_json:
        sizes = {name: len(content) for name, content in sorted(bundle.files.items())}
        document = {**bundle.describe(), "file_bytes": sizes, "checksums": "verified"}
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join(_lines(bundle)))


@model_app.command("list")
def list_() -> None:
    """List the built-in models."""
    from auricle.bundle import embedded_names

    for name in embedded_names():
        typer.echo(name)


@model_app.command()
def average(
    bundles: Annotated[
        list[str], typer.Argument(metavar="BUNDLE...", help="Two models or more: paths, or built-in names.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="NEW.auricle", help="The bundle to write.")],
    weight: Annotated[
        list[float] | None,
        typer.Option("--weight", min=0.0, help="Part of each model, in their order; default: all alike."),
    ] = None,
    card: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Fields to add to the model card, or to replace in it.")
    ] = None,
) -> None:
    """Write a model whose weights are the mean of those of others.

    They have to be of one family: epochs of one run (RUN/kept), a run and what it began from (--init), or several
    runs that began from the same model. Their mean is often better than the best of them. Language models, and all that
    is not the network's weights, are the first one's; what the card says of a run is the last one's. Weights in int8
    become float16.
    """
    from auricle.bundle import find_bundle

    try:
        from auricle.training.averaging import averaged
    except ModuleNotFoundError as error:
        raise MissingExtraError("model average", "train") from error
    if weight and len(weight) != len(bundles):
        raise typer.BadParameter(f"{len(weight)} weights for {len(bundles)} models.", param_hint="--weight")
    expect_bundle_name(output)
    fields = read_card(card) if card else {}
    mean = averaged([find_bundle(bundle) for bundle in bundles], weight or [1.0] * len(bundles))
    save_new_model(replace(mean, card={**mean.card, **fields}), output)
    typer.echo(f"{output}: the mean of {len(bundles)} models, {output.stat().st_size / 1e6:.2f} MB")


@model_app.command()
def grow(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A bundle, or a built-in model.")],
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="The recipe of the larger network.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="NEW.auricle", help="The bundle to write.")],
) -> None:
    """Write a larger model that says what a smaller one says, to train on from.

    Mel bands, residual layers, GRU layers and their units may become more; all else in the recipe's features and
    network has to be as it was. Then: auricle train RECIPE.toml --init NEW.auricle. Language models and settings of the
    search stay as they are.
    """
    from auricle.bundle import find_bundle

    try:
        from auricle.training.growing import grown
        from auricle.training.recipe import read_recipe
    except ModuleNotFoundError as error:
        raise MissingExtraError("model grow", "train") from error
    expect_bundle_name(output)
    larger = grown(find_bundle(model), read_recipe(recipe))
    save_new_model(larger, output)
    typer.echo(f"{output}: {larger.card['parameters']:,} parameters, {output.stat().st_size / 1e6:.2f} MB")


def _lines(bundle: Bundle) -> Iterator[str]:
    features = bundle.features
    milliseconds = 1000 / features.sample_rate
    card = dict(bundle.card)
    parameters = card.pop("parameters", None)
    recipe = card.pop("recipe", None)
    network = recipe.get("network") if isinstance(recipe, Mapping) else None
    facts = {
        "name": bundle.name,
        "version": bundle.version,
        "created": bundle.created,
        "parameters": f"{parameters:,}" if isinstance(parameters, int) else None,
        "audio": f"{features.sample_rate} Hz, mono",
        "features": f"{features.mel} log-mel bands, {features.f_min:g} to {features.f_max:g} Hz; windows of "
        f"{features.window * milliseconds:g} ms every {features.hop * milliseconds:g} ms",
        "output": f"{bundle.tokens} tokens every {bundle.frame_seconds * 1000:g} ms",
        "alphabet": "blank and " + "".join(bundle.alphabet.characters).replace(" ", "␣"),
        "phones": f"blank, end of word, {' '.join(bundle.phones)}" if bundle.phones else None,
        "decoder": ", ".join(f"{key} {setting(value)}" for key, value in bundle.decoder.items()) or None,
        "network": ", ".join(f"{key} {value}" for key, value in network.items()) if network else None,
    }
    yield from (f"{name:<12}{value}" for name, value in facts.items() if value is not None)
    yield "files"
    for name, content in sorted(bundle.files.items()):
        yield f"  {name:<16}{len(content) / 1e6:8.2f} MB   checksum verified"
    if card:
        yield "card"
        yield from _tree(card, "  ")


def _tree(values: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}"
            yield from _tree(value, indent + "  ")
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            yield f"{indent}{key}"
            yield from (f"{indent}  - " + ", ".join(map(str, item.values())) for item in value)
        elif isinstance(value, list) and len(value) > 1:
            yield f"{indent}{key}"
            yield from (f"{indent}  - {item}" for item in value)
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            yield f"{indent}{key:<{22 - len(indent)}} {shown}"
