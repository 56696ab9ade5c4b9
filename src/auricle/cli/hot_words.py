"""Hot words as a command takes them: one by one, and from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from auricle.errors import AuricleError

if TYPE_CHECKING:
    from auricle.decoding import Phrases

HotWord: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--hot-word", metavar="PHRASE", help="A name or phrase to expect; may be given again."),
]
HotWordsFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--hot-words",
        metavar="FILE",
        help="Phrases to expect, one a line; after a tab its reward, if you like.",
    ),
]


def read_hot_words(phrases: Sequence[str], file: Path | None) -> Phrases:
    """Return all hot words, those of the file with their rewards. Raises AuricleError naming a line that is none."""
    from auricle.decoding.hotwords import DEFAULT_BOOST

    found = dict.fromkeys(phrases, DEFAULT_BOOST)
    if file is None:
        return found
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AuricleError(f"{file}: cannot read the hot words ({error}).") from error
    for number, line in enumerate(lines, 1):
        phrase, _, reward = line.partition("\t")
        if not phrase.strip():
            continue
        try:
            found[phrase.strip()] = float(reward) if reward.strip() else DEFAULT_BOOST
        except ValueError:
            raise AuricleError(f"{file}, line {number}: {reward.strip()!r} is not a reward: give a number.") from None
    return found
