"""Parts of a corpus, by reader, to draw a learning curve against hours of data with.

    python benchmarks/corpus_parts.py TRAIN.jsonl [OTHER.jsonl ...] --output FOLDER [--part 0.25 --part 0.5 --part 1]

Readers are put in an order that only their names decide, and a part holds the first of them until it has its share of
the hours: so a smaller part lies within a larger one, and has fewer readers, not the same ones with less of each.
FOLDER gets one manifest a part, named after its share in hundredths. Train one model on each in the same time
(`auricle train ... --max-time HOURS`), and give their folders to `benchmarks/model_card.py --curve`.
"""

from __future__ import annotations

import argparse
import hashlib
from collections import defaultdict
from pathlib import Path

from auricle.manifest import Utterance, read_manifests, write_manifest


def main() -> None:
    """Write the manifests and say what they hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifests", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--part", type=float, action="append")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    readers: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in read_manifests(arguments.manifests):
        readers[utterance.speaker or utterance.id].append(utterance)
    order = sorted(readers, key=lambda name: hashlib.sha256(name.encode()).digest())
    total = sum(clip.duration or 0.0 for clips in readers.values() for clip in clips)
    for part in arguments.part or [0.25, 0.5, 1.0]:
        taken: list[Utterance] = []
        seconds, speakers = 0.0, 0
        for name in order:
            if seconds >= part * total:
                break
            taken += readers[name]
            seconds += sum(clip.duration or 0.0 for clip in readers[name])
            speakers += 1
        path = arguments.output / f"{100 * part:03.0f}.jsonl"
        write_manifest(taken, path)
        print(f"{path}: {seconds / 3600:.1f} hours, {speakers} readers, {len(taken):,} clips")


if __name__ == "__main__":
    main()
