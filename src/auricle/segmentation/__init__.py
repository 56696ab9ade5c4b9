"""Where to cut a long recording, and what of it is worth recognising.

`plan_windows` is the stage. Whether there is speech is asked of a `Detector`: `SpectralDetector` comes with auricle and
needs nothing; `SileroDetector` is a small network, better at telling music from singing and speech, and is used when
its file is installed (`pip install --no-deps silero-vad`).
"""

from auricle.segmentation.detector import Detector, Listener, best_detector
from auricle.segmentation.silero import SileroDetector
from auricle.segmentation.spectral import SpectralDetector
from auricle.segmentation.windows import LONGEST_SECONDS, Plan, Window, plan_windows

__all__ = [
    "LONGEST_SECONDS",
    "Detector",
    "Listener",
    "Plan",
    "SileroDetector",
    "SpectralDetector",
    "Window",
    "best_detector",
    "plan_windows",
]
