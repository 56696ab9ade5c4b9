"""How silero-vad's network is fed, with a network of the same inputs and outputs that can be checked by hand."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sounds import RATE, in_blocks

from auricle.errors import AuricleError
from auricle.segmentation import SileroDetector, SpectralDetector, best_detector
from auricle.segmentation.silero import _installed


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hop is speech when the mean of its 64 + 512 samples and its state, a count of calls, together pass 0.3."""
    onnx = pytest.importorskip("onnx")
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("ReduceMean", ["input", "axis"], ["means"], keepdims=0),
        helper.make_node("ReduceMax", ["h"], ["count"], keepdims=0),
        helper.make_node("Add", ["means", "count"], ["speech_probs"]),
        helper.make_node("Add", ["h", "step"], ["hn"]),
        helper.make_node("Identity", ["c"], ["cn"]),
    ]
    state = [1, 1, 128]
    graph = helper.make_graph(
        nodes,
        "vad",
        [
            helper.make_tensor_value_info("input", float32, ["n", 576]),
            helper.make_tensor_value_info("h", float32, state),
            helper.make_tensor_value_info("c", float32, state),
        ],
        [
            helper.make_tensor_value_info("speech_probs", float32, ["n"]),
            helper.make_tensor_value_info("hn", float32, state),
            helper.make_tensor_value_info("cn", float32, state),
        ],
        [
            helper.make_tensor("axis", onnx.TensorProto.INT64, [1], [1]),
            helper.make_tensor("step", float32, [1], [1e-3]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    folder = tmp_path_factory.mktemp("packages") / "silero_vad" / "data"
    folder.mkdir(parents=True)
    path = folder / "silero_vad_16k_sequence.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("seconds", [0.01, 1.0, 60.0])
def test_every_hop_is_seen_with_the_end_of_the_one_before(network: Path, seconds: float) -> None:
    samples = np.zeros(40 * RATE + 17, np.float32)
    loud = 100 * 512
    samples[loud : loud + 512] = 0.31 * 576 / 512  # with 64 samples before it in mind, just enough
    listener = SileroDetector(network).listen(RATE)
    parts = [listener.hear(block) for block in in_blocks(samples, seconds)]
    flags = np.concatenate([*parts, listener.hear(samples[:0], last=True)])
    assert len(flags) == -(-len(samples) // 512)
    assert np.flatnonzero(flags[:200]).tolist() == [100]


def test_the_state_goes_from_block_to_block(network: Path) -> None:
    listener = SileroDetector(network).listen(RATE)
    calls = [listener.hear(np.full(512, 0.2, np.float32))[0] for _ in range(400)]
    first = calls.index(True)
    assert 100 < first < 130  # (0.3 - 0.2) / 0.001, a call more for the context of the first
    assert all(calls[first:])


def test_other_rates_are_refused(network: Path) -> None:
    with pytest.raises(ValueError, match="16000 Hz, not at 8000"):
        SileroDetector(network).listen(8_000)


@pytest.fixture
def clean() -> Iterator[None]:
    _installed.cache_clear()
    yield
    _installed.cache_clear()


@pytest.mark.usefixtures("clean")
def test_the_file_is_found_without_importing_the_package(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = network.parent.parent
    (package / "__init__.py").write_text("raise RuntimeError('this would need PyTorch')")
    monkeypatch.syspath_prepend(package.parent)
    importlib.invalidate_caches()
    assert isinstance(best_detector(RATE), SileroDetector)
    assert isinstance(best_detector(8_000), SpectralDetector)
    assert "silero_vad" not in sys.modules


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vad.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(AuricleError, match=r"vad\.onnx cannot be loaded .*: install silero-vad again\.$"):
        SileroDetector(path)
    path.write_bytes(sum_of_two())
    with pytest.raises(AuricleError, match=r"vad\.onnx is not a network of silero-vad"):
        SileroDetector(path)


def sum_of_two() -> bytes:
    """A network with other inputs: the sum of two numbers."""
    onnx = pytest.importorskip("onnx")
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    values = [helper.make_tensor_value_info(name, float32, [1]) for name in "abc"]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["c"])], "sum", values[:2], values[2:])
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    return bytes(content)


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("content", [None, b"of another version"])
def test_a_package_without_the_file_is_as_good_as_none(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "silero_vad" / "data"
    data.mkdir(parents=True)
    (tmp_path / "silero_vad" / "__init__.py").touch()
    if content:
        (data / "silero_vad_16k_sequence.onnx").write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    assert isinstance(best_detector(RATE), SpectralDetector)
