"""Back-off models in the ARPA format, as SRILM and KenLM read and write it: base-10 logarithms, a line an n-gram."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auricle.decoding.trie import LARGEST_VOCABULARY, SPECIALS, UNKNOWN, WORD_BITS, Level, Trie
from auricle.errors import LanguageModelError
from auricle.language.files import reading, writing

_LN_10 = math.log(10)
_LOWEST = -99.0  # SRILM's way to write the logarithm of zero
_UNKNOWN_ABSENT = -100.0  # what KenLM takes for the probability of <unk> where a model says nothing of it
_BLOCK = 1 << 16  # n-grams written in one go


class _Section(NamedTuple):
    """The lines of one order: word ids [n, order] and base-10 logarithms [n]."""

    rows: NDArray[np.uint16]
    log_probs: NDArray[np.float64]
    back_offs: NDArray[np.float64]


def write_arpa(trie: Trie, path: str | Path) -> None:
    """Write a model as an ARPA file: whole or not at all. Raises LanguageModelError when that cannot be done."""
    with writing(Path(path)) as file:
        file.writelines(_lines(trie))


def read_arpa(path: str | Path) -> Trie:
    """Read an ARPA file (.gz and .xz unpacked). Raises LanguageModelError for what is not one, or is too large."""
    path = Path(path)
    with reading(path, "an ARPA file") as file:
        counts = _counts(file, path)
        if not counts or list(counts) != list(range(1, len(counts) + 1)):
            raise LanguageModelError(
                f"{path}: not an ARPA file: it does not say how many n-grams of each order it has."
            )
        if counts[1] > LARGEST_VOCABULARY:
            raise LanguageModelError(
                f"{path}: the model has {counts[1]:,} words, and auricle's have {LARGEST_VOCABULARY:,} at most: "
                "build it with a smaller vocabulary."
            )
        words, unigrams = _unigrams(file, path, counts[1], highest=len(counts) == 1)
        ids = {word: index for index, word in enumerate(words)} | {"<UNK>": UNKNOWN}
        levels = [unigrams]
        for order in range(2, len(counts) + 1):
            section = _section(file, path, order, counts[order], ids)
            levels.append(_level(section, levels, words, path, highest=order == len(counts)))
    return Trie(words, tuple(levels))


def _lines(trie: Trie) -> Iterator[str]:
    yield "\\data\\\n"
    yield from (f"ngram {order}={count}\n" for order, count in enumerate(trie.counts, start=1))
    for order, level in enumerate(trie.levels, start=1):
        yield f"\n\\{order}-grams:\n"
        for begin in range(0, len(level), _BLOCK):
            block = np.arange(begin, min(begin + _BLOCK, len(level)))
            names = _names(trie, order, block)
            log_probs = (level.log_probs[block].astype(np.float64) / _LN_10).tolist()
            if order == trie.order:
                yield from (f"{log_prob:.7g}\t{name}\n" for name, log_prob in zip(names, log_probs, strict=True))
                continue
            back_offs = (level.back_offs[block].astype(np.float64) / _LN_10).tolist()
            for name, log_prob, back_off in zip(names, log_probs, back_offs, strict=True):
                yield f"{log_prob:.7g}\t{name}\t{back_off:.7g}\n"
    yield "\n\\end\\\n"


def _names(trie: Trie, order: int, indices: NDArray[Any]) -> Iterator[str]:
    """Return n-grams of `order` as text."""
    columns = []
    for level in trie.levels[order - 1 :: -1]:
        keys = level.keys[indices]
        columns.append([trie.words[word] for word in (keys & 0xFFFF).tolist()])
        indices = keys >> WORD_BITS
    return map(" ".join, zip(*columns[::-1], strict=True))


def _counts(file: IO[str], path: Path) -> dict[int, int]:
    for line in file:
        if line.strip() == "\\data\\":
            break
    counts: dict[int, int] = {}
    for line in file:
        if match := re.fullmatch(r"ngram\s+([1-9])\s*=\s*(\d{1,10})\s*", line):
            counts[int(match[1])] = int(match[2])
        elif line.strip():
            _expect(line, 1, path)
            break
    return counts


def _unigrams(file: IO[str], path: Path, count: int, *, highest: bool) -> tuple[tuple[str, ...], Level]:
    """Return the vocabulary in auricle's order, and the unigrams in that order."""
    found: dict[str, tuple[float, float]] = {}
    for fields in _fields(file, path, 1, count):
        word = SPECIALS[UNKNOWN] if fields[1] == "<UNK>" else fields[1]
        if word in found:
            raise LanguageModelError(f"{path}: the word {word!r} is there twice: build the model again.")
        found[word] = _logarithms(fields, 1, path)
    if missing := [word for word in SPECIALS[1:] if word not in found]:
        raise LanguageModelError(f"{path}: the model has no {missing[0]}, so it cannot tell where sentences are.")
    found.setdefault(SPECIALS[UNKNOWN], (_UNKNOWN_ABSENT, 0.0))
    words = (*SPECIALS, *sorted(found.keys() - set(SPECIALS)))
    if len(words) > LARGEST_VOCABULARY:
        raise LanguageModelError(f"{path}: with <unk>, the model has more than {LARGEST_VOCABULARY:,} words.")
    log_probs, back_offs = (np.array(column) * _LN_10 for column in zip(*map(found.__getitem__, words), strict=True))
    keys = np.arange(len(words), dtype=np.int64)
    return words, Level(keys, log_probs.astype(np.float32), back_offs[: 0 if highest else None].astype(np.float32))


