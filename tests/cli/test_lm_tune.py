"""`auricle lm tune` on real speech: a small language model of what is said, and one that knows nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import Run

from auricle.alphabet import Alphabet
from auricle.bundle import find_bundle, read_bundle, write_bundle

pytestmark = pytest.mark.needs_embedded_model


@pytest.fixture
def with_lm(auricle: Run, clips: Path, tmp_path: Path) -> Path:
    """The shipped model with a language model of the very sentences that are said, and weights that make little of it.

    Without a bonus for words far too high, the price of unknown words alone would have most of them right.
    """
    lm, bundle = tmp_path / "lm.npz", tmp_path / "with-lm.auricle"
    assert auricle("lm", "build", clips / "clips.jsonl", "--output", lm, "--order", "3", "--prune", "0 0 0").code == 0
    assert auricle("lm", "add", "english", lm, "--output", bundle, "--alpha", "0", "--beta", "24").code == 0
    return bundle


def test_it_finds_weights_that_help_and_makes_them_the_bundles_own(
    auricle: Run, clips: Path, with_lm: Path, tmp_path: Path
) -> None:
    tuned, picture = tmp_path / "tuned.auricle", tmp_path / "tuning.png"
    manifest = ("-m", clips / "clips.jsonl")
    result = auricle(
        "lm", "tune", with_lm, *manifest, "--output", tuned, "--processes", 2, "--beam", 32, "--picture", picture
    )
    assert result.code == 0, result.err
    defaults = read_bundle(tuned).decoder
    assert defaults["lm_weight"] > 0
    assert f"lm_weight {defaults['lm_weight']}" in result.out
    expected = {"word_bonus", "unknown_penalty", "acoustic_weight", "confidence_slope", "confidence_offset"}
    assert expected <= defaults.keys()
    assert len(defaults["token_offsets"]) == 29
    assert defaults["token_pairs"] == []
    assert defaults["beam"] == 32
    assert picture.read_bytes().startswith(b"\x89PNG")

    def errors(bundle: Path) -> str:
        return auricle("evaluate", *manifest, "--model", bundle).out.split("WER")[1].split("%")[0]

    assert float(errors(tuned)) < float(errors(with_lm)) - 10
    first = result.out.splitlines()[0]
    assert first.split("WER ")[1].rstrip("%") == errors(tuned).strip()


def test_the_texts_that_were_learnt_say_which_letters_follow_which(
    auricle: Run, clips: Path, with_lm: Path, tmp_path: Path
) -> None:
    tuned, learnt = tmp_path / "tuned.auricle", tmp_path / "learnt.jsonl"
    # No recording is opened for them.
    learnt.write_text('{"audio_filepath": "gone.wav", "text": "the quick queen quit the quiet queue"}\n')
    options = ("-m", clips / "clips.jsonl", "--limit", 1, "--processes", 2, "--beam", 8, "--trained-on", learnt)
    result = auricle("lm", "tune", with_lm, *options, "--output", tuned)
    assert result.code == 0, result.err
    bundle = read_bundle(tuned)
    pairs = np.array(bundle.decoder["token_pairs"])
    assert pairs.shape == (29, 29)
    q, u, i = bundle.alphabet.encode("qui")
    assert pairs[q, u] < pairs[q, i]  # what they expect is taken away
    assert pairs[0, bundle.alphabet.encode("t")[0]] < pairs[0, q]
    assert not pairs[:, 0].any()


def test_weights_that_are_given_are_taken(auricle: Run, clips: Path, tmp_path: Path) -> None:
    tuned = tmp_path / "tuned.auricle"
    options = ("-m", clips / "clips.jsonl", "--limit", 2, "--processes", 1, "--tuning-beam", 64)
    weights = ("--weights", "alpha=0.85, beta=-0.25, blank=0.125, prior=0, again=0.25", "--hearings", 2)
    picture = tmp_path / "reliability.png"
    result = auricle("lm", "tune", "english", *options, *weights, "--output", tuned, "--picture", picture)
    assert result.code == 0, result.err
    assert " ".join(result.out.split()).startswith("alpha 0.85 beta -0.25 blank 0.125 prior 0 again 0.25 other weights")
    own, before = read_bundle(tuned).decoder, find_bundle().decoder
    assert (own["phones"]["lm_weight"], own["phones"]["word_bonus"]) == (0.85, -0.25)
    assert (own["phones"]["hearings"], own["phones"]["again_weight"]) == (2, 0.25)
    assert "hearings" not in own
    assert own["phones"]["token_offsets"] == [0.125] + [0.0] * 41
    assert own["phones"]["beam"] == before["phones"]["beam"]
    for name in ("acoustic_weight", "letters_weight", "recurrent_weight", "token_pairs"):
        assert own["phones"][name] == before["phones"][name]
    assert own["lm_weight"] == before["lm_weight"]
    assert own["confidence_slope"] != before["confidence_slope"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_confidences_are_fitted_to_what_is_heard_in_noise_as_well(auricle: Run, clips: Path, tmp_path: Path) -> None:
    told = []
    # A siren, which no recording of a street need be fetched for.
    seconds = np.arange(3 * 16_000) / 16_000
    audio = tmp_path / "siren.wav"
    soundfile.write(audio, 0.3 * np.sin(2 * np.pi * (900 * seconds + 40 * np.sin(7 * seconds))), 16_000)
    (tmp_path / "noise.jsonl").write_text('{"audio_filepath": "siren.wav"}\n')
    for noise in ((), ("--noise", tmp_path / "noise.jsonl")):
        tuned = tmp_path / "tuned.auricle"
        options = ("-m", clips / "clips.jsonl", "--limit", 2, "--processes", 1, "--only-phones", "--weights", "alpha=1")
        result = auricle("lm", "tune", "english", *options, *noise, "--output", tuned)
        assert result.code == 0, result.err
        line = next(line for line in result.out.splitlines() if line.startswith("confidence:"))
        told.append(int(line.split("calibration, ")[1].split(" words")[0]))
        assert "without the language model: error" in result.out
        own = read_bundle(tuned).decoder
        assert own["plain_slope"] != own["confidence_slope"]
        assert {"compared_letters", "compared_agreement", "compared_around", "compared_offset"} <= own.keys()
    assert told[0] < told[1] <= 3 * told[0]


def test_letters_take_them_where_there_are_no_phones(auricle: Run, clips: Path, with_lm: Path, tmp_path: Path) -> None:
    tuned = tmp_path / "tuned.auricle"
    options = ("-m", clips / "clips.jsonl", "--limit", 1, "--processes", 1, "--weights", "alpha=0.85,unknown=-20")
    assert auricle("lm", "tune", with_lm, *options, "--output", tuned).code == 0
    own = read_bundle(tuned).decoder
    assert (own["lm_weight"], own["word_bonus"], own["unknown_penalty"]) == (0.85, 24, -20)
    assert own["token_offsets"] == read_bundle(with_lm).decoder.get("token_offsets", [])


def test_weights_of_a_model_that_writes_otherwise_are_no_start(auricle: Run, clips: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.auricle"
    write_bundle(replace(find_bundle(), alphabet=Alphabet(tuple("abc "))), other)
    result = auricle(
        "lm",
        "tune",
        "english",
        "-m",
        clips / "clips.jsonl",
        "--limit",
        1,
        "--start",
        other,
        "--output",
        tmp_path / "x.auricle",
    )
    assert result.code == 1
    assert "writes other letters or phones than english" in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--output", "x.zip"), 2, "does not end in .auricle"),
        (("--output", "{tmp}/x.auricle", "-m", "{tmp}/none.jsonl"), 1, "none.jsonl"),
        (("--output", "{tmp}/x.auricle", "--trained-on", "{tmp}/never.jsonl"), 1, "never.jsonl"),
        (("--output", "{tmp}/x.auricle", "--trained-on", "{tmp}/mute.jsonl"), 1, "mute.jsonl: holds no text"),
        (("--output", "{tmp}/x.auricle", "--weights", "alpha=1,gamma=2"), 1, "'gamma=2' says none of alpha, beta"),
        (("--output", "{tmp}/x.auricle", "--weights", "alpha=much"), 1, "'alpha=much' is not a name and a number"),
        (("--output", "{tmp}/x.auricle", "--weights", "alpha=nan"), 1, "a finite number"),
        (("--output", "{tmp}/x.auricle", "--weights", "pairs=0.2"), 1, "the texts of --trained-on, which is missing"),
        (("--output", "{tmp}/x.auricle", "--weights", "alpha=1", "--start", "english"), 1, "give one of them"),
        (("--output", "{tmp}/x.auricle", "--noise", "{tmp}/hush.jsonl"), 1, "hush.jsonl"),
        (
            ("--output", "{tmp}/x.auricle", "--noise", "{tmp}/empty.jsonl"),
            1,
            "empty.jsonl: the manifest has no utt",
        ),
        (("--output", "/proc/x.auricle"), 1, "/proc/x.auricle cannot be written"),
    ],
)
def test_what_cannot_be_tuned_is_one_sentence(  # noqa: PLR0917
    auricle: Run, clips: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "mute.jsonl").write_text('{"audio_filepath": "a.wav", "text": "123"}\n')
    filled = [argument.format(tmp=tmp_path) for argument in arguments]
    result = auricle("lm", "tune", "english", "-m", clips / "clips.jsonl", *filled)
    assert result.code == code
    assert message in result.err


def test_a_bundle_that_does_not_say_how_words_are_said_has_no_phones_to_tune(
    auricle: Run, clips: Path, with_lm: Path, tmp_path: Path
) -> None:
    options = ("-m", clips / "clips.jsonl", "--limit", 1, "--only-phones")
    result = auricle("lm", "tune", with_lm, *options, "--output", tmp_path / "x.auricle")
    assert (result.code, result.out) == (1, "")
    assert "does not say how words are said, so there are no weights of phones to find" in result.err
    assert not (tmp_path / "x.auricle").exists()
