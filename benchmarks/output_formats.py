"""One small real example of each format that `auricle transcribe` writes, for docs/formats.md.

    python benchmarks/output_formats.py [--model BUNDLE] [--markdown FILE]

Each is what the command prints for one clip of the repository. A page that is there keeps what stands above the mark.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CLIP = "tests/clips/austen-0880.flac"
MARK = "<!-- examples -->"
ABOUT = {
    "txt": "The text of a recording on one line.",
    "json": "Everything, in the shape of OpenAI's `verbose_json`.",
    "srt": "SubRip captions.",
    "vtt": "WebVTT captions (W3C).",
    "vtt-words": "WebVTT with a timestamp where each word begins, for players that light up what is said.",
    "tsv": "Whisper's table: start and end in milliseconds and the text of each segment with words.",
    "textgrid": "Praat's TextGrid, with interval tiers of words and segments.",
    "ctm": "NIST's CTM: file, channel, begin, duration, word, confidence.",
    "stm": "NIST's STM: file, channel, speaker, begin, end, text.",
}


def examples(model: str | None) -> str:
    """Return the Markdown."""
    parts = []
    for name, about in ABOUT.items():
        shown = f"auricle transcribe {CLIP} --format {name}"
        command = [str(Path(sys.executable).with_name("auricle")), *shown.split()[1:]]
        command += ["--model", model] if model else []
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        fence = "json" if name == "json" else "text"
        parts.append(f"## {name}\n\n{about}\n\n```sh\n{shown}\n```\n\n```{fence}\n{done.stdout.rstrip()}\n```\n")
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a bundle; default: the embedded one")
    parser.add_argument("--markdown", type=Path, help="write the examples into this page, below its mark")
    options = parser.parse_args()
    text = examples(options.model)
    if options.markdown:
        page = options.markdown.read_text() if options.markdown.exists() else "# Formats\n\n"
        options.markdown.write_text(f"{page.split(MARK)[0]}{MARK}\n\n{text}")
    else:
        print(text)


if __name__ == "__main__":
    main()
