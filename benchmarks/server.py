"""What a server does under load, with micro-batching and without: latency, throughput, and whether every text is right.

    python benchmarks/server.py --clients 64 --requests 1000
    python benchmarks/server.py --soak 30 [--clients 4] [--every 4]

Each row is a server of its own (`auricle serve`, the embedded model) and clips of 3 to 7 s in a fixed random order.

`--soak MINUTES` asks for as long as that, each client once in `--every` seconds, in turn for a clip, all clips joined
with pauses (half a minute), events, an MP3 on /classify, and what is no recording; and prints the memory that the
server holds, for each tenth of the time. Memory is flat when the last rows are no higher than the ones before.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import numpy as np
import soundfile

CLIPS = sorted((Path(__file__).parents[1] / "tests" / "clips").glob("*.flac"))
PATH = "/v1/audio/transcriptions"


@contextmanager
def serving(batch_clips: int) -> Iterator[tuple[str, int]]:
    """Run the command; gives its address and process id."""
    script = str(Path(sys.executable).with_name("auricle"))
    environment = {**os.environ, "AURICLE_BATCH_CLIPS": str(batch_clips), "AURICLE_MAX_REQUESTS": "1000"}
    with tempfile.TemporaryDirectory() as data:
        command = [script, "serve", "--port", "0", "--data", data]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stderr
            lines = iter(process.stderr.readline, "")
            url = next(json.loads(line)["url"] for line in lines if '"listening"' in line)
            next(line for line in lines if "startup complete" in line)
            threading.Thread(target=lambda: list(lines), daemon=True).start()
            try:
                yield url, process.pid
            finally:
                process.terminate()
                process.wait()


def load(url: str, clips: list[bytes], clients: int) -> tuple[list[float], list[str], float]:
    """Ask for every clip; return the latencies and texts in order, and the seconds it all took."""
    limits = httpx2.Limits(max_connections=clients)
    with httpx2.Client(base_url=url, timeout=600, limits=limits) as client:

        def ask(clip: bytes) -> tuple[float, str]:
            started = time.perf_counter()
            answer = client.post(PATH, files={"file": ("clip.flac", clip)})
            answer.raise_for_status()
            return time.perf_counter() - started, str(answer.json()["text"])

        started = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            results = list(pool.map(ask, clips))
        return [one[0] for one in results], [one[1] for one in results], time.perf_counter() - started


def peak_megabytes(process: int) -> float:
    """The most memory that the process has had."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024


def resident_megabytes(process: int) -> float:
    """The memory that the process has now."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024


def joined() -> bytes:
    """All clips as one WAV, with a second between them."""
    parts = [soundfile.read(path, dtype="float32") for path in CLIPS]
    rate = parts[0][1]
    pause = np.zeros(rate, np.float32)
    out = io.BytesIO()
    soundfile.write(
        out, np.concatenate([piece for samples, _ in parts for piece in (samples, pause)]), rate, format="WAV"
    )
    return out.getvalue()


def soak(url: str, process: int, minutes: float, clients: int, every: float) -> None:
    """Ask in many ways for `minutes`, and print the memory held; what one question says must never change."""
    clip, long = CLIPS[0].read_bytes(), joined()
    mp3 = (CLIPS[0].parent / "formats" / "austen-0890-stereo-44100.mp3").read_bytes()
    questions: list[tuple[str, str, bytes, dict[str, str]]] = [
        *((path.name, PATH, path.read_bytes(), {}) for path in CLIPS),
        ("joined", PATH, long, {"response_format": "verbose_json", "timestamp_granularities[]": "word"}),
        ("events", PATH, clip, {"stream": "true"}),
        ("mp3", "/classify", mp3, {}),
        ("broken", PATH, clip[:2000] + bytes(500), {}),
    ]
    said: dict[str, tuple[int, str]] = {}
    counts = dict.fromkeys((name for name, *_ in questions), 0)
    wrong = [0]
    begun = time.monotonic()
    end = begun + minutes * 60

    def ask(number: int) -> None:
        drawn = random.Random(number)
        with httpx2.Client(base_url=url, timeout=120) as client:
            while time.monotonic() < end:
                name, path, content, fields = drawn.choice(questions)
                answer = client.post(path, files={"file": ("clip.wav", content)}, data=fields)
                text = "" if answer.status_code != 200 else answer.text
                counts[name] += 1
                wrong[0] += said.setdefault(name, (answer.status_code, text)) != (answer.status_code, text)
                time.sleep(drawn.uniform(0, 2 * every))

    print("| minutes | questions | memory now, MB | most so far, MB |")
    print("|--:|--:|--:|--:|")
    with ThreadPoolExecutor(clients) as pool:
        asking = [pool.submit(ask, number) for number in range(clients)]
        for tenth in range(1, 11):
            time.sleep(max(0.0, begun + minutes * 6 * tenth - time.monotonic() - 1))
            row = (resident_megabytes(process), peak_megabytes(process))
            print(f"| {minutes * tenth / 10:.0f} | {sum(counts.values())} | {row[0]:.0f} | {row[1]:.0f} |", flush=True)
        for one in asking:
            one.result()
    print(f"\n{counts}; {wrong[0]} answers differ from the first one to the same question.")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--soak", type=float, metavar="MINUTES")
    parser.add_argument("--every", type=float, default=4.0, metavar="SECONDS")
    arguments = parser.parse_args()
    if arguments.soak:
        with serving(16) as (url, process):
            soak(url, process, arguments.soak, arguments.clients, arguments.every)
        return
    contents = {path.name: path.read_bytes() for path in CLIPS}
    names = random.Random(1).choices(sorted(contents), k=arguments.requests)
    print("| clients | batches of | requests | requests/s | p50 s | p95 s | wrong texts | peak MB |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|")
    expected: dict[str, str] = {}
    rates: dict[int, float] = {}
    for clients, batch in ((1, 16), (arguments.clients, 16), (arguments.clients, 1)):
        chosen = names if clients > 1 else names[: max(10, arguments.requests // 10)]
        with serving(batch) as (url, process):
            load(url, [contents[name] for name in sorted(contents)], 1)
            latencies, texts, seconds = load(url, [contents[name] for name in chosen], clients)
            peak = peak_megabytes(process)
        for name, text in zip(chosen, texts, strict=True) if not expected else ():
            expected.setdefault(name, text)
        wrong = sum(text != expected[name] for name, text in zip(chosen, texts, strict=True))
        rates[batch if clients > 1 else 0] = len(chosen) / seconds
        p50, p95 = np.percentile(latencies, [50, 95])
        rate = len(chosen) / seconds
        print(f"| {clients} | {batch} | {len(chosen)} | {rate:.1f} | {p50:.3f} | {p95:.3f} | {wrong} | {peak:.0f} |")
    print(f"\nMicro-batching: {rates[16] / rates[1]:.2f} times the throughput.")
    print(f"{arguments.clients} clients: {rates[16] / rates[0]:.2f} times the throughput of one that asks in sequence.")


if __name__ == "__main__":
    main()
