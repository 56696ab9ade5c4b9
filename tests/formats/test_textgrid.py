"""TextGrid, read back by praatio."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from made import EMPTY, speech, transcript, transcripts
from praatio import textgrid
from praatio.utilities.textgrid_io import parseTextgridStr

from auricle.formats import write
from auricle.transcript import Transcript, Word


def tiers(result: Transcript) -> dict[str, list[tuple[float, float, str]]]:
    document: dict[str, Any] = parseTextgridStr(write(result, "textgrid"), includeEmptyIntervals=True)
    for tier in document["tiers"]:
        assert tier["class"] == "IntervalTier"
        assert (float(tier["xmin"]), float(tier["xmax"])) == (float(document["xmin"]), float(document["xmax"]))
        times = [(float(start), float(end)) for start, end, _ in tier["entries"]]
        assert times[0][0] == 0.0
        assert times[-1][1] == float(document["xmax"]) >= 61.2
        assert all(start < end for start, end in times)
        assert all(a[1] == b[0] for a, b in pairwise(times))
    return {
        tier["name"]: [(float(start), float(end), text) for start, end, text in tier["entries"] if text]
        for tier in document["tiers"]
    }


@settings(deadline=None)
@given(transcripts())
def test_intervals_follow_one_another_and_hold_every_word(result: Transcript) -> None:
    read = tiers(result)
    assert list(read) == ["words", "segments"]
    assert [text for _, _, text in read["words"]] == [word.text for word in result.words]
    assert [text for _, _, text in read["segments"]] == [segment.text for segment in result.segments if segment.words]


@pytest.mark.parametrize("result", EMPTY)
def test_nothing_said_is_one_empty_interval(result: Transcript) -> None:
    assert tiers(result) == {"words": [], "segments": []}


def test_words_keep_their_times() -> None:
    words = [*speech('she said "hello"', 1.25), Word("zero", 5.0, 5.0, 0.5), Word("back", 4.9, 5.5, 0.5)]
    assert tiers(transcript(words))["words"] == [
        (1.25, 1.55, "she"),
        (1.55, 1.85, "said"),
        (1.85, 2.15, '"hello"'),
        (5.0, 5.001, "zero"),
        (5.001, 5.5, "back"),
    ]


def test_praatio_opens_the_file(tmp_path: Path) -> None:
    path = tmp_path / "talk.TextGrid"
    path.write_text(write(transcript(speech("hello there", 1.0)), "textgrid"), encoding="utf-8")
    tier = textgrid.openTextgrid(str(path), includeEmptyIntervals=False).getTier("words")
    assert [(entry.start, entry.end, entry.label) for entry in tier.entries] == [
        (1.0, 1.3, "hello"),
        (1.3, 1.6, "there"),
    ]
