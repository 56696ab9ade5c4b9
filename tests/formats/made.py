"""Transcripts for the tests of every format."""

from hypothesis import strategies as st

from auricle.audio import SourceInfo
from auricle.transcript import Segment, Transcript, Word

SOURCE = SourceInfo("flac", 44_100, 2, 61.23456)
ANYTHING = "abcdefgh'&<>\"é-0123456789;()/_{}漢"


def transcript(*segments: list[Word]) -> Transcript:
    return Transcript(
        tuple(
            Segment(words[0].start, words[-1].end, tuple(words)) if words else Segment(0, 0, ()) for words in segments
        ),
        SOURCE,
        "tiny 0.1",
    )


def speech(text: str, start: float = 0.0, seconds_per_word: float = 0.3) -> list[Word]:
    """Words evenly spoken, without pauses."""
    return [
        Word(word, start + index * seconds_per_word, start + (index + 1) * seconds_per_word, 0.9)
        for index, word in enumerate(text.split())
    ]


@st.composite
def transcripts(draw: st.DrawFn, characters: str = ANYTHING) -> Transcript:
    """Any words in any order of time: also too long ones, of no length, that overlap or run backwards."""
    texts = draw(st.lists(st.text(characters, min_size=1, max_size=60), max_size=60))
    now, segments, words = 0.0, [], list[Word]()
    for text in texts:
        start = max(0.0, now + draw(st.floats(-0.2, 1.5)))
        now = start + draw(st.floats(0, 1.2) | st.just(9.0))
        words.append(Word(text, start, now, draw(st.floats(0, 1))))
        if draw(st.integers(0, 9)) == 0:
            segments.append(words)
            words = []
    return transcript(*segments, words)


EMPTY = [transcript(), transcript([]), transcript([Word(" ", 1.0, 2.0, 0.5)])]
