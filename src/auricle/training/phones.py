"""Texts as the network is taught to say them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

END = 1
"""Stands between the phones of two words."""


@dataclass(frozen=True)
class PhoneSpeller:
    """Writes a text as the ids of its phones: 0 is the blank, 1 stands between words, the phones follow in order.

    Of several pronunciations of a word it takes the first, which dictionaries give to the commonest.
    """

    pronunciations: Mapping[str, Sequence[Sequence[str]]]
    phones: Sequence[str]

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {phone: index for index, phone in enumerate(self.phones, start=2)}

    def __call__(self, text: str) -> tuple[int, ...]:
        """Return the ids of a text's phones. Raises KeyError with a word that has no pronunciation in these phones."""
        ids: list[int] = []
        for word in text.split():
            try:
                said = [self._ids[phone] for phone in self.pronunciations[word][0]]
            except KeyError:
                raise KeyError(word) from None
            ids += [END] * bool(ids) + said
        return tuple(ids)
