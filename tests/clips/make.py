"""Make the clips of this folder again from Debian's package pocketsphinx-testdata, with ffmpeg.

Run it by hand: `python tests/clips/make.py`. It prints each command before running it. The clips are kept in the
repository so that the tests need neither the package nor ffmpeg.
"""

import json
import re
import shlex
import subprocess
import wave
from pathlib import Path

PACKAGE = Path("/usr/share/pocketsphinx/test/data/librivox")
HERE = Path(__file__).parent
FORMATS_OF = "0890"
OPTIONS = {
    "pcm16.wav": "-c:a pcm_s16le",
    "pcm8.wav": "-c:a pcm_u8",
    "flac.flac": "-c:a flac",
    "vorbis.ogg": "-c:a libvorbis -q:a 4",
    "opus.ogg": "-c:a libopus -b:a 32k",
    "mono-8000.mp3": "-c:a libmp3lame -b:a 16k -ar 8000",
    "mono-22050.mp3": "-c:a libmp3lame -b:a 48k -ar 22050",
    "stereo-44100.mp3": "-c:a libmp3lame -b:a 96k -ar 44100 -ac 2",
    "aac.m4a": "-c:a aac -b:a 48k",
    "opus.webm": "-c:a libopus -b:a 32k",
}


def encode(source: Path, options: str, target: Path) -> None:
    """Encode one clip without metadata or encoder stamps, so that the same ffmpeg makes the same bytes."""
    strip = "-map_metadata -1 -fflags +bitexact -flags:a +bitexact"
    relative = target.relative_to(HERE)
    command = f"ffmpeg -v error -y -i {shlex.quote(str(source))} {options} {strip} {relative}"
    print(command)
    subprocess.run(shlex.split(command), cwd=HERE, check=True)


def main() -> None:
    """Write austen-*.flac, clips.jsonl and formats/."""
    (HERE / "formats").mkdir(exist_ok=True)
    lines = []
    for line in (PACKAGE / "transcription").read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"<s> ([a-z' ]+) </s> \((\S+-(\d+))\)", line.strip())
        if match is None:
            raise SystemExit(f"{PACKAGE}/transcription has a line that is no transcript: {line!r}")
        text, stem, number = match.groups()
        source, target = PACKAGE / f"{stem}.wav", HERE / f"austen-{number}.flac"
        encode(source, "-c:a flac -compression_level 12", target)
        with wave.open(str(source)) as recording:
            seconds = recording.getnframes() / recording.getframerate()
        record = {"id": target.stem, "audio_filepath": target.name, "duration": seconds, "text": text}
        lines.append(json.dumps({**record, "speaker": "librivox-austen"}) + "\n")
        if number == FORMATS_OF:
            for name, options in OPTIONS.items():
                encode(source, options, HERE / "formats" / f"austen-{number}-{name}")
    (HERE / "clips.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
