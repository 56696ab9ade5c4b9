"""Clips in which nobody speaks, for a network to learn silence from: a manifest with empty texts.

    python benchmarks/quiet_clips.py NOISE.jsonl OUT_DIR [--clips 120]

Three quarters of the recordings of NOISE.jsonl (ESC-10, with its `freesound_id`: pieces of one recording stay together)
go into OUT_DIR/train.jsonl, with chords, struck notes, noise and silence made here; the rest into OUT_DIR/held.jsonl,
to judge by with no_speech.py, whose switched tone is not among what is learnt. The seed is fixed: the clips of version
7 are made again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import soundfile
from no_speech import notes

from auricle.features import Array

sys.path.append(str(Path(__file__).parents[1] / "tests" / "segmentation"))
from sounds import RATE, chords, noise


def made(number: int, random: np.random.Generator) -> Array:
    """Return one clip of 3 to 16 s, of a loudness drawn anew."""
    seconds, seed, kind = float(random.uniform(3, 16)), 100 + number, number % 4
    if kind == 0:
        sound = chords(seconds, seed=seed)
    elif kind == 1:
        sound = notes(seconds, float(random.uniform(1, 7)), seed)
    elif kind == 2:
        sound = noise(seconds, float(random.uniform(0, 2)), float(10 ** random.uniform(-3, -1)), seed)
    else:
        sound = np.concatenate([notes(seconds / 2, float(random.uniform(1, 9)), seed), chords(seconds / 2, seed=seed)])
    if number % 12 == 2:
        sound = np.zeros(int(seconds * RATE), np.float32)
    return np.asarray((sound * 10 ** random.uniform(-1, 0.3)).clip(-1, 1), np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("noise", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", type=int, default=120)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[dict[str, object]]] = {"train": [], "held": []}
    for line in options.noise.read_text(encoding="utf-8").splitlines():
        clip = json.loads(line)
        path = (options.noise.parent / clip["audio_filepath"]).resolve()
        held = int(hashlib.md5(clip["freesound_id"].encode(), usedforsecurity=False).hexdigest(), 16) % 4 == 0
        row = {"id": f"esc-{path.stem}", "audio_filepath": str(path), "duration": clip["duration"], "text": ""}
        rows["held" if held else "train"].append(row)
    random = np.random.default_rng(7)
    for number in range(options.clips):
        sound, path = made(number, random), (options.out / f"made-{number:03d}.flac").resolve()
        soundfile.write(path, sound, RATE)
        row = {"id": f"quiet-{path.stem}", "audio_filepath": str(path), "duration": len(sound) / RATE, "text": ""}
        rows["train"].append(row)
    for name, found in rows.items():
        (options.out / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in found), encoding="utf-8")
        print(f"{name}: {len(found)} clips")


if __name__ == "__main__":
    main()
