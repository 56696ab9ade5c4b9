"""auricle beside other recognisers, on clean speech and on what happens to it: one table for RESULTS.md.

    python benchmarks/recognisers.py DATA/dev-mp3.jsonl DATA/dev-flac.jsonl [--limit 100] [--noise DATA/noise.jsonl] \\
        [--pocketsphinx PYTHON] [--faster-whisper PYTHON MODEL_DIR] [--conditions clean,mp3-32] [--starts 9]

Each recogniser runs in a process of its own, on one thread, over the same WAV files: clean, MP3 at 64, 32 and 16
kbit/s, 8 kHz mu-law as on a telephone, noise at 20, 10 and 5 dB, and a room whose sound falls by 60 dB in half a
second. PYTHON is one that has the other recogniser's package. Texts are compared in LibriSpeech's spelling ("mister");
a recogniser that writes digits pays for each. Intervals are 95 %, by bootstrap over utterances.

Before that, starts: from the process until the model is there, and until it has read the first clip; medians and the
range, of recognisers that take turns, after one start of each that does not count.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile

from auricle import audio
from auricle.alphabet import ENGLISH
from auricle.corpora.noise import add_noise
from auricle.features import Array
from auricle.language.text import normalise
from auricle.manifest import Utterance, read_manifest, read_manifests, spread
from auricle.metrics import rate_with_interval, word_errors
from auricle.training.distort import coloured_noise, reverberate, room, through_codec

RATE = 16_000

# Each reads a list of WAV files: `ready` is when the model was there, `text_of` returns what is said in a file.
OURS = """
import time, sys, json, os
import auricle
recognizer = auricle.load(sys.argv[3], threads=1)
ready = time.monotonic()
def text_of(path):
    return recognizer.transcribe(path, plain=True).text
"""
SPHINX = """
import time, sys, json, os, wave
from pocketsphinx import Decoder
decoder = Decoder(samprate=16000)
ready = time.monotonic()
def text_of(path):
    with wave.open(path) as file:
        content = file.readframes(file.getnframes())
    decoder.start_utt()
    decoder.process_raw(content, full_utt=True)
    decoder.end_utt()
    return decoder.hyp().hypstr if decoder.hyp() else ""
"""
WHISPER = """
import time, sys, json, os
from faster_whisper import WhisperModel
model = WhisperModel(sys.argv[3], device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)
ready = time.monotonic()
def text_of(path):
    return " ".join(segment.text for segment in model.transcribe(path, language="en")[0])
"""
REPORT = """
texts, first = [], ready
for path in json.load(open(sys.argv[1])):
    texts.append(text_of(path))
    first = time.monotonic() if len(texts) == 1 else first
