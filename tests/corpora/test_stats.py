"""`auricle data stats`: the figures, and the page."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from command import Run

from auricle.corpora.page import page
from auricle.corpora.stats import stats
from auricle.manifest import Utterance


def made(*rows: tuple[str | None, float | None, str | None, str | None]) -> list[Utterance]:
    return [
        Utterance(str(n), Path(f"{n}.wav"), text, duration=seconds, speaker=speaker, sex=sex)
        for n, (text, seconds, speaker, sex) in enumerate(rows)
    ]


def test_figures_are_those_of_the_utterances() -> None:
    found = stats(
        made(("Abc de", 3.0, "ann", "F"), ("abc", 1.0, "bob", None), (None, 2.0, "ann", "F"), ("é", None, None, None))
    )
    assert (found.utterances, found.seconds, found.without_text) == (4, 6.0, 1)
    assert (found.words, found.distinct_words) == (4, 3)
    assert found.speakers == {"ann": 5.0, "bob": 1.0}
    assert found.sexes == {"F": 5.0, "unknown": 1.0}
    assert found.durations.quantiles()["median"] == 2.0
    assert sorted(found.rates.values) == [2.0, 3.0]
    assert found.characters["a"] == 2
    assert found.characters["é"] == 1


def test_the_command_prints_them(auricle: Run, clips: Path) -> None:
    result = auricle("data", "stats", clips / "clips.jsonl")
    assert (result.code, result.err) == (0, "")
    assert f"{clips}/clips.jsonl: 5 utterances, 24.7 s" in result.out
    (line,) = (line.split() for line in result.out.splitlines() if line.strip().startswith("seconds  "))
    assert line[1:] == ["3.0", "3.1", "5.3", "6.9", "7.1"]
    assert "speakers    1 (unknown 24.7 s)" in result.out


def test_durations_that_are_not_stated_are_read(auricle: Run, clips: Path, tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text(json.dumps({"audio_filepath": str(clips / "austen-0880.flac"), "text": "oh"}))
    result = auricle("data", "stats", tmp_path / "m.jsonl", "--json")
    assert json.loads(result.out)["seconds"] == pytest.approx(2.99, abs=0.01)


def test_the_page_stands_alone_and_its_bars_are_the_counts(auricle: Run, clips: Path, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    assert auricle("data", "stats", clips / "clips.jsonl", "-o", path).code == 0
    html = path.read_text()
    for outside in ("http:", "https:", "<script", "<link", "url("):
        assert outside not in html
    first = ET.fromstring(html[html.index("<svg") : html.index("</svg>") + 6])
    counts = [int((title.text or "").rpartition(": ")[2]) for title in first.iter("title")]
    assert sum(counts) == 5


def test_what_a_manifest_says_cannot_become_markup() -> None:
    html = page(stats(made(("<b>", 1.0, "<script>alert(1)</script>", "F"))), "<i>m</i>")
    assert "<script>" not in html
    assert "<i>m" not in html
    assert "&lt;script&gt;" in html


def test_a_manifest_without_durations_speakers_or_texts_has_a_page() -> None:
    assert "<svg" not in page(stats(made((None, None, None, None))), "m")


def test_other_pictures_are_refused(auricle: Run, clips: Path) -> None:
    result = auricle("data", "stats", clips / "clips.jsonl", "-o", "page.pdf")
    assert result.code == 2
    assert "does not end in .html" in result.err
