"""Restoration on the road: times stay, pieces say what the whole says, and the plain words are always there."""

from __future__ import annotations

import gc
import json
import os
import tracemalloc
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from passage import ALICE
from restorers import Told, small_model

from auricle.alphabet import ENGLISH
from auricle.audio import SourceInfo
from auricle.errors import AudioError
from auricle.manifest import read_manifest
from auricle.restoration import Continued, NeuralRestorer, Pauses, Written, plain_words, restored, restored_stream
from auricle.restoration.stage import pauses_of
from auricle.transcript import Segment, Transcript, Word

WORDS = ENGLISH.normalise(ALICE).split()
DATA = Path(os.environ.get("AURICLE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
plain_word = st.text(ENGLISH.characters[1:], min_size=1, max_size=9) | st.sampled_from(WORDS)


@pytest.fixture(scope="module")
def small() -> NeuralRestorer:
    """A small network that says every mark and case."""
    return NeuralRestorer(small_model())


@pytest.fixture(scope="module")
def english() -> NeuralRestorer:
    return NeuralRestorer()


def spoken(words: Sequence[str], start: float = 0.0, gap: float = 0.1) -> tuple[Word, ...]:
    return tuple(
        Word(text, start + i * 0.4, start + (i + 1) * 0.4 - gap, 0.9 - 0.01 * i) for i, text in enumerate(words)
    )


def segment(*words: Word) -> Segment:
    return Segment(words[0].start, words[-1].end, words) if words else Segment(0.0, 0.0, ())


def transcript(*segments: Segment) -> Transcript:
    return Transcript(segments, SourceInfo("wav", 16_000, 1, 9.0), "toy")


@st.composite
def transcripts(draw: st.DrawFn) -> tuple[Segment, ...]:
    """Segments of any words, some empty, with any pauses between words, also words that overlap."""
    segments, now = [], 0.0
    for texts in draw(st.lists(st.lists(plain_word, max_size=30), max_size=6)):
        words = []
        for text in texts:
            start = max(0.0, now + draw(st.floats(-0.1, 2.0)))
            now = start + draw(st.floats(0.01, 1.0))
            words.append(Word(text, start, now, draw(st.floats(0, 1))))
        segments.append(segment(*words))
    return tuple(segments)


SAID = ["he", "said", "mister", "dashwood", "paid", "twenty", "five", "dollars", "did", "he", "not"]
TOLD = Told("He said Mister Dashwood paid twenty five dollars, did he not?")


def test_a_figure_is_written_at_its_first_word_and_lasts_as_long_as_all_of_them() -> None:
    (found,) = restored([segment(*spoken(SAID))], TOLD)
    assert [word.written for word in found.words] == [
        "He",
        "said",
        "Mr.",
        "Dashwood",
        "paid",
        "$25,",
        "",
        "",
        "did",
        "he",
        "not?",
    ]
    assert found.text == "He said Mr. Dashwood paid $25, did he not?"
    assert found.plain_text == " ".join(SAID)
    figure = transcript(found).shown_words[5]
    twenty, dollars = found.words[5], found.words[7]
    assert figure == Word("$25,", twenty.start, dollars.end, dollars.confidence)
    assert [(w.text, w.start, w.end, w.confidence) for w in found.words] == [
        (w.text, w.start, w.end, w.confidence) for w in spoken(SAID)
    ]


def test_without_numbers_each_word_is_written() -> None:
    (found,) = restored([segment(*spoken(SAID))], TOLD, numbers=False)
    assert found.text == "He said Mister Dashwood paid twenty five dollars, did he not?"
    assert len(transcript(found).shown_words) == len(SAID)


def test_a_number_does_not_go_across_segments() -> None:
    halves = segment(*spoken(SAID[:6])), segment(*spoken(SAID[6:], start=5.0))
    assert [half.text for half in restored(halves, TOLD)] == ["He said Mr. Dashwood paid 20", "$5, did he not?"]


def test_a_dash_stays_with_the_word_before_it() -> None:
    (found,) = restored([segment(*spoken(["he", "came"]))], Told("He — came."))
    assert found.text == "He — came."
    assert [word.text for word in transcript(found).shown_words] == ["He —", "came."]


def test_pauses_are_those_between_words_also_across_segments() -> None:
    class Listening(Told):
        heard: Pauses | None = None

        def restore(self, words: Sequence[str], pauses: Pauses | None = None) -> list[Written]:
            self.heard = pauses
            return super().restore(words, pauses)

    restorer = Listening("One two. Three four.")
    one, two = Word("one", 0.0, 0.5, 1.0), Word("two", 0.4, 1.0, 1.0)
    three, four = Word("three", 3.0, 3.5, 1.0), Word("four", 3.75, 4.0, 1.0)
    restored([segment(one, two), segment(three, four)], restorer)
    assert restorer.heard == [0.0, pytest.approx(1.96), pytest.approx(0.21), None], "less the frame that a space takes"
    assert pauses_of([]) == []


def test_a_pause_is_the_same_wherever_in_the_recording_it_is() -> None:
    found = set()
    for minute in range(600):
        start = 60.1 * minute
        first = Word("one", start, start + 0.3, 1.0)
        found.add(pauses_of([first, Word("two", start + 0.3 + 0.12, start + 0.6, 1.0)])[0])
    assert found == {0.08}, "an edge between two of the restorer's lengths of pause"


@given(segments=transcripts(), numbers=st.booleans())
@settings(deadline=None)
def test_pieces_say_what_the_whole_says(small: NeuralRestorer, segments: tuple[Segment, ...], numbers: bool) -> None:
    whole = restored(segments, small, numbers=numbers)
    for size in (1, 3):
        groups = (segments[at : at + size] for at in range(0, len(segments), size))
        assert tuple(restored_stream(groups, small, numbers=numbers)) == whole


@given(cuts=st.sets(st.integers(1, len(WORDS) - 1), max_size=12))
@settings(deadline=None, max_examples=25)
def test_pieces_of_real_text_say_what_the_whole_says(english: NeuralRestorer, cuts: set[int]) -> None:
    words = [word for i, text in enumerate(WORDS) for word in spoken([text], start=i + (i % 7) / 10)]
    edges = [0, *sorted(cuts), len(words)]
    segments = [segment(*words[a:b]) for a, b in pairwise(edges)]
    assert tuple(restored_stream(([one] for one in segments), english)) == restored(segments, english)


@given(segments=transcripts())
@settings(deadline=None)
def test_without_capitals_and_marks_readable_text_is_the_plain_words(
    english: NeuralRestorer, segments: tuple[Segment, ...]
) -> None:
    found = transcript(*restored(segments, english, numbers=False))
    expected = [word.text for word in transcript(*segments).words]
    assert plain_words(found.text) == expected
    assert found.plain_text.split() == expected
    readable = transcript(*restored(segments, english))
    assert readable.plain_text == found.plain_text
    assert len(readable.shown_words) <= len(expected)


@pytest.mark.parametrize(
    "name", ["librispeech/dev-mp3", "librispeech/dev-flac", "commonvoice/dev", "speechocean762/dev"]
)
def test_so_it_is_for_every_dev_transcript(english: NeuralRestorer, name: str) -> None:
    path = DATA / f"{name}.jsonl"
    if not path.exists():
        pytest.skip("there are no corpora beside the repository")
    texts = [ENGLISH.normalise(one.text or "").split() for one in read_manifest(path)]
    segments = [segment(*spoken(words, start=100.0 * i)) for i, words in enumerate(texts)]
    assert sum(map(len, texts)) > 1000
    for found, words in zip(restored(segments, english, numbers=False), texts, strict=True):
        assert plain_words(found.text) == words
    assert [found.plain_text.split() for found in restored(segments, english)] == texts


def test_what_is_held_comes_before_the_damage(small: NeuralRestorer) -> None:
    whole = [segment(*spoken(WORDS[at : at + 5], start=at)) for at in range(0, 50, 5)]

    def damaged() -> Iterator[list[Segment]]:
        yield from ([one] for one in whole)
        raise AudioError("it is cut off.")

    found: list[Segment] = []
    with pytest.raises(AudioError, match="cut off"):
        found.extend(restored_stream(damaged(), small))
    assert tuple(found) == restored(whole, small)


def test_a_segment_waits_for_the_words_that_can_change_it_and_no_longer(small: NeuralRestorer) -> None:
    taken = 0

    def counted() -> Iterator[list[Segment]]:
        nonlocal taken
        for text in WORDS:
            taken += 1
            yield [segment(*spoken([text], start=taken))]

    stream = restored_stream(counted(), small)
    for place in range(20):
        next(stream)
        assert taken == place + 1 + small.context + 1


def test_silence_at_the_beginning_does_not_wait(small: NeuralRestorer) -> None:
    def silent() -> Iterator[list[Segment]]:
        yield [Segment(0.0, 1.0, ())]
        raise AssertionError("the next one was not needed")

    assert next(restored_stream(silent(), small)) == Segment(0.0, 1.0, ())


def test_memory_does_not_grow_with_the_recording(small: NeuralRestorer) -> None:
    def peak(times: int) -> int:
        segments = ([segment(*spoken(WORDS[:60], start=100.0 * i))] for i in range(times))
        gc.collect()
        tracemalloc.start()
        for _ in restored_stream(segments, small):
            pass
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held

    peak(4)
    assert peak(80) < 1.3 * peak(8)


class TestWhileItIsSpoken:
    def test_each_piece_begins_as_the_last_one_ended(self, english: NeuralRestorer) -> None:
        finish = Continued(english)
        first = segment(*finish(spoken(["what", "is", "your", "name"])))
        second = segment(*finish(spoken(["my", "name", "is", "john"], start=9.0)))
        assert (first.text, second.text[:2]) == ("What is your name?", "My")

    def test_speech_that_was_cut_in_mid_sentence_is_given_no_end(self, english: NeuralRestorer) -> None:
        words = ["what", "is", "your", "name"]
        ended, paused, cut = (segment(*Continued(english)(spoken(words), pause)).text for pause in (None, 0.9, 0.1))
        assert ended == paused == "What is your name?"
        assert cut == "What is your name"
        finish = Continued(english)
        begun = segment(*finish(spoken(["he", "said", "that", "he", "would", "come", "to", "the"]), 0.0))
        rest = segment(*finish(spoken(["house", "in", "the", "morning"], start=4.0)))
        assert not begun.text.endswith(".")
        assert rest.text.startswith("house"), "what was not ended goes on small"

    @given(pieces=st.lists(st.lists(plain_word, max_size=40), max_size=5))
    @settings(deadline=None)
    def test_no_word_is_lost_and_an_end_is_followed_by_a_capital(
        self, small: NeuralRestorer, pieces: list[list[str]]
    ) -> None:
        finish, ended = Continued(small, numbers=False), True
        for number, words in enumerate(pieces):
            said = finish(spoken(words, start=100.0 * number))
            assert plain_words(" ".join(word.shown for word in said)) == words
            if words and said[0].shown[:1].isalpha():
                assert not ended or said[0].shown[0].isupper()
            ended = said[-1].shown.endswith((".", "?", "!")) if words else ended


def test_json_says_both(small: NeuralRestorer) -> None:
    from auricle import formats

    found = transcript(*restored([segment(*spoken(SAID))], TOLD))
    document = json.loads(formats.write(found, "json"))
    assert document["text"] == document["segments"][0]["text"] == found.text
    assert [word["word"] for word in document["words"]] == SAID
    assert " ".join(word["written"] for word in document["words"] if word["written"]) == found.text
    plain = json.loads(formats.write(transcript(segment(*spoken(SAID))), "json"))
    assert plain["text"] == " ".join(SAID)
    assert all("written" not in word for word in plain["words"])


def test_captions_show_what_is_read_and_sclite_gets_plain_words() -> None:
    from auricle import formats

    found = transcript(*restored([segment(*spoken(SAID))], TOLD))
    for name in ("txt", "srt", "vtt", "tsv"):
        assert "Dashwood paid $25," in formats.write(found, name).replace("\n", " ")
    assert "<00:00:03.200>did" in formats.write(found, "vtt-words")
    for name in ("ctm", "stm"):
        assert "$" not in formats.write(found, name)
        assert "twenty" in formats.write(found, name)
    praat = formats.write(found, "textgrid")
    assert '"twenty"' in praat
    assert "paid $25, did" in praat
