"""The notebook: each cell runs, and what it shows is what its text says."""

import re
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("torch")

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "train_on_librispeech.ipynb"


def texts(notebook: Any) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "\n".join(output.get("text", "") for output in outputs)


def pictures(notebook: Any) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.fixture(scope="module")
def run() -> Any:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": NOTEBOOK.parent}}
    )
    return client.execute()


def test_the_toy_learns_its_clips_and_the_text_is_its_own(run: Any) -> None:
    said = texts(run)
    rates = {name: float(rate) for name, rate in re.findall(r"^(untrained|toy|english) +WER +([\d.]+)%", said, re.M)}
    assert rates["untrained"] >= 100
    assert rates["toy"] < 30 < rates["untrained"]
    assert set(rates) == {"untrained", "toy", "english"}
    assert "23,705,373 parameters" in said


def test_the_inherited_fault_shows_and_its_repair_does(run: Any) -> None:
    found = re.search(r"largest change: ([\d.]+) with the fault, ([\d.e+-]+) without", texts(run))
    assert found
    assert float(found[1]) > 0.1
    assert float(found[2]) < 1e-5


def test_it_is_kept_as_it_ran_with_its_pictures(run: Any) -> None:
    kept = nbformat.read(NOTEBOOK, as_version=4)
    assert pictures(kept) == pictures(run) == 5
    assert all(cell.get("execution_count") for cell in kept.cells if cell.cell_type == "code")
    assert not re.search(r"/(home|root|tmp|work)/", texts(kept))  # no place of the machine that it ran on
