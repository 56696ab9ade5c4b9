"""Augmentation of waveforms: what happens to speech between a mouth and a file.

Each function takes float32 samples [n] in [-1, 1] at `rate` Hz and returns such samples; where the length changes it
says so. `Distorter` draws from them as a recipe asks. Speed perturbation is Ko et al., 2015; noise, babble and
reverberation are those of Ko et al., 2017, with Polack's statistical room where no measured one is at hand.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from auricle.corpora.noise import add_noise
from auricle.features import Array
from auricle.training.recipe import WaveformConfig

Codec: TypeAlias = Literal["mp3", "opus", "gsm", "mu-law"]
SPEEDS = (0.9, 1.1)
CODECS: tuple[Codec, ...] = ("mp3", "opus", "gsm", "mu-law")
_TELEPHONE = 8_000
_SPEED_OF_SOUND = 343.0
_BABBLERS = 4
_COLOURS = (0.0, 1.0, 2.0)


def change_speed(samples: Array, factor: float, rate: int) -> Array:
    """Play `factor` times as fast, pitch and all: n / factor samples."""
    # soxr takes any two rates; their ratio is what counts.
    return _float32(soxr.resample(samples, rate * factor, rate))


def coloured_noise(n: int, exponent: float, rng: np.random.Generator) -> Array:
    """Return n samples of noise whose power falls with frequency to the `exponent`: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    frequency = np.maximum(np.fft.rfftfreq(n), 1 / n)
    return _float32(np.fft.irfft(spectrum * frequency ** (-exponent / 2), n))


def babble(voices: Sequence[Array], n: int) -> Array:
    """Return n samples of voices talking at once, each as loud as the others and repeated to the length."""
    mixed = np.zeros(n, np.float32)
    for voice in voices:
        level = np.sqrt(np.mean(np.square(voice)))
        mixed += np.resize(voice, n) / max(float(level), 1e-6)
    return mixed


def room(seconds: float, distance: float, rate: int, rng: np.random.Generator) -> Array:
    """Simulate the impulse response of a room whose sound falls by 60 dB in `seconds`, heard from `distance` metres.

    The direct sound is one sample of height 1 at the start; behind it comes noise that decays exponentially (Polack,
    1988). Beyond the critical distance, here of a room of 50 m3, the tail is the louder.
    """
    n = max(2, round(seconds * rate))
    time = np.arange(n) / rate
    tail = rng.standard_normal(n) * 10 ** (-3 * time / seconds)
    critical = 0.057 * np.sqrt(50 / seconds)
    tail *= distance / critical / np.sqrt(np.sum(np.square(tail)))
    # Nothing arrives before the first wall has sent it back.
    tail[: round(min(0.002, 1.5 / _SPEED_OF_SOUND) * rate)] = 0
    tail[0] = 1.0
    return _float32(tail)


def reverberate(samples: Array, impulse: Array) -> Array:
    """Convolve with an impulse response, scaled so that the clip is as loud as before; the length stays."""
    n = len(samples) + len(impulse) - 1
    n += -n % 4096  # a length with a large prime factor takes several times as long
    wet = np.fft.irfft(np.fft.rfft(samples, n) * np.fft.rfft(impulse, n), n)[: len(samples)]
    power = np.mean(np.square(wet))
    return _float32(wet * np.sqrt(np.mean(np.square(samples)) / power)) if power else samples


def low_pass(samples: Array, hertz: float, rate: int) -> Array:
    """Take away what lies above `hertz`; the length stays."""
    narrow = soxr.resample(samples, rate, 2 * hertz)
    return _fitted(soxr.resample(narrow, 2 * hertz, rate), len(samples))


