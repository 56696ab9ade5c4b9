"""What a speech detector is, and which one there is."""

from __future__ import annotations

from typing import Protocol

from auricle.features import Array
from auricle.segmentation.silero import SileroDetector
from auricle.segmentation.spectral import Flags, SpectralDetector


class Listener(Protocol):
    """A detector's attention to one recording, from its beginning to its end."""

    hop_samples: int

    def hear(self, block: Array, *, last: bool = False) -> Flags:
        """Take the next samples and return, for each further hop of the recording, whether there is speech in it.

        What needs to hear more first may be answered later; with `last` every sample heard is answered for.
        """
        ...


class Detector(Protocol):
    """Anything that tells speech from everything else. It may be shared by threads; its listeners may not.

    Missing speech is the worse mistake: what no detector hears is never recognised.
    """

    def listen(self, rate: int) -> Listener:
        """Begin with a recording at `rate` Hz."""
        ...


def best_detector(rate: int) -> Detector:
    """Return silero-vad where it is installed and knows the rate, and else our own."""
    return SileroDetector.installed(rate) or SpectralDetector()
