from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from command import Run
from passage import ALICE

from auricle.alphabet import ENGLISH, Alphabet
from auricle.bundle import LANGUAGE_MODEL, RECURRENT, Bundle, find_bundle, read_bundle, write_bundle
from auricle.decoding.ngram import NgramModel
from auricle.features import FeatureConfig, Normalization


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "alice.txt"
    path.write_text(ALICE, encoding="utf-8")
    return path


@pytest.fixture
def lm(auricle: Run, text: Path, tmp_path: Path) -> Path:
    path = tmp_path / "lm.npz"
    assert auricle("lm", "build", text, "--output", path, "--prune", "0 0 0 0").code == 0
    return path


def bundle(path: Path, alphabet: Alphabet = ENGLISH, lm: bytes | None = None) -> Path:
    write_bundle(
        Bundle(
            name="small",
            version="1",
            created="2026-11-22T00:00:00+00:00",
            features=FeatureConfig(mel=2),
            normalization=Normalization(np.zeros(2, np.float32), np.ones(2, np.float32)),
            alphabet=alphabet,
            frame_seconds=0.04,
            files={"acoustic.onnx": b"a graph"} | ({} if lm is None else {LANGUAGE_MODEL: lm}),
            decoder={"beam": 8},
        ),
        path,
    )
    return path