# Not getrusage's, which begins with what the process that started this one had.
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
figures = {"texts": texts, "ready": ready, "first": first, "done": time.monotonic(), "peak": int(peak) / 1024}
json.dump(figures, open(sys.argv[2], "w"))
os._exit(0)
"""
# Compiled modules are kept, as pip keeps those of a package that it installs.
KEPT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
ENVIRONMENT = {**KEPT, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


@dataclass(frozen=True)
class Run:
    """Texts, seconds from the process' start until the model and the first text were there, and of recognising all.

    `peak` is the most memory that the process had, in MB.
    """

    texts: list[str]
    ready: float
    first: float
    spent: float
    peak: float


@dataclass(frozen=True)
class Recogniser:
    """A name, and the command that runs its script."""

    name: str
    python: str
    script: str
    model: tuple[str, ...] = ()

    def run(self, paths: Sequence[Path]) -> Run:
        """Recognise files in a process of its own."""
        with tempfile.TemporaryDirectory() as folder:
            wanted, got = Path(folder) / "paths.json", Path(folder) / "figures.json"
            wanted.write_text(json.dumps([str(path) for path in paths]))
            begun = time.monotonic()
            subprocess.run(
                [self.python, "-c", self.script + REPORT, str(wanted), str(got), *self.model],
                check=True,
                stderr=subprocess.DEVNULL,
                env=ENVIRONMENT,
            )
            figures = json.loads(got.read_text())
        ready, first, done = figures["ready"], figures["first"], figures["done"]
        return Run(figures["texts"], ready - begun, first - begun, done - ready, figures["peak"])


def mp3(kilobits: int) -> Callable[[Array, np.random.Generator], Array]:
    """Return a passage through LAME at a constant rate."""

    def passed(samples: Array, _: np.random.Generator) -> Array:
        file = io.BytesIO()
        with av.open(file, "w", format="mp3") as container:
            stream = container.add_stream("libmp3lame", rate=RATE, bit_rate=1000 * kilobits, layout="mono")
            pcm = (np.clip(samples, -1, 1) * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
            frame.sample_rate = RATE
            container.mux([*stream.encode(frame), *stream.encode(None)])
        return audio.read(file.getvalue(), rate=RATE).samples

    return passed


def conditions(noises: Sequence[Utterance]) -> dict[str, Callable[[Array, np.random.Generator], Array]]:
    """Return what is done to a clip, by name."""

    def noisy(decibels: float) -> Callable[[Array, np.random.Generator], Array]:
        def mixed(samples: Array, rng: np.random.Generator) -> Array:
            if noises:
                one = noises[int(rng.integers(len(noises)))]
                noise = audio.read(one.audio_filepath, rate=RATE).samples
            else:
                noise = coloured_noise(len(samples), 1.0, rng)
            return add_noise(samples, noise, decibels)

        return mixed

    return {
        "clean": lambda samples, _: samples,
        **{f"mp3-{kilobits}": mp3(kilobits) for kilobits in (64, 32, 16)},
        "telephone": lambda samples, _: through_codec(samples, "mu-law", RATE),
        **{f"noise-{decibels}dB": noisy(decibels) for decibels in (20, 10, 5)},
        "room": lambda samples, rng: reverberate(samples, room(0.5, 1.5, RATE, rng)),
    }


def print_starts(recognisers: Sequence[Recogniser], clip: Path, count: int) -> None:
    """Start each as often as asked and print how long that takes."""
    runs = [[one.run([clip]) for one in recognisers] for _ in range(count + 1)][1:]
    print(f"| {count} starts, a clip of {soundfile.info(clip).duration:.1f} s | model ready | first text | peak |")
    print("|---|---|---|---|")
    for recogniser, own in zip(recognisers, zip(*runs, strict=True), strict=True):
        times = ([run.ready for run in own], [run.first for run in own])
        told = (f"{statistics.median(some):.2f} s ({min(some):.2f} to {max(some):.2f})" for some in times)
        print(f"| {recogniser.name} | {' | '.join(told)} | {max(run.peak for run in own):.0f} MB |", flush=True)
    print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifests", nargs="+", type=Path)
    parser.add_argument("--limit", type=int, help="so many clips, spread evenly")
    parser.add_argument("--model", default="english")
    parser.add_argument("--noise", type=Path, help="manifest of recorded noise; default: pink noise")
    parser.add_argument("--pocketsphinx", metavar="PYTHON")
    parser.add_argument("--faster-whisper", nargs=2, metavar=("PYTHON", "MODEL_DIR"))
    parser.add_argument("--starts", type=int, default=9)
    parser.add_argument("--conditions", help="some of them, commas between; default: all")
    options = parser.parse_args()
    recognisers = [Recogniser("auricle", sys.executable, OURS, (options.model,))]
    if options.pocketsphinx:
        recognisers.append(Recogniser("pocketsphinx", options.pocketsphinx, SPHINX))
    if options.faster_whisper:
        python, folder = options.faster_whisper
        recognisers.append(Recogniser("whisper tiny.en", python, WHISPER, (folder,)))
    known = conditions(read_manifest(options.noise) if options.noise else [])
    wanted = options.conditions.split(",") if options.conditions else list(known)
    utterances = spread(read_manifests(options.manifests), options.limit)
    references = [normalise(one.text or "", ENGLISH) for one in utterances]
    clean: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        clip = Path(scratch) / "clip.wav"
        typical = sorted(utterances, key=lambda one: one.duration or 0.0)[len(utterances) // 2]
        samples = audio.read(
            typical.audio_filepath, rate=RATE, offset=typical.offset, duration=typical.duration
        ).samples
        soundfile.write(clip, samples, RATE, subtype="PCM_16")
        print_starts(recognisers, clip, options.starts)
        print("| condition | recogniser | WER | against clean | s per s | model ready | peak |")
        print("|---|---|---|---|---|---|---|")
        for condition in wanted:
            paths, seconds = [], 0.0
            for number, one in enumerate(utterances):
                samples = audio.read(one.audio_filepath, rate=RATE, offset=one.offset, duration=one.duration).samples
                changed = known[condition](samples, np.random.default_rng(number))
                path = Path(scratch) / f"{number}.wav"
                soundfile.write(path, np.clip(changed, -1, 1), RATE, subtype="PCM_16")
                paths.append(path)
                seconds += len(changed) / RATE
            for recogniser in recognisers:
                run = recogniser.run(paths)
                counts = [
                    word_errors(reference, normalise(text, ENGLISH))
                    for reference, text in zip(references, run.texts, strict=True)
                ]
                rate = rate_with_interval(counts)
                against = rate.value / clean.setdefault(recogniser.name, rate.value) - 1
                print(
                    f"| {condition} | {recogniser.name} | {rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%}) "
                    f"| {against:+.1%} | {run.spent / seconds:.4f} | {run.ready:.2f} s | {run.peak:.0f} MB |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
