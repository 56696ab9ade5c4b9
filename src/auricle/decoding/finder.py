"""Which of many 64-bit hashes are among others, and where: asked by a search at each frame."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Keys: TypeAlias = npt.NDArray[np.uint64]
Places: TypeAlias = npt.NDArray[np.intp]

_SLOTS = 64  # for a key: so many that it seldom has to share
_MOST_BITS = 22
_FACTOR = np.uint64(0xD6E8FEB86659FD93)  # odd; hashes that differ in their lower bits alone get upper bits of their own


class Finder:
    """Finds hashes among up to `most` others by their slots: sorting them takes three times as long."""

    def __init__(self, most: int) -> None:
        bits = min((_SLOTS * most).bit_length() - 1, _MOST_BITS)
        self._shift = np.uint64(64 - bits)
        self._row_at = np.zeros(1 << bits, np.int32)  # what is not of these keys is of others before, and told apart

    def __call__(self, keys: Keys, wanted: Keys) -> tuple[Places, Places]:
        """Return where in `keys` [n] those of `wanted` [m] that are there stand, and which of `wanted` they are."""
        rows = np.arange(len(keys), dtype=np.int32)
        slots = self._slots(keys)
        self._row_at[slots] = rows
        at = np.minimum(self._row_at.take(self._slots(wanted)), len(keys) - 1).astype(np.intp)
        found = keys.take(at) == wanted
        # Of keys with the same slot, the last has it.
        (lost,) = (self._row_at.take(slots) != rows).nonzero()
        if len(lost):
            lost = lost[keys[lost].argsort()]
            others = keys[lost]
            (missed,) = (~found).nonzero()
            place = others.searchsorted(wanted[missed])
            there = others.take(place, mode="clip") == wanted[missed]
            at[missed[there]] = lost[place[there]]
            found[missed[there]] = True
        (which,) = found.nonzero()
        return at[which], which

    def _slots(self, keys: Keys) -> Places:
        return ((keys * _FACTOR) >> self._shift).astype(np.intp)
