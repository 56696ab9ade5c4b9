"""The values of an evaluation, and the questions that can be asked of them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from auricle.metrics import ErrorCounts, Rate, align, rate_with_interval, total
from auricle.report.readable import Readable, ReadableScores, scores_of

_LENGTH_EDGES = (2.0, 5.0, 10.0, 15.0, 20.0, 30.0)


@dataclass(frozen=True, slots=True)
class Row:
    """One scored utterance: normalised texts, `duration` in seconds, `confidence` the mean over words, if any.

    `readable` are its texts as people read them, where the reference is such a text.
    """

    id: str
    reference: str
    hypothesis: str
    words: ErrorCounts
    characters: ErrorCounts
    duration: float
    speaker: str | None
    confidence: float | None
    readable: Readable | None = None
    sex: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An utterance that could not be scored, and why."""

    id: str
    message: str


@dataclass(frozen=True, slots=True)
class Group:
    """Utterances that have something in common: how many, seconds of audio, word errors, and their rate."""

    name: str
    utterances: int
    seconds: float
    words: ErrorCounts
    wer: Rate


@dataclass(frozen=True)
class Report:
    """What an evaluation found. `rows` are in the manifest's order.

    `recognition_seconds` is the time from waveforms to transcripts, `reading_seconds` that from files to waveforms,
    0 where it is not known. Rates are not-a-number when nothing could be scored.
    """

    model: str
    rows: tuple[Row, ...]
    failures: tuple[Failure, ...]
    recognition_seconds: float
    reading_seconds: float

    @cached_property
    def words(self) -> ErrorCounts:
        """Word errors of all rows together."""
        return total(row.words for row in self.rows)

    @cached_property
    def wer(self) -> Rate:
        """Word error rate of the corpus with its 95 % interval."""
        return rate_with_interval([row.words for row in self.rows])

    @cached_property
    def cer(self) -> Rate:
        """Character error rate of the corpus with its 95 % interval."""
        return rate_with_interval([row.characters for row in self.rows])

    @cached_property
    def readable(self) -> ReadableScores | None:
        """How right marks, capitals and numbers are; None where no reference has any."""
        return scores_of([row.readable for row in self.rows if row.readable])

    @property
    def substitutions(self) -> int:
        """Words recognised as another."""
        return self.words.substitutions

    @property
    def deletions(self) -> int:
        """Words missed."""
        return self.words.deletions

    @property
    def insertions(self) -> int:
        """Words that nobody said."""
        return self.words.insertions

    @property
    def audio_seconds(self) -> float:
        """Seconds of audio that was scored."""
        return math.fsum(row.duration for row in self.rows)

    @property
    def real_time_factor(self) -> float:
        """Seconds of recognition per second of audio: 0.1 is ten times faster than speech."""
        return self.recognition_seconds / self.audio_seconds if self.rows else math.nan

    def by_speaker(self) -> tuple[Group, ...]:
        """Return a group per speaker, worst first; utterances without a speaker are the group "(unknown)"."""
        groups = self._groups(lambda row: row.speaker)
        return tuple(sorted(groups, key=lambda group: (-group.wer.value, group.name)))

    def by_sex(self) -> tuple[Group, ...]:
        """Return a group per sex of the speakers, as the manifest names them; "(unknown)" where it does not."""
        return tuple(sorted(self._groups(lambda row: row.sex), key=lambda group: group.name))

    def by_length(self) -> tuple[Group, ...]:
        """Return a group per range of clip length that occurs, shortest first; a range includes its lower bound."""
        edges = (0.0, *_LENGTH_EDGES, math.inf)
        groups = []
        for low, high in pairwise(edges):
            rows = [row for row in self.rows if low <= row.duration < high]
            name = f"{low:g} s and more" if math.isinf(high) else f"{low:g} to {high:g} s"
            groups += [_group(name, rows)] if rows else []
        return tuple(groups)

    def _groups(self, name_of: Callable[[Row], str | None]) -> list[Group]:
        alike: defaultdict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            alike[name_of(row) or "(unknown)"].append(row)
        return [_group(name, rows) for name, rows in alike.items()]

    def worst(self, n: int) -> list[Row]:
        """Return up to `n` rows with errors, highest word error rate first, then most errors."""
        wrong = [row for row in self.rows if row.words.errors]
        return sorted(wrong, key=lambda row: (-row.words.rate, -row.words.errors))[:n]

    def most_confused(self, n: int) -> list[tuple[str | None, str | None, int]]:
        """Return the `n` most frequent (reference word, hypothesis word, times); None is a gap, as in `align`."""
        pairs = Counter(
            pair
            for row in self.rows
            if row.words.errors
            for pair in align(row.reference.split(), row.hypothesis.split())
            if pair[0] != pair[1]
        )
        return [(reference, hypothesis, times) for (reference, hypothesis), times in pairs.most_common(n)]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON knows it; a rate that is infinite or not a number becomes None."""
        document = {
            "model": self.model,
            "utterances": len(self.rows),
            "audio_seconds": self.audio_seconds,
            "recognition_seconds": self.recognition_seconds,
            "reading_seconds": self.reading_seconds,
            "real_time_factor": self.real_time_factor,
            "wer": asdict(self.wer),
            "cer": asdict(self.cer),
            "substitutions": self.substitutions,
            "deletions": self.deletions,
            "insertions": self.insertions,
            "reference_words": self.words.reference_length,
            "readable": asdict(self.readable) if self.readable else None,
            "by_speaker": [asdict(group) for group in self.by_speaker()],
            "by_sex": [asdict(group) for group in self.by_sex()],
            "by_length": [asdict(group) for group in self.by_length()],
            "failures": [asdict(failure) for failure in self.failures],
            "rows": [asdict(row) | {"wer": row.words.rate, "cer": row.characters.rate} for row in self.rows],
        }
        return {key: _json_value(value) for key, value in document.items()}


def _group(name: str, rows: Sequence[Row]) -> Group:
    counts = [row.words for row in rows]
    seconds = math.fsum(row.duration for row in rows)
    return Group(name, len(rows), seconds, total(counts), rate_with_interval(counts))


def _json_value(value: Any) -> Any:
    """Replace the floats that JSON does not have."""
    if isinstance(value, dict):
        return {key: _json_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json_value(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
