"""Restoration on the road: segments of plain words go in, and come out with the readable form of each word.

Pauses are taken from the words' times. A recording that is recognised piece by piece is read in pieces too: a segment
waits for the words after it that can change it, and the words before it are read again with it, as many as the restorer
sees and one more, whose pause, or mark, is the last thing that counts. So the text is that of the whole, to the letter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice, pairwise

from auricle.errors import AudioError
from auricle.restoration.readable import tokens_of
from auricle.restoration.types import SENTENCE_ENDS, Pauses, Restorer, WindowedRestorer, Written, with_mark
from auricle.transcript import Segment, Word

_SPACE_SECONDS = 0.04
"""Words that run into each other are this far apart: a CTC network needs a frame for the space between them."""
_DIGITS = 3  # milliseconds: the last bits of a time that was added to another must not choose a mark
_END_SECONDS = 0.4
"""Where speech was cut, a shorter pause than this ends no sentence: most of those within one are shorter."""


def restored(segments: Sequence[Segment], restorer: Restorer, *, numbers: bool = True) -> tuple[Segment, ...]:
    """Return the segments of a whole recording, with `written` in each word. A number never goes across segments."""
    words = [word for segment in segments for word in segment.words]
    written = iter(_restore(words, restorer))
    return tuple(_readable(segment, [next(written) for _ in segment.words], numbers) for segment in segments)


def restored_stream(
    groups: Iterable[Sequence[Segment]], restorer: WindowedRestorer, *, numbers: bool = True
) -> Iterator[Segment]:
    """Yield what `restored` returns while the segments come; a segment is held until `context + 1` words follow it.

    They come in `groups`, each of what is there at one time, as the words between two groups are read twice. No more is
    held than a group and what waits. Where the groups end in an AudioError, what is held comes before it.
    """
    overlap = restorer.context + 1
    before: list[Word] = []
    held: deque[Segment] = deque()
    damage: AudioError | None = None
    coming = iter(groups)
    is_over = False
    while not is_over:
        try:
            held.extend(next(coming))
        except StopIteration:
            is_over = True
        except AudioError as error:
            is_over, damage = True, error
        count = len(held) if is_over or not any(segment.words for segment in held) else _decided(held, overlap)
        if count:
            words = [word for segment in held for word in segment.words]
            decided = sum(len(segment.words) for segment in islice(held, count))
            seen = [*before, *words[: decided + overlap]]
            written = iter(_restore(seen, restorer)[len(before) :] if decided else [])
            for _ in range(count):
                segment = held.popleft()
                yield _readable(segment, [next(written) for _ in segment.words], numbers)
                before = [*before, *segment.words][-overlap:]
    if damage:
        raise damage


class Continued:
    """Makes pieces of one speech readable while it is spoken: each knows what was said before, and not what follows.

    So a piece is given an end, unless its last pause is known to be a short one. Not for several threads.
    """

    def __init__(self, restorer: WindowedRestorer, *, numbers: bool = True) -> None:
        self._restorer, self._numbers = restorer, numbers
        self._before: list[Word] = []
        self._begins = True

    def __call__(self, words: Sequence[Word], pause: float | None = None) -> tuple[Word, ...]:
        """Return the next words with what is `written` of them.

        `pause` is the silence after the last one, in seconds, where speech goes on that had to be cut; None is an end.
        """
        if not words:
            return ()
        first, *rest = _restore([*self._before, *words], self._restorer)[len(self._before) :]
        if self._begins and first.text[:1].islower():  # what was shown as an end stays one
            first = replace(first, text=_capital(first.text))
        written = [first, *rest]
        if pause is not None and pause < _END_SECONDS and written[-1].mark in SENTENCE_ENDS:
            written[-1] = replace(written[-1], mark="")
        self._before = [*self._before, *words][-self._restorer.context - 1 :]
        self._begins = written[-1].mark in SENTENCE_ENDS
        return _with_written(words, written, self._numbers)


def pauses_of(words: Sequence[Word]) -> Pauses:
    """Return the silence after each word, in whole milliseconds, less what parts any two; after the last, nobody knows.

    The values are seconds.
    """
    gaps = (round(after.start - before.end - _SPACE_SECONDS, _DIGITS) for before, after in pairwise(words))
    return [*(max(0.0, gap) for gap in gaps), *([None] if words else [])]


def _decided(held: Sequence[Segment], overlap: int) -> int:
    """Return how many of the first segments have `overlap` words after them."""
    after, count = 0, len(held)
    while count and after < overlap:
        count -= 1
        after += len(held[count].words)
    return count


def _restore(words: Sequence[Word], restorer: Restorer) -> list[Written]:
    return restorer.restore([word.text for word in words], pauses_of(words)) if words else []


def _readable(segment: Segment, written: Sequence[Written], numbers: bool) -> Segment:
    return replace(segment, words=_with_written(segment.words, written, numbers))


def _with_written(words: Sequence[Word], written: Sequence[Written], numbers: bool) -> tuple[Word, ...]:
    shown = [""] * len(words)
    for token in tokens_of([word.text for word in words], written, numbers=numbers):
        shown[token.first] = with_mark(token.text, token.mark)
    # Not by `replace`, which takes twice as long, and this is done for each word there is.
    return tuple(Word(w.text, w.start, w.end, w.confidence, form) for w, form in zip(words, shown, strict=True))


def _capital(word: str) -> str:
    capital = word[:1].upper() + word[1:]
    return capital if capital.lower() == word else word
