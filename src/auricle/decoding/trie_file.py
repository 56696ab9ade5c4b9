"""A trie as bytes: an `.npz` of plain arrays, see docs/language-models.md. Reading one runs nothing from it."""

from __future__ import annotations

import io
import operator
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auricle import archive
from auricle.decoding.codebook import ENTRIES, Quantised, quantise
from auricle.decoding.trie import (
    LARGEST_VOCABULARY,
    NO_RARE,
    SPECIALS,
    WORD_BITS,
    Keys,
    Level,
    Rare,
    Trie,
)
from auricle.errors import BundleError

FORMAT = 2
_EARLIER = 1  # says of all n-grams, not only of contexts, what follows them
_WITH_RARE = 3  # the same as 2, and rare words
_FORMATS = (_EARLIER, FORMAT, _WITH_RARE)
_LARGEST_ORDER = 9
_LONGEST_HEADER = 1024  # bytes
_PIECE = 1 << 15  # n-grams whose keys are made at a time: they stay in the processor's cache
_COUNT_TYPES = ("<u1", "<u2", "<u4")
_EXPANSION = 100  # a file with more patterns is no language model, and might fill any memory
_WHOLE = 1.01  # rounded to 256 values, shares that are one together may be a little more

_NO_WEIGHTS = Quantised(np.zeros(0, np.uint8), np.zeros(0, np.float32))


class _BadTrieError(ValueError):
    """What is wrong with the content; the file's name is added by the caller."""


def trie_to_bytes(trie: Trie) -> bytes:
    """Return a trie as the content of an `.npz`, log-probabilities and back-offs of all but unigrams quantised."""
    arrays: dict[str, NDArray[Any]] = {
        "format": np.array([_WITH_RARE if trie.rare else FORMAT, trie.order], "<u1"),
        "vocabulary": np.frombuffer("\n".join(trie.words).encode(), "<u1"),
        "log_probs_1": trie.levels[0].log_probs.astype("<f4"),
        "back_offs_1": trie.levels[0].back_offs.astype("<f4"),
    }
    for order, (lower, level) in enumerate(pairwise(trie.levels), start=2):
        children = np.bincount(level.parents, minlength=len(lower))
        contexts = (children > 0) | (lower.back_offs != 0)
        arrays[f"contexts_{order - 1}"] = np.packbits(contexts)
        arrays[f"children_{order}"] = children[contexts].astype(_smallest(int(children.max(initial=0))))
        arrays[f"words_{order}"] = level.words.astype("<u2")
        arrays |= _stored(f"log_probs_{order}", *quantise(level.log_probs))
        if order > 2:
            indices, book = quantise(lower.back_offs)
            arrays |= _stored(f"back_offs_{order - 1}", indices[contexts], book)
    if trie.rare:
        arrays["rare"] = np.frombuffer("\n".join(trie.rare.words).encode(), "<u1")
        arrays |= _stored("rare_log_shares", *quantise(trie.rare.log_shares))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as target:
        for name, array in arrays.items():
            file = io.BytesIO()
            np.lib.format.write_array(file, array, (1, 0), allow_pickle=False)
            archive.add(target, f"{name}.npy", file.getvalue())
    return content.getvalue()


