"""How a word is written once it is known to be a name, a sentence's first word, or one with a form of its own."""

from __future__ import annotations

from collections.abc import Mapping

from auricle.restoration.types import CASES

_LOWER, _CAPITAL, _UPPER, _STORED = CASES

# Words of our time that old books do not have, and that are nothing else: written so wherever they stand.
_FORMS = (
    "I I'm I'll I've I'd BBC CNN DNA DVD FBI GPS HTML HTTP MTV NATO NBC PDF PhD SQL TV UK URL USA USB iPhone iPad iOS "
    "macOS YouTube GitHub LinkedIn JavaScript PowerPoint eBay LibriVox LibriSpeech McDonald's"
)
_ALWAYS = {form.lower(): form for form in _FORMS.split()}


def write(word: str, case: str, stored: Mapping[str, str]) -> str:
    """Return a plain word in one of CASES; `stored` maps words to the forms that they have where they are not lower.

    The result in small letters is the word again, always: a letter whose capital is two ("ß") keeps the word as it is.

    >>> write("mcdonald", "capital", {"mcdonald": "McDonald"})
    'McDonald'
    """
    form = _ALWAYS.get(word) or _form(word, case, stored)
    return form if form.lower() == word else word


def _form(word: str, case: str, stored: Mapping[str, str]) -> str:
    if case == _LOWER:
        return word
    if word in stored:
        return stored[word]
    if case == _UPPER:
        return word.upper()
    return word[:1].upper() + word[1:]
