"""What can be wrong with an utterance, and what a cleaned manifest does about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Fate(StrEnum):
    """What becomes of an utterance in a cleaned manifest."""

    DROPPED = "dropped"
    MENDED = "mended"
    KEPT = "kept"


class Kind(StrEnum):
    """What is wrong. The values stand in JSON documents; `HEADINGS` has them for people."""

    LINE = "line"
    DUPLICATE = "duplicate_id"
    NO_TEXT = "no_text"
    UNREADABLE = "unreadable"
    SILENT = "silent"
    TOO_SHORT = "too_short"
    CHARACTERS = "characters"
    MISMATCH = "mismatch"
    DURATION = "duration"
    CLIPPED = "clipped"


HEADINGS: Mapping[Kind, tuple[str, Fate]] = {
    Kind.LINE: ("no utterance", Fate.DROPPED),
    Kind.DUPLICATE: ("id used before", Fate.DROPPED),
    Kind.NO_TEXT: ("no text", Fate.DROPPED),
    Kind.UNREADABLE: ("unreadable", Fate.DROPPED),
    Kind.SILENT: ("silent", Fate.DROPPED),
    Kind.TOO_SHORT: ("too short for its text", Fate.DROPPED),
    Kind.CHARACTERS: ("letters, digits or signs outside the alphabet", Fate.DROPPED),
    Kind.MISMATCH: ("text of something else", Fate.DROPPED),
    Kind.DURATION: ("lasts otherwise than stated", Fate.MENDED),
    Kind.CLIPPED: ("clipped", Fate.KEPT),
}
"""For each kind its name, and what a cleaned manifest does with such an utterance."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with the utterance on one line of a manifest.

    The larger `badness`, the worse among its kind. `seconds` is the duration that is right, where another is stated.
    """

    kind: Kind
    line: int
    id: str
    detail: str
    badness: float = 0.0
    seconds: float | None = None

    @property
    def fate(self) -> Fate:
        """What a cleaned manifest does about it."""
        return HEADINGS[self.kind][1]


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in a manifest of `lines` lines with `seconds` of readable sound, in the order of the lines.

    `scores` has the alignment score of each id that was aligned, and `not_aligned` the reason for each that could not
    be.
    """

    manifest: str
    lines: int
    seconds: float
    findings: tuple[Finding, ...]
    scores: Mapping[str, float] = field(default_factory=dict)
    not_aligned: Mapping[str, str] = field(default_factory=dict)

    @property
    def dropped(self) -> frozenset[int]:
        """The lines that a cleaned manifest leaves out."""
        return frozenset(finding.line for finding in self.findings if finding.fate is Fate.DROPPED)

    @property
    def is_clean(self) -> bool:
        """Whether a cleaned manifest would say the same: clipped recordings alone do not count."""
        return all(finding.fate is Fate.KEPT for finding in self.findings)

    def of(self, kind: Kind) -> list[Finding]:
        """Return the findings of one kind, the worst first."""
        return sorted((finding for finding in self.findings if finding.kind is kind), key=lambda f: -f.badness)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return {
            "manifest": self.manifest,
            "lines": self.lines,
            "seconds": round(self.seconds, 3),
            "dropped": len(self.dropped),
            "counts": {kind.value: len(self.of(kind)) for kind in Kind},
            "findings": [
                {**asdict(finding), "badness": round(finding.badness, 4), "fate": finding.fate.value}
                for finding in self.findings
            ],
            "scores": {name: round(score, 4) for name, score in self.scores.items()},
            "not_aligned": dict(self.not_aligned),
        }