def test_a_build_says_what_it_did(auricle: Run, text: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "dev.jsonl"
    said = "she had never before seen a rabbit with either a watch"
    manifest.write_text(json.dumps({"audio_filepath": "a.wav", "text": said}) + "\n")
    again = tmp_path / "again.txt"
    again.write_text("In another moment down went Alice after it, never once. Curiouser and curiouser!\n")
    output, arpa = tmp_path / "lm.npz", tmp_path / "lm.arpa"
    result = auricle(
        "lm", "build", text, text, again, "--output", output, "--exclude", again, "--heldout", manifest, "--arpa", arpa
    )
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "read        28 sentences, 875 words"
    # Ten sentences are long enough to count once; "again" goes whole, for a window runs over both of its sentences.
    assert lines[1] == "left out    10 duplicates, 4 excluded"
    assert re.fullmatch(r"vocabulary  \d{3} of \d{3} words", lines[3])
    assert re.fullmatch(r"3-grams     \d+ of \d+", lines[6])
    assert lines[8].startswith(f"{output}: 0.0")
    assert re.fullmatch(
        re.escape(f"{manifest}: perplexity ") + r"[\d.]+ \([\d.]+ without unknown words\), [\d.]+ % unknown, "
        "1 sentences, 11 words",
        lines[9],
    )
    model = NgramModel.from_bytes(output.read_bytes())
    assert model.order == 4
    assert "curiouser" not in model.words
    assert arpa.read_text().startswith("\\data\\\nngram 1=")


def test_settings_reach_the_model(auricle: Run, text: Path, tmp_path: Path) -> None:
    output = tmp_path / "lm.npz"
    options = ("--order", 2, "--prune", "0,1", "--vocabulary", 20, "--min-count", 2)
    assert auricle("lm", "build", text, "--output", output, *options).code == 0
    trie = NgramModel.from_bytes(output.read_bytes()).trie
    assert (trie.order, len(trie.words)) == (2, 20)
    kept = auricle("lm", "build", text, "--output", output, "--keep", "--order", 3)
    assert kept.code == 0
    assert NgramModel.from_bytes(output.read_bytes()).order == 3


def test_words_without_ngrams_can_be_found_too(auricle: Run, lm: Path, text: Path, tmp_path: Path) -> None:
    output = tmp_path / "wider.npz"
    result = auricle("lm", "build", text, "--output", output, "--vocabulary", 40, "--rare", 60)
    assert (result.code, result.err) == (0, "")
    assert re.search(r"^rare words  60, [\d.]+ % of all the others$", result.out, re.MULTILINE)
    wider = NgramModel.from_bytes(output.read_bytes())
    assert (len(wider.vocabulary), len(wider.words)) == (40, 100)
    assert set(wider.words) < set(NgramModel.from_bytes(lm.read_bytes()).words)
    arpa = tmp_path / "wider.arpa"
    assert auricle("lm", "convert", output, arpa).code == 0
    assert "ngram 1=40\n" in arpa.read_text()  # to others they are unknown words
    again = tmp_path / "again.npz"
    assert auricle("lm", "build", text, "--output", again, "--vocabulary", output, "--order", 2).code == 0
    assert NgramModel.from_bytes(again.read_bytes()).words == wider.vocabulary
    for given in ("3", "65537"):
        refused = auricle("lm", "build", text, "--output", again, "--vocabulary", given)
        assert refused.code == 2
        assert f"{given} is not in the range 4 to 65536." in " ".join(refused.err.split())
    missing = auricle("lm", "build", text, "--output", again, "--vocabulary", tmp_path / "none.npz")
    assert (missing.code, len(missing.err.splitlines())) == (1, 1)


def test_the_embedded_model_learns_words_of_ones_own(auricle: Run, tmp_path: Path) -> None:
    text, lm, said, output = (tmp_path / name for name in ("own.txt", "own.npz", "own.dict", "own.auricle"))
    text.write_text("the grumblebee and the grumblebee\n")
    said.write_text("grumblebee  G R AH1 M B AH0 L B IY0\nthe  DH AH0\nand  AE1 N D\n")
    assert auricle("lm", "build", text, "--vocabulary", "english", "--rare", 9, "--order", 2, "--output", lm).code == 0
    # Rare words leave the vocabulary as it is, so that what was learnt of it goes on fitting.
    add = ("lm", "add", "english", lm, "--pronunciations", said, "--output", output)
    result = auricle(*add, "--recurrent", "english")
    assert (result.code, result.err) == (0, "")
    english, made = find_bundle("english"), read_bundle(output)
    assert made.files[RECURRENT] == english.files[RECURRENT]
    model = NgramModel.from_bytes(made.files[LANGUAGE_MODEL])
    assert model.vocabulary == NgramModel.from_bytes(english.files[LANGUAGE_MODEL]).vocabulary
    assert model.words[len(model.vocabulary) :] == ("grumblebee",)
    none = auricle(*add, "--recurrent", bundle(tmp_path / "small.auricle"))
    assert (none.code, len(none.err.splitlines())) == (1, 1)
    assert "small.auricle: the bundle has no recurrent language model." in none.err


def test_texts_are_mixed_by_what_they_tell_of_the_heldout_one(auricle: Run, text: Path, tmp_path: Path) -> None:
    other, dev = tmp_path / "other.txt", tmp_path / "dev.txt"
    other.write_text("the court heard the case\nthe judge of the court was fair\nthe case was closed by the judge\n")
    dev.write_text("the rabbit went down the hole and alice after it\n")
    options = ("--output", tmp_path / "lm.npz", "--prune", "0 0 0 0", "--heldout", dev)
    result = auricle("lm", "build", text, other, "--mix", *options)
    assert (result.code, result.err) == (0, "")
    weights = re.findall(r"mixed       ([\d.]+) % (.*)", result.out)
    assert [path for _, path in weights] == [str(text), str(other)]
    assert float(weights[0][0]) > 60
    assert sum(float(weight) for weight, _ in weights) == pytest.approx(100, abs=0.2)
    poured = auricle("lm", "build", text, other, *options)
    (mixed, plain) = (float(re.findall(r"perplexity ([\d.]+)", one.out)[0]) for one in (result, poured))
    assert mixed < plain
    other.write_text("\n")
    emptied = auricle("lm", "build", text, other, "--mix", *options)
    assert (emptied.code, len(emptied.err.splitlines())) == (1, 1)
    assert f"{other}: nothing is left of it to mix" in emptied.err
    refused = auricle("lm", "build", text, "--mix", *options)
    assert refused.code == 2
    assert "needs two texts or more, and --heldout to weigh them by." in " ".join(refused.err.split())


def test_hashes_exclude_too(auricle: Run, text: Path, tmp_path: Path) -> None:
    import hashlib

    window = b"in another moment down went alice after it"
    hashes = tmp_path / "heldout.bin"
    hashes.write_bytes(hashlib.blake2b(window, digest_size=8).digest())
    result = auricle("lm", "build", text, "--output", tmp_path / "lm.npz", "--exclude-hashes", hashes)
    assert result.out.splitlines()[1] == "left out    0 duplicates, 1 excluded"


def test_perplexity_is_lower_for_text_that_was_learnt(auricle: Run, lm: Path, text: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("It is a truth universally acknowledged, that a single man must be in want of a wife.")
    result = auricle("lm", "perplexity", lm, text, other)
    assert (result.code, result.err) == (0, "")
    learnt, foreign = (float(re.findall(r"perplexity ([\d.]+)", line)[0]) for line in result.out.splitlines())
    assert learnt < 10 < foreign
    assert "0.00 % unknown" in result.out.splitlines()[0]


def test_models_are_converted_to_arpa_and_back(auricle: Run, lm: Path, text: Path, tmp_path: Path) -> None:
    assert auricle("lm", "convert", lm, tmp_path / "a.arpa").code == 0
    result = auricle("lm", "convert", tmp_path / "a.arpa", tmp_path / "b.npz")
    counts = " + ".join(f"{count:,}" for count in NgramModel.from_bytes(lm.read_bytes()).trie.counts)
    assert result.out.startswith(f"{tmp_path / 'b.npz'}: {counts} n-grams, ")
    first, second = (auricle("lm", "perplexity", p, text).out for p in (lm, tmp_path / "b.npz"))
    assert first == second
    assert auricle("lm", "convert", lm, tmp_path / "a.bin").code == 2


def test_a_language_model_is_added_to_a_bundle(auricle: Run, lm: Path, text: Path, tmp_path: Path) -> None:
    source, output = bundle(tmp_path / "small.auricle", lm=b"an older one"), tmp_path / "new.auricle"
    result = auricle("lm", "add", source, lm, "--output", output, "--alpha", 0.7)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[1] == "decoder: lm_weight 0.7, word_bonus 1"
    new = read_bundle(output)
    assert new.files == {"acoustic.onnx": b"a graph", LANGUAGE_MODEL: lm.read_bytes()}
    assert new.decoder == {"kind": "beam", "beam": 8, "lm_weight": 0.7, "word_bonus": 1.0}
    assert auricle("lm", "add", output, lm, "--output", source, "--beta", -0.5).code == 0
    assert read_bundle(source).decoder == {"kind": "beam", "beam": 8, "lm_weight": 0.7, "word_bonus": -0.5}
    measured = auricle("lm", "perplexity", output, text)
    assert measured.out == auricle("lm", "perplexity", lm, text).out


def test_an_alphabet_of_other_letters_is_refused(auricle: Run, lm: Path, tmp_path: Path) -> None:
    source = bundle(tmp_path / "greek.auricle", Alphabet(tuple(" αβγδ")))
    result = auricle("lm", "add", source, lm, "--output", tmp_path / "new.auricle")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "cannot write" in result.err
    assert "auricle lm build --model" in result.err
    few = bundle(tmp_path / "few.auricle", Alphabet(tuple(" 'abcdefghijklmnoprstuvwxy")))
    result = auricle("lm", "add", few, lm, "--output", tmp_path / "new.auricle")
    assert result.out.splitlines()[2] == "1 words have characters that the model cannot write, and will not be found"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("build", "none.txt", "--output", "x.npz"), "none.txt: cannot read a text"),
        (("build", "alice.txt", "--output", "x.npz", "--prune", "0 1"), "give 4 thresholds"),
        (("build", "alice.txt", "--output", "x.npz", "--exclude", "alice.txt"), "there is no text to build"),
        (("build", "alice.txt", "--output", "x.npz", "--model", "klingon"), "no model is called 'klingon'"),
        (("build", "alice.txt", "--output", "alice.txt/x.npz"), "cannot be written"),
        (("build", "alice.txt", "--output", "x.npz", "--arpa", "none/x.arpa"), "x.arpa cannot be written"),
        (("perplexity", "alice.txt", "alice.txt"), "alice.txt: the language model is damaged"),
        (("perplexity", "none.npz", "alice.txt"), "none.npz: cannot read the language model"),
        (("perplexity", "small.auricle", "alice.txt"), "small.auricle: the bundle has no language model: add one"),
        (("convert", "none.arpa", "x.npz"), "none.arpa: cannot read an ARPA file"),
        (("add", "none.auricle", "lm.npz", "--output", "x.auricle"), "none.auricle: there is no such model bundle"),
        (("add", "small.auricle", "lm.npz", "--output", "alice.txt/x.auricle"), "cannot be written"),
    ],
)
def test_what_goes_wrong_is_one_line(  # noqa: PLR0917
    auricle: Run, lm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    bundle(tmp_path / "small.auricle")
    before = sorted(path.name for path in tmp_path.iterdir())
    result = auricle("lm", *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert said in result.err
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_wrong_usage(auricle: Run, lm: Path, tmp_path: Path) -> None:
    assert auricle("lm", "build", tmp_path / "alice.txt", "--output", tmp_path / "x.npz", "--prune", "a b").code == 2
    assert auricle("lm", "build", tmp_path / "alice.txt", "--output", tmp_path / "x.npz", "--order", 5).code == 2
    assert auricle("lm", "add", "english", lm, "--output", tmp_path / "x.zip").code == 2
