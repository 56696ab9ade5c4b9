"""A trie as bytes: an `.npz` of plain arrays, see docs/language-models.md. Reading one runs nothing from it."""

from __future__ import annotations

import io
import operator
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auricle.decoding.codebook import ENTRIES, Quantised, quantise
from auricle.decoding.trie import LARGEST_VOCABULARY, SPECIALS, WORD_BITS, Keys, Level, Trie
from auricle.errors import BundleError

FORMAT = 1
_LARGEST_ORDER = 9
_LONGEST_HEADER = 1024  # bytes
_PIECE = 1 << 15  # n-grams whose keys are made at a time: they stay in the processor's cache
_COUNT_TYPES = (np.dtype("<u1"), np.dtype("<u2"), np.dtype("<u4"))


class _BadTrieError(ValueError):
    """What is wrong with the content; the file's name is added by the caller."""


def trie_to_bytes(trie: Trie) -> bytes:
    """Return a trie as the content of an `.npz`, log-probabilities and back-offs of all but unigrams quantised.

    The arrays are stored as they are: a bundle deflates the whole file, and inflating twice would only take longer.
    """
    arrays: dict[str, NDArray[Any]] = {
        "format": np.array([FORMAT, trie.order], "<u1"),
        "vocabulary": np.frombuffer("\n".join(trie.words).encode(), "<u1"),
        "log_probs_1": trie.levels[0].log_probs.astype("<f4"),
        "back_offs_1": trie.levels[0].back_offs.astype("<f4"),
    }
    for order, (lower, level) in enumerate(pairwise(trie.levels), start=2):
        children = np.bincount(level.parents, minlength=len(lower))
        arrays[f"children_{order}"] = children.astype(_smallest(int(children.max(initial=0))))
        arrays[f"words_{order}"] = level.words.astype("<u2")
        for name in _quantised(order, trie.order):
            indices, book = quantise(getattr(level, name))
            arrays[f"{name}_{order}"] = indices
            arrays[f"{name}_{order}_book"] = book.astype("<f4")
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    return content.getvalue()


