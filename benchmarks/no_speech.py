"""What is heard where nobody speaks: words a minute, at most 2 asked for. Prints a table for RESULTS.md.

    python benchmarks/no_speech.py [MANIFEST_OF_NOISE.jsonl] [--minutes 2] [--model BUNDLE]

Silence, white and pink noise, chords that fade, one note after another as on a piano, and a tone that is switched on
and off, all made here; then the clips of the manifest, each by itself, as an upload would be. Recordings of one window
(25 s) are recognised whole; of longer ones, only what the detector takes for speech.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from auricle import audio
from auricle.features import Array
from auricle.manifest import read_manifest
from auricle.recognizer import Recognizer, load

sys.path.append(str(Path(__file__).parents[1] / "tests" / "segmentation"))
from sounds import RATE, chords, noise

MOST = 2.0


def notes(seconds: float, rate: float = 4.0, seed: int = 0) -> Array:
    """Single notes of two octaves, struck `rate` times a second, six harmonics each."""
    random = np.random.default_rng(seed)
    time = np.arange(round(RATE / rate)) / RATE
    shape = np.exp(-4 * time) * np.minimum(1, 200 * time) * np.minimum(1, 200 * (time[-1] - time))
    struck = [
        shape * sum(np.sin(2 * np.pi * pitch * harmonic * time) / harmonic for harmonic in range(1, 7))
        for pitch in 220 * 2 ** (random.integers(0, 24, round(seconds * rate)) / 12)
    ]
    sound = np.concatenate(struck)
    return np.asarray(0.05 * sound / sound.std(), np.float32)


def switched(seconds: float) -> Array:
    """A tone of 440 Hz, on for seven tenths of each half second."""
    time = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(0.3 * np.sin(2 * np.pi * 440 * time) * ((2 * time) % 1 < 0.7), np.float32)


def heard(recognizer: Recognizer, sounds: list[Array]) -> str:
    words = sum(len(recognizer.transcribe(sound, sample_rate=RATE, plain=True).plain_text.split()) for sound in sounds)
    minutes = sum(map(len, sounds)) / RATE / 60
    return f"{words} | {minutes:.1f} | {words / minutes:.1f}" + ("" if words <= MOST * minutes else ", missed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, nargs="?")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--model")
    options = parser.parse_args()
    recognizer, seconds = load(options.model, threads=1), 60 * options.minutes
    made = {
        "silence": np.zeros(round(seconds * RATE), np.float32),
        "white noise": noise(seconds),
        "pink noise": noise(seconds, 1.0),
        "chords that fade": chords(seconds),
        "single notes, four a second": notes(seconds),
        "a tone switched on and off": switched(seconds),
    }
    print("| sound | words | minutes | words a minute |\n|---|--:|--:|---|")
    for name, sound in made.items():
        print(f"| {name} | {heard(recognizer, [sound])} |", flush=True)
        cut = [sound[start : start + 10 * RATE] for start in range(0, len(sound), 10 * RATE)]
        print(f"| {name}, in clips of 10 s | {heard(recognizer, cut)} |", flush=True)
    if options.manifest:
        clips = [audio.read(one.audio_filepath, rate=RATE).samples for one in read_manifest(options.manifest)]
        print(f"| clips of {options.manifest.name} | {heard(recognizer, clips)} |")


if __name__ == "__main__":
    main()
