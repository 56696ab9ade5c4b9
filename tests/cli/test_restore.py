from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command import Run
from passage import ALICE

from auricle.restoration import read_restorer
from auricle.restoration.model import write_restorer
from auricle.training.restoration import loop

RECIPE = """
rows = 512
embedding = 8
width = 16
dilations = [1, 2]
window = 32
batch = 4
epochs = 40.0
peak_rate = 1e-2
"""


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "alice.txt"
    path.write_text(ALICE, encoding="utf-8")
    return path


@pytest.fixture
def restorer(auricle: Run, text: Path, tmp_path: Path) -> Path:
    recipe, output = tmp_path / "mine.toml", tmp_path / "mine.restorer"
    recipe.write_text(RECIPE)
    result = auricle("restore", "train", text, "--recipe", recipe, "--output", output)
    assert result.code == 0, result.err
    assert "trained on  431 words" in result.out
    assert f"{output}: 0." in result.out
    return output


def test_a_restorer_is_trained_measured_and_used(auricle: Run, restorer: Path, text: Path) -> None:
    card = read_restorer(restorer).card
    assert {"data", "held_out", "recipe", "steps", "known_failures"} <= set(card)
    assert card["recipe"]["width"] == 16
    measured = auricle("restore", "evaluate", text, "--restorer", restorer, "--part", "all", "--running")
    assert measured.code == 0, measured.err
    assert measured.out.startswith("7 paragraphs, 431 words\n")
    for line in ("'.' ", "capitals ", "printed (rows) and restored (columns):"):
        assert line in measured.out
    assert measured.err == ""
    both = auricle("restore", "evaluate", text, "--part", "all", "--baseline", "bigrams")
    assert both.out.splitlines()[2:] != measured.out.splitlines()[2:]


def test_a_run_that_is_asked_to_stop_writes_what_it_learnt(
    auricle: Run, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = iter(range(1, 4))
    step = loop._step

    def signalled(*arguments: Any) -> float:
        if next(steps) == 3:  # a fourth step would be one too many
            os.kill(os.getpid(), signal.SIGTERM)
        return step(*arguments)

    monkeypatch.setattr(loop, "_step", signalled)
    recipe, output = tmp_path / "mine.toml", tmp_path / "mine.restorer"
    recipe.write_text(RECIPE)
    stopped = auricle("restore", "train", text, "--recipe", recipe, "--output", output)
    assert stopped.code == 128 + signal.SIGTERM
    assert stopped.err == "stopped after 2% of the run: what was learnt until then is written\n"
    assert read_restorer(output).card["steps"] == 3


def test_a_restorer_is_trained_further_and_grows(auricle: Run, restorer: Path, text: Path, tmp_path: Path) -> None:
    recipe, output = tmp_path / "larger.toml", tmp_path / "larger.restorer"
    recipe.write_text(RECIPE.replace("[1, 2]", "[1, 2, 4]").replace("40.0", "2.0") + 'optimizer = "muon"\n')
    write_restorer(replace(read_restorer(restorer), biases=(0.0, 0.5, *[0.0] * 6)), restorer)
    trained = auricle("restore", "train", text, "--recipe", recipe, "--output", output, "--init", restorer)
    assert trained.code == 0, trained.err
    old, new = read_restorer(restorer), read_restorer(output)
    assert new.context == old.context + 4
    assert new.biases == old.biases != (0.0,) * 8
    assert new.card["began_from"] == {key: old.card[key] for key in ("data", "words_read")} | {"created": old.created}
    by_chance = auricle("restore", "train", text, "--recipe", recipe, "--output", output)
    assert _loss(trained.out) < 0.7 * _loss(by_chance.out)

    recipe.write_text(RECIPE.replace("width = 16", "width = 24"))
    refused = auricle("restore", "train", text, "--recipe", recipe, "--output", output, "--init", restorer)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        "auricle: mine: first.linear.weight is of another network than the recipe's: take its own recipe.\n"
    )

    embedded = auricle("restore", "train", text, "--recipe", recipe, "--output", output, "--init", "english")
    assert embedded.err == "auricle: english: has kinds of words: say so in the recipe.\n"


def _loss(said: str) -> float:
    return float(said.partition("loss ")[2].split()[0])


def test_text_is_restored_line_by_line(shell: Run, restorer: Path) -> None:
    result = shell("restore", "text", "--restorer", restorer, given=b"i saw twenty five dollars\n\nI SAW MARY\n")
    assert result.code == 0, result.err
    lines = result.out.split("\n")
    assert len(lines) == 4
    assert lines[0].startswith("I saw")
    assert "$25" in lines[0]
    assert lines[1] == lines[3] == ""
    plain = shell("restore", "text", "--restorer", restorer, "--no-numbers", given=b"i saw twenty five dollars\n")
    assert "$25" not in plain.out


def test_what_goes_wrong_is_said_in_one_line(auricle: Run, text: Path, tmp_path: Path) -> None:
    missing = auricle("restore", "evaluate", text, "--restorer", tmp_path / "none.restorer", "--part", "all")
    assert (missing.code, missing.out) == (1, "")
    assert missing.err == f"auricle: {tmp_path}/none.restorer: cannot read the restorer (No such file or directory).\n"
    part = auricle("restore", "evaluate", text, "--part", "some")
    assert part.code == 2
    nothing = [auricle("restore", "evaluate", text, "--part", part).err for part in ("train", "dev", "test")]
    assert sum("no paragraph of these texts is in" in err for err in nothing) >= 2
    no_text = auricle("restore", "train", tmp_path / "no.txt", "--output", tmp_path / "a.restorer")
    assert "no.txt: cannot read a text" in no_text.err
