"""A training run as one TOML file. Each number that shapes the model or its training stands there and nowhere else."""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from auricle.alphabet import ENGLISH, Alphabet
from auricle.bundle import MOST_PHONES
from auricle.errors import RecipeError
from auricle.features import FeatureConfig

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the Deep Speech 2 network. The defaults are the course project's, 23.7 M parameters at 128 bands."""

    channels: Positive = 32
    kernel_time: Positive = 3
    kernel_mel: Positive = 3
    stride_time: Literal[1, 2, 3, 4, 6, 8] = 2
    stride_mel: Literal[1, 2, 3, 4] = 2
    outputs: Literal[1, 2] = 1
    """Frames of characters that the classifier gives, side by side, for each frame of the layers before it."""
    residual_layers: Annotated[int, Field(ge=0)] = 3
    gru_layers: Positive = 5
    gru_hidden: Positive = 512
    gru_input: Positive = 512
    """Width of the projection between the convolutions and the first GRU layer."""
    gru_residual: bool = False
    """Add each GRU layer's input to its output (from the second layer on, where the widths agree)."""
    gru_norm: Literal["pre", "none"] = "pre"
    """LayerNorm before each GRU layer, or none."""
    gru_gelu: bool = True
    """GELU between that LayerNorm and the GRU, as the course project had it."""
    classifier_hidden: Annotated[int, Field(ge=0)] = 512
    """Width of the layer before the output; 0 leaves it out."""
    dropout: Fraction = 0.1
    gru_dropout: Fraction = 0.1
    gru_dropout_locked: bool = False
    """Drop the same units at each frame of a clip (Gal & Ghahramani, 2016); cheaper, too."""
    auxiliary_layer: Annotated[int, Field(ge=0)] = 0
    """In training, a second classifier reads the output of this GRU layer (Lee & Watanabe, 2021); 0 leaves it out."""

    def __post_init__(self) -> None:
        if self.kernel_time % 2 == 0 or self.kernel_mel % 2 == 0:
            raise ValueError("kernel_time and kernel_mel must be odd, so that ceil(frames / stride) frames come out")
        if self.stride_time % self.outputs:
            raise ValueError("stride_time must be a multiple of outputs, so that frames stay alike in length")
        if self.auxiliary_layer >= self.gru_layers:
            raise ValueError("auxiliary_layer must lie below gru_layers: the last layer has its classifier already")

    @property
    def stride(self) -> int:
        """Frames of features for each frame of characters."""
        return self.stride_time // self.outputs


@dataclass(frozen=True)
class AugmentConfig:
    """What is done to the features of a clip in training. Widths in bands and frames, probabilities in [0, 1]."""

    frequency_masks: Annotated[int, Field(ge=0)] = 1
    frequency_width: Annotated[int, Field(ge=0)] = 30
    time_masks: Annotated[int, Field(ge=0)] = 1
    time_width: Annotated[int, Field(ge=0)] = 100
    time_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """No time mask is longer than this part of the clip (adaptive masks: Park et al., 2020)."""
    stretch: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """Each clip is stretched in time by a factor drawn from 1 - stretch to 1 + stretch."""
    warp: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """Each clip's frequencies are moved by a factor drawn from 1 - warp to 1 + warp, as another throat would."""
    equaliser: Annotated[float, Field(ge=0, le=30)] = 0.0
    """Each clip's bands become louder or softer by up to so many decibels, along a curve: another microphone."""
    gain: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Each clip's level is changed by -gain to +gain decibels."""
    low_pass: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability that the bands above a random edge between 3 and 7 kHz are emptied, as telephones and MP3 do."""


@dataclass(frozen=True)
class WaveformConfig:
    """What is done to a clip's samples in training, each with its probability; a clip may get several, or none.

    A clip that gets any has its features computed anew; the others have theirs from the store. See `training.distort`.
    """

    speed: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Played at 0.9 or 1.1 times its speed, pitch and all."""
    noise: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Recorded noise (`--noise`), or white, pink or brown noise where none is given."""
    babble: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Four other utterances at once in the background."""
    noise_ratio_low: Annotated[float, Field(allow_inf_nan=False)] = 5.0
    noise_ratio_high: Annotated[float, Field(allow_inf_nan=False)] = 25.0
    """Signal-to-noise ratio in decibels, of noise and of babble, drawn between these."""
    reverb: Annotated[float, Field(ge=0, le=1)] = 0.0
    """A simulated room."""
    reverb_seconds: Annotated[float, Field(ge=0.1, le=5)] = 0.8
    """Longest time in which the room's sound falls by 60 dB."""
    codec: Annotated[float, Field(ge=0, le=1)] = 0.0
    """MP3, Opus, GSM 6.10 or mu-law, encoded and decoded; the latter two at 8 kHz."""
    low_pass: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Nothing left above an edge between 2.5 and 7 kHz."""

    def __post_init__(self) -> None:
        if self.noise_ratio_low > self.noise_ratio_high:
            raise ValueError("noise_ratio_low must not be above noise_ratio_high")

    @property
    def any(self) -> bool:
        """Whether a clip may be changed at all."""
        return any((self.speed, self.noise, self.babble, self.reverb, self.codec, self.low_pass))


@dataclass(frozen=True)
class ScheduleConfig:
    """Optimisation under one cycle of the learning rate (Smith & Topin, 2018), linear up, either way down."""

    epochs: Positive = 20
    batch_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 160.0
    """Seconds of audio in a batch, over all processes together."""
    accumulate: Positive = 1
    """Batches, each of `batch_seconds`, whose gradients make one step: for steps larger than memory."""
    shortest_first: bool = False
    """The first epoch goes from short clips to long ones, which settles a start from chance (Amodei et al., 2015)."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """AdamW for all parameters, or Muon for the inner matrices and AdamW for the rest (`training.muon`)."""
    peak_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 5e-4
    start_factor: Annotated[float, Field(gt=0, le=1)] = 0.04
    end_factor: Annotated[float, Field(ge=0, le=1)] = 0.001
    warmup: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Part of the run in which the rate climbs."""
    hold: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Part of the run, after the climb, in which the rate stays at its peak: a run that held can be made longer."""
    anneal: Literal["linear", "cosine"] = "linear"
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    clip_norm: Annotated[float, Field(gt=0)] = 5.0
    average: Fraction = 0.0
    """The model that is scored and exported is a moving average of the weights that keeps this part a step; 0: none."""
    auxiliary_weight: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Share of the second classifier's loss where the network has one."""
    phone_weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the phones' loss, the rest being that of the letters, where the recipe has phones."""
    phone_mmi: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of maximum mutual information in the phones' loss, the rest being CTC: what trigrams of phones foretell is
    then not learnt from the frames. A run that begins from chance has to learn by CTC first, and has none of it."""
    agreement: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Weight of how far two views of each clip differ (CR-CTC: Yao et al., 2024); 0: one view. Each has its own masks,
    and its own `warp`, `gain`, `equaliser` and `low_pass`: one speech, from two throats and two microphones.

    Both views count in `batch_seconds`: a batch has half as many clips."""
    score_every: Positive = 1
    """Epochs from one scoring of dev to the next; the last epoch is always scored."""
    keep_best: Positive = 1
    """So many of the best models by dev WER are kept, the first of them as best.auricle."""
    patience: Annotated[int, Field(ge=0)] = 0
    """The run ends after so many scorings in a row without a better dev WER; 0: it does not."""
    seed: Annotated[int, Field(ge=0)] = 1

    def __post_init__(self) -> None:
        if self.warmup + self.hold >= 1:
            raise ValueError("warmup and hold together must leave a part of the run in which the rate falls")

    @property
    def views(self) -> int:
        """How often each clip stands in its batch."""
        return 2 if self.agreement else 1