def _section(file: IO[str], path: Path, order: int, count: int, ids: dict[str, int]) -> _Section:
    for line in file:
        if line.strip():
            _expect(line, order, path)
            break
    rows, log_probs, back_offs = array("H"), array("d"), array("d")
    for fields in _fields(file, path, order, count):
        try:
            rows.extend([ids[word] for word in fields[1 : order + 1]])
        except KeyError as error:
            raise LanguageModelError(f"{path}: the word {error} of a {order}-gram is not among the 1-grams.") from None
        log_prob, back_off = _logarithms(fields, order, path)
        log_probs.append(log_prob)
        back_offs.append(back_off)
    return _Section(np.array(rows, np.uint16).reshape(-1, order), np.array(log_probs), np.array(back_offs))


def _level(section: _Section, levels: Sequence[Level], words: Sequence[str], path: Path, *, highest: bool) -> Level:
    rows = section.rows.astype(np.int64)
    order = rows.shape[1]
    parents = rows[:, 0]
    for level, column in zip(levels[1:], rows.T[1:-1], strict=True):
        wanted = (parents << WORD_BITS) | column
        parents = np.searchsorted(level.keys, wanted)
        lost = np.flatnonzero(level.keys.take(parents, mode="clip") != wanted) if len(level) else np.arange(len(rows))
        if len(lost):
            name = " ".join(words[index] for index in rows[lost[0]])
            raise LanguageModelError(
                f"{path}: the model has the {order}-gram {name!r} and lacks the {order - 1}-gram that it begins with: "
                "build it again."
            )
    keys = (parents << WORD_BITS) | rows[:, -1]
    ascending = np.argsort(keys)
    keys = keys[ascending]
    if len(same := np.flatnonzero(keys[1:] == keys[:-1])):
        name = " ".join(words[index] for index in rows[ascending[same[0]]])
        raise LanguageModelError(f"{path}: the {order}-gram {name!r} is there twice: build the model again.")
    log_probs, back_offs = (
        (values[ascending] * _LN_10).astype(np.float32) for values in (section.log_probs, section.back_offs)
    )
    return Level(keys, log_probs, back_offs[: 0 if highest else None])


def _fields(file: IO[str], path: Path, order: int, count: int) -> Iterator[list[str]]:
    """Yield the fields of a section's lines up to the blank line, or the mark, that ends it."""
    seen = 0
    for line in file:
        if not line.strip():
            break
        # Not split(): a word may hold what Unicode, and not ARPA, takes for a space.
        fields = line.strip(" \t\r\n").replace("\t", " ").split(" ")
        if not order + 1 <= len(fields) <= order + 2 or "" in fields:
            raise LanguageModelError(f"{path}: not a line of an ARPA file's {order}-grams: {line.strip()[:80]!r}.")
        seen += 1
        yield fields
    if seen != count:
        raise LanguageModelError(
            f"{path}: the file should have {count:,} {order}-grams and has {seen:,}: it is damaged, get it again."
        )


def _logarithms(fields: list[str], order: int, path: Path) -> tuple[float, float]:
    """Return the log-probability and the back-off weight of a line."""
    back_off = 0.0
    try:
        log_prob = max(float(fields[0]), _LOWEST)
        if len(fields) > order + 1:
            back_off = max(float(fields[order + 1]), _LOWEST)
    except ValueError:
        log_prob = math.nan
    if not (log_prob <= 0 and back_off < math.inf):
        raise LanguageModelError(f"{path}: not a probability and a back-off weight: {' '.join(fields)[:80]!r}.")
    return log_prob, back_off


def _expect(line: str, order: int, path: Path) -> None:
    if line.strip() != f"\\{order}-grams:":
        raise LanguageModelError(f"{path}: expected \\{order}-grams: and found {line.strip()[:80]!r}: it is damaged.")
