from __future__ import annotations

import subprocess
import sys
import time

import pytest
from command import Run

import auricle as package

HEAVY = ("torch", "lightning", "lhotse", "matplotlib", "numpy", "onnxruntime", "soundfile", "rich")


def modules_after(statement: str) -> set[str]:
    script = f"import sys; {statement}; sys.stdout.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=60, text=True)
    return set(done.stdout.split())


def test_help_names_every_command_and_imports_nothing_heavy(shell: Run) -> None:
    result = shell("--help")
    assert (result.code, result.err) == (0, "")
    for command in ("transcribe", "evaluate", "inspect", "train", "export", "model"):
        assert f"\n  {command} " in result.out
        assert shell(command, "--help").code == 0
    statement = "sys.argv = ['auricle', '--help']; sys.exit = lambda *_: None; import auricle.cli.app as a; a.main()"
    assert not modules_after(statement).intersection(HEAVY)


def test_loading_a_model_needs_no_torch(toy_bundle: object) -> None:
    assert not modules_after("import auricle").intersection(HEAVY)
    loaded = modules_after(f"import auricle; auricle.load({str(toy_bundle)!r})")
    assert "onnxruntime" in loaded
    assert not loaded.intersection({"torch", "lightning", "lhotse", "matplotlib", "typer", "rich"})


def test_import_and_help_are_quick() -> None:
    def seconds(*command: str) -> float:
        times = []
        for _ in range(3):  # the machine may have other work
            begun = time.perf_counter()
            subprocess.run([sys.executable, *command], capture_output=True, check=True, timeout=60)
            times.append(time.perf_counter() - begun)
        return min(times)

    nothing = seconds("-c", "")
    assert seconds("-c", "import auricle") - nothing < 0.2
    assert seconds("-c", "from auricle import load") - nothing < 1.0
    script = "import sys; sys.argv = ['auricle', '--help']; from auricle.cli.app import main; main()"
    assert seconds("-c", script) - nothing < 0.5


def test_version(shell: Run) -> None:
    assert shell("--version").out == f"auricle {package.__version__}\n"


@pytest.mark.parametrize("arguments", [["sing"], ["--loud"], ["model", "sell"], ["transcribe", "a.wav", "--loud"]])
def test_wrong_usage_is_code_2_on_stderr(auricle: Run, arguments: list[str]) -> None:
    result = auricle(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "Error" in result.err
