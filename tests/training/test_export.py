"""What ONNX Runtime says must be what torch said, or there is no bundle."""

import json
import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from helpers import MEL, TOKENS, configs, made
from hypothesis import given, settings

from auricle.acoustic import AcousticModel
from auricle.alphabet import Alphabet
from auricle.bundle import ACOUSTIC, Bundle
from auricle.errors import TrainingError
from auricle.features import FeatureConfig, Normalization
from auricle.training import export
from auricle.training.export import PARITY, check_parity, to_bundle, to_onnx
from auricle.training.graph import Weights
from auricle.training.network import DeepSpeech2, RecurrentLayer
from auricle.training.recipe import NetworkConfig

FEATURES = FeatureConfig(mel=MEL)
ALPHABET = Alphabet(tuple("abcdef"))
WIDE = NetworkConfig(channels=8, residual_layers=1, gru_layers=2, gru_hidden=48, gru_input=64, classifier_hidden=48)


def ragged(seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((n, MEL), dtype=np.float32) for n in (1, 2, 31, 17, 8)]


def bundle_of(network: DeepSpeech2, weights: Weights = "float32") -> Bundle:
    return to_bundle(
        network,
        name="toy",
        version="1",
        created="now",
        features=FEATURES,
        normalization=Normalization(np.zeros(MEL, np.float32), np.ones(MEL, np.float32)),
        alphabet=ALPHABET,
        weights=weights,
        card={"licence": "none"},
    )


@settings(max_examples=15, deadline=None)
@given(configs(smallest=12))
def test_onnx_runtime_says_what_torch_says(config: NetworkConfig) -> None:
    assert check_parity(made(config), ragged()) < PARITY == 1e-4


def test_a_bundle_holds_what_serving_needs() -> None:
    network = made(WIDE)
    bundle = bundle_of(network)
    assert bundle.frame_seconds == pytest.approx(0.02)
    assert (bundle.features, bundle.alphabet, bundle.decoder) == (FEATURES, ALPHABET, {"kind": "greedy"})
    model = AcousticModel(bundle.files[ACOUSTIC], mel=MEL, tokens=TOKENS, threads=1)
    features = ragged()[2]
    with torch.inference_mode():
        expected, _ = network(torch.from_numpy(features)[None], torch.tensor([len(features)]))
    np.testing.assert_allclose(model.log_probs([features])[0], expected[0].numpy(), atol=1e-4)


@pytest.mark.parametrize(("weights", "size", "difference"), [("float16", 0.6, 0.02), ("int8", 0.4, 0.4)])
def test_smaller_weights_make_a_smaller_file_that_says_nearly_the_same(
    weights: Weights, size: float, difference: float
) -> None:
    torch.manual_seed(0)
    network = DeepSpeech2(WIDE, MEL, TOKENS).eval()
    whole, small = to_onnx(network), to_onnx(network, weights)
    assert len(small) < size * len(whole)
    exact, near = (
        np.concatenate(AcousticModel(onnx, mel=MEL, tokens=TOKENS, threads=1).log_probs(ragged()))
        for onnx in (whole, small)
    )
    assert 0 < np.abs(exact - near).max() < difference


def test_weights_of_one_recurrent_layer_are_restored_at_a_time(tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "run")
    onnx = to_onnx(DeepSpeech2(WIDE, MEL, TOKENS).eval(), "int8")
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    session.run(None, {"features": ragged()[2][None], "lengths": np.array([31])})
    events = json.loads(Path(session.end_profiling()).read_text())
    ran = [event["args"]["op_name"] for event in events if event["name"].endswith("_kernel_time")]
    first, second = (index for index, kind in enumerate(ran) if kind == "GRU")
    assert ran[first:second].count("DequantizeLinear") == 2  # from state and input to gates; the biases are small


def test_exporting_twice_gives_the_same_bytes() -> None:
    network = made(WIDE)
    assert to_onnx(network, "float16") == to_onnx(network, "float16")


def refused(network: DeepSpeech2) -> None:
    with pytest.raises(TrainingError) as caught:
        bundle_of(network)
    expected = r"export refused: ONNX Runtime and PyTorch differ by \S+, and 0\.0001 is the most\."
    assert re.fullmatch(expected, str(caught.value))


@pytest.mark.parametrize("change", [1e-2, float("nan")])
def test_a_graph_that_says_something_else_is_refused(monkeypatch: pytest.MonkeyPatch, change: float) -> None:
    network, other = made(WIDE), made(WIDE)
    dict(other.named_parameters())["recurrent.1.gru.weight_hh"].data[1, 5] += change
    real = to_onnx
    monkeypatch.setattr(export, "to_onnx", lambda _, weights="float32": real(other, weights))
    refused(network)


def test_gates_in_torchs_order_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # ONNX's GRU puts the update gate first. Were the rows not moved, the graph would be valid and the text nonsense.
    real = to_onnx

    def unmoved(network: DeepSpeech2, weights: Weights = "float32") -> bytes:
        swapped = made(WIDE)
        for layer in swapped.recurrent:
            assert isinstance(layer, RecurrentLayer)
            for parameter in layer.gru.parameters():
                reset, update, new = parameter.data.chunk(3, dim=1)
                parameter.data = torch.cat((update, reset, new), dim=1)
        return real(swapped, weights)

    monkeypatch.setattr(export, "to_onnx", unmoved)
    refused(made(WIDE))


def test_a_network_of_nan_is_refused() -> None:
    network = made(WIDE)
    with torch.no_grad():
        network.projection.weight[0, 0] = float("nan")
    with pytest.raises(TrainingError, match="export refused"):
        bundle_of(network)


def test_export_leaves_dropout_out_of_a_network_in_training() -> None:
    assert check_parity(made(WIDE).train(), ragged()) < PARITY
