"""What a server does under load, with micro-batching and without: latency, throughput, and whether every text is right.

    python benchmarks/server.py --clients 64 --requests 1000

Each row is a server of its own (`auricle serve`, the embedded model) and clips of 3 to 7 s in a fixed random order.
"""

from __future__ import annotations

import argparse
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


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=1000)
    arguments = parser.parse_args()
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
