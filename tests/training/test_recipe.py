"""Recipes: what is written is followed, and what is mistyped is said."""

from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from auricle.errors import RecipeError
from auricle.training.recipe import Recipe, make_recipe, read_recipe

ELSEWHERE = {"restorer", "speller", "words"}  # of other kinds: tests/restoration, test_spelling, test_words
RECIPES = sorted(path for path in (Path(__file__).parents[2] / "recipes").glob("*.toml") if path.stem not in ELSEWHERE)


def refusal(values: dict[str, Any]) -> str:
    with pytest.raises(RecipeError) as caught:
        make_recipe({"name": "mine", **values}, "mine.toml")
    message = str(caught.value)
    assert message.startswith("mine.toml: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_of_the_repository_can_be_read(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.name == path.stem
    assert recipe.description
    assert make_recipe(recipe.to_dict(), "a checkpoint") == recipe


def test_there_are_recipes() -> None:
    assert "english" in {path.stem for path in RECIPES}


def test_a_recipe_may_name_itself(tmp_path: Path) -> None:
    (tmp_path / "file.toml").write_text('name = "other"\n')
    assert read_recipe(tmp_path / "file.toml").name == "other"


@pytest.mark.parametrize(
    ("values", "near"),
    [
        ({"netwrok": {}}, "unknown key 'netwrok': did you mean 'network'?"),
        ({"network": {"gru_hiden": 9}}, "unknown key 'network.gru_hiden': did you mean 'network.gru_hidden'?"),
        ({"features": {"mels": 9}}, "unknown key 'features.mels': did you mean 'features.mel'?"),
        ({"schedule": {"epoch": 9}}, "unknown key 'schedule.epoch': did you mean 'schedule.epochs'?"),
        ({"qqq": 1}, "unknown key 'qqq': known are name, description, alphabet,"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(values: dict[str, Any], near: str) -> None:
    assert near in refusal(values)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("network", "channels", 0),
        ("network", "stride_time", 5),
        ("network", "gru_norm", "post"),
        ("network", "dropout", 1.0),
        ("augment", "time_fraction", 0.0),
        ("augment", "stretch", 0.5),
        ("augment", "low_pass", 1.5),
        ("augment", "gain", float("inf")),
        ("schedule", "epochs", 0),
        ("schedule", "epochs", 2.5),
        ("schedule", "peak_rate", -1.0),
        ("schedule", "peak_rate", float("nan")),
        ("schedule", "batch_seconds", float("inf")),
        ("schedule", "warmup", 1.0),
        ("schedule", "seed", -1),
        ("schedule", "phone_weight", 1.5),
        ("schedule", "phone_mmi", -0.1),
        ("features", "mel", "eighty"),
    ],
)
def test_a_value_out_of_its_range_is_named_with_what_it_says(section: str, key: str, value: object) -> None:
    message = refusal({section: {key: value}})
    assert f"{section}.{key}: " in message
    assert message.endswith(f"(it says {value!r}).")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"features": {"mel": 160, "fft": 400, "f_min": 0.0, "f_max": 8000.0}}, "features: 4 of 160 mel filters"),
        ({"network": {"kernel_time": 4}}, "network: kernel_time and kernel_mel must be odd"),
        ({"alphabet": ["a", "a"]}, "each of its characters once"),
        ({"alphabet": ["ab"]}, "single characters"),
        ({"phones": ["K", "K"]}, "a list of names, each once"),
        ({"phones": ["K", " "]}, "a list of names, each once"),
        ({"phones": ["K"], "alphabet": ["a"]}, "need an alphabet with a space"),
        ({"network": 3}, "network: "),
    ],
)
def test_values_that_do_not_go_together_are_refused(values: dict[str, Any], words: str) -> None:
    message = refusal(values)
    assert words in message
    assert message.endswith(".")
    assert "Value error" not in message


@pytest.mark.parametrize("content", [b"epochs = ", b"\xff\xfe", b"[network]\n[network]\n"])
def test_what_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.toml").write_bytes(content)
    with pytest.raises(RecipeError, match=r"bad\.toml: not a TOML file"):
        read_recipe(tmp_path / "bad.toml")


def test_a_recipe_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.toml: cannot read the recipe \(No such file"):
        read_recipe(tmp_path / "none.toml")


OTHERS = {
    "stride_time": 4, "stride_mel": 3, "outputs": 2, "gru_norm": "none", "anneal": "cosine", "alphabet": (" ", "b"),
    "optimizer": "muon", "phones": ("K",),
    "kernel_time": 5, "kernel_mel": 5, "f_max": 7000.0, "fft": 1024, "window": 420, "hop": 200, "sample_rate": 22_050,
}  # fmt: skip


def other(name: str, value: Any) -> Any:
    if name in OTHERS:
        return OTHERS[name]
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value + "x"
    return value + 1 if isinstance(value, int) else value * 0.8 + 0.01


FIELDS = [
    (section.name, field.name)
    for section in fields(Recipe)
    if is_dataclass(getattr(make_recipe({"name": "x"}, "x"), section.name))
    for field in fields(getattr(make_recipe({"name": "x"}, "x"), section.name))
] + [("", field.name) for field in fields(Recipe) if field.name in {"name", "description", "alphabet", "phones"}]


@pytest.mark.parametrize(("section", "field"), FIELDS)
def test_the_digest_changes_with_every_field(section: str, field: str) -> None:
    recipe = make_recipe({"name": "x", "phones": ["A"]}, "x")
    values = recipe.to_dict()
    part = values[section] if section else values
    part[field] = other(field, part[field])
    changed = make_recipe(values, "x")
    assert asdict(changed) != asdict(recipe)
    assert changed.digest != recipe.digest


def test_the_digest_is_the_same_in_every_run() -> None:
    # Checkpoints are found by it: it may change with the fields of a recipe, and with nothing else.
    recipe = make_recipe({"name": "x"}, "x")
    assert recipe.digest == make_recipe(recipe.to_dict(), "y").digest
    assert len(recipe.digest) == 8


def test_a_recipe_may_have_phones(tmp_path: Path) -> None:
    (tmp_path / "said.toml").write_text('phones = ["K", "AE", "T"]\n')
    recipe = read_recipe(tmp_path / "said.toml")
    assert recipe.phones == ("K", "AE", "T")
    assert recipe.outputs == (len(recipe.alphabet) + 1, 5)
    assert make_recipe({"name": "x"}, "x").outputs == (len(recipe.alphabet) + 1,)
