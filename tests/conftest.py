"""What tests of several rooms share: a small model, real recordings, and the mark for what needs the real model."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from auricle import audio
from auricle.alphabet import ENGLISH
from auricle.bundle import embedded_names, write_bundle
from auricle.features import FeatureConfig, Normalization, log_mel
from auricle.recognizer import Recognizer

# By hand, each run looks somewhere new; a shared machine has to give the same answer to the same commit.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

CLIPS = Path(__file__).parent / "clips"
WAV = CLIPS / "formats" / "austen-0890-pcm16.wav"
_MARK = "needs_embedded_model"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{_MARK}: skipped while the package ships no English model")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("-m"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="takes minutes: ask for it with -m slow"))
    if "english" in embedded_names():
        return
    for item in items:
        if item.get_closest_marker(_MARK):
            item.add_marker(pytest.mark.skip(reason="there is no src/auricle/models/english.auricle"))


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of real recordings."""
    return CLIPS


@pytest.fixture(scope="session")
def toy_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, "toy", of a small network with random weights: it hears words in speech and none in silence."""
    torch = pytest.importorskip("torch")
    from auricle.training.export import to_bundle
    from auricle.training.network import DeepSpeech2
    from auricle.training.recipe import NetworkConfig

    features = FeatureConfig(mel=40)
    config = NetworkConfig(
        channels=4, stride_time=4, residual_layers=1, gru_layers=1, gru_hidden=16, gru_input=24, classifier_hidden=0
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        network = DeepSpeech2(config, features.mel, ENGLISH.tokens).eval()
    normalization = Normalization(np.full(40, -8.0, np.float32), np.full(40, 3.0, np.float32))

    last: Any = network.classifier[-1]

    def states(samples: np.ndarray) -> Any:
        """What the last layer sees, [frames, width]."""
        x = torch.from_numpy(normalization(log_mel(samples, features)))[None]
        seen: list[Any] = []
        with last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])):
            network(x, torch.tensor([x.shape[1]]))
        return seen[0].reshape(-1, seen[0].shape[-1])

    speech = audio.read(CLIPS / "austen-0890.flac").samples
    with torch.inference_mode():
        spoken, silent = states(speech), states(np.zeros(16_000, np.float32))
        # A random network says one letter throughout. Its differences are made large, and the blank gets the direction
        # in which silence differs from speech.
        last.weight *= 20
        last.bias -= (spoken @ last.weight.T).mean(dim=0)
        away = silent.mean(dim=0) - spoken.mean(dim=0)
        last.weight[0] = 40 * away / away.norm() ** 2
        last.bias[0] = -last.weight[0] @ (silent.mean(dim=0) + spoken.mean(dim=0)) / 2
    bundle = to_bundle(
        network,
        name="toy",
        version="0.0.1",
        created="2026-11-22T00:00:00+00:00",
        features=features,
        normalization=normalization,
        alphabet=ENGLISH,
        card={"parameters": network.parameter_count, "licence": "none", "trained_on": ["nothing"]},
    )
    assert len(Recognizer(bundle, threads=1).transcribe(speech, sample_rate=16_000).words) > 3
    path = tmp_path_factory.mktemp("models") / "toy.auricle"
    write_bundle(bundle, path)
    return path


@pytest.fixture
def pipe() -> Iterator[io.BufferedReader]:
    """The end of a pipe that a recording comes out of."""
    reading, writing = os.pipe()

    def feed() -> None:
        with os.fdopen(writing, "wb") as end:
            end.write(WAV.read_bytes())

    feeder = threading.Thread(target=feed)
    feeder.start()
    with os.fdopen(reading, "rb") as end:
        yield end
    feeder.join()
