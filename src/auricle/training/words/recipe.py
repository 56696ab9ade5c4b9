"""How a recurrent language model is trained, as one TOML file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from auricle.training.toml import read_toml

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class WordsRecipe:
    """Everything that `auricle lm train` needs to know apart from the texts and the vocabulary."""

    name: str
    description: str = ""
    clusters: tuple[Positive, ...] = (1_000, 5_000, 20_000)
    """Words that are frequent enough for the head, for the head and the second cluster, and so on; the rest is the
    last cluster."""
    widths: tuple[Positive, ...] = (256, 96, 48, 24)
    """Numbers that a word of each cluster is described by; the first is what the network reads and writes."""
    hidden: Positive = 512
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    longest: Positive = 48
    """Words of a sentence that are read at a time; what is left of a longer one is a sentence of its own."""
    batch_words: Positive = 4_000
    """Words of a step."""
    words: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 100e6
    """Words to read in all; `--max-time` may end the run before."""
    peak_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 4e-3
    warmup: Annotated[float, Field(gt=0, lt=1)] = 0.02
    hold: Share = 0.5
    """Part of the run before the rate begins to fall."""
    first_alone: Share = 0.4
    """Part of the run, at its end, that reads the first text alone: the one that is most like what will be heard."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    seed: Annotated[int, Field(ge=0)] = 1

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.clusters) + 1:
            raise ValueError(f"{len(self.clusters) + 1} clusters of words need as many widths")
        if list(self.clusters) != sorted(set(self.clusters)):
            raise ValueError("clusters are to ascend")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as they stand in the TOML file and in a model card."""
        return asdict(self)


_RECIPE = TypeAdapter(WordsRecipe)


def read_words_recipe(path: str | Path) -> WordsRecipe:
    """Read a recipe; its name is the file's unless it gives one. Raises RecipeError naming the file and the key."""
    return read_toml(path, _RECIPE, WordsRecipe)
