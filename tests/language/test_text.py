from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import pytest

from auricle.alphabet import ENGLISH, Alphabet
from auricle.errors import LanguageModelError, ManifestError
from auricle.language.text import normalise, read_sentences, spell_out, split_sentences


@pytest.mark.parametrize(
    ("paragraph", "sentences"),
    [
        ("He came. She went! Why? So", ["He came.", "She went!", "Why?", "So"]),
        ("“What?” he said. “Yes!” And he left.", ["“What?” he said.", "“Yes!”", "And he left."]),
        (
            "Mr. Darcy met Mrs. Bennet and J. Austen at St. Paul's.",
            ["Mr. Darcy met Mrs. Bennet and J. Austen at St. Paul's."],
        ),
        ("So am I. They are not.", ["So am I.", "They are not."]),
        ("Wait... he said... And then.... The end.", ["Wait... he said...", "And then....", "The end."]),
        ("no stops or capitals here", ["no stops or capitals here"]),
        ("It cost 3.50 at www.example.com today.", ["It cost 3.50 at www.example.com today."]),
        ("(Dr. Jekyll.) —Hyde", ["(Dr. Jekyll.)", "—Hyde"]),
        ("Été. Élan. ça va", ["Été.", "Élan. ça va"]),
        ("", [""]),
    ],
)
def test_sentences_end_where_people_end_them(paragraph: str, sentences: list[str]) -> None:
    assert split_sentences(paragraph) == sentences


@pytest.mark.parametrize(
    ("printed", "spoken"),
    [
        ("Mr. and Mrs. Bennet", "mister and missus bennet"),
        ("Mr Darcy, Dr Watson & Mme Bovary", "mister darcy doctor watson and madame bovary"),
        ("St. Albans; St Paul; the stones", "saint albans saint paul the stones"),
        ("bread, cheese, etc., &c. and so on", "bread cheese et cetera et cetera and so on"),
        ("Capt. Nemo, Lieut. Col. Smith, Esq.", "captain nemo lieutenant colonel smith esquire"),
        ("gen and col and hon are left; so is the colt.", "gen and col and hon are left so is the colt"),
        ("the dogs' tails, goin' home, \u2018so they say\u2019", "the dogs tails goin home so they say"),
        ("don't o'clock rock-hard", "don't o'clock rock hard"),
    ],
)
def test_abbreviations_are_spelled_as_librispeech_does(printed: str, spoken: str) -> None:
    assert normalise(printed, ENGLISH) == spoken


def test_text_can_be_kept_as_it_is() -> None:
    assert normalise("Mr. Bennet's dogs'", ENGLISH, spell=False) == "mr bennet's dogs'"
    assert spell_out("ST. IVES") == "saint IVES"


@pytest.mark.parametrize("suffix", [".txt", ".xz", ".gz", ".TXT"])
def test_files_are_read_line_by_line(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"text{suffix}"
    content = "\ufeffA first. And a second!\n\n...\r\nÉtude\u2028line".encode()
    packed = {".xz": lzma.compress(content), ".gz": gzip.compress(content)}
    path.write_bytes(packed.get(suffix, content))
    lines = list(read_sentences(path, ENGLISH))
    assert lines == [["a first", "and a second"], [], [], ["etude line"]]


def test_a_manifest_gives_its_transcripts(tmp_path: Path) -> None:
    rows: list[dict[str, str]] = [{"text": "one two"}, {}, {"text": "three"}]
    path = tmp_path / "some.jsonl"
    path.write_text("".join(json.dumps({"audio_filepath": f"{i}.wav", **row}) + "\n" for i, row in enumerate(rows)))
    assert list(read_sentences(path, ENGLISH)) == [["one two"], ["three"]]


def test_another_alphabet_is_written_in_its_own_way(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("Grüße. Äpfel!", encoding="utf-8")
    assert list(read_sentences(path, Alphabet(tuple(" abcdefghijklmnopqrstuvwxyzäöüß")))) == [["grüße", "äpfel"]]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", None, "cannot read a text (No such file"),
        ("a.txt", b"caf\xe9\n", "a text is a file in UTF-8"),
        ("a.xz", b"not xz", "the file is damaged"),
        ("a.xz", lzma.compress(b"x" * 10_000)[:-20], "the file is damaged"),
        ("a.gz", b"not gzip", "the file is damaged"),
        ("a.gz", gzip.compress(b"hello world" * 50)[:-9], "the file is damaged"),
        ("a.gz", gzip.compress(b"hello world" * 50)[:30] + b"\xff" * 20, "the file is damaged"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(LanguageModelError) as error:
        list(read_sentences(tmp_path / name, ENGLISH))
    assert str(tmp_path / name) in str(error.value)
    assert said in str(error.value)


def test_a_bad_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{}\n")
    with pytest.raises(ManifestError, match=r"a\.jsonl:1"):
        list(read_sentences(tmp_path / "a.jsonl", ENGLISH))
