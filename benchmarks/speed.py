"""How fast: real-time factors on one thread, and features per second of computing. Prints rows for RESULTS.md.

    python benchmarks/speed.py [--seconds 10] [--repeats 5] [--write-reference FILE.auricle]

The real-time factor is seconds of computing per second of speech, from samples to text: of one clip alone, and of eight
that are recognised together, as the commands do with several recordings. The median of the repeats stands, with the
least and the most beside it. The reference network is the course project's architecture with random weights: its speed
does not depend on what it has learnt.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from auricle import audio
from auricle.alphabet import ENGLISH
from auricle.audio import SourceInfo, Waveform
from auricle.bundle import write_bundle
from auricle.errors import BundleError
from auricle.features import FeatureConfig, Normalization, log_mel
from auricle.recognizer import Recognizer, load

CLIPS = Path(__file__).parent.parent / "tests" / "clips"


def speech(seconds: float, rate: int = 16_000) -> Waveform:
    """Join the clips of the repository, over and over, to so many seconds."""
    samples = np.concatenate([audio.read(path).samples for path in sorted(CLIPS.glob("*.flac"))])
    samples = np.resize(samples, int(seconds * rate))
    return Waveform(samples, rate, SourceInfo("array", rate, 1, seconds))


def per_second(run: Callable[[], object], seconds: float, repeats: int) -> tuple[float, float, float]:
    """Return the least, the median and the most of computing seconds per second of audio."""
    run()
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        spent.append((time.perf_counter() - start) / seconds)
    return min(spent), statistics.median(spent), max(spent)


def reference() -> Recognizer:
    """Build the reference architecture with random weights."""
    import torch

    from auricle.training.export import to_bundle
    from auricle.training.network import DeepSpeech2
    from auricle.training.recipe import NetworkConfig

    torch.manual_seed(0)
    features = FeatureConfig(mel=128)
    network = DeepSpeech2(NetworkConfig(), features.mel, ENGLISH.tokens).eval()
    normalization = Normalization(np.full(128, -6, np.float32), np.full(128, 3, np.float32))
    bundle = to_bundle(
        network,
        name="reference",
        version="0",
        created="",
        features=features,
        normalization=normalization,
        alphabet=ENGLISH,
    )
    return Recognizer(bundle, threads=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the clip")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write-reference", type=Path, metavar="FILE.auricle", help="write its bundle, and only that")
    options = parser.parse_args()
    if options.write_reference:
        write_bundle(reference().bundle, options.write_reference)
        return
    clip, minute = speech(options.seconds), speech(60.0)
    config = FeatureConfig()

    print(
        f"{platform.machine()}, {processor()}, {datetime.now(UTC):%Y-%m-%d}, one thread, {options.seconds:g} s clip\n"
    )
    print("| what | median | least to most | bar |")
    print("|---|---|---|---|")
    low, median, high = per_second(lambda: log_mel(minute.samples, config), 60.0, options.repeats)
    print(f"| features, times real time | {1 / median:.0f} | {1 / high:.0f} to {1 / low:.0f} | at least 300 |")
    for name, build, bar in (("reference", reference, 0.06), ("english", lambda: load(threads=1), 0.03)):
        try:
            recognizer = build()
        except BundleError as error:
            print(f"| real-time factor, {name} | not measured: {error} | | {bar} |")
            continue
        for clips in (1, 8):
            run = partial(transcribe_all, recognizer, [clip] * clips)
            low, median, high = per_second(run, options.seconds * clips, options.repeats)
            what = f"{clips} clip{'s together' if clips > 1 else ' alone'}"
            print(f"| real-time factor, {name}, {what} | {median:.4f} | {low:.4f} to {high:.4f} | at most {bar} |")
        low, median, high = per_second(partial(recognizer.transcribe, minute), minute.duration, options.repeats)
        print(f"| real-time factor, {name}, 60 s alone | {median:.4f} | {low:.4f} to {high:.4f} | at most {bar} |")


def transcribe_all(recognizer: Recognizer, clips: list[Waveform]) -> None:
    """Recognise the clips as `auricle evaluate` and `auricle transcribe` do."""
    for _ in recognizer.transcribe_many(clips):
        pass


def processor() -> str:
    """Return the processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
