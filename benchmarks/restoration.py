"""Speed and memory of the embedded restorer, and the table of numbers with and without text2num: rows of RESULTS.md.

python benchmarks/restoration.py
"""

from __future__ import annotations

import random
import resource
import time
from pathlib import Path
from typing import Any

from auricle.restoration import NeuralRestorer, find_restorer, restored_stream
from auricle.restoration.model import to_bytes
from auricle.restoration.numbers import find_numbers
from auricle.transcript import Segment, Word

TABLE = Path(__file__).parents[1] / "tests" / "restoration" / "numbers.tsv"
SENTENCES = (
    "he was not an ill disposed young man unless to be rather cold hearted and rather selfish is to be ill disposed "
    "had he married a more amiable woman he might have been made still more respectable than he was"
)


def main() -> None:
    model = find_restorer()
    print(f"file        {len(to_bytes(model)) / 1e6:.2f} MB")
    restorer = NeuralRestorer(model, threads=1)
    shuffled, words = random.Random(0), SENTENCES.split()
    text = [shuffled.choice(words) for _ in range(100_000)]
    restorer.restore(text[:1000])
    for count, repeats in ((100, 200), (1_000, 20), (100_000, 1)):
        _speed(restorer, text[:count], repeats)
    _stage(restorer, text)
    numbers()


def _stage(restorer: NeuralRestorer, words: list[str]) -> None:
    """Time the stage after recognition: pauses, network and numbers, in groups of 7 segments of 60 words."""
    spoken = [Word(word, 0.35 * place, 0.35 * place + 0.3, 0.9) for place, word in enumerate(words)]
    cut = [tuple(spoken[at : at + 60]) for at in range(0, len(spoken), 60)]
    segments = [Segment(part[0].start, part[-1].end, part) for part in cut]
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    for _ in restored_stream((segments[at : at + 7] for at in range(0, len(segments), 7)), restorer):
        pass
    spent = (time.process_time() - began) * 1e5 / len(words)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"the stage: {spent:.2f} ms of processor time for 100 words, memory grew by {grown / 1024:.1f} MB")


def _speed(restorer: NeuralRestorer, words: list[str], repeats: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    processor, clock = [], []
    for _ in range(repeats):
        began, started = time.process_time(), time.perf_counter()
        for _ in restorer.stream(words):
            pass
        processor.append(time.process_time() - began)
        clock.append(time.perf_counter() - started)
    scale = 1e5 / len(words)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(
        f"{len(words):>7,} words: {sorted(processor)[repeats // 2] * scale:.2f} ms of processor time for 100 words "
        f"(median; least {min(processor) * scale:.2f}), {sorted(clock)[repeats // 2] * scale:.2f} ms by the clock, "
        f"memory grew by {grown / 1024:.1f} MB"
    )


def numbers() -> None:
    rows = [line.split("\t") for line in TABLE.read_text("utf-8").splitlines() if not line.startswith("#")]
    ours = sum(_in_figures(row[0]) == row[1] for row in rows)
    print(f"numbers     ours {ours} of {len(rows)} right")
    try:
        import text_to_num
    except ImportError:
        print("numbers     text2num is not installed")
        return
    library: Any = text_to_num
    given = [(row[0], row[1], library.alpha2digit(row[0], "en")) for row in rows]
    right = sum(_bare(got) == _bare(wanted) for _, wanted, got in given)
    spoilt = sum(wanted == said and got != said for said, wanted, got in given)
    print(f"numbers     text2num {right} right, commas aside; {spoilt} changed that should stay as they are")


def _in_figures(said: str) -> str:
    words, written, at = said.split(), [], 0
    for span in find_numbers(words):
        written += [*words[at : span.first], span.written]
        at = span.last + 1
    return " ".join([*written, *words[at:]])


def _bare(text: str) -> str:
    return text.replace(",", "")


if __name__ == "__main__":
    main()
