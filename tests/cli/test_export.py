from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command import Run

from auricle import load
from auricle.bundle import read_bundle, write_bundle
from auricle.features import Normalization

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that has just begun."""
    from auricle.training.module import SpeechModule
    from auricle.training.recipe import make_recipe

    sizes = {"channels": 2, "residual_layers": 1, "gru_layers": 1, "gru_hidden": 16, "gru_input": 16}
    recipe = make_recipe({"name": "tiny", "features": {"mel": 20}, "network": sizes}, "test")
    module = SpeechModule(recipe, Normalization(np.zeros(20, np.float32), np.ones(20, np.float32)))
    checkpoint = {"state_dict": module.state_dict()}
    module._trainer = SimpleNamespace(current_epoch=0, world_size=1)  # type: ignore[assignment]
    module.on_save_checkpoint(checkpoint)
    folder = tmp_path_factory.mktemp("runs") / "first"
    folder.mkdir()
    torch.save(checkpoint, folder / "last.ckpt")
    return folder


def test_a_run_becomes_a_bundle_that_works(shell: Run, run: Path, tmp_path: Path, clips: Path) -> None:
    output = tmp_path / "out.auricle"
    result = shell("export", run, output)
    assert (result.code, result.err) == (0, "")
    size, parity = result.out.splitlines()
    assert size == f"{output}: first, {output.stat().st_size / 1e6:.2f} MB, float16 weights"
    assert float(parity.split(":")[1].split()[0]) <= 1e-4
    assert load(output, threads=1).transcribe(clips / "austen-0930.flac").model == "first"


def test_name_weights_and_card(auricle: Run, run: Path, tmp_path: Path) -> None:
    card = tmp_path / "card.json"
    card.write_text(json.dumps({"licence": "CC-BY-4.0", "steps": 12}))
    sizes = {}
    for weights in ("float32", "float16", "int8"):
        output = tmp_path / f"{weights}.auricle"
        options = ("--weights", weights, "--name", "mine", "--card", card, "--prior-frames", 500)
        result = auricle("export", run / "last.ckpt", output, *options)
        assert result.code == 0, result.err
        bundle = read_bundle(output)
        assert bundle.name == "mine"
        assert (bundle.card["licence"], bundle.card["steps"]) == ("CC-BY-4.0", 12)
        assert "parameters" in bundle.card
        assert bundle.normalization.prior == 500
        sizes[weights] = len(bundle.files["acoustic.onnx"])
    assert sizes["float32"] > sizes["float16"] > sizes["int8"]


def test_a_built_in_model_is_found_by_its_name(
    auricle: Run, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built_in = tmp_path / "models" / "own.auricle"
    built_in.parent.mkdir()
    assert auricle("export", run, built_in).code == 0
    monkeypatch.setattr("auricle.bundle._EMBEDDED", built_in.parent)
    monkeypatch.chdir(tmp_path)
    small = tmp_path / "small.auricle"
    assert auricle("export", "own", small, "--weights", "int8").code == 0
    assert read_bundle(small).name == read_bundle(built_in).name
    result = auricle("export", "another", small)
    assert (result.code, result.err.count("\n")) == (1, 1)


def test_a_bundle_is_stored_in_other_weights(auricle: Run, run: Path, tmp_path: Path, clips: Path) -> None:
    first, small, again = (tmp_path / f"{name}.auricle" for name in ("first", "small", "again"))
    card = tmp_path / "card.json"
    card.write_text(json.dumps({"licence": "CC-BY-4.0"}))
    assert auricle("export", run, first, "--weights", "float32").code == 0
    bundle = read_bundle(first)
    write_bundle(replace(bundle, decoder={"kind": "greedy", "kept": 1}, files={**bundle.files, "more": b"kept"}), first)
    result = auricle("export", first, small, "--weights", "int8", "--name", "small", "--card", card)
    assert (result.code, result.err) == (0, "")
    assert "int8 weights" in result.out
    stored = read_bundle(small)
    assert stored.created >= bundle.created
    assert (stored.name, stored.card["licence"]) == ("small", "CC-BY-4.0")
    assert (stored.decoder, stored.files["more"]) == ({"kind": "greedy", "kept": 1}, b"kept")
    assert len(stored.files["acoustic.onnx"]) < len(bundle.files["acoustic.onnx"])
    # Back and forth between float32 and float32 nothing is lost.
    assert auricle("export", first, again, "--weights", "float32").code == 0
    assert read_bundle(again).files["acoustic.onnx"] == bundle.files["acoustic.onnx"]


def test_a_bundle_that_does_not_know_its_network_is_not_stored_anew(
    auricle: Run, toy_bundle: Path, tmp_path: Path
) -> None:
    result = auricle("export", toy_bundle, tmp_path / "out.auricle")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "does not hold the recipe" in result.err
    assert list(tmp_path.iterdir()) == []


def test_disagreement_is_refused_in_one_line(
    auricle: Run, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auricle.training.export.PARITY", 0.0)
    result = auricle("export", run, tmp_path / "out.auricle")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "export refused" in result.err
    assert list(tmp_path.iterdir()) == []


def test_without_torch_it_says_what_to_install(run: Path, tmp_path: Path) -> None:
    script = "import sys; sys.modules['torch'] = None; from auricle.cli.app import main; main()"
    command = [sys.executable, "-c", script, "export", str(run), str(tmp_path / "out.auricle")]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "pip install 'auricle[train]'" in done.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [("[1]", "JSON object"), ("{", "not JSON"), (None, "cannot read")],
    ids=["list", "half", "none"],
)
def test_a_bad_card_is_one_line(auricle: Run, run: Path, tmp_path: Path, content: str | None, said: str) -> None:
    card = tmp_path / "card.json"
    if content is not None:
        card.write_text(content)
    result = auricle("export", run, tmp_path / "out.auricle", "--card", card)
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert str(card) in result.err
    assert said in result.err


def test_wrong_usage(auricle: Run, run: Path, tmp_path: Path) -> None:
    assert auricle("export", run, tmp_path / "out.onnx").code == 2
    assert auricle("export", run, tmp_path / "out.auricle", "--weights", "int4").code == 2
    for source in (tmp_path, tmp_path / "missing.ckpt", Path(__file__)):
        result = auricle("export", source, tmp_path / "out.auricle")
        assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
        assert str(source) in result.err
