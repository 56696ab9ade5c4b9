"""Texts that do not belong to their recordings, found by forced alignment with a model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from auricle import audio
from auricle.corpora.collected import Progress, silent_progress
from auricle.corpora.findings import Finding, Kind, Report
from auricle.errors import AuricleError
from auricle.manifest import Utterance

if TYPE_CHECKING:
    from auricle.recognizer import Recognizer

LEAST_SCORE = -2.5
"""Scores below this accuse a text. Chosen on dev sets with `english` version 1; docs/corpora.md has the figures."""

Scoring: TypeAlias = Callable[[Collection[Utterance]], Generator[float | str, None, None]]
"""Yields the score of each utterance, in their order, or why it cannot be aligned."""


def align_all(
    report: Report,
    utterances: Mapping[int, Utterance],
    scoring: Scoring,
    *,
    least_score: float = LEAST_SCORE,
    progress: Progress = silent_progress,
) -> Report:
    """Return the report with the alignment score of each of these utterances, by line, and those that score too low.

    A score is at most 0: the natural-log probability of the text, less that of what the network itself would have
    written, for each character. It is near 0 where the network agrees and some way below where it hears badly; another
    recording's text lies far below.
    """
    findings = list(report.findings)
    scores: dict[str, float] = {}
    not_aligned: dict[str, str] = {}
    with closing(scoring(utterances.values())) as found:
        for done, ((line, utterance), score) in enumerate(zip(utterances.items(), found, strict=True), start=1):
            if isinstance(score, str):
                not_aligned[utterance.id] = score
            else:
                scores[utterance.id] = score
                if score < least_score:
                    detail = f"score {score:.2f}: {utterance.text!r}"
                    findings.append(Finding(Kind.MISMATCH, line, utterance.id, detail, -score))
            progress(done / len(utterances), "aligning")
    findings.sort(key=lambda finding: finding.line)
    return replace(report, findings=tuple(findings), scores=scores, not_aligned=not_aligned)


def align_each(utterances: Collection[Utterance], recognizer: Recognizer) -> Generator[float | str, None, None]:
    """Align one after another with this recogniser: a `Scoring`."""
    for utterance in utterances:
        yield score_of(utterance, recognizer)


def score_of(utterance: Utterance, recognizer: Recognizer) -> float | str:
    """Align an utterance's text with its recording, or return why that cannot be done."""
    rate = recognizer.bundle.features.sample_rate
    try:
        blocks = audio.open_blocks(
            utterance.audio_filepath, rate=rate, offset=utterance.offset, duration=utterance.duration
        )
        return recognizer.align(blocks, utterance.text or "").score
    except AuricleError as error:
        return str(error)
