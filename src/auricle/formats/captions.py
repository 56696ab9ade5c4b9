"""Captions: SubRip and WebVTT (W3C), with lines and times that can be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

from auricle.formats.plain import milliseconds, plain
from auricle.transcript import Transcript, Word

LINE_CHARACTERS: Final = 42  # what fits on a phone and a television alike; the limit of most captioning guides
PAUSE_SECONDS: Final = 0.5
SHORTEST_CUE_MS: Final = 1000
LONGEST_CUE_MS: Final = 7000
READING_CHARACTERS: Final = 20  # a second; what Netflix asks of captions for adults
_SENTENCE_ENDS, _CLAUSE_ENDS = (".", "?", "!", "…"), (",", ";", ":", "—")
_TITLES = ("Mr.", "Mrs.", "Dr.", "St.")  # whose full stop ends nothing
_LEANS_ON_THE_NEXT = (
    "a an the my your his her its our their this these those no every each of to in on at by for from with into onto "
    "as about after against among before behind beneath beside between during near over since through toward towards "
    "under until unto upon within without than and or but nor if that which who whose because while mr. mrs. dr. st."
)
_LEANING = frozenset(_LEANS_ON_THE_NEXT.split())  # what a line does not end with where it can end with something else
_LEANING_COSTS, _CLAUSE_GAINS = 2 * LINE_CHARACTERS, 12  # in characters by which one line is longer than the other
_LEANING_PAUSE_SECONDS: Final = 1.5  # a speaker who searches for a word stops after "the"


@dataclass(frozen=True, slots=True)
class Cue:
    """A caption: the words of its one or two lines, shown from `start_ms` to `end_ms` of the recording."""

    start_ms: int
    end_ms: int
    rows: tuple[tuple[Word, ...], ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines as they are read."""
        return tuple(_text(row) for row in self.rows)


def srt(transcript: Transcript) -> str:
    """Return SubRip captions, numbered from one."""
    return _blocks(
        f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n" + "\n".join(cue.lines)
        for number, cue in enumerate(cues(transcript.shown_words), start=1)
    )


def vtt(transcript: Transcript) -> str:
    """Return WebVTT captions, with &, < and > escaped."""
    return _webvtt((cue, "\n".join(_escaped(line) for line in cue.lines)) for cue in cues(transcript.shown_words))


def vtt_words(transcript: Transcript) -> str:
    """Return WebVTT captions with a timestamp where each word begins, for players that light up what is being said."""
    return _webvtt((cue, _timed(cue)) for cue in cues(transcript.shown_words))


def cues(words: Sequence[Word]) -> list[Cue]:
    """Group words in order of time into captions of at most two lines of at most `LINE_CHARACTERS`.

    A pause longer than `PAUSE_SECONDS` ends a caption, unless it would then be shown for less than `SHORTEST_CUE_MS`
    and the next one's words fit beside its own. Speech that is too long for one, by its text or by `LONGEST_CUE_MS`, is
    cut near its middle: at the end of a sentence, else of a clause, else where it pauses longest, so that no word is
    left over alone. Neither a caption nor a line ends with an article, a preposition or the like, which belong to what
    follows, where there is another place; after one, only a pause of more than a second and a half ends a caption.

    A caption lasts from its first word's start to its last word's end, and longer where `SHORTEST_CUE_MS` or
    `READING_CHARACTERS` ask for it and the next caption's start allows. Captions never overlap, none is empty and none
    is longer than `LONGEST_CUE_MS`, whatever the words' times are. A word longer than a line has a line to itself.
    """
    spoken = [replace(word, text=plain(word.text)) for word in words if word.text.strip()]
    groups = _without_flashes([part for phrase in _phrases(spoken) for part in _cut(phrase)])
    starts: list[int] = []
    for group in groups:
        starts.append(max(milliseconds(group[0].start), starts[-1] + 1 if starts else 0))
    captions = []
    for index, (start, group) in enumerate(zip(starts, groups, strict=True)):
        reading = round(1000 * len(_text(group)) / READING_CHARACTERS)
        end = max(milliseconds(group[-1].end), start + max(SHORTEST_CUE_MS, reading))
        end = min(end, start + LONGEST_CUE_MS, *starts[index + 1 : index + 2])
        captions.append(Cue(start, end, _rows(group) or ()))
    return captions


def _phrases(words: Sequence[Word]) -> list[list[Word]]:
    """Split words at the pauses that are long enough to be heard as such."""
    phrases: list[list[Word]] = []
    for word in words:
        if phrases and word.start - phrases[-1][-1].end <= _pause_after(phrases[-1][-1]):
            phrases[-1].append(word)
        else:
            phrases.append([word])
    return phrases


