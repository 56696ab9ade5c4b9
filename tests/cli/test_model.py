from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from command import Run

from auricle.alphabet import Alphabet
from auricle.bundle import find_bundle, read_bundle, write_bundle

Damage = Callable[[Path], None]


def unpacked(bundle: Path, folder: Path) -> Path:
    write_bundle(read_bundle(bundle), folder)
    return folder


def packed(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for entry in folder.iterdir():
            archive.write(entry, entry.name)
    return path


def changed_byte(name: str) -> Damage:
    def damage(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        # In the description a letter of a word, so that the JSON stays whole.
        at = content.index(b"toy") if name == "bundle.json" else len(content) // 2
        content[at] ^= 1
        (folder / name).write_bytes(content)

    return damage


def unknown_schema(folder: Path) -> None:
    description = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**description, "schema": 99}))


def wrong_alphabet(folder: Path) -> None:
    bundle = read_bundle(folder)
    write_bundle(replace(bundle, alphabet=Alphabet(("a", "b", "c"))), folder)


DAMAGES = {
    "changed description": (changed_byte("bundle.json"), "checksum"),
    "changed network": (changed_byte("acoustic.onnx"), "checksum"),
    "unknown schema": (unknown_schema, "99"),
    "wrong alphabet": (wrong_alphabet, "alphabet"),
}


@pytest.mark.parametrize("form", ["directory", "zip"])
@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_bundle_is_refused_in_one_line(
    *, what: str, form: str, auricle: Run, toy_bundle: Path, clips: Path, tmp_path: Path
) -> None:
    damage, said = DAMAGES[what]
    path = unpacked(toy_bundle, tmp_path / "damaged")
    damage(path)
    if form == "zip":
        path = packed(path, tmp_path / "damaged.auricle")
    for arguments in (["transcribe", clips / "austen-0930.flac", "--model", path], ["model", "show", path]):
        result = auricle(*arguments)
        assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
        assert result.err.startswith(f"auricle: {path}")
        assert said in result.err


def test_a_bundle_with_a_changed_byte_anywhere_is_refused_or_the_same(
    auricle: Run, toy_bundle: Path, tmp_path: Path
) -> None:
    original = toy_bundle.read_bytes()
    expected = auricle("model", "show", toy_bundle)
    path = tmp_path / "changed.auricle"
    for at in range(0, len(original), len(original) // 60):
        path.write_bytes(original[:at] + bytes([original[at] ^ 0x10]) + original[at + 1 :])
        result = auricle("model", "show", path)
        if result.code == 0:  # a zip has fields, such as times, that say nothing about its contents
            assert result.out == expected.out
        else:
            assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
            assert str(path) in result.err


def test_show_says_what_it_is(auricle: Run, toy_bundle: Path) -> None:
    result = auricle("model", "show", toy_bundle)
    assert (result.code, result.err) == (0, "")
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in result.out.splitlines()}
    assert lines["name"] == "toy"
    assert lines["version"] == "0.0.1"
    assert lines["output"] == "29 tokens every 40 ms"
    assert lines["features"].startswith("40 log-mel bands")
    assert lines["acoustic.onnx"].endswith("checksum verified")
    assert lines["licence"] == "none"
    assert lines["trained_on"] == "nothing"
    assert lines["parameters"].replace(",", "") == str(read_bundle(toy_bundle).card["parameters"])


def test_show_as_json_is_the_description_and_the_sizes(auricle: Run, toy_bundle: Path, tmp_path: Path) -> None:
    folder = unpacked(toy_bundle, tmp_path / "toy")
    document = json.loads(auricle("model", "show", folder, "--json").out)
    bundle = read_bundle(toy_bundle)
    assert document.pop("file_bytes") == {"acoustic.onnx": len(bundle.files["acoustic.onnx"])}
    assert document.pop("checksums") == "verified"
    assert document == bundle.describe()


def test_list_names_what_is_built_in(
    auricle: Run, toy_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(toy_bundle, tmp_path / "toy.auricle")
    (tmp_path / "README.md").touch()
    monkeypatch.setattr("auricle.bundle._EMBEDDED", tmp_path)
    assert auricle("model", "list").out == "toy\n"
    assert "name        toy\n" in auricle("model", "show", "toy").out
    monkeypatch.setattr("auricle.bundle._EMBEDDED", tmp_path / "none")
    assert auricle("model", "list").out == ""
    assert "(none)" in auricle("model", "show", "toy").err


def test_models_are_averaged(auricle: Run, toy_bundle: Path, tmp_path: Path) -> None:
    later, mean, card = tmp_path / "later.auricle", tmp_path / "mean.auricle", tmp_path / "card.json"
    write_bundle(replace(read_bundle(toy_bundle), name="later"), later)
    card.write_text('{"summary": "a mean"}')
    parts = ("--weight", 1, "--weight", 3)
    result = auricle("model", "average", toy_bundle, later, *parts, "--card", card, "--output", mean)
    assert (result.code, result.err) == (0, "")
    assert "the mean of 2 models" in result.out
    assert read_bundle(mean).created > read_bundle(toy_bundle).created
    written = read_bundle(mean).card
    assert [(one["name"], one["part"]) for one in written["averaged"]] == [("toy", 0.25), ("later", 0.75)]
    assert written["summary"] == "a mean"
    assert auricle("model", "show", mean).code == 0


@pytest.mark.parametrize(
    ("models", "options", "said"),
    [
        (1, (), "two models or more"),
        (2, ("--weight", 0, "--weight", 0), "above"),
        (2, ("--weight", 1), "1 weights for 2 models"),
    ],
)
def test_an_average_that_is_none_is_refused(
    *, models: int, options: tuple[object, ...], said: str, auricle: Run, toy_bundle: Path, tmp_path: Path
) -> None:
    mean = tmp_path / "mean.auricle"
    result = auricle("model", "average", *[toy_bundle] * models, *options, "--output", mean)
    assert result.code
    assert said in result.err
    assert not mean.exists()


def test_models_of_different_kinds_are_not_averaged(auricle: Run, toy_bundle: Path, tmp_path: Path) -> None:
    result = auricle("model", "average", "english", toy_bundle, "--output", tmp_path / "mean.auricle")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "cannot be averaged" in result.err


@pytest.mark.needs_embedded_model
def test_a_model_is_grown_to_a_recipes_size(auricle: Run, tmp_path: Path) -> None:
    larger = tmp_path / "larger.auricle"
    recipe = Path(__file__).parents[2] / "recipes" / "english-reference.toml"
    result = auricle("model", "grow", "english", recipe, "--output", larger)
    assert (result.code, result.err) == (0, "")
    written = read_bundle(larger).card
    assert f"{written['parameters']:,} parameters" in result.out
    assert written["grown_from"].startswith("english ")
    assert read_bundle(larger).created > find_bundle("english").created
    assert written["recipe"]["network"]["gru_hidden"] == 512
    assert auricle("model", "show", larger).code == 0


def test_what_cannot_grow_is_refused_in_one_line(auricle: Run, toy_bundle: Path, tmp_path: Path) -> None:
    recipes = Path(__file__).parents[2] / "recipes"
    for model, recipe, said in (
        (toy_bundle, recipes / "english-reference.toml", "does not hold the recipe"),
        ("english", recipes / "tiny.toml", "another alphabet or other phones"),
        ("english", tmp_path / "none.toml", "cannot read the recipe"),
    ):
        result = auricle("model", "grow", model, recipe, "--output", tmp_path / "larger.auricle")
        assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
        assert said in result.err
        assert not (tmp_path / "larger.auricle").exists()
