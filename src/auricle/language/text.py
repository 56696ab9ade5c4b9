"""Text files as normalised sentences, spelled as people read them aloud."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from auricle.alphabet import Alphabet
from auricle.language.files import reading
from auricle.manifest import read_manifest

# Followed by a name: a full stop after one of these ends no sentence.
_TITLES = {
    "mr": "mister",
    "mrs": "missus",
    "messrs": "messieurs",
    "dr": "doctor",
    "prof": "professor",
    "st": "saint",
    "rev": "reverend",
    "hon": "honorable",
    "gen": "general",
    "col": "colonel",
    "maj": "major",
    "capt": "captain",
    "lieut": "lieutenant",
    "lt": "lieutenant",
    "sergt": "sergeant",
    "gov": "governor",
    "mme": "madame",
    "mlle": "mademoiselle",
}
_SPELLED = _TITLES | {"etc": "et cetera", "esq": "esquire", "jr": "junior", "sr": "senior"}
# "Mr" is no word, with a full stop or without; "gen" may be one, and "St" is a saint only before a name.
_ABBREVIATION = re.compile(r"\b(?:[A-Za-z]{2,6}\.|(?:[MD]rs?|Messrs|Mme|Mlle|mrs?|etc)\b|St(?=\s+[A-Z]))")
_END = re.compile(r"[.!?]+[\"'\u201d\u2019»)\]]*\s+(?=[^\w\s]*(\w))")
_LAST_APOSTROPHE = re.compile(r"'(?=\s|$)")


def read_sentences(path: str | Path, alphabet: Alphabet, *, spell: bool = True) -> Iterator[list[str]]:
    """Yield, for each line of a text file (.txt, .xz, .gz) or text of a manifest (.jsonl), its sentences.

    A sentence is words and single spaces, none is empty. Raises LanguageModelError and ManifestError naming the file.
    """
    for line in read_texts(Path(path)):
        sentences = [normalise(sentence, alphabet, spell=spell) for sentence in split_sentences(line)]
        yield [sentence for sentence in sentences if sentence]


def split_sentences(paragraph: str) -> list[str]:
    """Return the sentences of a paragraph: they end at . ! or ? before a space and a letter that is not small.

    A title ("Mr. Darcy") and a single capital ("J. Austen"), unless it is "I", end none.
    """
    sentences, begin = [], 0
    for match in _END.finditer(paragraph):
        if match[1].islower() or _names(paragraph[max(match.start() - 12, begin) : match.start()]):
            continue
        sentences.append(paragraph[begin : match.end()].strip())
        begin = match.end()
    return [*sentences, paragraph[begin:].strip()]


def normalise(sentence: str, alphabet: Alphabet, *, spell: bool = True) -> str:
    """Return a sentence as the network would write it, with `spell` after `spell_out`, without apostrophes at ends.

    LibriSpeech writes "the dogs bark" and "goin home", where printed books have an apostrophe, or the single quotation
    mark that closes a speech.
    """
    if not spell:
        return alphabet.normalise(sentence)
    return _LAST_APOSTROPHE.sub("", alphabet.normalise(spell_out(sentence)))


def spell_out(text: str) -> str:
    """Return the text with its abbreviations written as words, as LibriSpeech's transcripts have them.

    >>> spell_out("Mr. & Mrs. Bennet, St. Albans, etc.")
    'mister  and  missus Bennet, saint Albans, et cetera'
    """
    text = _ABBREVIATION.sub(lambda match: _SPELLED.get(match[0].rstrip(".").lower(), match[0]), text)
    return text.replace("&c", "et cetera").replace("&", " and ") if "&" in text else text


def _names(before: str) -> bool:
    """Say whether a full stop after this text belongs to what comes before a name."""
    last = before[before.rfind(" ") + 1 :].lstrip("\"'\u201c\u2018«([\u2014-_")
    return last.lower() in _TITLES or (len(last) == 1 and last.isupper() and last != "I")


def read_texts(path: Path) -> Iterator[str]:
    """Yield the lines of a text file, or the texts of a manifest. Raises LanguageModelError and ManifestError."""
    if path.suffix == ".jsonl":
        yield from (utterance.text for utterance in read_manifest(path) if utterance.text)
        return
    with reading(path, "a text") as file:
        yield from file