def through_codec(samples: Array, codec: Codec, rate: int, quality: float = 0.5) -> Array:
    """Encode and decode by a real encoder; the length stays.

    MP3 and Opus take `quality` in [0, 1], from many bits to few; GSM 6.10 and mu-law go at 8 kHz, as telephones do.
    """
    if codec in {"mp3", "opus"}:
        form, kind = ("MP3", "MPEG_LAYER_III") if codec == "mp3" else ("OGG", "OPUS")
        return _fitted(_encoded(samples, rate, form, kind, quality), len(samples))
    narrow = soxr.resample(samples, rate, _TELEPHONE)
    decoded = _encoded(_float32(narrow), _TELEPHONE, "WAV", "GSM610" if codec == "gsm" else "ULAW", None)
    return _fitted(soxr.resample(decoded, _TELEPHONE, rate), len(samples))


def _encoded(samples: Array, rate: int, form: str, kind: str, quality: float | None) -> Array:
    file = io.BytesIO()
    options = {} if quality is None else {"compression_level": quality}
    soundfile.write(file, np.clip(samples, -1, 1), rate, format=form, subtype=kind, **options)
    file.seek(0)
    return _float32(soundfile.read(file, dtype="float32")[0])


@dataclass(frozen=True, slots=True)
class Distorter:
    """Draws distortions of whole clips for a recipe. `noises` and `voices` return the samples of a clip drawn anew."""

    config: WaveformConfig
    rate: int
    noises: Callable[[np.random.Generator], Array] | None = None
    """Recorded noise; without it, noise is generated."""
    voices: Callable[[np.random.Generator], Array] | None = None
    """Other utterances, for babble; without them, there is none."""

    def plan(self, rng: np.random.Generator) -> list[str]:
        """Draw which distortions a clip gets, in the order in which the world applies them; often it gets none."""
        config = self.config
        chances = {
            "speed": config.speed,
            "reverb": config.reverb,
            "noise": config.noise,
            "babble": config.babble if self.voices else 0.0,
            "low_pass": config.low_pass,
            "codec": config.codec,
        }
        return [name for name, chance in chances.items() if rng.random() < chance]

    def __call__(self, samples: Array, plan: Sequence[str], rng: np.random.Generator, least: int = 1) -> Array:
        """Apply a plan. At least `least` samples are left, so that CTC has room for the text."""
        for name in plan:
            samples = getattr(self, f"_{name}")(samples, rng, least)
        return samples

    def _speed(self, samples: Array, rng: np.random.Generator, least: int) -> Array:
        factor = float(rng.choice(SPEEDS))
        return change_speed(samples, factor, self.rate) if len(samples) / factor >= least else samples

    def _reverb(self, samples: Array, rng: np.random.Generator, least: int) -> Array:
        impulse = room(rng.uniform(0.1, self.config.reverb_seconds), rng.uniform(0.3, 3.0), self.rate, rng)
        return reverberate(samples, impulse)

    def _noise(self, samples: Array, rng: np.random.Generator, least: int) -> Array:
        if self.noises is None:
            noise = coloured_noise(len(samples), float(rng.choice(_COLOURS)), rng)
        else:
            noise = self.noises(rng)
            noise = np.roll(noise, rng.integers(len(noise)))
        return add_noise(samples, noise, self._ratio(rng))

    def _babble(self, samples: Array, rng: np.random.Generator, least: int) -> Array:
        assert self.voices is not None
        voices = [self.voices(rng) for _ in range(_BABBLERS)]
        return add_noise(samples, babble(voices, len(samples)), self._ratio(rng))

    def _ratio(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(self.config.noise_ratio_low, self.config.noise_ratio_high))

    def _low_pass(self, samples: Array, rng: np.random.Generator, least: int) -> Array:
        return low_pass(samples, rng.uniform(2_500, 7_000), self.rate)

    def _codec(self, samples: Array, rng: np.random.Generator, least: int) -> Array:
        codec: Codec = CODECS[rng.integers(len(CODECS))]
        return through_codec(samples, codec, self.rate, rng.uniform(0.3, 1.0))


def _fitted(samples: npt.NDArray[Any], n: int) -> Array:
    """Return exactly n samples: encoders add a frame, resamplers round."""
    return _float32(np.pad(samples[:n], (0, max(0, n - len(samples)))))


def _float32(samples: npt.NDArray[Any]) -> Array:
    return np.asarray(samples, dtype=np.float32)
