"""The acoustic stage: an ONNX session on real clips."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle import audio
from auricle.acoustic import AcousticModel
from auricle.bundle import ACOUSTIC, Bundle, read_bundle
from auricle.errors import BundleError
from auricle.features import log_mel

CLIPS = sorted((Path(__file__).parent / "clips").glob("*.flac"))
MEL, TOKENS = 40, 29
STRIDE = 4


@pytest.fixture(scope="module")
def bundle(toy_bundle: Path) -> Bundle:
    return read_bundle(toy_bundle)


@pytest.fixture(scope="module")
def model(bundle: Bundle) -> AcousticModel:
    return AcousticModel(bundle.files[ACOUSTIC], mel=MEL, tokens=TOKENS, threads=1)


@pytest.fixture(scope="module")
def speech(bundle: Bundle) -> list[np.ndarray]:
    return [bundle.normalization(log_mel(audio.read(clip).samples, bundle.features)) for clip in CLIPS]


def test_every_frame_is_a_distribution(model: AcousticModel, speech: list[np.ndarray]) -> None:
    for log_probs in model.log_probs(speech):
        assert log_probs.dtype == np.float32
        assert log_probs.shape[1] == TOKENS
        np.testing.assert_allclose(np.exp(log_probs.astype(np.float64)).sum(axis=1), 1, atol=1e-4)


def test_a_clip_alone_gives_what_it_gives_among_others(model: AcousticModel, speech: list[np.ndarray]) -> None:
    assert len({len(features) for features in speech}) == len(speech)
    for together, features in zip(model.log_probs(speech), speech, strict=True):
        np.testing.assert_allclose(together, model.log_probs([features])[0], atol=1e-4)


def test_the_order_of_a_batch_is_the_order_of_its_results(model: AcousticModel, speech: list[np.ndarray]) -> None:
    forward, backward = model.log_probs(speech), model.log_probs(speech[::-1])
    for ours, theirs in zip(forward, backward[::-1], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_frames_that_come_out_are_those_that_go_in_by_the_stride_rounded_up(
    model: AcousticModel, lengths: list[int]
) -> None:
    batch = [np.zeros((length, MEL), np.float32) for length in lengths]
    assert [len(log_probs) for log_probs in model.log_probs(batch)] == [-(-length // STRIDE) for length in lengths]


def test_no_clips_give_no_results(model: AcousticModel) -> None:
    assert model.log_probs([]) == []


def test_four_threads_at_once_get_what_one_gets(model: AcousticModel, speech: list[np.ndarray]) -> None:
    alone = [model.log_probs([features])[0] for features in speech]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for ours, theirs in zip(alone, pool.map(lambda x: model.log_probs([x])[0], speech), strict=True):
                np.testing.assert_array_equal(ours, theirs)


def test_another_number_of_bands_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"reads 40 mel bands and the bundle makes 80\.$"):
        AcousticModel(bundle.files[ACOUSTIC], mel=80, tokens=TOKENS)


def test_another_number_of_tokens_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"writes 29 tokens .* has 30\.$"):
        AcousticModel(bundle.files[ACOUSTIC], mel=MEL, tokens=30)


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_bundle_error(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"^the acoustic model .*\.$"):
        AcousticModel(content, mel=MEL, tokens=TOKENS)


def test_a_damaged_graph_is_refused_without_a_word_on_the_terminal(
    bundle: Bundle, capfd: pytest.CaptureFixture[str]
) -> None:
    graph = bundle.files[ACOUSTIC]
    with pytest.raises(BundleError, match="cannot be loaded"):
        AcousticModel(graph[: len(graph) // 2], mel=MEL, tokens=TOKENS)
    assert capfd.readouterr() == ("", "")


def test_a_graph_with_other_names_is_refused() -> None:
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "other",
        [value("x", onnx.TensorProto.FLOAT, ["B", MEL])],
        [value("y", onnx.TensorProto.FLOAT, ["B", MEL])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    model.ir_version = 10
    with pytest.raises(BundleError, match="not those of an auricle bundle"):
        AcousticModel(model.SerializeToString(), mel=MEL, tokens=TOKENS)


def test_an_error_without_words_still_has_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(onnxruntime, "InferenceSession", silent)
    with pytest.raises(BundleError, match=r"\(RuntimeError\)\.$"):
        AcousticModel(b"", mel=MEL, tokens=TOKENS)
