"""Do the times agree? Words as decoded against words as aligned with the known text, and words of joined clips.

    python benchmarks/alignment.py MANIFEST... [--model BUNDLE] [--limit 50]

Prints the median and the 90th percentile of the distance between a word's boundary in the decoded transcript and in the
forced alignment, over the words that were recognised rightly; then, for clips joined five at a time, how many of all
words the forced alignment puts into the clip in which they are said.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from auricle import audio
from auricle.audio import SourceInfo, Waveform
from auricle.manifest import Utterance, read_manifests
from auricle.metrics import align
from auricle.recognizer import Recognizer, load
from auricle.transcript import Word


def distances(aligned: Sequence[Word], decoded: Sequence[Word]) -> list[float]:
    """Return seconds between the boundaries of words that both have."""
    pairs = align([word.text for word in aligned], [word.text for word in decoded])
    left, right, found = iter(aligned), iter(decoded), []
    for said, heard in pairs:
        a = next(left) if said is not None else None
        b = next(right) if heard is not None else None
        if a and b and said == heard:
            found += [abs(a.start - b.start), abs(a.end - b.end)]
    return found


def joined(recognizer: Recognizer, group: Sequence[tuple[Utterance, Waveform]]) -> tuple[int, int]:
    """Return how many words lie in their own clip, and how many words there are."""
    samples = np.concatenate([waveform.samples for _, waveform in group])
    seams = np.cumsum([0, *(len(waveform.samples) for _, waveform in group)]) / 16_000
    text = " ".join(utterance.text or "" for utterance, _ in group)
    source = SourceInfo("array", 16_000, 1, len(samples) / 16_000)
    words = iter(recognizer.align(Waveform(samples, 16_000, source), text).words)
    right = every = 0
    for (utterance, _), (start, end) in zip(group, pairwise(seams), strict=True):
        for _ in recognizer.bundle.alphabet.normalise(utterance.text or "").split():
            word = next(words)
            right += bool(start <= (word.start + word.end) / 2 <= end)
            every += 1
    return right, every


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifests", nargs="+", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--limit", type=int, default=50)
    arguments = parser.parse_args()
    recognizer = load(arguments.model, threads=1)
    utterances = read_manifests(arguments.manifests)
    utterances = utterances[:: max(1, len(utterances) // arguments.limit)][: arguments.limit]
    clips = [(utterance, audio.read(utterance.audio_filepath, rate=16_000)) for utterance in utterances]
    found: list[float] = []
    for utterance, waveform in clips:
        aligned = recognizer.align(waveform, utterance.text or "").words
        found += distances(aligned, recognizer.transcribe(waveform).words)
    median, most = np.percentile(found, (50, 90))
    print(f"{len(clips)} clips, {len(found) // 2} words recognised rightly: their boundaries differ by")
    print(f"{1000 * median:.0f} ms (median), {1000 * most:.0f} ms (90th percentile)")
    groups = [joined(recognizer, group) for group in (clips[i : i + 5] for i in range(0, len(clips), 5))]
    right, every = map(sum, zip(*groups, strict=True))
    print(f"{len(groups)} recordings of five clips: {right} of {every} words in their own clip ({right / every:.2%})")


if __name__ == "__main__":
    main()
