"""`auricle data splice`: all that was said is said again, in another order, where no sound is torn."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from command import Run

from auricle import audio
from auricle.corpora.splicing import RATE, cuts, join, pieces
from auricle.manifest import Utterance, read_manifest, read_manifests, write_manifest
from auricle.metrics import corpus_rate, word_errors
from auricle.recognizer import Recognizer, load
from auricle.transcript import Word

pytestmark = pytest.mark.needs_embedded_model


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return load("english", threads=1)


def words_of(utterances: list[Utterance]) -> Counter[str]:
    return Counter(word for utterance in utterances for word in (utterance.text or "").split())


def seconds_of(utterances: list[Utterance]) -> float:
    return sum(utterance.duration or 0.0 for utterance in utterances)


def bursts(*levels: float) -> tuple[np.ndarray, list[Word]]:
    """Half seconds of noise, each as loud as it is told, and a word in every other one, the quiet ones between."""
    noise = np.random.default_rng(3).standard_normal((len(levels), RATE // 2)).astype(np.float32)
    samples = (noise * np.asarray(levels, np.float32)[:, None]).reshape(-1)
    return samples, [Word(f"word{i}", i / 2, i / 2 + 0.5, 1.0) for i in range(0, len(levels), 2)]


def texts_of(samples: np.ndarray, words: list[Word], seed: int) -> list[str]:
    return [piece.text for piece in pieces(samples, words, np.random.default_rng(seed))]


def test_all_that_was_said_is_said_again(auricle: Run, clips: Path, tmp_path: Path, recognizer: Recognizer) -> None:
    result = auricle("data", "splice", clips / "clips.jsonl", "-o", tmp_path / "out", "--times", 2, "--threads", 1)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"{tmp_path / 'out/train.jsonl'}: ")
    whole, spliced = read_manifest(clips / "clips.jsonl"), read_manifest(tmp_path / "out/train.jsonl")
    assert words_of(spliced) == words_of([*whole, *whole])
    assert seconds_of(spliced) == pytest.approx(2 * seconds_of(whole), rel=0.02)
    assert {utterance.speaker for utterance in spliced} == {"librivox-austen"}
    orders = {pair for utterance in whole for pair in pairwise((utterance.text or "").split())}
    new = [pair for utterance in spliced for pair in pairwise((utterance.text or "").split()) if pair not in orders]
    assert len(new) > 20
    for utterance in spliced:
        waveform = audio.read(utterance.audio_filepath, rate=RATE)
        assert waveform.duration == pytest.approx(utterance.duration, abs=1e-4)
        # What the text has is heard there: another recording's text scores below -2.5.
        assert recognizer.align(waveform, utterance.text or "").score > -1.7


def test_the_words_are_still_heard(auricle: Run, clips: Path, tmp_path: Path, recognizer: Recognizer) -> None:
    assert auricle("data", "splice", clips / "clips.jsonl", "-o", tmp_path / "out", "--seed", 5).code == 0
    errors = [
        word_errors(one.text or "", recognizer.transcribe(audio.read(one.audio_filepath, rate=RATE)).plain_text)
        for one in read_manifest(tmp_path / "out/train.jsonl")
    ]
    # Whole, 4 % are wrong. Pieces make no sense, and a language model is of little use to them.
    assert corpus_rate(errors) < 0.35


def test_a_seed_gives_the_same_files_and_another_gives_others(auricle: Run, clips: Path, tmp_path: Path) -> None:
    def heard(name: str, seed: int) -> list[tuple[str | None, bytes]]:
        options = ("-o", tmp_path / name, "--seed", seed, "--threads", 1)
        assert auricle("data", "splice", clips / "clips.jsonl", *options).code == 0
        spliced = read_manifest(tmp_path / name / "train.jsonl")
        return [(utterance.text, utterance.audio_filepath.read_bytes()) for utterance in spliced]

    first = heard("first", 1)
    assert heard("again", 1) == first
    assert heard("other", 2) != first


def test_other_recordings_with_the_same_seed_are_learnt_from_beside_them(
    auricle: Run, clips: Path, tmp_path: Path
) -> None:
    whole = read_manifest(clips / "clips.jsonl")
    made = []
    for name, part in (("first", whole[:2]), ("rest", whole[2:])):
        write_manifest(part, tmp_path / f"{name}.jsonl")
        assert auricle("data", "splice", tmp_path / f"{name}.jsonl", "-o", tmp_path / name, "--threads", 1).code == 0
        made.append(tmp_path / name / "train.jsonl")
    assert words_of(read_manifests(made)) == words_of(whole)  # ids that two manifests share would be refused


def test_it_cuts_where_it_is_quiet() -> None:
    samples, words = bursts(0.3, 0.001, 0.3, 0.02, 0.3)
    pause, softer = cuts(samples, words, np.random.default_rng(0))
    assert 0.5 * RATE <= pause.sample <= RATE
    assert 1.5 * RATE <= softer.sample <= 2 * RATE
    assert pause.level < softer.level - 15
    assert pause.level == pytest.approx(20 * np.log10(0.001 / 0.3), abs=6)


def test_what_is_said_in_one_breath_stays_together() -> None:
    samples, words = bursts(0.3, *[0.2, 0.3] * 5, 0.001, 0.3)
    together, alone = [" ".join(word.text for word in part) for part in (words[:6], words[6:])]
    found = {text for seed in range(8) for text in texts_of(samples, words, seed)}
    assert found <= {together, alone, f"{together} {alone}"}
    assert alone in found


def test_a_piece_has_from_one_word_to_seven() -> None:
    samples, words = bursts(0.3, *[0.001, 0.3] * 30)
    counts = Counter(len(text.split()) for seed in range(30) for text in texts_of(samples, words, seed)[:-1])
    assert set(counts) == set(range(1, 8))
    assert all(text.split() for seed in range(30) for text in texts_of(samples, words, seed))


def test_pieces_are_faded_into_each_other() -> None:
    ones = np.ones(1000, np.float32)
    joined = join([ones, -ones, ones * 0.5])
    assert len(joined) == 3 * 1000 - 2 * 80
    assert np.abs(np.diff(joined)).max() < 0.03
    assert join([ones]).tolist() == ones.tolist()


def test_what_cannot_be_spliced_is_left_out(auricle: Run, clips: Path, tmp_path: Path) -> None:
    rows = [
        {"id": "nobody", "audio_filepath": str(clips / "austen-0890.flac"), "text": "he did not"},
        {"id": "gone", "audio_filepath": str(clips / "gone.flac"), "text": "he did not", "speaker": "reader"},
        {"id": "silent", "audio_filepath": str(clips / "austen-0890.flac"), "speaker": "reader"},
        {
            "id": "another",
            "audio_filepath": str(clips / "austen-0890.flac"),
            "text": "chapters about horses and steam boats",
            "speaker": "reader",
        },
    ]
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = auricle("data", "splice", manifest, "-o", tmp_path / "out")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "there is nothing to splice: nobody: it has no speaker" in result.err
    assert not (tmp_path / "out/train.jsonl").exists()

    good = json.loads((clips / "clips.jsonl").read_text().splitlines()[0])
    good["audio_filepath"] = str(clips / good["audio_filepath"])
    with manifest.open("a") as file:
        file.write(json.dumps(good) + "\n")
    result = auricle("data", "splice", manifest, "-o", tmp_path / "out")
    assert result.code == 0
    assert "4 left out; the first, nobody: it has no speaker" in result.err
    assert words_of(read_manifest(tmp_path / "out/train.jsonl")) == Counter(good["text"].split())


def test_a_folder_that_cannot_be_written_is_named(auricle: Run, clips: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    result = auricle("data", "splice", clips / "clips.jsonl", "-o", tmp_path / "out")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "cannot be written" in result.err
