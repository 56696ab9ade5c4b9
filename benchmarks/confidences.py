"""How far confidences can be believed: on speech as it is, and in noise.

    python benchmarks/confidences.py MANIFEST.jsonl ... [--noise NOISE.jsonl ...] [--decibels 10 --decibels 0]
        [--model BUNDLE ...] [--limit N] [--not-of N] [--no-lm] [--hot TEXT]

For each model and each way to hear the clips: how many words come out and how many of them are right, their mean
confidence, its expected error (in ten bins), the information that it has about which words are right (normalised cross
entropy, of 1) and how often a right word is surer than a wrong one. With 95 % intervals, by bootstrap over clips.
`--not-of N` leaves out the clips that `auricle lm tune --limit N` has fitted confidences to. `--hot TEXT` hears the
clips with hot words as well, the rare ones that are said and a thousand that are not (five letters or more, fewer than
30 times in a text), and tells of those clips whose words they change.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

import auricle
from auricle.alphabet import ENGLISH
from auricle.audio import Waveform
from auricle.bundle import find_bundle
from auricle.calibration import calibration_error, information, judged, reliability
from auricle.corpora.noise import add_noise
from auricle.language.text import read_texts
from auricle.manifest import Utterance, read_manifests, spread
from auricle.recognizer import Recognizer

Words: TypeAlias = list[tuple[float, bool]]
"""Confidences of a clip's words, and whether each is right."""
DRAWS = 500
LONG, RARE = 5, 30  # letters of a hot word, and how often a text has it at most


def sureness(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Return the probability that a right word is surer than a wrong one (area under the ROC curve)."""
    values, truth = np.asarray(confidences), np.asarray(right, bool)
    if truth.all() or not truth.any():
        return float("nan")
    wrong = np.sort(values[~truth])
    below = np.searchsorted(wrong, values[truth], "left")
    level = np.searchsorted(wrong, values[truth], "right")
    return float((below + level).mean() / 2 / len(wrong))


def error(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Return the expected calibration error."""
    return calibration_error(reliability(confidences, right))


def interval(clips: Sequence[Words], figure: Callable[[Sequence[float], Sequence[bool]], float]) -> str:
    """Return a figure of all words, and its 95 % interval over clips."""
    rng = np.random.default_rng(0)

    def of(chosen: Sequence[Words]) -> float:
        words = [word for clip in chosen for word in clip]
        return figure([confidence for confidence, _ in words], [right for _, right in words])

    drawn = [of([clips[place] for place in rng.integers(len(clips), size=len(clips))]) for _ in range(DRAWS)]
    low, high = np.nanpercentile(drawn, (2.5, 97.5))
    return f"{of(clips):.3f} ({low:.3f} to {high:.3f})"


def heard(recognizer: Recognizer, clips: Sequence[tuple[Waveform, str]], hot_words: Sequence[str] = ()) -> list[Words]:
    """Return what a model makes of clips, whose texts are known: of all, or of those that hot words change."""
    found = []
    for waveform, text in clips:
        words = recognizer.transcribe(waveform, plain=True, hot_words=hot_words).words
        written = [word.text for word in words]
        if hot_words and written == recognizer.transcribe(waveform, plain=True).plain_text.split():
            continue
        right = judged(text, written)
        found.append([(word.confidence, is_right) for word, is_right in zip(words, right, strict=True)])
    return found


def hot_words_of(text: Path, said: set[str]) -> list[str]:
    """Return the rare words of clips, and a thousand rare ones that are in none of them."""
    counts = Counter(word for line in read_texts(text) for word in ENGLISH.normalise(line).split())
    rare = sorted(word for word in said if len(word) >= LONG and counts[word] < RARE)
    others = sorted(word for word, count in counts.items() if len(word) >= LONG and count < RARE and word not in said)
    return rare + random.Random(1).sample(others, 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifests", nargs="+", type=Path)
    parser.add_argument("--noise", action="append", type=Path, default=[])
    parser.add_argument("--decibels", action="append", type=float)
    parser.add_argument("--model", action="append")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--not-of", type=int)
    parser.add_argument("--no-lm", action="store_true")
    parser.add_argument("--hot", type=Path, metavar="TEXT")
    args = parser.parse_args()
    utterances = read_manifests(args.manifests)
    fitted = {one.id for one in spread(utterances, args.not_of)} if args.not_of else set()
    utterances = spread([one for one in utterances if one.id not in fitted], args.limit)
    names = args.model or ["english"]
    models = {name: Recognizer(find_bundle(name), threads=1, language_model=not args.no_lm) for name in names}
    rng = np.random.default_rng(1)
    noises = [one.samples for one in map(read, read_manifests(args.noise))]
    clean = [(read(one), next(iter(models.values())).bundle.alphabet.normalise(one.text or "")) for one in utterances]
    ways = {"as it is": clean}
    for decibels in (args.decibels or [10.0, 0.0]) if noises else []:
        drawn = [noises[place] for place in rng.integers(len(noises), size=len(clean))]
        ways[f"{decibels:g} dB above noise"] = [
            (replace(waveform, samples=add_noise(waveform.samples, noise, decibels)), text)
            for (waveform, text), noise in zip(clean, drawn, strict=True)
        ]
    hot_words: dict[str, list[str]] = {}
    if args.hot:
        hot = hot_words_of(args.hot, {word for _, text in clean for word in text.split()})
        way = f"changed by some of {len(hot):,} hot words"
        ways[way], hot_words[way] = clean, hot
    print(f"auricle {auricle.__version__}, {len(clean)} clips\n")
    print("| speech | model | words | right | mean confidence | error | information | right word surer than a wrong |")
    print("|---|---|--:|--:|--:|---|---|---|")
    for way, clips in ways.items():
        for name, recognizer in models.items():
            found = heard(recognizer, clips, hot_words.get(way, ()))
            words = [word for clip in found for word in clip]
            shares = f"{np.mean([right for _, right in words]):.1%} | {np.mean([sure for sure, _ in words]):.1%}"
            figures = " | ".join(interval(found, figure) for figure in (error, information, sureness))
            print(f"| {way} | {name} | {len(words):,} | {shares} | {figures} |", flush=True)


def read(utterance: Utterance) -> Waveform:
    return auricle.audio.read(
        utterance.audio_filepath, rate=16_000, offset=utterance.offset, duration=utterance.duration
    )


if __name__ == "__main__":
    main()
