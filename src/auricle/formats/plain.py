"""What several writers do to texts and times."""

from __future__ import annotations


def plain(text: str) -> str:
    """Return the text without the tabs and line breaks that would break a file's structure."""
    return " ".join(text.split())


def milliseconds(seconds: float) -> int:
    """Return whole milliseconds, never below zero."""
    return max(0, round(seconds * 1000))