@dataclass(frozen=True)
class StoredLevel:
    """The n-grams of one order as a file has them. The weights are those of a `Level`.

    `read` returns n-grams of the order below that are the beginnings of all these, of how many, and the last words.
    """

    log_probs: Quantised
    back_offs: Quantised
    read: Callable[[], tuple[NDArray[np.int64], NDArray[np.unsignedinteger], NDArray[np.uint16]]]

    def __len__(self) -> int:
        return len(self.log_probs)

    def pieces(self) -> Iterator[Keys]:
        """Yield the keys of a `Level`, some at a time. Raises what `damage_told` tells."""
        parents, children, words = self.read()
        at_once = max(1, _PIECE * len(parents) // max(1, len(words)))
        end, last = 0, -1
        for first in range(0, len(parents), at_once):
            some = slice(first, first + at_once)
            keys = (parents[some] << WORD_BITS).repeat(children[some])
            begin, end = end, end + len(keys)
            keys |= words[begin:end]
            if len(keys):
                if keys[0] <= last or not (keys[1:] > keys[:-1]).all():
                    raise _BadTrieError("its n-grams are not in order")
                last = int(keys[-1])
                yield keys


@dataclass(frozen=True)
class StoredTrie:
    """A `Trie` as a file has it."""

    words: tuple[str, ...]
    unigrams: Level
    higher: tuple[StoredLevel, ...]
    rare: Rare = NO_RARE

    @property
    def order(self) -> int:
        """Words of the longest n-gram."""
        return 1 + len(self.higher)

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of n-grams of each order."""
        return len(self.unigrams), *map(len, self.higher)


@contextmanager
def damage_told(where: str) -> Iterator[None]:
    """Raise BundleError, naming `where`, for what goes wrong while a trie is read: when it comes, and its n-grams."""
    try:
        yield
    except _BadTrieError as error:
        raise BundleError(f"{where}: not a language model of auricle's ({error}): build or get it again.") from error
    except Exception as error:  # zipfile and numpy let out those of every parser below them
        raise BundleError(f"{where}: the language model is damaged ({error}): build or get it again.") from error


def _stored(name: str, indices: NDArray[np.uint8], book: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    return {name: indices, f"{name}_book": book.astype("<f4")}


def _smallest(largest: int) -> np.dtype[Any]:
    return next(dtype for dtype in map(np.dtype, _COUNT_TYPES) if largest <= np.iinfo(dtype).max)


class _Arrays:
    """The arrays of an `.npz`, each read when it is asked for."""

    def __init__(self, content: bytes) -> None:
        self._archive = zipfile.ZipFile(io.BytesIO(content))
        if sum(member.file_size for member in self._archive.infolist()) > _EXPANSION * len(content):
            raise _BadTrieError(f"its arrays are more than {_EXPANSION} times larger than the file")

    def take(self, name: str, *dtypes: str) -> NDArray[Any]:
        """Return an array of one of these types."""
        try:
            content = self._archive.read(f"{name}.npy")
        except KeyError:
            raise _BadTrieError(f"it has no {name}") from None
        file = io.BytesIO(content)
        if np.lib.format.read_magic(file) != (1, 0):
            raise _BadTrieError("an array is of another version of NumPy's format")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=_LONGEST_HEADER)
        if len(shape) != 1 or dtype not in map(np.dtype, dtypes):
            raise _BadTrieError(f"it has no {name} of the right type")
        if shape[0] * dtype.itemsize != len(content) - file.tell():
            raise _BadTrieError("an array is not a row of numbers")
        return np.frombuffer(content, dtype, offset=file.tell())


def read_trie(content: bytes) -> StoredTrie:
    """Read what trie_to_bytes wrote. Raises what `damage_told` tells."""
    arrays = _Arrays(content)
    form = arrays.take("format", "<u1")
    if len(form) != 2 or form[0] not in _FORMATS or not 1 <= form[1] <= _LARGEST_ORDER:
        known = f"{_FORMATS[0]} to {_FORMATS[-1]}"
        raise _BadTrieError(f"format {form.tolist()[:1]} is not known to this auricle, which reads {known}")
    level, highest = _earlier_level if form[0] == _EARLIER else _level, int(form[1])
    words = _vocabulary(arrays)
    log_probs, back_offs = (arrays.take(f"{name}_1", "<f4") for name in ("log_probs", "back_offs"))
    if len(log_probs) != len(words) or len(back_offs) != len(words):
        raise _BadTrieError("its unigrams are not its vocabulary")
    _check_numbers(log_probs, back_offs)
    unigrams = Level(np.arange(len(words), dtype=np.int64), log_probs, back_offs)
    higher: list[StoredLevel] = []
    for order in range(2, highest + 1):
        higher.append(level(arrays, order, highest, len(words), len(higher[-1] if higher else unigrams)))
    rare = _rare(arrays, frozenset(words)) if form[0] == _WITH_RARE else NO_RARE
    return StoredTrie(words, unigrams, tuple(higher), rare)


def _vocabulary(arrays: _Arrays) -> tuple[str, ...]:
    words = tuple(arrays.take("vocabulary", "<u1").tobytes().decode().split("\n"))
    if not len(SPECIALS) <= len(words) <= LARGEST_VOCABULARY or words[: len(SPECIALS)] != SPECIALS:
        raise _BadTrieError("its vocabulary is not one")
    if not _is_in_order(words[len(SPECIALS) :]):
        raise _BadTrieError("its vocabulary is not in order")
    return words


def _rare(arrays: _Arrays, vocabulary: frozenset[str]) -> Rare:
    words = tuple(arrays.take("rare", "<u1").tobytes().decode().split("\n"))
    log_shares = _weights(arrays, "rare_log_shares")
    if not _is_in_order(words) or not vocabulary.isdisjoint(words) or len(words) != len(log_shares):
        raise _BadTrieError("its rare words are not in order")
    rare = Rare(words, log_shares.values())
    if not np.isfinite(rare.log_shares).all() or rare.share > _WHOLE:
        raise _BadTrieError("its rare words have no shares of one")
    return rare


def _is_in_order(words: tuple[str, ...]) -> bool:
    return "" not in words and all(map(operator.lt, words, words[1:]))


def _level(arrays: _Arrays, order: int, highest: int, vocabulary: int, parents: int) -> StoredLevel:
    log_probs, back_offs = _weights(arrays, f"log_probs_{order}"), _NO_WEIGHTS
    if order < highest:
        own = _contexts(arrays, order, len(log_probs))
        back_offs = _of_contexts(_weights(arrays, f"back_offs_{order}"), own, f"the {order}-grams' back-offs")
    _check_numbers(log_probs.book, back_offs.book)

    def read() -> tuple[NDArray[np.int64], NDArray[np.unsignedinteger], NDArray[np.uint16]]:
        contexts = np.flatnonzero(_contexts(arrays, order - 1, parents))
        children = arrays.take(f"children_{order}", *_COUNT_TYPES)
        if len(children) != len(contexts):
            raise _BadTrieError(f"the {order}-grams do not belong to the {order - 1}-grams")
        return contexts, children, _words(arrays, order, children, len(log_probs), vocabulary)

    return StoredLevel(log_probs, back_offs, read)


def _earlier_level(arrays: _Arrays, order: int, highest: int, vocabulary: int, parents: int) -> StoredLevel:
    log_probs = _weights(arrays, f"log_probs_{order}")
    back_offs = _weights(arrays, f"back_offs_{order}") if order < highest else _NO_WEIGHTS
    _check_numbers(log_probs.book, back_offs.book)
    if order < highest and len(back_offs) != len(log_probs):
        raise _BadTrieError(f"the weights of the {order}-grams do not fit together")

    def read() -> tuple[NDArray[np.int64], NDArray[np.unsignedinteger], NDArray[np.uint16]]:
        children = arrays.take(f"children_{order}", *_COUNT_TYPES)
        if len(children) != parents:
            raise _BadTrieError(f"the {order}-grams do not belong to the {order - 1}-grams")
        return np.arange(parents), children, _words(arrays, order, children, len(log_probs), vocabulary)

    return StoredLevel(log_probs, back_offs, read)


def _contexts(arrays: _Arrays, order: int, count: int) -> NDArray[np.bool_]:
    """Return which n-grams of an order are contexts [count]."""
    packed = arrays.take(f"contexts_{order}", "<u1")
    if len(packed) != -(-count // 8):
        raise _BadTrieError(f"the {order}-grams are not as many as may be contexts")
    return np.unpackbits(packed, count=count).view(bool)


def _of_contexts(weights: Quantised, contexts: NDArray[np.bool_], name: str) -> Quantised:
    """Return the weights of contexts as those of all n-grams: the others have 0."""
    zero = int(np.searchsorted(weights.book, 0.0))
    has_zero = zero < len(weights.book) and weights.book[zero] == 0
    if len(weights) != np.count_nonzero(contexts) or not (has_zero or len(weights) == len(contexts)):
        raise _BadTrieError(f"{name} are not those of contexts")
    indices = np.full(len(contexts), zero if has_zero else 0, np.uint8)
    indices[np.flatnonzero(contexts)] = weights.indices  # six times as quick as without `flatnonzero`
    return Quantised(indices, weights.book)


def _words(
    arrays: _Arrays, order: int, children: NDArray[np.unsignedinteger], count: int, vocabulary: int
) -> NDArray[np.uint16]:
    words = arrays.take(f"words_{order}", "<u2")
    if not int(children.sum(dtype=np.uint64)) == len(words) == count:
        raise _BadTrieError(f"the {order}-grams do not fit together")
    if words.max(initial=0) >= vocabulary:
        raise _BadTrieError(f"the {order}-grams have words that are not in the vocabulary")
    return words


def _weights(arrays: _Arrays, name: str) -> Quantised:
    indices, book = arrays.take(name, "<u1"), arrays.take(name + "_book", "<f4")
    if len(book) > ENTRIES or indices.max(initial=0) >= max(len(book), 1):
        raise _BadTrieError(f"{name} does not fit")
    return Quantised(indices, book)


def _check_numbers(log_probs: NDArray[np.float32], back_offs: NDArray[np.float32]) -> None:
    if not (np.isfinite(log_probs).all() and (log_probs <= 0).all()):
        raise _BadTrieError("a probability is not one")
    if not np.isfinite(back_offs).all():
        raise _BadTrieError("a back-off weight is not finite")
