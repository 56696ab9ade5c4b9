from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import Run

from auricle.language.pronunciations import read_pronunciations


@pytest.fixture
def dictionary(tmp_path: Path) -> Path:
    path = tmp_path / "small.dict"
    path.write_text("cat  K AE1 T\ncab  K AE1 B\ntab  T AE1 B\ndog  D AO1 G\ndog(2)  D AA1 G\n")
    return path


def test_every_word_of_texts_is_said(auricle: Run, tmp_path: Path, dictionary: Path) -> None:
    text, manifest = tmp_path / "text.txt", tmp_path / "train.jsonl"
    text.write_text("The cat's dog. A BAT!\n")
    manifest.write_text(json.dumps({"audio_filepath": "a.wav", "text": "cab, zzz"}) + "\n")
    output = tmp_path / "words.dict"
    result = auricle("lm", "pronounce", text, manifest, "--output", output, "--dictionary", dictionary)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[:4] == [
        "words       6",
        "known       3 that the dictionary has, possessives of its words included",
        "by analogy  3",
        "left out    1 without a letter that the dictionary has",
    ]
    said = read_pronunciations(output)
    assert sorted(said) == ["a", "bat", "cab", "cat's", "dog", "the"]
    assert said["bat"] == (("B", "AE", "T"),)
    assert said["dog"] == (("D", "AO", "G"), ("D", "AA", "G"))


@pytest.mark.parametrize("kind", [".npz", ".arpa"])
def test_language_models_give_their_vocabulary(auricle: Run, tmp_path: Path, dictionary: Path, kind: str) -> None:
    text, model, output = tmp_path / "text.txt", tmp_path / "lm.npz", tmp_path / "words.dict"
    text.write_text("a cat and a dog\n")
    assert auricle("lm", "build", text, "--output", model, "--arpa", tmp_path / "lm.arpa").code == 0
    options = ("--output", output, "--dictionary", dictionary, "--most", 1)
    assert auricle("lm", "pronounce", model.with_suffix(kind), *options).code == 0
    said = read_pronunciations(output)
    assert sorted(said) == ["a", "and", "cat", "dog"]
    assert said["dog"] == (("D", "AO", "G"),)


def test_a_built_in_model_goes_by_its_name(auricle: Run, tmp_path: Path, dictionary: Path) -> None:
    output = tmp_path / "words.dict"
    assert auricle("lm", "pronounce", "english", "--output", output, "--dictionary", dictionary, "--most", 1).code == 0
    assert read_pronunciations(output)["dogs"][0][:3] == ("D", "AO", "G")
    missing = auricle("lm", "pronounce", "welsh", "--output", output, "--dictionary", dictionary)
    assert missing.code == 1
    assert "welsh" in missing.err


@pytest.mark.parametrize(
    ("words", "message"),
    [("cat\n", "line 1 does not say how 'cat' is said"), ("# none\n", "there is no word in it")],
)
def test_a_bad_dictionary_is_one_sentence(auricle: Run, tmp_path: Path, words: str, message: str) -> None:
    text, dictionary = tmp_path / "text.txt", tmp_path / "bad.dict"
    text.write_text("a cat\n")
    dictionary.write_text(words)
    result = auricle("lm", "pronounce", text, "--output", tmp_path / "words.dict", "--dictionary", dictionary)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"auricle: {dictionary}: {message}")
    assert result.err.count("\n") == 1
    assert not (tmp_path / "words.dict").exists()


def test_a_text_without_words_is_refused(auricle: Run, tmp_path: Path, dictionary: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("1 2 3\n")
    result = auricle("lm", "pronounce", text, "--output", tmp_path / "words.dict", "--dictionary", dictionary)
    assert result.code == 1
    assert result.err == f"auricle: {text}: there is no word in it that the alphabet can write.\n"