def _pause_after(word: Word) -> float:
    return _LEANING_PAUSE_SECONDS if _leans(word) else PAUSE_SECONDS


def _leans(word: Word) -> bool:
    return word.text.lower() in _LEANING


def _ending(word: Word) -> int:
    """Say what ends with a word: a sentence (2), a clause (1), or nothing."""
    if word.text in _TITLES:
        return 0
    return 2 * word.text.endswith(_SENTENCE_ENDS) + word.text.endswith(_CLAUSE_ENDS)


def _cut(phrase: list[Word]) -> list[list[Word]]:
    """Halve a phrase until every part fits into a caption, each time at the best place in its middle half."""
    if _fits(phrase):
        return [phrase]
    ends = list(accumulate(len(word.text) + 1 for word in phrase))
    middle = ends[-1] / 2
    distance = {cut: abs(ends[cut - 1] - middle) for cut in range(1, len(phrase))}
    central = [cut for cut in distance if distance[cut] <= middle / 2]

    def goodness(cut: int) -> tuple[int, bool, float, float]:
        before, after = phrase[cut - 1], phrase[cut]
        return _ending(before), not _leans(before), round(after.start - before.end, 3), -distance[cut]

    # Nothing is central when one enormous word covers the middle.
    best = max(central, key=goodness) if central else min(distance, key=distance.__getitem__)
    return _cut(phrase[:best]) + _cut(phrase[best:])


def _without_flashes(groups: list[list[Word]]) -> list[list[Word]]:
    """Join each group that would be gone before it is read to the next one, where both fit into one caption."""
    joined: list[list[Word]] = []
    for group in groups:
        if joined and milliseconds(group[0].start) - milliseconds(joined[-1][0].start) < SHORTEST_CUE_MS:
            both = joined[-1] + group
            if _fits(both):
                joined[-1] = both
                continue
        joined.append(group)
    return joined


def _fits(words: list[Word]) -> bool:
    short = len(words) == 1 or milliseconds(words[-1].end) - milliseconds(words[0].start) <= LONGEST_CUE_MS
    return short and _rows(words) is not None


def _rows(words: Sequence[Word]) -> tuple[tuple[Word, ...], ...] | None:
    """Return one line if it is short enough, else the two most even ones that read well; None if two are too few."""
    if _is_line(words):
        return (tuple(words),)
    if len(words) > LINE_CHARACTERS:  # two lines of one-letter words hold fewer
        return None
    pairs = [
        (tuple(words[:cut]), tuple(words[cut:]))
        for cut in range(1, len(words))
        if _is_line(words[:cut]) and _is_line(words[cut:])
    ]
    return min(pairs, key=_unevenness, default=None)


def _unevenness(pair: tuple[tuple[Word, ...], tuple[Word, ...]]) -> tuple[int, int]:
    """Rate a pair of lines, least first: even ones, the lower longer, that do not break off within a phrase."""
    upper, lower = (len(_text(row)) for row in pair)
    last = pair[0][-1]
    return abs(upper - lower) + _LEANING_COSTS * _leans(last) - _CLAUSE_GAINS * _ending(last), upper


def _is_line(words: Sequence[Word]) -> bool:
    return len(words) == 1 or len(_text(words)) <= LINE_CHARACTERS


def _text(words: Iterable[Word]) -> str:
    return " ".join(word.text for word in words)


def _timed(cue: Cue) -> str:
    """Return the lines with the start of each word but the first; WebVTT wants the times inside the cue and rising."""
    latest = cue.start_ms
    lines = []
    for row in cue.rows:
        parts = []
        for word in row:
            start = milliseconds(word.start)
            if latest < start < cue.end_ms:
                latest = start
                parts.append(f"<{_clock(start, '.')}>{_escaped(word.text)}")
            else:
                parts.append(_escaped(word.text))
        lines.append(" ".join(parts))
    return "\n".join(lines)


def _webvtt(captions: Iterable[tuple[Cue, str]]) -> str:
    blocks = [f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n{text}" for cue, text in captions]
    return _blocks(["WEBVTT", *blocks])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(whole_milliseconds: int, decimal_mark: str) -> str:
    seconds, fraction = divmod(whole_milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{decimal_mark}{fraction:03d}"


def _blocks(blocks: Iterable[str]) -> str:
    return "\n\n".join(blocks) + "\n"