@dataclass(frozen=True)
class StoredLevel:
    """The n-grams of one order as a file has them: `children` is how many each of the order below has.

    `words` are their last words, and the weights are those of a `Level`.
    """

    children: NDArray[np.unsignedinteger]
    words: NDArray[np.uint16]
    log_probs: Quantised
    back_offs: Quantised

    def __len__(self) -> int:
        return len(self.words)

    def pieces(self) -> Iterator[Keys]:
        """Yield the keys of a `Level`, some at a time. Raises what `damage_told` tells."""
        at_once = max(1, _PIECE * len(self.children) // max(1, len(self.words)))
        end, last = 0, -1
        for first in range(0, len(self.children), at_once):
            some = self.children[first : first + at_once]
            keys = np.arange(first, first + len(some), dtype=np.int64) << WORD_BITS
            keys = keys.repeat(some)
            begin, end = end, end + len(keys)
            keys |= self.words[begin:end]
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


def _quantised(order: int, highest: int) -> tuple[str, ...]:
    return ("log_probs",) if order == highest else ("log_probs", "back_offs")


def _smallest(largest: int) -> np.dtype[Any]:
    return next(dtype for dtype in _COUNT_TYPES if largest <= np.iinfo(dtype).max)


def _arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an `.npz`, as views: nothing is unpacked, so nothing can be larger than `content`."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise _BadTrieError("its arrays are compressed")
        if sum(member.file_size for member in members) > len(content):
            raise _BadTrieError("its arrays are larger than the file")
        return {member.filename.removesuffix(".npy"): _array(archive.read(member)) for member in members}


def _array(content: bytes) -> NDArray[Any]:
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise _BadTrieError("an array is of another version of NumPy's format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=_LONGEST_HEADER)
    if len(shape) != 1 or dtype.kind not in "uf" or shape[0] * dtype.itemsize != len(content) - file.tell():
        raise _BadTrieError("an array is not a row of numbers")
    return np.frombuffer(content, dtype, offset=file.tell())


def read_trie(content: bytes) -> StoredTrie:
    """Read what trie_to_bytes wrote. Raises what `damage_told` tells."""
    arrays = _arrays(content)
    form = _take(arrays, "format", "<u1")
    if len(form) != 2 or form[0] != FORMAT or not 1 <= form[1] <= _LARGEST_ORDER:
        raise _BadTrieError(f"format {form.tolist()[:1]} is not known to this auricle, which reads {FORMAT}")
    highest = int(form[1])
    words = _vocabulary(arrays)
    log_probs, back_offs = (_take(arrays, f"{name}_1", "<f4") for name in ("log_probs", "back_offs"))
    if len(log_probs) != len(words) or len(back_offs) != len(words):
        raise _BadTrieError("its unigrams are not its vocabulary")
    _check_numbers(log_probs, back_offs)
    unigrams = Level(np.arange(len(words), dtype=np.int64), log_probs, back_offs)
    higher: list[StoredLevel] = []
    for order in range(2, highest + 1):
        higher.append(_level(arrays, order, highest, len(words), len(higher[-1] if higher else unigrams)))
    return StoredTrie(words, unigrams, tuple(higher))


def _vocabulary(arrays: Mapping[str, NDArray[Any]]) -> tuple[str, ...]:
    words = tuple(_take(arrays, "vocabulary", "<u1").tobytes().decode().split("\n"))
    own = words[len(SPECIALS) :]
    if not len(SPECIALS) <= len(words) <= LARGEST_VOCABULARY or words[: len(SPECIALS)] != SPECIALS:
        raise _BadTrieError("its vocabulary is not one")
    if "" in own or not all(map(operator.lt, own, own[1:])):
        raise _BadTrieError("its vocabulary is not in order")
    return words


def _level(
    arrays: Mapping[str, NDArray[Any]], order: int, highest: int, vocabulary: int, parents: int
) -> StoredLevel:
    children = arrays.get(f"children_{order}")
    words = _take(arrays, f"words_{order}", "<u2")
    if children is None or children.dtype not in _COUNT_TYPES or len(children) != parents:
        raise _BadTrieError(f"the {order}-grams do not belong to the {order - 1}-grams")
    if int(children.sum(dtype=np.uint64)) != len(words) or words.max(initial=0) >= vocabulary:
        raise _BadTrieError(f"the {order}-grams do not fit together")
    weights = {name: _weights(arrays, f"{name}_{order}", len(words)) for name in _quantised(order, highest)}
    none = Quantised(np.zeros(0, np.uint8), np.zeros(0, np.float32))
    level = StoredLevel(children, words, weights["log_probs"], weights.get("back_offs", none))
    _check_numbers(level.log_probs.book, level.back_offs.book)
    return level


def _weights(arrays: Mapping[str, NDArray[Any]], name: str, count: int) -> Quantised:
    indices, book = _take(arrays, name, "<u1"), _take(arrays, name + "_book", "<f4")
    if len(indices) != count or len(book) > ENTRIES or indices.max(initial=0) >= max(len(book), 1):
        raise _BadTrieError(f"{name} does not fit")
    return Quantised(indices, book)


def _take(arrays: Mapping[str, NDArray[Any]], name: str, dtype: str) -> NDArray[Any]:
    array = arrays.get(name)
    if array is None or array.dtype != np.dtype(dtype):
        raise _BadTrieError(f"it has no {name} of the right type")
    return array


def _check_numbers(log_probs: NDArray[np.float32], back_offs: NDArray[np.float32]) -> None:
    if not (np.isfinite(log_probs).all() and (log_probs <= 0).all()):
        raise _BadTrieError("a probability is not one")
    if not np.isfinite(back_offs).all():
        raise _BadTrieError("a back-off weight is not finite")
