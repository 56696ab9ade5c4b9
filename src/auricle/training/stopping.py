"""SIGTERM and Ctrl-C during a run: the first asks it to end when it can keep what it learnt, the second ends it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """What this process was asked to stop by: the `signal`'s number, or 0."""

    def __init__(self) -> None:
        self.signal = 0

    def listen(self) -> None:
        """Handle both signals from now on. Outside the main thread, which alone can, nothing changes."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._ask)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle both signals for a while, and then as before."""
        before = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)]
        self.listen()
        try:
            yield
        finally:
            if threading.current_thread() is threading.main_thread():
                for number, handler in before:
                    if handler is not None:  # that of a program around Python, which Python cannot put back
                        signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
