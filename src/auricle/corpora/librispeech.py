"""LibriSpeech and Mini LibriSpeech as OpenSLR publishes them (resources 12 and 31).

V. Panayotov, G. Chen, D. Povey, S. Khudanpur, "LibriSpeech: an ASR corpus based on public domain audio books", ICASSP
2015; CC BY 4.0. Sums are those of https://www.openslr.org/resources/12/md5sum.txt and .../31/md5sum.txt, read in public
copies of them in November 2026; the numbers of utterances are those of the archives.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from auricle.corpora.collected import Collected, Progress, sex_of, silent_progress, timed, unique
from auricle.corpora.download import download, md5_of
from auricle.errors import CorpusError
from auricle.manifest import Utterance

OPENSLR = "https://www.openslr.org/resources"
_FOLDER = "LibriSpeech"


@dataclass(frozen=True, slots=True)
class Part:
    """One archive: its name, OpenSLR's number of the resource, its MD5 sum and how many utterances it has."""

    name: str
    resource: int
    md5: str
    utterances: int


PARTS = {
    part.name: part
    for part in (
        Part("train-clean-5", 31, "5df7d4e78065366204ca6845bb08f490", 1_519),
        Part("dev-clean-2", 31, "6d7ab67ac6a1d2c993d050e16d61080d", 1_089),
        Part("dev-clean", 12, "42e2234ba48799c1f50f24a7926300a1", 2_703),
        Part("dev-other", 12, "c8d0bcc9cca99d4f8b62fcc847357931", 2_864),
        Part("test-clean", 12, "32fa31d27d2e1cad72775fee3f4849a9", 2_620),
        Part("test-other", 12, "fb5a50374b501bb3bac4815ee91d3135", 2_939),
        Part("train-clean-100", 12, "2a93770f6d5c6c964bc36631d331a522", 28_539),
        Part("train-clean-360", 12, "c0e676e450a7ff2f54aeade5171606fa", 104_014),
        Part("train-other-500", 12, "d1a0fd59409feb2c614ce4d30c387708", 148_688),
    )
}
GROUPS = {
    "mini": ("train-clean-5", "dev-clean-2"),
    "train-960": ("train-clean-100", "train-clean-360", "train-other-500"),
}
SUBSETS = (*GROUPS, *PARTS)


def parts_of(subsets: Sequence[str]) -> list[Part]:
    """Return the archives that make up the named subsets, each once. Raises CorpusError for a name that is none."""
    names: dict[str, None] = {}
    for subset in subsets:
        if subset not in SUBSETS:
            raise CorpusError(f"LibriSpeech has no subset {subset!r}: choose from {', '.join(SUBSETS)}.")
        names |= dict.fromkeys(GROUPS.get(subset, (subset,)))
    return [PARTS[name] for name in names]


def fetch(
    part: Part, root: Path, *, url: str = OPENSLR, md5: str | None = None, progress: Progress = silent_progress
) -> Path:
    """Return the part's folder below `root`, from what is there already: the folder, its archive, or half of it.

    `url` stands for OpenSLR's "https://www.openslr.org/resources", and `md5` for the published sum. Raises CorpusError.
    """
    if folder := find(part, root):
        return folder
    archive = root / f"{part.name}.tar.gz"
    wanted = md5 or part.md5
    if archive.exists():
        if (found := md5_of(archive, progress)) != wanted.lower():
            raise CorpusError(
                f"{archive} is damaged, or is another file than OpenSLR published (md5 {found}, not {wanted.lower()}): "
                f"remove it to fetch it again, or give --md5 if you know better."
            )
    else:
        download(f"{url.rstrip('/')}/{part.resource}/{archive.name}", archive, md5=wanted, progress=progress)
    return unpack(archive, part, root, progress)


def find(part: Part, root: Path) -> Path | None:
    """Return the part's folder where `root` holds the corpus, or is the corpus; None when it is not there."""
    return next((path for path in (root / _FOLDER / part.name, root / part.name) if path.is_dir()), None)


def unpack(archive: Path, part: Part, root: Path, progress: Progress = silent_progress) -> Path:
    """Unpack an archive into `root` and return the part's folder, which appears when all of it is there.

    Nothing is written outside `root`: members with absolute names, names with "..", links out and devices are refused
    (tarfile's "data" filter, PEP 706). Raises CorpusError.
    """
    if not hasattr(tarfile, "data_filter"):
        raise CorpusError(
            "unpacking an archive safely needs Python 3.11.4 or newer: unpack it yourself, and run again."
        )
    try:
        with tempfile.TemporaryDirectory(prefix=f".{part.name}.", dir=root) as beside:
            with (
                archive.open("rb") as file,
                tarfile.open(fileobj=cast("BinaryIO", _Told(file, archive, progress)), mode="r|*") as tar,
            ):
                tar.extractall(beside, filter="data")
            unpacked = Path(beside) / _FOLDER
            if not (unpacked / part.name).is_dir():
                raise CorpusError(f"{archive} has no {_FOLDER}/{part.name}: it is the archive of something else.")
            (root / _FOLDER).mkdir(exist_ok=True)
            # The part comes last: when its folder is there, so is everything.
            for path in sorted(unpacked.iterdir(), key=lambda path: path.name == part.name):
                if not (root / _FOLDER / path.name).exists():
                    shutil.move(path, root / _FOLDER / path.name)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise CorpusError(f"{archive} cannot be unpacked ({error}): remove it to fetch it again.") from error
    except OSError as error:
        raise CorpusError(f"{archive} cannot be unpacked: {error.strerror or error}.") from error
    return root / _FOLDER / part.name


class _Told:
    """A file that tells how much of it has been read."""

    def __init__(self, file: BinaryIO, path: Path, progress: Progress) -> None:
        self._file, self._name, self._progress = file, path.name, progress
        self._size = max(1, path.stat().st_size)

    def read(self, size: int = -1) -> bytes:
        """Read as a file does."""
        piece = self._file.read(size)
        self._progress(self._file.tell() / self._size, f"unpacking {self._name}")
        return piece


def collect(folder: Path, *, progress: Progress = silent_progress) -> Collected:
    """Return the utterances of one part's folder (SPEAKER/CHAPTER/*.flac with one *.trans.txt a chapter).

    Sex comes from SPEAKERS.TXT beside the folder, where there is one. A recording that a transcript names and that
    cannot be read is left out with the reason. Raises CorpusError when there is none.
    """
    sexes = read_speakers(folder.parent / "SPEAKERS.TXT")
    transcripts = sorted(folder.rglob("*.trans.txt"))
    if not transcripts:
        raise CorpusError(f"{folder} has no transcripts (*.trans.txt): remove it to unpack it again.")
    utterances = [utterance for path in transcripts for utterance in _chapter(path, sexes)]
    return timed(unique(utterances, str(folder)), where=str(folder), progress=progress)


def read_speakers(path: Path) -> Mapping[str, str | None]:
    """Return each speaker's sex from SPEAKERS.TXT ("14 | F | train-clean-360 | 25.03 | name"), or nothing."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = [line.split("|") for line in lines if "|" in line and not line.startswith(";")]
    return {row[0].strip(): sex_of(row[1]) for row in rows}


def _chapter(path: Path, sexes: Mapping[str, str | None]) -> Iterator[Utterance]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path} cannot be read ({error}): unpack the archive again.") from error
    for line in lines:
        name, _, text = line.strip().partition(" ")
        if name:
            speaker = name.split("-")[0]
            yield Utterance(name, path.parent / f"{name}.flac", text, speaker=speaker, sex=sexes.get(speaker))
