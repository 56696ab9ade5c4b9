"""Tables of text: tab-separated as they are written by hand, or comma-separated with quotes."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from auricle.errors import CorpusError


def read_table(path: Path, *, needs: Sequence[str]) -> list[dict[str, str]]:
    """Return a table's rows by the names in its first line; `needs` are names it must have.

    Quotes are text in a .tsv, as corpora write them, and quotes in a .csv. Raises CorpusError naming file and line.
    """
    is_csv = path.suffix.lower() == ".csv"
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(
                file, delimiter="," if is_csv else "\t", quoting=csv.QUOTE_MINIMAL if is_csv else csv.QUOTE_NONE
            )
            missing = [name for name in needs if name not in (reader.fieldnames or ())]
            if missing:
                has = ", ".join(reader.fieldnames or ()) or "nothing"
                raise CorpusError(f"{path}: the first line has no column {missing[0]!r}; it has {has}.")
            return [_row(row, f"{path}:{reader.line_num}", needs) for row in reader]
    except OSError as error:
        raise CorpusError(f"{path}: cannot read the table ({error.strerror or error}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path}: not a table of text in UTF-8 ({error}).") from error


def _row(row: dict[str, str], where: str, needs: Sequence[str]) -> dict[str, str]:
    if None in row or any(row[name] is None for name in needs):
        raise CorpusError(f"{where}: the line has another number of columns than the first one.")
    return {name: value for name, value in row.items() if value is not None}
