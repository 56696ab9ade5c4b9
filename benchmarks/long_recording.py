"""One hour of speech against its clips alone: memory, accuracy, speed, and what is heard where nobody speaks.

    python benchmarks/long_recording.py MANIFEST... [--minutes 60] [--model BUNDLE] [--threads 1] [--detector spectral]

The clips of the manifests, in their order, are joined with pauses of 0.3 to 2 s; in one gap of six there are 3 to 8 s
of music-like noise or of coloured noise instead. The hour is written as FLAC and as MP3 to a temporary folder and each
is recognised in a process of its own, as are the clips. Memory is the most that a process takes above what it took
with the model loaded. Seconds of computing are those of the processor, so that other work on the machine does not
count; they include decoding the files. WER is over all words, texts as the model's alphabet writes them.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from auricle import audio
from auricle.audio import Blocks, SourceInfo
from auricle.audio.track import Pieces, Track
from auricle.features import Array
from auricle.manifest import Utterance, read_manifests
from auricle.metrics import ErrorCounts, total, word_errors
from auricle.recognizer import Recognizer, load
from auricle.segmentation import SileroDetector, SpectralDetector

RATE = 16_000
NOISE_MINUTES = 10


def coloured(seconds: float, slope: float, random: np.random.Generator) -> Array:
    """Return noise of -26 dB whose power falls with frequency to the power of `slope`: 0 is white, 1 pink."""
    spectrum = np.fft.rfft(random.normal(0, 1, 1 << 18))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (slope / 2)
    spectrum[:300] = 0  # below 20 Hz
    sound = np.resize(np.fft.irfft(spectrum), int(seconds * RATE))
    return np.asarray(0.05 * sound / sound.std(), np.float32)


def music(seconds: float, random: np.random.Generator) -> Array:
    """Return chords of two to four harmonic tones, struck and fading, some with vibrato, over a little pink noise."""
    scale = 110.0 * 2 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16, 19, 21, 24]) / 12)
    parts, left = [], int(seconds * RATE)
    while left > 0:
        now = np.arange(min(left, int(random.uniform(0.3, 1.5) * RATE))) / RATE
        depth = random.choice([0.0, 0.003])
        wobble = now + depth / (2 * np.pi * 5) * np.sin(2 * np.pi * 5 * now)
        tones = [
            np.sin(2 * np.pi * harmonic * pitch * wobble + random.uniform(0, 6)) / harmonic ** random.uniform(1, 1.6)
            for pitch in random.choice(scale, random.integers(2, 5), replace=False)
            for harmonic in range(1, 8)
        ]
        parts.append(np.sum(tones, axis=0) * np.minimum(1, now / 0.02) * np.exp(-random.uniform(0.5, 4) * now))
        left -= len(now)
    sound = np.concatenate(parts)
    return np.asarray(0.05 * sound / sound.std() + 0.1 * coloured(seconds, 1.0, random)[: len(sound)], np.float32)


def gap(random: np.random.Generator) -> Array:
    """Return what is between two clips."""
    kind = random.integers(12)
    if kind == 0:
        return music(random.uniform(3, 8), random)
    if kind == 1:
        return coloured(random.uniform(3, 8), random.uniform(0, 2), random)
    return 1e-3 * coloured(random.uniform(0.3, 2.0), 1.0, random)


def write_hour(utterances: list[Utterance], seconds: float, flac: Path, mp3: Path) -> list[Utterance]:
    """Write the joined clips as two files. Returns the clips that are in them."""
    random, used, frames = np.random.default_rng(0), [], 0
    with (
        soundfile.SoundFile(flac, "w", RATE, 1, format="FLAC") as lossless,
        soundfile.SoundFile(mp3, "w", RATE, 1, format="MP3", subtype="MPEG_LAYER_III") as lossy,
    ):
        for utterance in utterances:
            if frames >= seconds * RATE:
                break
            clip = audio.read(utterance.audio_filepath, offset=utterance.offset, duration=utterance.duration)
            for samples in (clip.samples, gap(random)):
                lossless.write(samples)
                lossy.write(samples)
                frames += len(samples)
            used.append(utterance)
    return used


# In a process of its own


def recognizer_of(options: argparse.Namespace) -> Recognizer:
    recognizer = load(options.model, threads=options.threads)
    if options.detector == "auto":
        return recognizer
    detector = SpectralDetector() if options.detector == "spectral" else SileroDetector.installed(RATE)
    if detector is None:
        sys.exit("silero-vad is not installed: pip install --no-deps silero-vad")
    return Recognizer(recognizer.bundle, threads=options.threads, detector=detector)


def of_process(field: str) -> float:
    """Return a memory figure of this process in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return float(line.split()[1]) / 1024
    raise LookupError(field)


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Recognise one file, or the clips of a manifest, and say what came out and what it took."""
    recognizer = recognizer_of(options)
    next(recognizer.transcribe_many([audio.from_array(np.zeros(RATE, np.float32), RATE)]))
    ctypes.CDLL(None).malloc_trim(0)  # what loading took and no longer needs would hide what recognition takes
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before, begun, started = of_process("VmRSS"), time.process_time(), time.perf_counter()
    path: Path = options.measure
    if path.suffix == ".jsonl":
        clips = read_manifests([path])
        transcripts = list(recognizer.transcribe_many(clip.audio_filepath for clip in clips))
    else:
        transcripts = [recognizer.transcribe(path)]
    seconds = sum(transcript.duration for transcript in transcripts)
    segments = [segment for transcript in transcripts for segment in transcript.segments]
    return {
        "texts": [transcript.plain_text for transcript in transcripts],
        "seconds": seconds,
        "recognised": sum(segment.end - segment.start for segment in segments),
        "windows": len(segments),
        "memory": of_process("VmHWM") - before,
        "loaded": before,
        "computing": (time.process_time() - begun) / seconds,
        "wall": (time.perf_counter() - started) / seconds,
        "in_order": all(
            a.end <= b.start + 1e-6
            for transcript in transcripts
            for a, b in zip(transcript.words, transcript.words[1:], strict=False)
        ),
    }


def apart(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", str(path), "--detector", options.detector]
    command += ["--threads", str(options.threads), *(["--model", options.model] if options.model else [])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


# All together


def words_in(recognizer: Recognizer, minute: Array) -> tuple[int, float]:
    """Return the words heard in ten minutes of a minute over and over, and the seconds taken for speech."""

    def pieces() -> Pieces:
        for _ in range(NOISE_MINUTES):
            yield minute
        return SourceInfo("array", RATE, 1, 60.0 * NOISE_MINUTES)

    segments = list(recognizer.stream(Blocks(Track(RATE, None, pieces()), rate=RATE, name="noise")))
    return sum(len(segment.words) for segment in segments), sum(segment.end - segment.start for segment in segments)


def noises() -> Iterator[tuple[str, Array]]:
    random = np.random.default_rng(1)
    yield "digital silence", np.zeros(60 * RATE, np.float32)
    yield "white noise", coloured(60, 0.0, random)
    yield "pink noise", coloured(60, 1.0, random)
    yield "music-like noise", music(60, random)


def report(options: argparse.Namespace, folder: Path) -> None:
    flac, mp3, alone = folder / "hour.flac", folder / "hour.mp3", folder / "clips.jsonl"
    used = write_hour(read_manifests(options.manifests), 60 * options.minutes, flac, mp3)
    rows = [{"id": u.id, "audio_filepath": str(u.audio_filepath), "text": u.text or ""} for u in used]
    alone.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recognizer = recognizer_of(options)
    normalise = recognizer.bundle.alphabet.normalise
    said = [normalise(utterance.text or "") for utterance in used]

    bundle = recognizer.bundle
    words = len(" ".join(said).split())
    print(f"{bundle.name} {bundle.version} of {bundle.created[:16]}, {len(used)} clips, {words:,} words")
    print(f"{datetime.now(UTC):%Y-%m-%d}, {options.threads} thread(s), detector: {options.detector}\n")
    print("| what | s | taken for speech | windows | WER | against alone | computing per s | wall per s | memory |")
    print("|---|---|---|---|---|---|---|---|---|")
    baseline: ErrorCounts | None = None
    for name, path in (("clips alone", alone), ("joined, FLAC", flac), ("joined, MP3", mp3)):
        result = apart(path, options)
        heard = [normalise(text) for text in result["texts"]]
        pairs = zip(said, heard, strict=True) if len(heard) > 1 else [(" ".join(said), heard[0])]
        counts = total(word_errors(*pair) for pair in pairs)
        baseline = baseline or counts
        against = f"{counts.rate / baseline.rate - 1:+.1%}" if baseline.rate else "-"
        print(
            f"| {name} | {result['seconds']:.0f} | {result['recognised'] / result['seconds']:.0%} "
            f"| {result['windows']} | {counts.rate:.2%} (S {counts.substitutions}, D {counts.deletions}, "
            f"I {counts.insertions}) | {against} | {result['computing']:.4f} | {result['wall']:.4f} "
            f"| {result['memory']:.0f} MB above {result['loaded']:.0f} |"
        )
        if not result["in_order"]:
            sys.exit(f"{name}: the words' times are not in order.")
    print(f"\n| {NOISE_MINUTES} minutes of | words | s taken for speech |\n|---|---|---|")
    for name, minute in noises():
        heard_words, seconds = words_in(recognizer, minute)
        print(f"| {name} | {heard_words} | {seconds:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifests", nargs="*", type=Path, metavar="MANIFEST")
    parser.add_argument("--minutes", type=float, default=60.0, help="of the joined recording, about")
    parser.add_argument("--model", help="a bundle; default: the embedded one")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--detector", choices=["auto", "spectral", "silero"], default="auto")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(options)))
    elif not options.manifests:
        parser.error("name at least one manifest.")
    else:
        with tempfile.TemporaryDirectory() as folder:
            report(options, Path(folder))


if __name__ == "__main__":
    main()
