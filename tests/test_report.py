import json
import math
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from auricle.metrics import character_errors, word_errors
from auricle.report import Failure, Report, Row, report_html

VOID = {"meta", "br", "hr", "img", "input", "link"}


def row(name: str, reference: str, hypothesis: str, duration: float = 3.0, speaker: str | None = None) -> Row:
    words, characters = word_errors(reference, hypothesis), character_errors(reference, hypothesis)
    return Row(name, reference, hypothesis, words, characters, duration, speaker, 0.875)


def report(*rows: Row, failures: tuple[Failure, ...] = ()) -> Report:
    return Report("tiny 0.1", rows, failures, recognition_seconds=3.0, reading_seconds=0.5)


ROWS = (
    row("a", "the cat sat", "a cat sat", 1.0, "ann"),
    row("b", "the dog ran off", "a dog ran", 4.0, "bob"),
    row("c", "the end", "the end", 5.0, "ann"),
    replace(row("d", "", "uh", 40.0), confidence=None),
)


class Page(HTMLParser):
    """Reads a page as a browser would, and refuses one whose tags do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data.replace("\xa0", " ").strip())

    @property
    def text(self) -> str:
        return " ".join(filter(None, self.texts))


def test_the_corpus_counts_every_word_alike() -> None:
    found = report(*ROWS)
    assert (found.substitutions, found.deletions, found.insertions) == (2, 1, 1)
    assert found.wer.value == pytest.approx(4 / 9)
    assert found.wer.low < found.wer.value < found.wer.high
    assert found.cer.value == pytest.approx(
        sum(character_errors(row.reference, row.hypothesis).errors for row in ROWS) / (11 + 15 + 7)
    )
    assert found.real_time_factor == pytest.approx(3 / 50)


def test_speakers_are_apart_and_the_worst_is_first() -> None:
    groups = report(*ROWS).by_speaker()
    assert [group.name for group in groups] == ["(unknown)", "bob", "ann"]
    assert groups[2].utterances == 2
    assert groups[2].seconds == pytest.approx(6.0)
    assert groups[2].wer.value == pytest.approx(1 / 5)


def test_sexes_are_apart_as_the_manifest_names_them() -> None:
    ann, bob, again, noise = ROWS
    groups = report(*(replace(one, sex="F") for one in (ann, again)), replace(bob, sex="M"), noise).by_sex()
    assert [(group.name, group.utterances) for group in groups] == [("(unknown)", 1), ("F", 2), ("M", 1)]
    assert groups[1].wer.value == pytest.approx(1 / 5)


def test_lengths_are_ranges_that_include_their_lower_bound() -> None:
    groups = report(*ROWS).by_length()
    assert [(group.name, group.utterances) for group in groups] == [
        ("0 to 2 s", 1),
        ("2 to 5 s", 1),
        ("5 to 10 s", 1),
        ("30 s and more", 1),
    ]


def test_the_worst_have_the_highest_rate_and_none_is_right() -> None:
    found = report(*ROWS, row("e", "the dog ran off now then", "a dog ran"))
    assert [row.id for row in found.worst(10)] == ["d", "e", "b", "a"]
    assert [row.id for row in found.worst(1)] == ["d"]
    tied = report(row("few", "a b", "a c"), row("many", "a b c d", "a b x y"))
    assert [row.id for row in tied.worst(2)] == ["many", "few"]


def test_confused_words_are_counted_with_gaps() -> None:
    assert report(*ROWS).most_confused(2)[0] == ("the", "a", 2)
    assert set(report(*ROWS).most_confused(9)) == {("the", "a", 2), ("off", None, 1), (None, "uh", 1)}


def test_the_dictionary_is_json_with_everything_in_it() -> None:
    found = report(*ROWS, failures=(Failure("x", "gone."),))
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["wer"]["value"] == pytest.approx(4 / 9)
    assert document["utterances"] == 4
    assert document["reference_words"] == 9
    assert document["failures"] == [{"id": "x", "message": "gone."}]
    assert document["rows"][0]["words"] == {
        "substitutions": 1,
        "deletions": 0,
        "insertions": 0,
        "reference_length": 3,
    }
    assert document["rows"][3]["wer"] is None, "infinity is no JSON"
    assert document["by_speaker"][2]["name"] == "ann"
    assert document["by_sex"][0]["utterances"] == 4
    assert document["by_length"][0]["name"] == "0 to 2 s"


def test_the_page_is_balanced_and_says_what_was_found() -> None:
    page = Page(report_html(report(*ROWS, failures=(Failure("x", "gone."),)), "Test & trial"))
    for expected in (
        "Test & trial",
        "tiny 0.1",
        "44.4 %",
        "16.7 times faster than speech",
        "S 2",
        "D 1",
        "I 1",
        "confidence 0.88",
        "By speaker",
        "30 s and more",
        "1 utterance could not be scored",
        "gone.",
        "∞",
    ):
        assert expected in page.text


def test_each_kind_of_error_can_be_told_without_colour() -> None:
    page = Page(report_html(report(row("a", "the cat sat", "a cat uh down sat")), "Test"))
    assert "the S a cat cat · I uh · I down sat sat" in page.text
    assert "off D ·" in Page(report_html(report(ROWS[1]), "Test")).text


EVIL = "<script>alert('x')</script>\"&amp;"


def test_nothing_in_the_data_becomes_markup() -> None:
    evil = replace(row("a", EVIL, f"{EVIL} b"), id=EVIL, speaker=EVIL)
    html = report_html(
        replace(report(evil, failures=(Failure(EVIL, EVIL),)), model=EVIL), EVIL + " $title ${body} $nothing"
    )
    page = Page(html)
    assert "<script" not in html
    assert "script" not in page.tags
    assert page.text.count(EVIL) == 10
    assert "$title ${body} $nothing" in page.text


def test_the_page_fetches_nothing_and_runs_nothing() -> None:
    html = report_html(report(*ROWS), "Test")
    page = Page(html)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert not any(name in {"src", "href"} or name.startswith("on") for name, _ in page.attributes)
    assert "url(" not in html
    assert "@import" not in html
    assert "prefers-color-scheme: dark" in html


def test_sections_without_content_are_left_out() -> None:
    perfect = Page(report_html(replace(report(row("a", "so it is", "so it is")), recognition_seconds=7200.0), "Test"))
    for heading in ("Worst utterances", "Most confused words", "By speaker", "could not be scored", "faster"):
        assert heading not in perfect.text
    assert "2 h 00 min" in perfect.text
    assert "0.0 %" in perfect.text


def test_a_report_of_nothing_is_still_a_page() -> None:
    empty = Report("", (), (Failure("a", "gone."), Failure("b", "gone.")), 0.0, 0.0)
    assert math.isnan(empty.real_time_factor)
    page = Page(report_html(empty, "Test"))
    assert "nothing was scored" in page.text
    assert "2 utterances could not be scored" in page.text
    assert "nan" not in page.text
    assert "By clip length" not in page.text
