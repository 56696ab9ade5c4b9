"""What a batch does on a Ray cluster of a head and two workers on this machine, of one core each. For RESULTS.md.

    python benchmarks/batch_cluster.py texts MANIFEST.jsonl... [--clips 2000]
    python benchmarks/batch_cluster.py speed MANIFEST.jsonl... [--clips 400] [--engine local]
    python benchmarks/batch_cluster.py long MANIFEST.jsonl... [--clips 1000] [--minutes 180] [--engine local]
                                            [--picture FILE.svg]

`texts` serves clips of the manifests by S3 and compares each text with that of `auricle transcribe`, which gets the
same files. `speed` is that of two single-threaded recognisers against one while all are at work: without the start of
actors, and without the end, when one has nothing left to do. `long` puts one long recording in the middle of short
ones, and says for how much of the run each recogniser was idle while it lasted, with a picture of it. The exit code is
1 where texts differ, two recognisers are not 1.8 times as fast as one, or one was idle for more than a tenth. All need
the development tools.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import soundfile

from auricle import audio
from auricle.batch.listing import Listing
from auricle.batch.local import run_local
from auricle.batch.on_ray import run_ray
from auricle.batch.recognising import Settings
from auricle.batch.sources import recordings_of
from auricle.batch.table import read_columns
from auricle.batch.work import Busy, Heard
from auricle.manifest import Utterance, read_manifest, spread

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from batch.cluster import Cluster, bucket_server

SCRIPT = Path(sys.executable).with_name("auricle")
RATE = 16_000
LEAST_SPEED_UP, MOST_IDLE = 1.8, 0.1
LONG = "the long one"


@dataclass(frozen=True)
class Spell:
    """When which recogniser was at work, and whether on the long recording."""

    busy: Busy
    is_long: bool


def texts(clips: Sequence[Utterance], folder: Path) -> bool:
    """Compare what a cluster makes of a bucket with what `auricle transcribe` makes of the same files."""
    files = [folder / f"{index:05d}{clip.audio_filepath.suffix}" for index, clip in enumerate(clips)]
    for file, clip in zip(files, clips, strict=True):
        file.symlink_to(clip.audio_filepath)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    lines = [json.dumps({"id": file.stem, "audio_filepath": file.name}) for file in files]
    with ExitStack() as stack:
        client, environment = stack.enter_context(bucket_server())
        os.environ.update(environment)  # for the nodes of the cluster too
        client.create_bucket(Bucket="archive")
        for file in files:
            client.put_object(Bucket="archive", Key=file.name, Body=file.read_bytes())
        client.put_object(Bucket="archive", Key="clips.jsonl", Body="\n".join(lines).encode())
        cluster = stack.enter_context(closing(Cluster()))
        command = ["batch", "s3://archive/clips.jsonl", "-o", folder / "out", "--engine", "ray"]
        seconds = run([*command, "--address", cluster.address], cluster.environment)
    print(f"`auricle batch --engine ray` from S3 took {seconds:.0f} s, the start of its actors included.")
    # In parts: a command line of thousands of names may be too long.
    for first in range(0, len(files), 500):
        some = files[first : first + 500]
        run(["transcribe", "--threads", "1", "-f", "json", "-o", folder / "texts", *some], dict(os.environ))
    rows: list[dict[str, str]] = []
    for path in sorted((folder / "out" / "shards").glob("*.parquet")):
        with path.open("rb") as table:
            rows += read_columns(table, ["id", "text"])
    in_order = [row["id"] for row in rows] == [file.stem for file in files]
    differ = [row["id"] for row in rows if row["text"] != text_of(folder / "texts" / f"{row['id']}.json")]
    print(f"{len(rows):,} recordings, {'all' if in_order else 'NOT'} in their order; {len(differ):,} texts differ.")
    for name in differ[:5]:
        print(f"{name}: {text_of(folder / 'texts' / f'{name}.json')!r} by `transcribe`")
    return in_order and not differ


def text_of(path: Path) -> str:
    return str(json.loads(path.read_text())["text"])


def run(arguments: Sequence[object], environment: dict[str, str]) -> float:
    """Run a command of auricle, and return its seconds."""
    begun = time.perf_counter()
    done = subprocess.run([SCRIPT, *map(str, arguments)], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"auricle {arguments[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return time.perf_counter() - begun


def speed(clips: Sequence[Utterance], folder: Path, engine: str) -> bool:
    """Compare two recognisers with one."""
    source = manifest_of(clips, folder)
    rates: dict[int, float] = {}
    print("| recognisers | times real time, all at work | from the first unit to the last | s with the start |")
    print("|---|---|---|---|")
    with closing(Engines(engine)) as engines:
        for count in (1, 2):
            begun = time.perf_counter()
            busy = [one.busy for one in engines.work(source, folder, count)]
            whole = time.perf_counter() - begun
            rates[count] = rate_of(busy, *all_at_work(busy, count))
            total = rate_of(busy, min(one.begun for one in busy), max(one.ended for one in busy))
            print(f"| {count} | {rates[count]:.1f} | {total:.1f} | {whole:.1f} |", flush=True)
        spilled = engines.spilled()
    gain = rates[2] / rates[1]
    print(f"\n{len(clips):,} clips by {engine}: two are {gain:.2f} times as fast as one ({LEAST_SPEED_UP} is asked).")
    print(f"Written to disk on the way: {spilled or 'nothing'}.")
    return gain >= LEAST_SPEED_UP


def all_at_work(busy: Sequence[Busy], count: int) -> tuple[float, float]:
    """Return from when to when all recognisers are there and none has come to its end. Exits where that is never so."""
    names = {one.worker for one in busy}
    first = max(min(one.begun for one in busy if one.worker == name) for name in names)
    last = min(max(one.ended for one in busy if one.worker == name) for name in names)
    if len(names) < count or first >= last:
        raise SystemExit(f"{count} recognisers were never at work together: give more --clips.")
    return first, last


def rate_of(busy: Sequence[Busy], begun: float, ended: float) -> float:
    """Return the seconds of audio for each second between two moments; a unit counts by its share of them."""
    shares = (max(0.0, min(ended, one.ended) - max(begun, one.begun)) / (one.ended - one.begun) for one in busy)
    return sum(one.audio_seconds * share for one, share in zip(busy, shares, strict=True)) / (ended - begun)


def long(clips: Sequence[Utterance], folder: Path, engine: str, minutes: float, picture: Path | None) -> bool:
    """Say how idle recognisers are while a long recording lasts, beside short ones."""
    path = folder / "long.flac"
    length = joined(clips, path, 60 * minutes)
    source = manifest_of(clips, folder, path)
    with closing(Engines(engine)) as engines:
        spells = list(engines.work(source, folder, 2))
    begun, ended = min(one.busy.begun for one in spells), max(one.busy.ended for one in spells)
    first = min(one.busy.begun for one in spells if one.is_long)
    last = max(one.busy.ended for one in spells if one.is_long)
    print(f"{length / 60:.0f} minutes beside {len(clips):,} clips by {engine}: {ended - begun:.1f} s in all, ", end="")
    print(f"the long one from {first - begun:.1f} to {last - begun:.1f} s\n")
    print("| recogniser | units | of the long one | idle while it lasted, of the run |")
    print("|---|---|---|---|")
    idle: dict[str, float] = {}
    for name in sorted({one.busy.worker for one in spells}):
        own = [one for one in spells if one.busy.worker == name]
        worked = sum(max(0.0, min(last, one.busy.ended) - max(first, one.busy.begun)) for one in own)
        idle[name] = (last - first - worked) / (ended - begun)
        print(f"| {len(idle)} | {len(own)} | {sum(one.is_long for one in own)} | {idle[name]:.1%} |")
    if picture:
        draw(spells, picture, f"{length / 60:.0f} min beside {len(clips):,} short recordings, {engine}")
    return len(idle) == 2 and max(idle.values()) <= MOST_IDLE


class Engines:
    """Recognises the recordings of a source with one of the engines, and tells when which recogniser was at work."""

    def __init__(self, engine: str) -> None:
        self._cluster = Cluster() if engine == "ray" else None
        if self._cluster:
            os.environ.update(self._cluster.environment)

    def work(self, source: Path, folder: Path, recognisers: int) -> Iterator[Spell]:
        """Yield the spells of a run with so many recognisers."""
        listed = folder / "listing.db"
        listed.unlink(missing_ok=True)
        with closing(Listing(listed)) as listing:
            listing.fill([recordings_of(str(source))], shards=None, shard_recordings=1000)
            names = [recording.id for shard in listing.shards for recording in listing.recordings(shard)]
            tasks = listing.tasks(listing.shards)
            if self._cluster:
                address = self._cluster.address
                found = run_ray(tasks, rate=RATE, settings=Settings(), processes=recognisers, address=address)
            else:
                found = run_local(tasks, rate=RATE, settings=Settings(), processes=recognisers)
            for heard in found:
                if heard.segments:
                    yield Spell(heard.busy, is_long(heard, names))

    def spilled(self) -> str:
        """What the cluster has written to disk for want of memory."""
        return self._cluster.spilled() if self._cluster else ""

    def close(self) -> None:
        """End the cluster."""
        if self._cluster:
            self._cluster.close()


def is_long(heard: Heard, names: Sequence[str]) -> bool:
    return any(names[number] == LONG for number, _, _ in heard.segments)


def manifest_of(clips: Sequence[Utterance], folder: Path, long: Path | None = None) -> Path:
    """Write a manifest of the clips, with the long recording in the middle."""
    names = [(str(index), str(clip.audio_filepath)) for index, clip in enumerate(clips)]
    if long:
        names.insert(len(names) // 2, (LONG, str(long)))
    path = folder / "clips.jsonl"
    path.write_text("\n".join(json.dumps({"id": name, "audio_filepath": file}) for name, file in names))
    return path


def joined(clips: Sequence[Utterance], path: Path, seconds: float) -> float:
    """Write the clips one after another, with pauses, and again, until they have lasted so long."""
    written = 0
    with soundfile.SoundFile(path, "w", RATE, 1, format="FLAC") as file:
        while True:
            for clip in clips:
                samples = np.append(audio.read(clip.audio_filepath, rate=RATE).samples, np.zeros(RATE // 2, np.float32))
                file.write(samples)
                written += len(samples)
                if written >= seconds * RATE:
                    return written / RATE


def draw(spells: Sequence[Spell], path: Path, title: str) -> None:
    """Draw who was at what, and when."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    begun = min(one.busy.begun for one in spells)
    names = sorted({one.busy.worker for one in spells})
    figure, axes = plt.subplots(figsize=(10, 0.8 + 0.6 * len(names)), layout="constrained")
    for colour, of_long, label in (("#4878a8", False, "short recordings"), ("#d08030", True, "the long one")):
        for row, name in enumerate(names):
            own = [one.busy for one in spells if one.busy.worker == name and one.is_long is of_long]
            spans = [(one.begun - begun, one.ended - one.begun) for one in own]
            axes.broken_barh(spans, (row - 0.35, 0.7), color=colour, ec="white", lw=0.2, label=label if not row else "")
    axes.set(yticks=range(len(names)), yticklabels=[f"recogniser {row + 1}" for row in range(len(names))])
    axes.set(xlabel="seconds", title=title)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, count in (("texts", 2000), ("speed", 400), ("long", 1000)):
        command = commands.add_parser(name)
        command.add_argument("manifests", type=Path, nargs="+")
        command.add_argument("--clips", type=int, default=count)
        if name != "texts":
            command.add_argument("--engine", choices=("ray", "local"), default="ray")
    commands.choices["long"].add_argument("--minutes", type=float, default=180.0)
    commands.choices["long"].add_argument("--picture", type=Path)
    options = parser.parse_args()
    every = [utterance for manifest in options.manifests for utterance in read_manifest(manifest)]
    clips = spread([utterance for utterance in every if not utterance.offset], options.clips)
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {len(clips):,} clips, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.command == "texts":
            is_good = texts(clips, folder)
        elif options.command == "speed":
            is_good = speed(clips, folder, options.engine)
        else:
            is_good = long(clips, folder, options.engine, options.minutes, options.picture)
    raise SystemExit(0 if is_good else 1)


if __name__ == "__main__":
    main()
