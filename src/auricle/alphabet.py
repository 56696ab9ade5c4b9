"""Characters and token ids. Token 0 is the CTC blank; the characters follow in the alphabet's order."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from auricle.errors import AlphabetError

BLANK = 0

_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "æ": "ae", "œ": "oe", "ß": "ss", "ø": "o"})


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
        """Return the token ids of a text. Raises AlphabetError naming the characters that the alphabet does not have."""
        try:
            return [self._ids[character] for character in text]
        except KeyError:
            unknown = "".join(sorted(set(text) - set(self.characters)))
            raise AlphabetError(f"the alphabet has no {unknown!r}: normalise the text first, or train with them.") from None

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids; blanks are left out, repeats are kept (collapsing them is the decoder's work)."""
        return "".join(self.characters[index - 1] for index in ids if index != BLANK)

    def normalise(self, text: str) -> str:
        """Return the text as this alphabet would write it: lower case where it has no capitals, accents off, marks to spaces.

        An apostrophe stays only inside a word or at its end ("o'clock", "dogs'"); a hyphen separates words.
        """
        text = unicodedata.normalize("NFC", text).translate(_APOSTROPHES)
        if not any(character.isupper() for character in self.characters):
            text = text.lower()
        text = "".join(character if character in self._ids else _plain(character) for character in text)
        text = "".join(character if character in self._ids else " " for character in text)
        return " ".join(re.sub(r"(?<!\w)'+|'+(?=')", " ", text).split())


def _plain(character: str) -> str:
    """Return the character without its accents, or a space where nothing but a mark is left."""
    decomposed = unicodedata.normalize("NFKD", character)
    return "".join(part for part in decomposed if not unicodedata.combining(part)) or " "


ENGLISH = Alphabet((" ", "'", *"abcdefghijklmnopqrstuvwxyz"))
