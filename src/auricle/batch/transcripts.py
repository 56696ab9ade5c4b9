"""The pipeline without a destination: recordings in, transcripts out, in their order."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, closing
from pathlib import Path

from auricle.batch.collect import Collector
from auricle.batch.engine import Engine
from auricle.batch.listing import Found, Listing
from auricle.batch.progress import Progress
from auricle.batch.recognising import Settings
from auricle.batch.table import Row
from auricle.batch.work import Recording
from auricle.bundle import Bundle
from auricle.manifest import Utterance
from auricle.transcript import Transcript

_SHARD_RECORDINGS = 256


def transcripts(
    utterances: Iterable[Utterance],
    bundle: Bundle,
    settings: Settings,
    engine: Engine,
    *,
    tell: Callable[[Progress], None] = lambda progress: None,
) -> Generator[Transcript | str, None, None]:
    """Yield the plain words of each utterance, in their order, or why it could not be recognised. To be closed.

    `bundle` is that of the `settings`. Raises AuricleError when the engine cannot begin its work, CorpusError for two
    utterances of one id.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="auricle-batch-")))
        listing = stack.enter_context(closing(Listing(folder / "listing.db")))
        listing.fill([map(_found, utterances)], shards=None, shard_recordings=_SHARD_RECORDINGS)
        progress = Progress(listing.count)
        collector = Collector(
            folder / "done.db", listing, list(listing.shards), model=bundle.name, readable=lambda found: found
        )
        stack.enter_context(closing(collector))
        waiting: dict[int, list[Transcript | str]] = {}
        given = 0
        found = engine.run(listing.tasks(listing.shards), rate=bundle.features.sample_rate, settings=settings)
        for heard in stack.enter_context(closing(found)):
            progress.hear(heard.busy)
            for finished in collector.add(heard):
                waiting[finished.shard.index] = [row.transcript or _why(row) for row in finished.rows]
            progress.done, progress.errors = collector.recordings, collector.errors
            tell(progress)
            while given in waiting:
                yield from waiting.pop(given)
                given += 1


def _found(utterance: Utterance) -> Found:
    place = str(utterance.audio_filepath)
    return Found(Recording(utterance.id, place, utterance.offset, utterance.duration))


def _why(row: Row) -> str:
    """Return what is wrong with an utterance's recording, which has its own name here."""
    error, name = row.error or "", row.recording.id
    return row.recording.uri + error.removeprefix(name) if error.startswith(name) else error
