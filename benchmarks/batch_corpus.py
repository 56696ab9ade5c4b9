"""What a corpus costs: throughput by workers and against a shell loop, and the driver's memory. For RESULTS.md.

    python benchmarks/batch_corpus.py throughput MANIFEST.jsonl [--clips 200]
    python benchmarks/batch_corpus.py memory [--recordings 10000 100000 1000000]

Throughput is that of `auricle batch --engine local` with one and with two single-threaded recognisers, and of
`xargs -P2 auricle transcribe --threads 1` on the same files, each process with half of them (which is the best that a
shell can do) or with one. Loading the model is in all of them. Memory is the peak of a process that lists a synthetic
corpus, hands out every task, takes back a result for each recording and writes the tables: all that a driver does, but
for the workers.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from auricle.manifest import read_manifest, spread

SCRIPT = Path(sys.executable).with_name("auricle")


def throughput(manifest: Path, clips: int) -> None:
    utterances = spread(read_manifest(manifest), clips)
    seconds = sum(utterance.duration or 0.0 for utterance in utterances)
    files = [str(utterance.audio_filepath) for utterance in utterances]
    print(f"{len(files)} clips, {seconds / 60:.1f} minutes, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| what | s | times real time | s of processor | times `xargs`, per s of processor |")
    print("|---|---|---|---|---|")
    spent: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "clips.jsonl")
        lines = (json.dumps({"id": str(index), "audio_filepath": name}) for index, name in enumerate(files))
        listed.write_text("\n".join(lines))
        for count in (1, 2):
            out = Path(folder, f"out{count}")
            command = [SCRIPT, "batch", listed, "-o", out, "--processes", str(count)]
            spent[f"batch, {count} recogniser{'s' if count > 1 else ''}"] = timed(command)
        for each in (-(-len(files) // 2), 1):
            command = ["xargs", "-P2", "-n", str(each), SCRIPT, "transcribe", "--threads", "1"]
            spent[f"`xargs -P2 -n {each}`"] = timed(command, given="\n".join(files))
    halves = f"`xargs -P2 -n {-(-len(files) // 2)}`"
    baseline = spent[halves][1]
    for name, (wall, processor) in spent.items():
        print(f"| {name} | {wall:.1f} | {seconds / wall:.0f} | {processor:.1f} | {baseline / processor:.2f} |")
    one, two, shell = spent["batch, 1 recogniser"], spent["batch, 2 recognisers"], spent[halves]
    print(f"\nTwo recognisers are {one[0] / two[0]:.2f} times as fast as one (1.8 is asked).")
    print(f"By the clock, `batch` with two is {shell[0] / two[0]:.2f} times as fast as {halves} (0.95 is asked).")


def timed(command: list[object], given: str = "") -> tuple[float, float]:
    """Return the seconds on the wall, and those of all processes of a command that it has waited for."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(list(map(str, command)), input=given, capture_output=True, text=True, check=True)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def memory(counts: list[int]) -> None:
    print("| recordings listed | peak memory of the driver | s of processor |")
    print("|---|---|---|")
    for count in counts:
        done = subprocess.run(
            [sys.executable, __file__, "drive", str(count)], stdout=subprocess.PIPE, text=True, check=True
        )
        peak, processor = done.stdout.split()
        print(f"| {count:,} | {float(peak):.0f} MB | {float(processor):.0f} |", flush=True)


def drive(count: int) -> None:
    """Do what a driver does for a corpus that is not there."""
    from auricle.audio import SourceInfo
    from auricle.batch.collect import Collector
    from auricle.batch.listing import Found, Listing
    from auricle.batch.table import write_table
    from auricle.batch.work import Busy, End, Heard, Recording
    from auricle.transcript import Segment, Word

    def synthetic() -> Iterator[Found]:
        for index in range(count):
            name = f"s3://archive/{index * 7919 % count:08d}/recording.flac"
            yield Found(Recording(name, name), name)

    source = SourceInfo("flac", 16_000, 1, 7.0)
    words = tuple(Word("word", 0.1 * place, 0.1 * place + 0.05, 0.9) for place in range(20))
    busy = Busy("nobody", 0.0, 1.0, 7.0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with closing(Listing(folder / "listing.db")) as listing:
            listing.fill([synthetic()], shards=None, shard_recordings=1000)
            shards = list(listing.shards)
            collector = Collector(folder / "done.db", listing, shards, model="none", readable=lambda found: found)
            for task in listing.tasks(shards):
                numbers = range(task.first, task.first + len(task.recordings))
                segments = tuple((number, 0, Segment(0.0, 7.0, words)) for number in numbers)
                for finished in collector.add(Heard(segments, tuple(End(n, 1, source) for n in numbers), busy)):
                    write_table(finished.rows, folder / "shard.parquet")
            collector.close()
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_maxrss / 1e3, used.ru_utime + used.ru_stime)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    speed = commands.add_parser("throughput")
    speed.add_argument("manifest", type=Path)
    speed.add_argument("--clips", type=int, default=200)
    driver = commands.add_parser("memory")
    driver.add_argument("--recordings", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    commands.add_parser("drive").add_argument("count", type=int)
    options = parser.parse_args()
    if options.command == "drive":
        drive(options.count)
        return
    print(f"{datetime.now(UTC):%Y-%m-%d}\n")
    if options.command == "throughput":
        throughput(options.manifest, options.clips)
    else:
        memory(options.recordings)


if __name__ == "__main__":
    main()
