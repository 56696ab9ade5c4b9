"""How long from the start of a process to its first transcript, as AWS Lambda starts one: one core, one 5 s clip.

    auricle lambda build && python benchmarks/cold_start.py --zip build/lambda/auricle.zip [--python python3.12]
    python benchmarks/cold_start.py --faster-whisper VENV/bin/python MODEL_DIR

Without --zip, the packages installed here. `evicted` means that the files were dropped from the page cache before each
start (posix_fadvise), as on a machine that never ran the function; `warm` that they were just read. Times are
milliseconds, the least and the median of the repeats; memory is the peak of the process.
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
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import soundfile

from auricle.deployment.build import find_python

CLIP = Path(__file__).parents[1] / "tests" / "clips" / "austen-0890.flac"
SECONDS = 5.0
STAGES = ("interpreter", "imports", "model", "first run", "clip")

# The stages are those that the function itself writes into its log.
OURS = """
import sys, time
times = [time.monotonic()]
import base64, io, json, os
log, sys.stderr = sys.stderr, io.StringIO()
from auricle.serving.aws_lambda import handler
started = json.loads(sys.stderr.getvalue().splitlines()[-1])
for stage in ("imports", "model", "first_run"):
    times.append(times[-1] + started[f"{stage}_seconds"])
body = b'--x\\r\\nContent-Disposition: form-data; name="file"; filename="clip.mp3"\\r\\n\\r\\n' \\
    + open(sys.argv[1], "rb").read() + b"\\r\\n--x--\\r\\n"
http = {"method": "POST", "path": "/classify", "sourceIp": "127.0.0.1"}
answer = handler({"version": "2.0", "headers": {"content-type": "multipart/form-data; boundary=x"},
    "requestContext": {"http": http}, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}, None)
text = json.loads(answer["body"])["predicted"]
"""
THEIRS = """
import sys, time
times = [time.monotonic()]
from faster_whisper import WhisperModel
times.append(time.monotonic())
model = WhisperModel(sys.argv[2], device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)
times += [time.monotonic()] * 2
text = " ".join(segment.text for segment in model.transcribe(sys.argv[1], language="en")[0])
"""
REPORT = """
times.append(time.monotonic())
import json, os
# Not getrusage's, which begins with what the process that started this one had.
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([times, int(peak) / 1024, text]), flush=True)
os._exit(0)
"""


def measure(command: list[str], environment: dict[str, str], core: int) -> tuple[list[float], float, str]:
    """Start a process; return the milliseconds of each stage, its peak megabytes, and the text."""
    started = time.monotonic()
    done = subprocess.run(
        command,
        capture_output=True,
        check=True,
        env=environment,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    times, peak, text = json.loads(done.stdout)
    points = [started, *times]
    return [1000 * (after - before) for before, after in pairwise(points)], peak, text


def evict(folders: list[Path]) -> None:
    """Drop every file below the folders from the page cache."""
    os.sync()
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                descriptor = os.open(path, os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)


@contextmanager
def clip() -> Iterator[Path]:
    """The first five seconds of a clip as an MP3."""
    samples, rate = soundfile.read(CLIP)
    with tempfile.NamedTemporaryFile(suffix=".mp3") as file:
        content = io.BytesIO()
        soundfile.write(content, samples[: int(SECONDS * rate)], rate, format="MP3")
        file.write(content.getvalue())
        file.flush()
        yield Path(file.name)


def prefixes(python: str) -> list[Path]:
    """Return where a Python keeps its own files and its packages."""
    script = "import sys, sysconfig; print(sysconfig.get_path('stdlib')); print(sysconfig.get_path('purelib'))"
    done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True)
    return [Path(line) for line in dict.fromkeys(done.stdout.split())]


def rows(name: str, command: list[str], environment: dict[str, str], folders: list[Path], options: Options) -> None:
    """Print the rows of one system."""
    for is_evicted in (True, False):
        runs = []
        for _ in range(options.repeats + (not is_evicted)):
            if is_evicted:
                evict(folders)
            runs.append(measure(command, environment, options.core))
        if not is_evicted:
            runs = runs[1:]  # which read the files
        columns = [*zip(*(run[0] for run in runs), strict=True), [sum(run[0]) for run in runs]]
        cells = [f"{min(column):.0f} / {statistics.median(column):.0f}" for column in columns]
        peak = max(run[1] for run in runs)
        print(f"| {name} | {'evicted' if is_evicted else 'warm'} | {' | '.join(cells)} | {peak:.0f} | {runs[0][2]} |")


class Options(argparse.Namespace):
    """What the command line asks for."""

    zip: Path | None
    python: str | None
    faster_whisper: list[str] | None
    repeats: int
    core: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zip", type=Path, metavar="FILE.zip", help="the function that `auricle lambda build` made")
    parser.add_argument("--python", help="the Python that runs the zip; default: a Python 3.12 of this machine")
    parser.add_argument("--faster-whisper", nargs=2, metavar=("PYTHON", "MODEL_DIR"))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    options = parser.parse_args(namespace=Options())
    print(f"| system | files | {' | '.join(STAGES)} | all | peak MB | text |")
    print("|---" * (len(STAGES) + 5) + "|")
    plain = {"PATH": os.defpath, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with clip() as path, tempfile.TemporaryDirectory() as scratch:
        if options.zip:
            with zipfile.ZipFile(options.zip) as archive:
                archive.extractall(scratch)
            python = options.python or str(find_python("3.12") or sys.executable)
            command, environment = [python, "-s", "-S", "-c", OURS + REPORT], {**plain, "PYTHONPATH": scratch}
            folders = [Path(scratch), prefixes(python)[0]]
        else:
            command, environment, folders = [sys.executable, "-c", OURS + REPORT], plain, prefixes(sys.executable)
        rows("auricle", [*command, str(path)], environment, folders, options)
        if options.faster_whisper:
            python, model = options.faster_whisper
            command = [python, "-c", THEIRS + REPORT, str(path), model]
            rows("faster-whisper", command, plain, [*prefixes(python), Path(model)], options)


if __name__ == "__main__":
    main()
