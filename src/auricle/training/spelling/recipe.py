"""How a speller is trained, as one TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from auricle.training.toml import read_toml

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class SpellingRecipe:
    """Everything that `auricle model spell` needs to know apart from the model, the texts and the recordings."""

    name: str
    description: str = ""
    layers: Positive = 2
    hidden: Positive = 320
    width: Positive = 384
    """Of the projection between the phones and the first GRU layer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    recorded_hours: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 20.0
    """Hours of recordings, spread over the manifests, that the model hears once, to know what it makes of phones."""
    recorded: Share = 0.3
    """Part of the steps that learn from recordings as they are; the others learn from text."""
    longest: Positive = 48
    """Words of a sentence that are spelt at a time; what is left of a longer one is a sentence of its own."""
    batch_words: Positive = 600
    """Words of a step."""
    words: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 20e6
    """Words to read in all; `--max-time` may end the run before."""
    peak_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3e-3
    warmup: Annotated[float, Field(gt=0, lt=1)] = 0.02
    hold: Share = 0.5
    """Part of the run before the rate begins to fall."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    seed: Annotated[int, Field(ge=0)] = 1

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as they stand in the TOML file and in a model card."""
        return asdict(self)


_RECIPE = TypeAdapter(SpellingRecipe)
_SIZES = ("layers", "hidden", "width")


def read_spelling_recipe(path: str | Path) -> SpellingRecipe:
    """Read a recipe; its name is the file's unless it gives one. Raises RecipeError naming the file and the key."""
    return read_toml(path, _RECIPE, SpellingRecipe)


def sizes_of(card: Any) -> SpellingRecipe:
    """Return a recipe with the sizes that a bundle's card says its speller has. Raises ValidationError without them."""
    sizes = {key: card.get(key) for key in _SIZES} if isinstance(card, Mapping) else dict.fromkeys(_SIZES)
    return _RECIPE.validate_python({"name": "speller", **sizes})
