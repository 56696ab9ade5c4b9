"""How a language model's words are said: a bundle's `pronunciations.npz`, and the trie over phones that a search reads.

A phone is an id: 0 is the blank, 1 ends a word, the bundle's phones follow in their order.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from auricle.decoding.lexicon import NO_WORD, PACKED, Ids, Lexicon, sort_keys
from auricle.errors import BundleError
from auricle.features import Array

WORD_END = 1
FIRST_PHONE = 2
_LONGEST = 255  # phones of a word: a byte says how many
_MOST_ALIKE = 12  # words that are said alike; the rarest of more are left out


@dataclass(frozen=True)
class Pronunciations:
    """Pronunciations of words: `words [n]` are ids of the language model, ascending, `lengths [n]` their phones.

    A word may have several. `vocabulary` is a checksum of the language model's words.
    """

    words: npt.NDArray[np.uint32]
    lengths: npt.NDArray[np.uint8]
    phones: npt.NDArray[np.uint8]
    vocabulary: int

    @classmethod
    def of(
        cls, words: Sequence[str], said: Mapping[str, Sequence[Sequence[str]]], phones: Sequence[str]
    ) -> Pronunciations:
        """Return those that `said` has for the `words` of a language model, in `phones`; others are left out.

        A word that `said` has twice in the same way has it once.
        """
        ids = {phone: index for index, phone in enumerate(phones, start=FIRST_PHONE)}
        rows = [
            (number, [ids[phone] for phone in one])
            for number, word in enumerate(words)
            for one in dict.fromkeys(map(tuple, said.get(word, ())))
            if 0 < len(one) <= _LONGEST and ids.keys() >= set(one)
        ]
        return cls(
            np.array([number for number, _ in rows], np.uint32),
            np.array([len(one) for _, one in rows], np.uint8),
            np.array([phone for _, one in rows for phone in one], np.uint8),
            checksum(words),
        )

    def to_bytes(self) -> bytes:
        """Return the content of a bundle's `pronunciations.npz`."""
        content = io.BytesIO()
        counts = np.bincount(self.words)
        arrays = {
            "counts": counts.astype(np.uint8 if counts.max(initial=0) <= _LONGEST else np.uint16),
            "lengths": self.lengths,
            "phones": self.phones,
            "vocabulary": np.array([self.vocabulary], np.uint32),
        }
        np.savez(content, allow_pickle=False, **arrays)
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, words: Sequence[str], phones: int, where: str) -> Pronunciations:
        """Read those of a language model with these `words`, in so many phones. Raises BundleError, naming `where`."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                stored = {name: arrays[name] for name in arrays.files}
            vocabulary, lengths, said = int(stored["vocabulary"][0]), stored["lengths"], stored["phones"]
            # Files of before rare words have each one's word, others how many each word has.
            own = stored["words"] if "words" in stored else stored["counts"]
        except Exception as error:  # zipfile and numpy let out those of every parser below them
            raise BundleError(f"{where}: not the pronunciations of a language model: get the bundle again.") from error
        if vocabulary != checksum(words):
            raise BundleError(f"{where}: these are the pronunciations of another language model's words.")
        fits = own.ndim == lengths.ndim == said.ndim == 1 and lengths.dtype.str == said.dtype.str == "|u1"
        fits = fits and int(lengths.sum(dtype=np.int64)) == len(said) and bool((lengths > 0).all())
        if "words" in stored:
            fits = fits and own.dtype.str == "<u2" and len(own) == len(lengths) and own.max(initial=0) < len(words)
        else:
            fits = fits and own.dtype.str in {"|u1", "<u2"} and len(own) <= len(words)
            fits = fits and int(own.sum(dtype=np.int64)) == len(lengths)
        if not fits or ((said < FIRST_PHONE) | (said >= FIRST_PHONE + phones)).any():
            raise BundleError(f"{where}: the pronunciations do not fit together: get the bundle again.")
        numbers = own if "words" in stored else np.arange(len(own)).repeat(own)
        return cls(numbers.astype(np.uint32), lengths, said, vocabulary)

    def first(self, word: int) -> list[int]:
        """Return the phones of a word, by its id: of several ways the first, the commonest; of none none."""
        place = int(self.words.searchsorted(self.words.dtype.type(word)))  # of its own type: no copy is made
        if place == len(self.words) or self.words[place] != word:
            return []
        end = int(self._ends[place])
        said: list[int] = self.phones[end - int(self.lengths[place]) : end].tolist()
        return said

    @cached_property
    def _ends(self) -> npt.NDArray[np.int64]:
        """Where the phones of each pronunciation end in `phones`."""
        return self.lengths.cumsum(dtype=np.int64)


def checksum(words: Sequence[str]) -> int:
    """Return a checksum of a vocabulary."""
    return zlib.crc32("\n".join(words).encode())


class SpokenLexicon(Lexicon):
    """Words as they are said. `word_at [nodes]` is a row of `alike`: words that end there, the likeliest first.

    Each of `alike` is a column: the words of the rows that have so many, which come before those that have fewer.
    """

    def __init__(self, pronunciations: Pronunciations, scores: Array, phones: int) -> None:
        """Hold pronunciations in so many phones; a word's score is `scores` of its id."""
        self.pronunciations = pronunciations
        words, lengths = pronunciations.words.astype(np.int32), pronunciations.lengths.astype(np.int64)
        tokens = np.zeros((len(words), -(-int(lengths.max(initial=1)) // PACKED) * PACKED), np.uint8)
        tokens[np.arange(tokens.shape[1]) < lengths[:, None]] = pronunciations.phones
        own_scores = np.asarray(scores, np.float32)[words]
        # Alike ones beside each other, the likeliest word first.
        keys = sort_keys(tokens)
        order = np.lexsort((-own_scores, *keys))
        is_new = np.zeros(len(words), bool)
        is_new[:1] = True
        for key in keys:
            is_new[1:] |= key[order[1:]] != key[order[:-1]]
        del keys
        first = np.flatnonzero(is_new)
        row = np.cumsum(is_new) - 1
        rank = np.arange(len(words)) - first[row]
        kept = rank < _MOST_ALIKE
        most_first = np.argsort(-np.bincount(row[kept], minlength=len(first)), kind="stable")
        place = np.empty(len(first), np.int32)
        place[most_first] = np.arange(len(first), dtype=np.int32)
        columns: list[Ids] = []
        for column in range(int(rank[kept].max(initial=0)) + 1):
            own = np.flatnonzero(rank == column)
            columns.append(np.empty(len(own), np.int32))
            columns[-1][place[row[own]]] = words[order[own]]
        self.alike = tuple(columns)
        first = order[first]
        self._lay_out(tokens[first], lengths[first], place, own_scores[first], phones + FIRST_PHONE)

    def words_of(self, rows: Ids) -> Ids:
        """Return the words of rows [n] as [n, columns], -1 where a row has fewer."""
        found = np.full((len(rows), len(self.alike)), NO_WORD, np.int32)
        for column, words in zip(found.T, self.alike, strict=True):
            has = np.flatnonzero(rows < len(words))
            column[has] = words.take(rows.take(has))
        return found

    def spell(self, texts: Iterable[str], ids: Mapping[str, int]) -> list[list[int]]:
        """Return texts in phones, without words that the language model, whose `ids` these are, does not have."""
        spelled: list[list[int]] = []
        for text in texts:
            row: list[int] = []
            for said in filter(None, (self.pronunciations.first(ids[word]) for word in text.split() if word in ids)):
                row += [WORD_END] * bool(row) + said
            spelled.append(row)
        return spelled
