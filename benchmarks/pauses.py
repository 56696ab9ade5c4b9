"""What real pauses are worth to the restorer: speech of known books, aligned with its words, against printed marks.

    python benchmarks/pauses.py BOOKS.txt MANIFEST.jsonl ... [--model BUNDLE] [--restorer FILE]

BOOKS has a printed paragraph a line, and nothing that the restorer was trained on. A clip counts when all its words
stand in one paragraph; the mark after its last word does not, as nothing is heard after it. Times are those of forced
alignment. `pauses alone` writes a full stop wherever the pause is as long as suits the other half of the clips best.
F1 with 95 % intervals, by bootstrap over clips.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import auricle
from auricle.language.printed import Printed, take_apart
from auricle.manifest import Utterance, read_manifests
from auricle.restoration import NeuralRestorer, find_restorer
from auricle.restoration.stage import pauses_of

GRAM = 6
MARKS = (".", ",", "?")


class Clip(NamedTuple):
    """Its words, the printed mark after each, whether each is printed with a capital, and the pause after each."""

    words: list[str]
    marks: list[str]
    capitals: list[bool]
    pauses: list[float | None]


def matched(clips: Sequence[Utterance], books: Path) -> list[tuple[Utterance, Printed, int]]:
    """Return the clips whose words stand in a paragraph, with it and the place of the first word."""
    wanted = {said[:GRAM] for clip in clips if len(said := tuple((clip.text or "").split())) >= GRAM}
    found: dict[tuple[str, ...], list[tuple[Printed, int]]] = {}
    with books.open(encoding="utf-8") as lines:
        for line in lines:
            paragraph = take_apart(line.strip())
            if paragraph is None:
                continue
            words = paragraph.words
            for place in range(len(words) - GRAM + 1):
                gram = tuple(words[place : place + GRAM])
                if gram in wanted:
                    found.setdefault(gram, []).append((paragraph, place))
    out = []
    for clip in clips:
        said = tuple((clip.text or "").split())
        for paragraph, place in found.get(said[:GRAM], []):
            if paragraph.words[place : place + len(said)] == said:
                out.append((clip, paragraph, place))
                break
    return out


def scores(clips: Sequence[Clip], said: Sequence[Sequence[str]], mark: str) -> str:
    """Return the F1 of a mark with its interval; the last word of a clip does not count."""
    counts = np.array(
        [
            [
                sum(a == b == mark for a, b in zip(clip.marks[:-1], marks[:-1], strict=True)),
                clip.marks[:-1].count(mark) + list(marks[:-1]).count(mark),
            ]
            for clip, marks in zip(clips, said, strict=True)
        ],
        float,
    )
    drawn = np.random.default_rng(0).integers(0, len(counts), (2000, len(counts)))
    right, both = (counts[:, column][drawn].sum(1) for column in (0, 1))
    low, high = np.quantile(2 * right / np.maximum(both, 1), [0.025, 0.975])
    return f"{2 * counts[:, 0].sum() / max(counts[:, 1].sum(), 1):.3f} ({low:.3f} to {high:.3f})"


def stops(clip: Clip, least: float) -> list[str]:
    """A full stop wherever the pause is that long."""
    return ["." if pause is not None and pause >= least else "" for pause in clip.pauses]


def alone(clips: Sequence[Clip]) -> list[list[str]]:
    """Full stops by pauses alone; each half of the clips with the length that suits the other."""

    def right(part: Sequence[Clip], least: float) -> float:
        pairs = Counter(
            (a == ".", b == ".") for clip in part for a, b in zip(clip.marks[:-1], stops(clip, least)[:-1], strict=True)
        )
        return 2 * pairs[True, True] / max(1, 2 * pairs[True, True] + pairs[True, False] + pairs[False, True])

    best = [max(np.arange(0.06, 1.5, 0.04).tolist(), key=lambda least: right(clips[half::2], least)) for half in (1, 0)]
    print(f"pauses alone: {best[0]:.2f} s and {best[1]:.2f} s")
    return [stops(clip, best[index % 2]) for index, clip in enumerate(clips)]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("books", type=Path)
    parser.add_argument("manifests", nargs="+", type=Path)
    parser.add_argument("--model", default="english")
    parser.add_argument("--restorer")
    arguments = parser.parse_args()
    recognizer = auricle.load(arguments.model, threads=1)
    restorer = NeuralRestorer(find_restorer(arguments.restorer))
    clips = []
    for utterance, paragraph, place in matched(read_manifests(arguments.manifests), arguments.books):
        aligned = recognizer.align(utterance.audio_filepath, utterance.text or "")
        end = place + len(aligned.words)
        forms = paragraph.forms[place:end]
        clips.append(
            Clip(
                [word.text for word in aligned.words],
                list(paragraph.marks[place:end]),
                [form != form.lower() for form in forms],
                list(pauses_of(aligned.words)),
            )
        )
    print(f"{len(clips)} clips, {sum(len(clip.words) for clip in clips):,} words")
    rows: list[tuple[str, list[list[str]]]] = [("pauses alone", alone(clips))]
    for name, heard in (("words alone", lambda clip: None), ("words and pauses", lambda clip: clip.pauses)):
        rows.append((name, restored(clips, restorer, heard)))
    print("| what is known | full stop | comma | question mark |\n|---|---|---|---|")
    for name, said in rows:
        shown = " | ".join(scores(clips, said, mark) if name != "pauses alone" or mark == "." else "" for mark in MARKS)
        print(f"| {name} | {shown} |")


def restored(
    clips: Sequence[Clip], restorer: NeuralRestorer, heard: Callable[[Clip], Sequence[float | None] | None]
) -> list[list[str]]:
    """The marks that the restorer writes."""
    return [[written.mark for written in restorer.restore(clip.words, heard(clip))] for clip in clips]


if __name__ == "__main__":
    main()
