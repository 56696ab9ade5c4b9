"""Synthesisers that speak sentences: packages of their own, which nothing else needs.

`hibari-tts` (Apache-2.0) has one voice and its weights in the package, and is some hundred times faster than speech on
one core. Kokoro (Apache-2.0, by the package `kokoro-onnx`) is twice as fast as speech, has dozens of voices, and wants
two files: a network and the voices, which the package's own page names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from auricle.errors import CorpusError

RATE = 16000
"""Samples a second of what voices say."""

_LOWEST, _HIGHEST = 0.76, 1.2  # times hibari's own pitch and formants: about a man's and a child's
_SLOWEST, _FASTEST = 0.85, 1.2  # times a voice's own pace
_TIMBRE = 128  # of a Kokoro voice's 256 numbers: how it sounds; the others are how it speaks
_ENGLISH = re.compile(
    r"[ab][fm]_"
)  # American and British, women and men; whispering and a Santa Claus are not for books
_NOT_FOR_BOOKS = {"af_nicole", "am_santa", "em_santa", "pm_santa"}


class Said(NamedTuple):
    """What a voice made of a sentence: samples at `RATE`, and whose voice it was."""

    samples: npt.NDArray[np.float32]
    speaker: str
    sex: str | None = None


class Voice(Protocol):
    """Speaks sentences. It is pickled, and loads what it needs where it speaks."""

    @property
    def name(self) -> str:
        """What ids of its clips have in them."""
        ...

    def check(self) -> None:
        """Raise CorpusError, in one sentence, when what it needs is not there."""
        ...

    def say(self, sentence: str, rng: np.random.Generator) -> Said:
        """Speak a sentence, as quick or slow and high or low as is drawn. Raises ValueError for what it cannot say."""
        ...


@dataclass(frozen=True, slots=True)
class Hibari:
    """The voice of `hibari-tts`, moved up and down: pitch and formants together, as a tape's."""

    name: ClassVar[str] = "hibari"

    def check(self) -> None:
        """As Voice's."""
        if find_spec("hibari") is None:
            raise CorpusError('synthetic speech needs a package that is missing: run "pip install hibari-tts".')

    def say(self, sentence: str, rng: np.random.Generator) -> Said:
        """As Voice's."""
        import soxr

        height = float(np.exp(rng.uniform(np.log(_LOWEST), np.log(_HIGHEST))))
        pace = float(rng.uniform(_SLOWEST, _FASTEST))
        voice = _hibari()
        # Played at another rate, as a tape, it is higher and quicker; it is spoken slower to make up for that.
        said = voice(sentence, speed=pace / height, seed=int(rng.integers(2**31)))
        samples = soxr.resample(said, voice.sample_rate * height, RATE)
        return Said(samples, f"hibari-{voice.voice}-{round(height * 20) * 5:03d}")


@dataclass(frozen=True, slots=True)
class Kokoro:
    """A Kokoro network (.onnx) and its voices (.bin or .npz, arrays by name), mixed anew for each sentence.

    How it sounds is drawn from between two voices of one sex, of whatever language; how it speaks is a third one's,
    whose language is English.
    """

    model: Path
    voices: Path
    name: ClassVar[str] = "kokoro"

    def check(self) -> None:
        """As Voice's."""
        if find_spec("kokoro_onnx") is None:
            raise CorpusError('Kokoro needs a package that is missing: run "pip install kokoro-onnx".')
        for path in (self.model, self.voices):
            if not path.is_file():
                raise CorpusError(f"{path}: there is no such file.")
        try:
            names = list(_kokoro(self).voices)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise CorpusError(f"{self.model} and {self.voices} cannot be used as Kokoro's: {reason}") from error
        if not any(_ENGLISH.match(name) for name in names):
            raise CorpusError(f"{self.voices}: none of its {len(names)} voices is English (af_heart, bm_george).")

    def say(self, sentence: str, rng: np.random.Generator) -> Said:
        """As Voice's."""
        import soxr

        kokoro = _kokoro(self)
        names = sorted(set(kokoro.voices) - _NOT_FOR_BOOKS)
        speaks = str(rng.choice([name for name in names if _ENGLISH.match(name)]))
        sex = speaks[1]
        one, other = rng.choice([name for name in names if name[1:2] == sex], 2).tolist()
        share = rng.uniform(0.3, 0.7)
        style = np.array(kokoro.voices[speaks], np.float32)
        style[..., :_TIMBRE] = (share * kokoro.voices[one] + (1 - share) * kokoro.voices[other])[..., :_TIMBRE]
        pace = float(rng.uniform(_SLOWEST, _FASTEST))
        language = "en-gb" if speaks.startswith("b") else "en-us"
        samples, rate = kokoro.create(sentence, voice=style, speed=pace, lang=language, trim=False)
        if not np.isfinite(samples).all():
            raise ValueError("not all of its samples are numbers.")
        speaker = f"kokoro-{one}-{other}-{speaks}"
        return Said(soxr.resample(np.asarray(samples, np.float32), rate, RATE), speaker, sex.upper())


@cache
def _hibari() -> Any:
    from hibari import Hibari as Engine

    return Engine(threads=1)


@cache
def _kokoro(files: Kokoro) -> Any:
    import onnxruntime
    from kokoro_onnx import Kokoro as Engine

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(files.model), options, providers=["CPUExecutionProvider"])
    return Engine.from_session(session, str(files.voices))
