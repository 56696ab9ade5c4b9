"""How a restorer is trained, as one TOML file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from auricle.training.toml import read_toml

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class RestorerRecipe:
    """Everything that `auricle restore train` needs to know apart from the text."""

    name: str
    description: str = ""
    rows: Annotated[int, Field(ge=64, le=1 << 20)] = 24_576
    """Rows of the table that words are hashed into; two thirds of the file's size."""
    embedding: Positive = 64
    width: Positive = 128
    reach: Positive = 2
    """Words on either side that the first layer sees."""
    dilations: tuple[Positive, ...] = (1, 2, 4, 8, 4, 1)
    """Distance, in words, of the two neighbours that each block sees; more at the end is how a restorer grows."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    window: Annotated[int, Field(ge=32)] = 256
    """Words of an example."""
    batch: Positive = 24
    """Examples of a step."""
    epochs: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0
    optimizer: Literal["adamw", "muon"] = "adamw"
    """AdamW for all weights, or Muon for the convolutions' and AdamW for the rest (`training.muon`)."""
    peak_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3e-3
    warmup: Annotated[float, Field(gt=0, lt=1)] = 0.05
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    case_weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.6
    """Weight of the loss of capitals beside that of marks."""
    whole: Share = 0.4
    """Part of the examples that begin and end with a paragraph; the others are cut anywhere."""
    known_pauses: Share = 0.4
    """Part of the examples that have pauses, drawn to suit their marks."""
    with_errors: Share = 0.4
    """Part of the examples in which words are wrong, missing or joined, as a recogniser leaves them."""
    most_errors: Share = 0.15
    """The largest part of such an example's words; the part is drawn anew for each."""
    forgotten: Share = 0.0
    """Part of an example's rare words that are shown as if nobody had seen them, for the sake of names that are new."""
    kinds: bool = False
    """Whether the network is told how books write a word, in place of its first letters."""
    bfloat16: bool = False
    """Whether to multiply in bfloat16: about 1.6 times as fast where the processor has it, and slower elsewhere."""
    int8: bool = False
    """Whether the file's convolutions multiply whole numbers: a quarter of the bytes, in less than half of the time."""
    seed: Annotated[int, Field(ge=0)] = 1

    @property
    def context(self) -> int:
        """Words on either side that can change what is said of a word: the network's radius."""
        return self.reach + sum(self.dilations)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as they stand in the TOML file and in a model card."""
        return asdict(self)


_RECIPE = TypeAdapter(RestorerRecipe)


def read_restorer_recipe(path: str | Path) -> RestorerRecipe:
    """Read a recipe; its name is the file's unless it gives one. Raises RecipeError naming the file and the key."""
    return read_toml(path, _RECIPE, RestorerRecipe)
