"""How captions of a long recording read: lines that are too long, and lines that break off within a phrase.

    python benchmarks/captions.py MANIFEST [--model BUNDLE | --evenly] [--words WORDS.json] [--baseline CAPTIONS.py]

The clips of the manifest are taken as one recording, one after another, and their own texts, aligned with the sound, as
what was recognised: so the lines that are counted are of real sentences, and the pauses between words those of speech.
With `--evenly` nothing is heard: the words of a clip share its time by their letters. `--words` keeps the words with
their times, or takes them from there when the file exists. Prints a row for plain words and one for readable text, and
with `--baseline` one for plain words through the captions module of another commit.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from auricle.errors import AuricleError
from auricle.formats import LINE_CHARACTERS, captions
from auricle.manifest import read_manifest
from auricle.recognizer import load
from auricle.restoration import NeuralRestorer, restored
from auricle.transcript import Segment, Word, shown_words

ARTICLES = frozenset(["a", "an", "the"])
_PREPOSITIONS = (
    "about after against among at before behind below beneath beside between by during for from in into near of off on "
    "onto over since through to toward towards under until unto up upon with within without"
)
PREPOSITIONS = frozenset(_PREPOSITIONS.split())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--words", type=Path)
    parser.add_argument("--baseline", type=Path, metavar="CAPTIONS.py")
    parser.add_argument("--evenly", action="store_true")
    arguments = parser.parse_args()
    kept: Path | None = arguments.words
    if kept and kept.exists():
        segments = _read(kept)
    else:
        segments = evenly(arguments.manifest) if arguments.evenly else spoken(arguments.manifest, arguments.model)
        if kept:
            kept.write_text(json.dumps([[[w.text, w.start, w.end, w.confidence] for w in s.words] for s in segments]))
    plain = [word for segment in segments for word in segment.words]
    readable = list(shown_words(word for segment in restored(segments, NeuralRestorer()) for word in segment.words))
    print(
        f"{len(plain):,} words, {plain[-1].end / 60:.1f} minutes; lines that end in an article or a bare preposition:"
    )
    if arguments.baseline:
        _row("plain, baseline", _module(arguments.baseline).cues, plain)
    _row("plain", captions.cues, plain)
    _row("readable", captions.cues, readable)


def spoken(manifest: Path, model: str | None) -> list[Segment]:
    """Return the clips as segments of one recording, their texts aligned with the sound."""
    recognizer = load(model, threads=1)
    segments, now, failed = [], 0.0, 0
    for utterance in read_manifest(manifest):
        blocks = recognizer.open(utterance.audio_filepath)
        try:
            waveform = recognizer.read(blocks)
            words = recognizer.align(waveform, utterance.text or "").words
        except AuricleError:
            failed += 1
            continue
        moved = tuple(Word(word.text, now + word.start, now + word.end, word.confidence) for word in words)
        segments.append(Segment(now, now + waveform.duration, moved))
        now += waveform.duration
    if failed:
        print(f"{failed} clips could not be aligned")
    return segments


def evenly(manifest: Path) -> list[Segment]:
    """Return the clips as segments of one recording, in which each letter takes as long as the others of its clip."""
    segments, now = [], 0.0
    for utterance in read_manifest(manifest):
        texts, duration = (utterance.text or "").split(), utterance.duration or 0.0
        letter = duration / (sum(map(len, texts)) + len(texts) + 1)
        ends = list(accumulate(letter * (len(text) + 1) for text in texts))
        words = tuple(
            Word(text, now + end - letter * len(text), now + end, 1.0) for text, end in zip(texts, ends, strict=True)
        )
        segments.append(Segment(now, now + duration, words))
        now += duration
    return segments


def _row(name: str, cues: Callable[[Sequence[Word]], Sequence[Any]], words: Sequence[Word]) -> None:
    lines = [line for cue in cues(words) for line in cue.lines]
    ends = [line.split()[-1].lower() for line in lines]
    articles, prepositions = _count(ends, ARTICLES), _count(ends, PREPOSITIONS)
    long = sum(len(line) > LINE_CHARACTERS for line in lines)
    sentences = _count((line[-1] for line in lines), frozenset(".?!"))
    clauses = _count((line[-1] for line in lines), frozenset(",;:—"))
    print(
        f"{name:<16}{len(lines):>6,} lines, {long} longer than {LINE_CHARACTERS}; end in an article {articles} "
        f"({articles / len(lines):.1%}), in a preposition {prepositions} ({prepositions / len(lines):.1%}); "
        f"with a sentence {sentences}, a clause {clauses}"
    )


def _count(ends: Iterable[str], wanted: frozenset[str]) -> int:
    return sum(end in wanted for end in ends)


def _read(path: Path) -> list[Segment]:
    rows = [tuple(Word(*word) for word in words) for words in json.loads(path.read_text())]
    return [Segment(words[0].start, words[-1].end, words) for words in rows if words]


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("baseline_captions", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
