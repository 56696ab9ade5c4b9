"""What codecs cost: the ten files of tests/clips/formats, recognised by the embedded model, as a Markdown table.

    python benchmarks/audio_formats.py [--model BUNDLE] [--markdown FILE]

Two figures per file: the word error rate against what is said, and against the text of the 16 kHz WAV, which is what
the codec alone changes. One utterance of 14 words is an illustration and no measurement.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from auricle.manifest import read_manifest
from auricle.metrics import word_errors
from auricle.recognizer import load

CLIPS = Path(__file__).parent.parent / "tests" / "clips"


def table(model: str | None) -> str:
    """Return the Markdown table."""
    recognizer = load(model, threads=1)
    said = next(u.text for u in read_manifest(CLIPS / "clips.jsonl") if u.id == "austen-0890") or ""
    baseline = recognizer.transcribe(CLIPS / "formats" / "austen-0890-pcm16.wav").plain_text
    rows = [
        f"Said: *{said}*  ",
        f"Model `{recognizer.bundle.name}` of {recognizer.bundle.created[:10]}, measured {datetime.now(UTC):%Y-%m-%d}.",
        "",
        "| file | source as auricle states it | WER | WER against the WAV | heard |",
        "|---|---|---|---|---|",
    ]
    for path in sorted((CLIPS / "formats").iterdir()):
        transcript = recognizer.transcribe(path, plain=True)
        source = transcript.source
        rows.append(
            f"| {path.name} | {source.codec}, {source.rate} Hz, {source.channels} ch, {source.duration:.2f} s "
            f"| {word_errors(said, transcript.text).rate:.0%} | {word_errors(baseline, transcript.text).rate:.0%} "
            f"| {transcript.text} |"
        )
    return "\n".join(rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a bundle; default: the embedded one")
    parser.add_argument("--markdown", type=Path, help="write the table into this page, below its first heading")
    options = parser.parse_args()
    rows = table(options.model)
    if options.markdown:
        heading = (
            options.markdown.read_text().split("<!-- table -->")[0] if options.markdown.exists() else "# Codecs\n\n"
        )
        options.markdown.write_text(f"{heading}<!-- table -->\n\n{rows}")
    print(rows)


if __name__ == "__main__":
    main()
