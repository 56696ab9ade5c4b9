"""`auricle data synthesize`, with the real synthesiser: it says what the manifest has, and a seed repeats it."""

from __future__ import annotations

import hashlib
import sys
from importlib.machinery import ModuleSpec
from multiprocessing import active_children
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest
from command import Run

from auricle import audio
from auricle.alphabet import ENGLISH
from auricle.corpora import synthesis
from auricle.corpora.synthesis import Sentence, speakable
from auricle.corpora.voices import RATE, Kokoro
from auricle.errors import CorpusError
from auricle.language.spoken import read_spoken
from auricle.manifest import read_manifest, read_manifests
from auricle.metrics import corpus_rate, word_errors
from auricle.recognizer import load

TEXT = """\
The old gentleman's house stood at the end of the long road. Nobody had lived in it for many years!
"Where is Mr. Dashwood?" asked the lady, and her sister laughed. In 1811 they left for London.
It was raining again, and the children stayed in the kitchen with their mother.
"""


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text(TEXT)
    return path


def test_without_the_package_it_says_what_to_install(
    auricle: Run, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hibari", None)
    result = auricle("data", "synthesize", text, "-o", tmp_path / "out")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert 'run "pip install hibari-tts"' in result.err


def test_what_is_said_is_what_the_manifest_has(auricle: Run, text: Path, tmp_path: Path) -> None:
    pytest.importorskip("hibari")
    result = auricle("data", "synthesize", text, "-o", tmp_path / "out", "--hours", 0.002, "--processes", 1)
    assert (result.code, result.err) == (0, "")
    utterances = read_manifest(tmp_path / "out/train.jsonl")
    known = {written for _, written in read_spoken([text], ENGLISH)}
    assert {utterance.text for utterance in utterances} <= known
    assert sum(utterance.duration or 0 for utterance in utterances) >= 7.2
    recognizer = load("english", threads=1)
    errors = []
    for utterance in utterances:
        waveform = audio.read(utterance.audio_filepath, rate=RATE)
        assert waveform.duration == pytest.approx(utterance.duration, abs=1e-4)
        assert (utterance.speaker or "").startswith("hibari-heart-")
        errors.append(word_errors(utterance.text or "", recognizer.transcribe(waveform).plain_text))
    assert corpus_rate(errors) < 0.3


def test_a_seed_gives_the_same_files_however_many_processes(
    auricle: Run, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hibari")
    monkeypatch.setattr(synthesis, "_TOGETHER", 1)  # so that each process has several turns

    def files(name: str, seed: int, processes: int) -> dict[str | None, bytes]:
        options = ("--hours", 0.0028, "--seed", seed, "--processes", processes)
        assert auricle("data", "synthesize", text, "-o", tmp_path / name, *options).code == 0
        manifest = read_manifest(tmp_path / name / "train.jsonl")
        return {one.text: one.audio_filepath.read_bytes() for one in manifest}

    first = files("one", 1, 1)
    assert len(first) > 1
    second = files("two", 1, 2)
    assert list(second.items()) == list(first.items())
    other = files("other", 2, 1)
    assert first.keys() & other.keys()
    assert all(other[said] != first[said] for said in first.keys() & other.keys())


class FakeKokoro:
    """In place of `kokoro-onnx`, whose files of 100 MB are not there in a test: it hums as long as the text is."""

    styles: ClassVar[list[np.ndarray]] = []

    def __init__(self, voices: str) -> None:
        self.voices = np.load(voices)

    @classmethod
    def from_session(cls, session: object, voices: str) -> FakeKokoro:
        return cls(voices)

    def create(self, text: str, *, voice: np.ndarray, speed: float, lang: str, trim: bool) -> tuple[np.ndarray, int]:
        if "laughed" in text:
            raise ValueError("no phonemes.")
        assert lang == ("en-gb" if voice[0, 0, -1] == VOICES.index("bm_george") else "en-us")
        self.styles.append(voice)
        time = np.arange(int(24_000 * len(text) / 15 / speed)) / 24_000
        return np.sin(2 * np.pi * 200 * time) + (np.nan if "kitchen" in text else 0.0), 24_000


VOICES = ("af_heart", "am_adam", "bm_george", "zm_yunxi", "jf_alpha", "am_santa")


@pytest.fixture
def kokoro(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A network and its voices; each has its own number in all places."""
    module = ModuleType("kokoro_onnx")
    module.__spec__ = ModuleSpec("kokoro_onnx", None)
    module.Kokoro = FakeKokoro  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kokoro_onnx", module)
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *_, **__: None)
    model, voices = tmp_path / "kokoro.onnx", tmp_path / "voices.npz"
    model.write_bytes(b"")
    styles = {name: np.full((510, 1, 256), number, np.float32) for number, name in enumerate(VOICES)}
    np.savez(voices, **styles)  # type: ignore[arg-type]
    return model, voices


def test_kokoros_voices_are_mixed_within_a_sex_and_speak_as_english_ones_do(
    text: Path, tmp_path: Path, kokoro: tuple[Path, Path]
) -> None:
    FakeKokoro.styles.clear()
    sentences = [Sentence(*pair) for pair in read_spoken([text], ENGLISH)] * 20
    voice = Kokoro(*kokoro)
    made = synthesis.synthesize(sentences, tmp_path / "out", hours=0.03, voice=voice, processes=1)
    for utterance in made.utterances:
        engine, one, other, speaks = (utterance.speaker or "").split("-")
        assert engine == "kokoro"
        assert {one[1].upper(), other[1].upper(), speaks[1].upper()} == {utterance.sex}
    for style in FakeKokoro.styles:
        sound, prosody = style[0, 0, :128], style[0, 0, 128:]
        assert (np.ptp(sound), np.ptp(prosody)) == (0, 0)
        speaks = VOICES[int(prosody[0])]
        assert speaks in {"af_heart", "am_adam", "bm_george"}
        same = [VOICES.index(name) for name in VOICES[:-1] if name[1] == speaks[1]]
        assert min(same) <= sound[0] <= max(same)
    assert len({float(style[0, 0, 0]) for style in FakeKokoro.styles}) > 10
    reasons = set(made.left_out.values())
    assert {
        "it cannot be said: no phonemes.",
        "it cannot be said: not all of its samples are numbers.",
    } == reasons
    assert all(
        audio.read(one.audio_filepath).duration == pytest.approx(one.duration, abs=1e-4) for one in made.utterances
    )


@pytest.mark.parametrize(
    ("broken", "content", "said"),
    [
        ("kokoro.onnx", None, "kokoro.onnx: there is no such file"),
        ("voices.npz", b"no arrays", "cannot be used as Kokoro's"),
        ("voices.npz", {"zf_xiaobei": np.zeros((510, 1, 256))}, "none of its 1 voices is English"),
    ],
)
def test_what_kokoros_files_lack_is_said_in_one_sentence(
    kokoro: tuple[Path, Path], broken: str, content: bytes | dict[str, np.ndarray] | None, said: str
) -> None:
    path = kokoro[0].with_name(broken)
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        np.savez(path, **content)  # type: ignore[arg-type]
    with pytest.raises(CorpusError, match=said) as error:
        Kokoro(*kokoro).check()
    assert "\n" not in str(error.value)


def test_without_kokoros_package_it_says_what_to_install(
    auricle: Run, text: Path, kokoro: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kokoro_onnx", None)
    result = auricle("data", "synthesize", text, "-o", text.with_name("out"), "--kokoro", *kokoro)
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert 'run "pip install kokoro-onnx"' in result.err


def test_another_text_with_the_same_seed_is_learnt_from_beside_it(auricle: Run, text: Path, tmp_path: Path) -> None:
    pytest.importorskip("hibari")
    other = tmp_path / "other.txt"
    other.write_text("The ship came home at last, and all the people of the town ran down to the harbour.\n")
    made = []
    for path, hours in ((text, 0.002), (other, 0.0005)):
        options = ("--hours", hours, "--processes", 1)
        assert auricle("data", "synthesize", path, "-o", tmp_path / path.stem, *options).code == 0
        made.append(tmp_path / path.stem / "train.jsonl")
    assert len(read_manifests(made)) > 1  # ids that two manifests share would be refused


def test_what_a_model_is_measured_by_is_not_said(text: Path, tmp_path: Path) -> None:
    dev, hashes = tmp_path / "dev.txt", tmp_path / "dev.bin"
    dev.write_text("he said nobody had lived in it for many years i think")
    window = b"was raining again and the children stayed in"
    hashes.write_bytes(hashlib.blake2b(window, digest_size=8).digest())
    texts = [said for _, said in read_spoken([text], ENGLISH)]
    left = [said for _, said in read_spoken([text], ENGLISH, exclude=[dev], exclude_hashes=hashes)]
    assert len(left) == len(texts) - 2
    assert not any("lived" in said or "raining" in said for said in left)


def test_too_little_text_is_said_in_one_line_and_no_manifest_is_written(
    auricle: Run, text: Path, tmp_path: Path
) -> None:
    pytest.importorskip("hibari")
    result = auricle("data", "synthesize", text, "-o", tmp_path / "out", "--hours", 1, "--processes", 1)
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "4 of 5 sentences can be spoken" in result.err
    assert not (tmp_path / "out/train.jsonl").exists()


def test_no_hours_are_refused(auricle: Run, text: Path, tmp_path: Path) -> None:
    result = auricle("data", "synthesize", text, "-o", tmp_path / "out", "--hours", 0)
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "--hours above 0" in result.err


def test_a_process_that_is_killed_is_said_in_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("hibari")

    def kill_one(share: float, label: str) -> None:
        for child in active_children()[:1]:
            child.kill()

    sentence = "The old man walked along the quiet road to see his friend."
    sentences = [Sentence(sentence, ENGLISH.normalise(sentence))] * 2000
    with pytest.raises(CorpusError, match="ended from outside"):
        synthesis.synthesize(sentences, tmp_path, hours=10, processes=2, progress=kill_one)


@pytest.mark.parametrize(
    ("spoken", "trusted"),
    [
        ("The old gentleman's house stood there; nobody knew why.", True),
        ("I'd gone home, but O what a day!", True),
        ("In 1811 they left for London.", False),
        ("Chapter XIV begins here.", False),
        ("J. Austen wrote it at home.", False),
        ("See vol. two of the work.", False),
        ("It cost him £ and pence.", False),
        ("Oh no!", False),
        ("word " * 31, False),
    ],
)
def test_sentences_that_a_voice_may_read_otherwise_are_passed_over(spoken: str, trusted: bool) -> None:
    assert speakable(Sentence(spoken, ENGLISH.normalise(spoken))) is trusted
