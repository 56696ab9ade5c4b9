"""Phones from training to transcripts: the toy recipe learns letters and phones, and is searched by both."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from command import Run

from auricle.bundle import ACOUSTIC, LANGUAGE_MODEL, PRONUNCIATIONS, RECURRENT, SPELLER, read_bundle

ROOT = Path(__file__).parents[2]
PHONES = (
    "AA", "AE", "AH", "AO", "AW", "AX", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "HH",
    "IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "P", "R", "S", "SH", "T", "UH", "UW",
    "V", "W", "Y", "Z", "ZH", "TH", "OY", "G",
)  # fmt: skip
# The clips' 48 words without an accent of their own: letters stand for sounds.
SOUNDS = dict(zip("abcdefghijklmnopqrstuvwxyz", (
    "AE", "B", "K", "D", "EH", "F", "G", "HH", "IH", "JH", "K", "L", "M", "N", "AO", "P", "K", "R", "S", "T", "AH",
    "V", "W", "S", "Y", "Z",
), strict=True))  # fmt: skip
pytest.importorskip("torch")


def dictionary(path: Path, manifest: Path) -> Path:
    import json

    texts = [json.loads(line)["text"] for line in manifest.read_text().splitlines()]
    words = sorted({word for text in texts for word in text.split()})
    path.write_text("".join(f"{word}  {' '.join(SOUNDS[letter] for letter in word)}\n" for word in words))
    return path


def recipe(path: Path, epochs: int) -> Path:
    text = (ROOT / "recipes" / "tiny.toml").read_text()
    phones = f"phones = {list(PHONES)}\n".replace("'", '"')
    text = text.replace("[features]", f"{phones}\n[features]", 1).replace("epochs = 40", f"epochs = {epochs}")
    path.write_text(text.replace("score_every = 10", f"score_every = {epochs}"))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Path:
    """The folder of a short run with phones, with the dictionary that it was given."""
    folder = tmp_path_factory.mktemp("said")
    manifest = clips / "clips.jsonl"
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "auricle",
        "train",
        recipe(folder / "said.toml", 40),
        "--train",
        manifest,
    ]
    options: list[str | Path] = ["--dev", manifest, "--pronunciations", dictionary(folder / "words.dict", manifest)]
    places: list[str | Path] = ["--runs", folder, "--cache", folder / "cache"]
    done = subprocess.run(
        [*command, *options, *places], check=False, capture_output=True, text=True, timeout=300, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def lm(auricle: Run, clips: Path, tmp_path: Path) -> Path:
    path = tmp_path / "lm.npz"
    assert auricle("lm", "build", clips / "clips.jsonl", "--output", path, "--order", "3", "--prune", "0 0 0").code == 0
    return path


def test_a_run_with_phones_ends_as_a_bundle_with_phones(folder: Path) -> None:
    bundle = read_bundle(folder / "said" / "best.auricle")
    assert bundle.phones == tuple(PHONES)
    assert bundle.card["pronunciations"] == "words.dict"
    assert (folder / "said" / "report.html").exists()


def test_a_bundle_with_phones_is_given_pronunciations_tuned_and_used(
    auricle: Run, folder: Path, lm: Path, clips: Path, tmp_path: Path
) -> None:
    best, added, tuned = folder / "said" / "best.auricle", tmp_path / "added.auricle", tmp_path / "tuned.auricle"
    manifest = clips / "clips.jsonl"
    weights = ("--alpha", 0.4, "--beta", 1.5)
    result = auricle("lm", "add", best, lm, "--output", added, "--pronunciations", folder / "words.dict", *weights)
    assert (result.code, result.err) == (0, "")
    assert "pronunciations: 48 of 48 words" in result.out
    assert "will not be found" not in result.out
    assert {LANGUAGE_MODEL, PRONUNCIATIONS} <= read_bundle(added).files.keys()
    decoder = read_bundle(added).decoder
    for search in (decoder, decoder["phones"]):
        assert (search["lm_weight"], search["word_bonus"]) == (0.4, 1.5)

    options = ("--limit", 2, "--processes", 2, "--beam", 8, "--trained-on", manifest)
    result = auricle("lm", "tune", added, "-m", manifest, "--output", tuned, *options)
    assert result.code == 0, result.err
    assert "by phones: " in result.out
    bundle = read_bundle(tuned)
    phones = bundle.decoder["phones"]
    width = bundle.tokens - bundle.alphabet.tokens
    assert (len(phones["token_offsets"]), phones["beam"]) == (width, 8)
    assert len(phones["token_pairs"]) in {0, width}  # the search may find that none should be taken away
    taken = tmp_path / "taken.auricle"
    assert auricle("lm", "tune", tuned, "-m", manifest, "--output", taken, *options, "--weights", "pairs=0.3").code == 0
    assert len(read_bundle(taken).decoder["phones"]["token_pairs"]) == width
    assert phones["letters_weight"] >= 0
    assert len(bundle.decoder["token_offsets"]) == bundle.alphabet.tokens

    for choice in ([], ["--no-lm"], ["--hot-word", "selfish"]):
        result = auricle("transcribe", clips / "austen-0890.flac", "--model", tuned, *choice)
        assert result.code == 0, result.err
        assert result.out.strip()
    measured = auricle("evaluate", "-m", manifest, "--model", tuned)
    assert float(measured.out.split("WER")[1].split("%")[0]) < 50

    # Those of another model's words are of no use.
    other = auricle("lm", "add", tuned, lm, "--output", tmp_path / "other.auricle")
    assert other.code == 0
    assert PRONUNCIATIONS not in read_bundle(tmp_path / "other.auricle").files
    assert auricle("transcribe", clips / "austen-0880.flac", "--model", tmp_path / "other.auricle").code == 0


def test_a_recurrent_language_model_is_trained_added_tuned_and_used(
    auricle: Run, folder: Path, lm: Path, clips: Path, tmp_path: Path
) -> None:
    manifest, words, best = clips / "clips.jsonl", folder / "words.dict", folder / "said" / "best.auricle"
    recurrent, added, tuned = tmp_path / "recurrent.npz", tmp_path / "added.auricle", tmp_path / "tuned.auricle"
    toml = tmp_path / "small.toml"
    toml.write_text("clusters = [20]\nwidths = [16, 8]\nhidden = 16\nwords = 4000\nbatch_words = 50\n")
    other = tmp_path / "other.txt"
    other.write_text("he was not an ill disposed young man\nthe elder was selfish\n")
    same = ("lm", "train", manifest, other, "--weight", 3, "--weight", 1, "--lm", lm, "--recipe", toml)
    trained = auricle(*same, "--output", recurrent)
    assert (trained.code, trained.err) == (0, "")
    assert "kept        6 sentences" in trained.out
    assert f"{recurrent}: " in trained.out

    said = ("--pronunciations", words)
    result = auricle("lm", "add", best, lm, "--output", added, *said, "--recurrent", recurrent)
    assert (result.code, result.err) == (0, "")
    bundle = read_bundle(added)
    assert RECURRENT in bundle.files
    assert bundle.decoder["phones"]["recurrent_weight"] == 0.5

    # The same again from there on: a loss that a first run ended with is what a second one begins with.
    for given in (recurrent, added):
        again = auricle(*same, "--output", tmp_path / "again.npz", "--init", given)
        assert (again.code, again.err) == (0, "")
        assert nats_at_last(again.out) < nats_at_last(trained.out)
    refused = auricle(*same, "--output", tmp_path / "x.npz", "--init", best)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "the bundle has no recurrent language model." in refused.err

    width = ("--beam", 8, "--beam-threshold", 12.5, "--tuning-beam", 4, "--only-phones")
    result = auricle("lm", "tune", added, "-m", manifest, "--output", tuned, "--limit", 2, "--processes", 2, *width)
    assert result.code == 0, result.err
    letters, before = dict(read_bundle(tuned).decoder), dict(bundle.decoder)
    phones = letters.pop("phones")
    assert (phones["beam"], phones["beam_threshold"]) == (8, 12.5)
    assert "token_offsets" in phones
    calibration = ("confidence_", "compared_", "plain_", "phones")
    assert {name: value for name, value in letters.items() if not name.startswith(calibration)} == {
        name: value for name, value in before.items() if not name.startswith(calibration)
    }
    assert 0 <= read_bundle(tuned).decoder["phones"]["recurrent_weight"] <= 1
    assert "recurrent_weight" in result.out
    result = auricle("transcribe", clips / "austen-0890.flac", "--model", tuned)
    assert result.code == 0, result.err
    assert result.out.strip()

    # Another language model has other words; without phones there is nothing for it to judge.
    result = auricle("lm", "add", best, lm, "--output", tmp_path / "x.auricle", "--recurrent", recurrent)
    assert result.code == 1
    assert "give --pronunciations too" in result.err
    wider = tmp_path / "wider.npz"
    assert auricle("lm", "build", manifest, other, "--output", wider, "--order", "2", "--prune", "0 0").code == 0
    for given, message in ((wider, "of another language model's words"), (tmp_path / "none.npz", "cannot read")):
        path = (wider, recurrent) if given is wider else (lm, given)
        result = auricle("lm", "add", best, path[0], "--output", tmp_path / "x.auricle", *said, "--recurrent", path[1])
        assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
        assert message in result.err


def nats_at_last(printed: str) -> float:
    """Return the loss that `lm train` says a run ended with."""
    found = re.search(r"([\d.]+) nats a word at last", printed)
    assert found, printed
    return float(found[1])


def read(auricle: Run, clips: Path, model: Path) -> list[str]:
    """Return the words that a model reads in the clips."""
    names = sorted(map(str, clips.glob("*.flac")))
    result = auricle("transcribe", *names, "--model", model, "--plain", "--format", "txt")
    assert result.code == 0, result.err
    return result.out.split()


def spelling(path: Path) -> Path:
    path.write_text("layers = 1\nhidden = 32\nwidth = 32\nbatch_words = 60\nwords = 6000\npeak_rate = 4e-3\n")
    return path


def test_a_model_with_phones_learns_to_spell_and_hears_the_same_phones(
    auricle: Run, folder: Path, clips: Path, tmp_path: Path
) -> None:

    best, spelt, small = folder / "said" / "best.auricle", tmp_path / "spelt.auricle", tmp_path / "small.auricle"
    manifest = clips / "clips.jsonl"
    given = ("--train", manifest, "--pronunciations", folder / "words.dict", "--cache", folder / "cache")
    recipe = ("--recipe", spelling(tmp_path / "own.toml"))
    result = auricle("model", "spell", best, manifest, *given, *recipe, "--output", spelt)
    assert result.code == 0, result.err
    assert "5 recordings" in result.out
    assert re.search(r"[\d,]+ weights more", result.out)
    bundle = read_bundle(spelt)
    assert (bundle.card["speller"]["layers"], bundle.card["speller"]["hidden"]) == (1, 32)
    assert "started_from" not in bundle.card["speller"]
    assert bundle.files[ACOUSTIC] == read_bundle(best).files[ACOUSTIC]
    assert "speller.onnx" in auricle("model", "show", spelt).out

    assert auricle("export", spelt, small, "--weights", "int8").code == 0
    assert len(read_bundle(small).files[SPELLER]) < 0.7 * len(bundle.files[SPELLER])
    before, after, stored = (read(auricle, clips, path) for path in (best, spelt, small))
    assert before != after
    assert len(set(after) ^ set(stored)) < len(after) / 5
    measured = auricle("evaluate", "-m", manifest, "--model", spelt)
    assert float(measured.out.split("WER")[1].split("%")[0]) < 50

    again = ("--init", spelt, "--max-time", 0.05, "--output", tmp_path / "again.auricle")
    assert auricle("model", "spell", best, manifest, *given, *recipe, *again).code == 0
    assert read_bundle(tmp_path / "again.auricle").card["speller"]["started_from"] == "spelt.auricle"
    refused = auricle("model", "spell", best, manifest, *given, *recipe, *again, "--init", best)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "has not learnt to spell" in refused.err

    taken = tmp_path / "taken.auricle"
    assert auricle("model", "spell", best, "--init", spelt, "--output", taken).code == 0
    assert read(auricle, clips, taken) == after
    mean = tmp_path / "mean.auricle"
    assert auricle("model", "average", spelt, best, "--output", mean).code == 0
    assert read(auricle, clips, mean) == after
    assert auricle("model", "average", best, spelt, "--output", mean).code == 0
    assert "speller" not in read_bundle(mean).card
    assert read(auricle, clips, mean) == before
    assert auricle("model", "spell", best, "--output", tmp_path / "none.auricle").code == 2
    assert auricle("model", "spell", best, manifest, "--output", tmp_path / "none.auricle").code == 2


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--weight", 1, "--weight", 2), 2, "1 texts need as many weights"),
        (("--recipe", "none.toml"), 1, "none.toml: cannot read the recipe"),
        (("--exclude", "{manifest}"), 1, "nothing is left of it to learn from"),
        (("--output", "x.zip"), 2, ".auricle"),
        (("--pronunciations", "none.dict"), 1, "none.dict"),
    ],
)
def test_model_spell_says_what_is_wrong(  # noqa: PLR0917  (pytest gives them by name)
    auricle: Run, folder: Path, clips: Path, tmp_path: Path, options: tuple[str | int, ...], code: int, message: str
) -> None:
    manifest = clips / "clips.jsonl"
    given = [str(option).format(manifest=manifest) for option in options]
    needed = {
        "--recipe": spelling(tmp_path / "own.toml"),
        "--pronunciations": folder / "words.dict",
        "--output": tmp_path / "x.auricle",
        "--cache": folder / "cache",
        "--train": manifest,
    }
    rest = [str(part) for name, value in needed.items() if name not in given for part in (name, value)]
    result = auricle("model", "spell", folder / "said" / "best.auricle", manifest, *rest, *given)
    assert result.code == code
    assert message in " ".join(result.err.replace("│", " ").split())
    assert not list(tmp_path.glob("x.*"))


def test_a_model_without_phones_cannot_learn_to_spell(
    auricle: Run, toy_bundle: Path, clips: Path, tmp_path: Path
) -> None:
    manifest = clips / "clips.jsonl"
    words = dictionary(tmp_path / "words.dict", manifest)
    given = ("--train", manifest, "--pronunciations", words, "--recipe", spelling(tmp_path / "own.toml"))
    result = auricle("model", "spell", toy_bundle, manifest, *given, "--output", tmp_path / "x.auricle")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "the model knows no phones" in result.err


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--weight", 1, "--weight", 2), 2, "1 texts need as many weights"),
        (("--output", "/proc/x.npz"), 1, "/proc/x.npz cannot be written"),
        (("--output", "/"), 1, "/ cannot be written: Is a directory"),
        (("--weight", 0), 2, "one of them must be above zero"),
        (("--recipe", "none.toml"), 1, "none.toml: cannot read the recipe"),
        (("--lm", "none.npz"), 1, "none.npz: cannot read the language model"),
        (("--exclude", "{manifest}"), 1, "nothing is left of it to learn from"),
        (("--init", "none.npz"), 1, "none.npz: cannot read the recurrent language model"),
        (("--init", "{manifest}"), 1, "not a recurrent language model"),
    ],
)
def test_lm_train_says_what_is_wrong(  # noqa: PLR0917  (pytest gives them by name)
    auricle: Run, lm: Path, clips: Path, tmp_path: Path, options: tuple[str | int, ...], code: int, message: str
) -> None:
    manifest, output = clips / "clips.jsonl", tmp_path / "x.npz"
    given = [str(option).format(manifest=manifest) for option in options]
    model = () if "--lm" in given else ("--lm", lm)
    recipe = () if "--recipe" in given else ("--recipe", ROOT / "recipes" / "words.toml")
    result = auricle("lm", "train", manifest, "--output", output, *model, *recipe, *given)
    assert result.code == code
    assert message in " ".join(result.err.replace("│", " ").split())
    assert not output.exists()


def test_a_dictionary_of_other_words_or_phones_is_refused(auricle: Run, folder: Path, lm: Path, tmp_path: Path) -> None:
    for number, words in enumerate(("zoo  Z UW\n", "he  h i\n")):
        given = tmp_path / f"{number}.dict"
        given.write_text(words)
        output = tmp_path / "x.auricle"
        result = auricle(
            "lm", "add", folder / "said" / "best.auricle", lm, "--output", output, "--pronunciations", given
        )
        assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
        assert f"{given}: says none of the language model's words" in result.err
        assert not output.exists()


def test_a_model_without_phones_has_no_use_for_pronunciations(
    auricle: Run, lm: Path, toy_bundle: Path, clips: Path, tmp_path: Path
) -> None:
    words = dictionary(tmp_path / "words.dict", clips / "clips.jsonl")
    result = auricle("lm", "add", toy_bundle, lm, "--output", tmp_path / "x.auricle", "--pronunciations", words)
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "the model knows no phones" in result.err


def test_training_with_phones_asks_how_words_are_said(auricle: Run, clips: Path, tmp_path: Path) -> None:
    toml = recipe(tmp_path / "said.toml", 1)
    result = auricle("train", toml, "--train", clips / "clips.jsonl", "--runs", tmp_path, "--cache", tmp_path / "cache")
    assert result.code == 2
    said = " ".join(result.err.replace("│", " ").split())
    assert "has phones, so say how words are said: make a dictionary with `auricle lm pronounce`" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["said.toml"]