@dataclass(frozen=True)
class Recipe:
    """Everything that `auricle train` needs to know apart from where the data lies."""

    name: str
    description: str = ""
    alphabet: tuple[str, ...] = ENGLISH.characters
    phones: tuple[str, ...] = ()
    """What the network writes beside letters, if it is to know how words are said; `--pronunciations` says how."""
    prior_frames: Annotated[int, Field(ge=0)] = 0
    """A clip's own mean is taken from its features, as if so many frames of average speech were heard with it; 0: it is
    left. See `auricle.features.Normalization`."""
    features: FeatureConfig = Field(default_factory=FeatureConfig)
    network: NetworkConfig = Field(default_factory=NetworkConfig)
    augment: AugmentConfig = Field(default_factory=AugmentConfig)
    waveform: WaveformConfig = Field(default_factory=WaveformConfig)
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig)

    def __post_init__(self) -> None:
        Alphabet(self.alphabet)
        if len(set(self.phones)) != len(self.phones) or not all(phone.strip() for phone in self.phones):
            raise ValueError("phones must be a list of names, each once")
        if len(self.phones) > MOST_PHONES:
            raise ValueError(f"phones must be {MOST_PHONES} at most")
        if self.phones and " " not in self.alphabet:
            raise ValueError("phones are those of words: they need an alphabet with a space")

    @property
    def outputs(self) -> tuple[int, ...]:
        """Tokens of each of the network's alphabets: letters, and phones if there are any, each with a blank."""
        return (len(self.alphabet) + 1, *([len(self.phones) + 2] if self.phones else []))

    @property
    def digest(self) -> str:
        """Eight characters that change whenever a field does: the recipe's hash in logs and model cards."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:8]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as they stand in the TOML file and in a checkpoint."""
        return asdict(self)


_RECIPE = TypeAdapter(Recipe)


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe from a TOML file; its name is the file's unless it gives one.

    Raises RecipeError for a file that cannot be read, for an unknown key (naming the nearest known one) and for a value
    out of its range.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: cannot read the recipe ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not a TOML file ({error}).") from error
    return make_recipe({"name": path.stem, **values}, str(path))


def make_recipe(values: dict[str, Any], where: str) -> Recipe:
    """Build a recipe from plain values; `where` names their origin in errors. Raises as `read_recipe` does."""
    _refuse_unknown(values, Recipe, where)
    try:
        return _RECIPE.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ").rstrip(".")
        said = f" (it says {first['input']!r})" if key and not isinstance(first["input"], dict) else ""
        raise RecipeError(f"{where}: {key + ': ' if key else ''}{reason}{said}.") from error


def _refuse_unknown(values: dict[str, Any], kind: type[Any], where: str, prefix: str = "") -> None:
    known = {field.name: field for field in fields(kind)}
    hints = get_type_hints(kind)
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            advice = f"did you mean {prefix + near[0]!r}?" if near else f"known are {', '.join(known)}."
            raise RecipeError(f"{where}: unknown key {prefix + key!r}: {advice}")
        if isinstance(value, dict) and is_dataclass(hints[key]):
            _refuse_unknown(value, cast(type[Any], hints[key]), where, f"{prefix}{key}.")
