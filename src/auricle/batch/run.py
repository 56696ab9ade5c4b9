"""A batch from its sources to its report: list, see what is missing, compute that, and write it shard by shard."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, cast
from urllib.parse import quote

from auricle import __version__, formats
from auricle.alphabet import ENGLISH
from auricle.batch.collect import Collector, Finished
from auricle.batch.engine import Engine
from auricle.batch.listing import Listing
from auricle.batch.output import Destination, Ledger
from auricle.batch.progress import Progress
from auricle.batch.recognising import Settings
from auricle.batch.report import page
from auricle.batch.sources import recordings_of
from auricle.batch.table import Row, write_table
from auricle.bundle import Bundle, find_bundle
from auricle.errors import AuricleError
from auricle.transcript import Transcript

SHARD_RECORDINGS = 1000


@dataclass(frozen=True, slots=True)
class Batch:
    """What a command asks for. `formats` are the transcript files that are wanted beside the tables."""

    sources: tuple[str, ...]
    output: str
    engine: Engine = field(default_factory=Engine)
    formats: tuple[str, ...] = ()
    shards: int | None = None
    settings: Settings = field(default_factory=Settings)
    price: float | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """How a batch ended: recordings, errors and seconds of audio of all shards, and the `progress` of this run."""

    recordings: int
    errors: int
    seconds: float
    first_error: str | None
    computed_shards: int
    shards: int
    progress: Progress


def run(
    batch: Batch,
    *,
    tell: Callable[[Progress], None] = lambda progress: None,
    listed: Callable[[int], None] = lambda count: None,
) -> Summary:
    """Transcribe what is missing at the destination. Raises AuricleError for sources, models and places that fail.

    A shard is finished when its table and transcripts are there and its entry in the manifest after them; one that is
    finished, of the same recordings, is not computed again.
    """
    destination = Destination(batch.output)
    ledger = Ledger(destination)
    bundle = find_bundle(batch.settings.model)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="auricle-batch-")))
        listing = stack.enter_context(closing(Listing(folder / "listing.db")))
        listing.fill(
            map(recordings_of, batch.sources), shards=batch.shards, shard_recordings=SHARD_RECORDINGS, progress=listed
        )
        ledger.claim(_settings(batch, bundle))
        fingerprints = ((shard, listing.fingerprint(shard)) for shard in listing.shards)
        missing = [shard for shard, is_finished in ledger.finished(fingerprints) if not is_finished]
        skipped = listing.count - sum(shard.last - shard.first for shard in missing)
        progress = Progress(listing.count, skipped, price=batch.price)
        if missing:
            collector = Collector(folder / "done.db", listing, missing, model=bundle.name, readable=_restoring(bundle))
            stack.enter_context(closing(collector))
            writer = _Writer(batch, destination, ledger, listing, folder)
            rate = bundle.features.sample_rate
            found = batch.engine.run(
                listing.tasks(missing), rate=rate, settings=batch.settings, counted=progress.count_workers
            )
            for heard in stack.enter_context(closing(found)):
                progress.hear(heard.busy)
                for finished in collector.add(heard):
                    writer.write(finished)
                progress.done, progress.errors = collector.recordings, collector.errors
                tell(progress)
        return _concluded(destination, ledger, listing, progress, len(missing))


class _Writer:
    """Writes shards: transcripts, then the table, and at last the entry that says so."""

    def __init__(self, batch: Batch, destination: Destination, ledger: Ledger, listing: Listing, folder: Path) -> None:
        self._formats, self._folder = batch.formats, folder
        self._destination, self._ledger, self._listing = destination, ledger, listing

    def write(self, finished: Finished) -> None:
        shard, table = finished.shard, self._folder / "shard.parquet"
        seen = _Seen()
        write_table(seen.passing(self._with_transcripts(finished.rows)), table)
        digest = _sha256(table)
        self._destination.move_in(table, f"shards/{shard.name}.parquet")
        entry = {
            "fingerprint": self._listing.fingerprint(shard),
            "recordings": seen.recordings,
            "errors": seen.errors,
            "seconds": round(seen.seconds, 3),
            "sha256": digest,
        }
        self._ledger.note(shard, entry)

    def _with_transcripts(self, rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            if row.transcript:
                for name in self._formats:
                    stem = PurePosixPath(row.recording.id).stem
                    text = formats.write(row.transcript, name, name=stem)
                    self._destination.put(transcript_name(row.recording.id, formats.suffix(name)), text)
            yield row


class _Seen:
    """Counts the rows that pass."""

    def __init__(self) -> None:
        self.recordings = self.errors = 0
        self.seconds = 0.0

    def passing(self, rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            self.recordings += 1
            self.errors += row.transcript is None
            self.seconds += row.transcript.duration if row.transcript else 0.0
            yield row


def transcript_name(name: str, suffix: str) -> str:
    """Return where the transcript of a recording goes: below `transcripts`, wherever its own name points."""
    parts = [part for part in name.replace("://", "/").split("/") if part not in {"", "."}]
    safe = [quote(part.encode("utf-8", "surrogateescape"), safe=" !#$&'()+,;=@[]{}~^`") for part in parts]
    return "/".join(["transcripts", *("%2E%2E" if part == ".." else part for part in safe)]) + f".{suffix}"


def _settings(batch: Batch, bundle: Bundle) -> dict[str, Any]:
    """Return what results depend on: a restart with anything else would mix two runs."""
    return {
        "sources": list(batch.sources),
        "shards": batch.shards,
        "formats": sorted(batch.formats),
        "model": {"name": bundle.name, "version": bundle.version, "checksum": bundle.describe()["checksum"]},
        "language_model": batch.settings.language_model,
        "beam": batch.settings.beam,
        "auricle": __version__,
    }


def _restoring(bundle: Bundle) -> Callable[[Transcript], Transcript]:
    """Return what makes a whole transcript readable, as `Recognizer.readable` does, without a network for sound."""
    if bundle.alphabet != ENGLISH:
        return lambda transcript: transcript
    from auricle.restoration import NeuralRestorer, restored

    restorer = NeuralRestorer()
    return lambda transcript: replace(transcript, segments=restored(transcript.segments, restorer))


def _concluded(
    destination: Destination, ledger: Ledger, listing: Listing, progress: Progress, computed: int
) -> Summary:
    unfinished = [shard.name for shard in listing.shards if not ledger.entry(shard)]
    if unfinished:
        raise AuricleError(
            f"{len(unfinished)} shards, {unfinished[0]} the first, were not finished: repeat the command."
        )
    manifest = ledger.conclude(iter(listing.shards))
    html, first_error = page(destination, [f"shards/{shard.name}.parquet" for shard in listing.shards])
    destination.put("report.html", html)
    return Summary(
        cast("int", manifest["recordings"]),
        cast("int", manifest["errors"]),
        cast("float", manifest["seconds"]),
        first_error,
        computed,
        len(listing.shards),
        progress,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
