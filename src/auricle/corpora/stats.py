"""What a manifest holds, in figures: hours, speakers, durations, rates of speech and the characters of its texts."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auricle.manifest import Utterance

QUANTILES = {"least": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "most": 1.0}


@dataclass(frozen=True, slots=True)
class Spread:
    """The values of one quantity, one for each utterance that has it."""

    values: tuple[float, ...]

    def quantiles(self) -> dict[str, float]:
        """Return the value at each of `QUANTILES`; nothing when there are no values."""
        if not self.values:
            return {}
        values = np.quantile(self.values, list(QUANTILES.values()))
        return {name: float(value) for name, value in zip(QUANTILES, values, strict=True)}


@dataclass(frozen=True, slots=True)
class Stats:
    """Figures of a manifest. Durations in seconds; rates in characters of the text (spaces too) a second."""

    utterances: int
    seconds: float
    without_text: int
    words: int
    distinct_words: int
    durations: Spread
    rates: Spread
    speakers: dict[str, float]
    """Seconds of each speaker, the most first; utterances without a speaker are not in it."""
    sexes: dict[str, float]
    """Seconds of each sex, "unknown" for the utterances that do not say."""
    characters: dict[str, int]
    """How often each character is in the texts, in lower case and composed (NFC), the most frequent first."""

    @property
    def speaker_spread(self) -> Spread:
        """How the seconds of the speakers spread."""
        return Spread(tuple(self.speakers.values()))

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the single values, for JSON."""
        return {
            "utterances": self.utterances,
            "seconds": round(self.seconds, 3),
            "without_text": self.without_text,
            "words": self.words,
            "distinct_words": self.distinct_words,
            "durations": self.durations.quantiles(),
            "characters_per_second": self.rates.quantiles(),
            "speakers": {name: round(seconds, 3) for name, seconds in self.speakers.items()},
            "sexes": {name: round(seconds, 3) for name, seconds in self.sexes.items()},
            "characters": self.characters,
        }


def stats(utterances: Sequence[Utterance]) -> Stats:
    """Count what is in the utterances. One without a duration counts for nothing where seconds are counted."""
    texts = [utterance.text for utterance in utterances if utterance.text]
    words = Counter(word for text in texts for word in text.casefold().split())
    return Stats(
        utterances=len(utterances),
        seconds=sum(utterance.duration or 0.0 for utterance in utterances),
        without_text=len(utterances) - len(texts),
        words=words.total(),
        distinct_words=len(words),
        durations=Spread(tuple(utterance.duration for utterance in utterances if utterance.duration)),
        rates=Spread(tuple(len(u.text) / u.duration for u in utterances if u.duration and u.text)),
        speakers=_seconds_by((u.speaker, u.duration) for u in utterances if u.speaker),
        sexes=_seconds_by((u.sex or "unknown", u.duration) for u in utterances),
        characters=dict(Counter(unicodedata.normalize("NFC", "".join(texts)).lower()).most_common()),
    )


def _seconds_by(pairs: Iterable[tuple[str, float | None]]) -> dict[str, float]:
    """Return the sum of the seconds of each name, the most first."""
    sums: defaultdict[str, float] = defaultdict(float)
    for name, seconds in pairs:
        sums[name] += seconds or 0.0
    return dict(sorted(sums.items(), key=lambda pair: -pair[1]))
