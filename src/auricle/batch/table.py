"""Rows of Parquet: one for each recording, in the order of the listing, and the same bytes for the same rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from auricle.batch.work import Recording
from auricle.transcript import Transcript, Word

_GROUP_ROWS = 256
_COMPRESSION = "zstd"


@dataclass(frozen=True, slots=True)
class Row:
    """A recording and what was heard in it, or why nothing was."""

    recording: Recording
    transcript: Transcript | None = None
    error: str | None = None

    @property
    def confidence(self) -> float | None:
        """The mean confidence of the words, if there are any."""
        words = self.transcript.words if self.transcript else ()
        return math.fsum(word.confidence for word in words) / len(words) if words else None


def schema() -> Any:
    """Return the columns: seconds to the millisecond, confidences to four places, null where there was an error."""
    import pyarrow as pa

    span = [("start", pa.float64()), ("end", pa.float64())]
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            ("text", pa.string()),
            ("segments", pa.list_(pa.struct([*span, ("text", pa.string())]))),
            (
                "words",
                pa.list_(
                    pa.struct([("text", pa.string()), ("written", pa.string()), *span, ("confidence", pa.float64())])
                ),
            ),
            (
                "source",
                pa.struct(
                    [
                        ("uri", pa.string()),
                        ("codec", pa.string()),
                        ("rate", pa.int64()),
                        ("channels", pa.int64()),
                        ("duration", pa.float64()),
                    ]
                ),
            ),
            (
                "figures",
                pa.struct(
                    [
                        ("words", pa.int64()),
                        ("confidence", pa.float64()),
                        ("speech_seconds", pa.float64()),
                        ("words_per_minute", pa.float64()),
                    ]
                ),
            ),
            ("error", pa.string()),
        ]
    )


def write_table(rows: Iterable[Row], path: Path) -> None:
    """Write rows as Parquet, some hundred at a time."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = schema()
    rows = iter(rows)
    with parquet.ParquetWriter(path, columns, compression=_COMPRESSION) as writer:
        while group := [_values(row) for row in islice(rows, _GROUP_ROWS)]:
            writer.write_table(pa.Table.from_pylist(group, columns))


def read_columns(file: Any, names: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file with these columns alone, some hundred in memory at a time."""
    from pyarrow import parquet

    for batch in parquet.ParquetFile(file).iter_batches(_GROUP_ROWS, columns=names):
        yield from batch.to_pylist()


def _values(row: Row) -> dict[str, Any]:
    uri = row.recording.uri
    if row.transcript is None:
        return {"id": _utf8(row.recording.id), "source": {"uri": _utf8(uri)}, "error": _utf8(row.error or "")}
    transcript, source = row.transcript, row.transcript.source
    speech = math.fsum(segment.end - segment.start for segment in transcript.segments)
    count = len(transcript.words)
    return {
        "id": _utf8(row.recording.id),
        "text": transcript.text,
        "segments": [
            {"start": _ms(segment.start), "end": _ms(segment.end), "text": segment.text}
            for segment in transcript.segments
        ],
        "words": [_word(word) for word in transcript.words],
        "source": {
            "uri": _utf8(uri),
            "codec": source.codec,
            "rate": source.rate,
            "channels": source.channels,
            "duration": _ms(source.duration),
        },
        "figures": {
            "words": count,
            "confidence": None if row.confidence is None else round(row.confidence, 4),
            "speech_seconds": _ms(speech),
            "words_per_minute": round(60 * count / speech, 1) if speech else 0.0,
        },
    }


def _word(word: Word) -> dict[str, Any]:
    return {
        "text": word.text,
        "written": word.shown,
        "start": _ms(word.start),
        "end": _ms(word.end),
        "confidence": round(word.confidence, 4),
    }


def _ms(seconds: float) -> float:
    return round(seconds, 3)


def _utf8(name: str) -> str:
    """Return a file's name as text, also when it is not UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()
