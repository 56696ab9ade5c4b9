"""Characters and token ids. Token 0 is the CTC blank; the characters follow in the alphabet's order."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from auricle.errors import AlphabetError

BLANK = 0

# What Unicode does not take apart: the apostrophes people type, and letters that other languages write as two.
_SPELLED = dict.fromkeys("\u2018\u2019\u02bc\u2032\u00b4`", "'")
_SPELLED |= {"æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ß": "ss", "ẞ": "SS", "ø": "o", "Ø": "O"}
_UNSEEN = {"Mn", "Mc", "Me", "Cf"}  # marks on the letter before, and what is not seen (soft hyphen, joiners)


@dataclass(frozen=True)
class Alphabet:
    """The characters a network can write, without the blank; id i + 1 is `characters[i]`.

    Raises AlphabetError when a character is there twice, is longer than one letter, or when there is none.
    """

    characters: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.characters or any(len(character) != 1 for character in self.characters):
            raise AlphabetError("an alphabet is a list of single characters with at least one in it.")
        if len(set(self.characters)) != len(self.characters):
            raise AlphabetError("an alphabet has each of its characters once.")

    @property
    def tokens(self) -> int:
        """Size of the network's output: the characters and the blank."""
        return len(self.characters) + 1

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {character: index for index, character in enumerate(self.characters, start=1)}

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text. Raises AlphabetError naming the characters that are not in the alphabet."""
        try:
            return [self._ids[character] for character in text]
        except KeyError:
            unknown = "".join(sorted(set(text) - set(self.characters)))
            raise AlphabetError(f"the alphabet has no {unknown!r}: normalise the text, or train with them.") from None

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids; blanks are left out, repeats are kept (a decoder has collapsed them)."""
        return "".join(self.characters[index - 1] for index in ids if index != BLANK)

    def normalise(self, text: str) -> str:
        """Return the text as this alphabet would write it: in the case that it has, accents off, punctuation to spaces.

        What the alphabet has stays as it is. An apostrophe stays only inside a word or at its end ("o'clock", "dogs'");
        a hyphen separates words. An alphabet without a space joins them.
        """
        text = unicodedata.normalize("NFC", text).translate(self._spellings)
        separator = " " if " " in self._ids else ""
        if "'" in text:
            text = re.sub(r"(?<!\w)'+|'+(?=')", " ", text)
        return separator.join(text.split())

    @cached_property
    def _spellings(self) -> _Spellings:
        return _Spellings(self._spell)

    def _spell(self, character: str) -> str:
        """Return what the alphabet has for a character: itself, its other case, its plain letters, or a space."""
        if (folded := self._fold(character)) != " ":
            return folded
        if unicodedata.category(character) == "So":  # "™" is a sign, not the letters "tm"
            return " "
        plain = _SPELLED.get(character) or unicodedata.normalize("NFKD", character)
        return "".join(self._fold(part) for part in plain if unicodedata.category(part) not in _UNSEEN)

    def _fold(self, character: str) -> str:
        return next((c for c in (character, character.lower(), character.upper()) if c in self._ids), " ")


class _Spellings(dict[int, str]):
    """What `str.translate` reads: the spelling of each code point, worked out when it is first met."""

    def __init__(self, spell: Callable[[str], str]) -> None:
        super().__init__()
        self._spell = spell

    def __missing__(self, code: int) -> str:
        self[code] = spelling = self._spell(chr(code))
        return spelling


ENGLISH = Alphabet((" ", "'", *"abcdefghijklmnopqrstuvwxyz"))
