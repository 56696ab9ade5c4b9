"""Which sentences to leave out of a corpus: those it has already, and those that held-out transcripts share words with.

Words, windows of eight and sentences are compared by 64-bit hashes. Among a hundred million windows and a hundred
thousand excluded ones, the chance that any two collide is about one in two million.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from auricle.errors import LanguageModelError
from auricle.language.corpus import Corpus, Mask

Hashes: TypeAlias = NDArray[np.uint64]

WINDOW = 8  # words in a row that are taken for the same text
SHORTEST_EXCLUDED = 4  # a whole sentence of fewer words is anyone's
SHORTEST_DUPLICATE = 6  # likewise: people say "i beg your pardon sir" more than once

_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so its powers lose no bits
_BLOCK = 1 << 22  # words hashed in one go


def duplicates(corpus: Corpus) -> Mask:
    """Return which sentences [sentences] of six words or more are exact copies of an earlier one."""
    hashes = _sentence_hashes(corpus)
    mask = np.zeros(corpus.sentences, dtype=bool)
    long = np.flatnonzero(corpus.lengths >= SHORTEST_DUPLICATE)
    _, first = np.unique(hashes[long], return_index=True)
    mask[long] = True
    mask[long[first]] = False
    return mask


def overlaps(corpus: Corpus, excluded: Iterable[Sequence[str]]) -> Mask:
    """Return which sentences [sentences] share eight words in a row with `excluded`, lines of normalised sentences.

    Windows run across the sentences of a line, since a transcript need not begin where a printed sentence does; every
    sentence that such a window touches is one. So is a sentence of four to seven words that equals an excluded one.
    """
    windows: list[int] = []
    wholes: list[int] = []
    for line in excluded:
        windows.extend(_window_hashes(_word_hashes(" ".join(line).split())).tolist())
        for words in map(str.split, line):
            if SHORTEST_EXCLUDED <= len(words) < WINDOW:
                wholes.extend(_sums(_word_hashes(words), np.array([0, len(words)])).tolist())
    mask = np.isin(_sentence_hashes(corpus), np.array(wholes, np.uint64))
    if not windows:
        return mask
    unwanted = np.unique(np.array(windows, np.uint64))
    table = _word_hashes(corpus.words)
    hits: list[int] = []
    for begin in range(0, max(len(corpus.ids) - WINDOW + 1, 0), _BLOCK):
        hashes = _window_hashes(table.take(corpus.ids[begin : begin + _BLOCK + WINDOW - 1]))
        hits.extend((begin + np.flatnonzero(_among(hashes, unwanted))).tolist())
    return mask | _touched(corpus, np.array(hits, np.int64))


def overlaps_hashes(corpus: Corpus, unwanted: frozenset[int]) -> Mask:
    """Return the same where only hashes of the excluded windows are known, as `read_hashes` returns them.

    Slower: each window of the corpus is spelled out and hashed, about a second for a million words.
    """
    words = [word.rstrip("'") for word in corpus.words]
    hits: list[int] = []
    for begin in range(0, max(len(corpus.ids) - WINDOW + 1, 0), _BLOCK):
        part = [words[index] for index in corpus.ids[begin : begin + _BLOCK + WINDOW - 1].tolist()]
        hits.extend(begin + at for at, value in enumerate(_blake2b_windows(part)) if value in unwanted)
    return _touched(corpus, np.array(hits, np.int64))


def read_hashes(path: str | Path) -> frozenset[int]:
    """Read a file of little-endian 64-bit BLAKE2b hashes of eight words with single spaces between them."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise LanguageModelError(f"{path}: cannot read the hashes ({error.strerror or error}).") from error
    if len(content) % 8 or not content:
        raise LanguageModelError(f"{path}: not a file of 64-bit hashes: its size is not a multiple of eight bytes.")
    return frozenset(np.frombuffer(content, "<u8").tolist())


def _blake2b_windows(words: list[str]) -> Iterator[int]:
    for at in range(len(words) - WINDOW + 1):
        text = " ".join(words[at : at + WINDOW]).encode()
        yield int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def _touched(corpus: Corpus, hits: NDArray[np.int64]) -> Mask:
    """Return which sentences hold a word of the windows that begin at `hits` and stay within their line."""
    first = np.searchsorted(corpus.starts, hits, side="right") - 1
    last = np.searchsorted(corpus.starts, hits + WINDOW - 1, side="right") - 1
    inside = corpus.lines[first] == corpus.lines[last]
    steps = np.zeros(corpus.sentences + 1, np.int64)
    np.add.at(steps, first[inside], 1)
    np.add.at(steps, last[inside] + 1, -1)
    return np.cumsum(steps[:-1]) > 0


def _word_hashes(words: Iterable[str]) -> Hashes:
    digests = b"".join(hashlib.blake2b(word.encode(), digest_size=8).digest() for word in words)
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def _window_hashes(words: Hashes) -> Hashes:
    """Return the hash of each eight words in a row (a polynomial in _FACTOR, modulo 2^64)."""
    count = max(len(words) - WINDOW + 1, 0)
    hashes = words[:count].copy()
    for step in range(1, WINDOW):
        hashes *= _FACTOR
        hashes += words[step : step + count]
    return hashes


def _among(values: Hashes, ascending: Hashes) -> Mask:
    at = np.searchsorted(ascending, values)
    return np.equal(ascending.take(at, mode="clip"), values)


def _sentence_hashes(corpus: Corpus) -> Hashes:
    table, starts = _word_hashes(corpus.words), corpus.starts
    cuts = np.unique(np.searchsorted(starts, np.arange(0, len(corpus.ids) + _BLOCK, _BLOCK)).clip(max=corpus.sentences))
    parts = [
        _sums(table.take(corpus.ids[starts[begin] : starts[end]]), starts[begin : end + 1] - starts[begin])
        for begin, end in pairwise(cuts.tolist())
    ]
    return np.concatenate([np.zeros(0, np.uint64), *parts])


def _sums(words: Hashes, starts: NDArray[np.int64]) -> Hashes:
    """Return a hash of each stretch of words: each word times a power of _FACTOR that its place gives, added up."""
    lengths = np.diff(starts)
    powers = np.cumprod(np.full(int(lengths.max(initial=0)), _FACTOR), dtype=np.uint64)
    places = np.arange(len(words)) - np.repeat(starts[:-1], lengths)
    return np.add.reduceat(words * powers.take(places), starts[:-1]) + lengths.astype(np.uint64)
