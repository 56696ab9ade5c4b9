"""The whole road, from a recording to a transcript. Every way of using auricle goes through here.

source ▸ audio ▸ segmentation ▸ features ▸ acoustic (▸ spelling) ▸ decoding ▸ transcript ▸ restoration
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from auricle import audio
from auricle.alphabet import BLANK, ENGLISH
from auricle.audio import Blocks, Waveform
from auricle.bundle import LANGUAGE_MODEL, Bundle, find_bundle
from auricle.decoders import calibration_of, decoder_of
from auricle.decoding import Decoder, Hypothesis, Phrases, SpokenDecoder, align
from auricle.decoding.pauses import parts_between_pauses
from auricle.errors import AudioError, AuricleError
from auricle.features import Array, log_mel
from auricle.grouping import Prepared, ahead
from auricle.hearing import Again, Hearing
from auricle.segmentation import Detector, Plan, Window, best_detector, plan_windows
from auricle.transcript import AlignedText, Segment, Transcript, Word, aligned_text, words_of

if TYPE_CHECKING:
    from auricle.restoration import WindowedRestorer

Source: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | npt.NDArray[Any] | Waveform | Blocks

LEAST_SECONDS = 0.1
"""No word is shorter than this; less is a mistake (a wrong unit, an empty track) that should not pass as silence."""
_PAUSE, _LONG_PAUSE = 0.3, 1.0  # seconds; after a long one, what follows is not told by what was said before
_LARGEST_ALIGNMENT = 300_000_000  # frames times characters: 600 MB


def load(
    model: str | os.PathLike[str] | None = None,
    *,
    threads: int | None = None,
    language_model: bool = True,
    beam: int | None = None,
) -> Recognizer:
    """Load a recogniser: the embedded English model, another built-in by name, or a bundle by path.

    `threads` bounds the cores that one call uses (None: all). `language_model` may be refused, and `beam` says how many
    texts a search keeps, see `auricle.decoders`. Files of the recogniser's `bundle` are read again when they are asked
    for. Raises BundleError when there is no such model or it is damaged.
    """
    bundle = find_bundle(model, hold=False)
    decoder = decoder_of(bundle, language_model=language_model, beam=beam)
    return Recognizer(bundle, threads=threads, decoder=decoder, language_model=language_model)


class Recognizer:
    """A bundle at work. Construct once, call from as many threads as you like.

    Texts are readable: `restorer` gives words their capitals and punctuation (None: the embedded English one for a
    model with the English alphabet, loaded when it is first needed, and none for others), and numbers become figures.
    Each call can refuse that with `plain`, or the figures alone with `numbers=False`.

    A `decoder` may be given in place of the bundle's. It reads letters as a bundle with a language model has them, or,
    where that has none or `language_model` is refused, as the bundle's speller writes them.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int | None = None,
        decoder: Decoder | None = None,
        language_model: bool = True,
        detector: Detector | None = None,
        restorer: WindowedRestorer | None = None,
    ) -> None:
        self.bundle = bundle
        self._detector = detector or best_detector(bundle.features.sample_rate)
        self._decoder = decoder or decoder_of(bundle, language_model=language_model)
        # Beside a language model, what the network has heard says more than what it would be spelt like.
        spelt = not (language_model and LANGUAGE_MODEL in bundle.files)
        self._hearing = Hearing(bundle, threads=threads, spelt=spelt)
        self._calibration = calibration_of(bundle, language_model=not spelt)
        self._restorer, self._restorer_lock = restorer, threading.Lock()

    @property
    def restorer(self) -> WindowedRestorer | None:
        """What makes texts readable, loaded by now; nothing for a model whose alphabet is not the English one."""
        with self._restorer_lock:
            if self._restorer is None and self.bundle.alphabet == ENGLISH:
                from auricle.restoration import NeuralRestorer

                self._restorer = NeuralRestorer()
            return self._restorer

    def transcribe(
        self,
        source: Source,
        *,
        sample_rate: int | None = None,
        hot_words: Phrases = (),
        plain: bool = False,
        numbers: bool = True,
    ) -> Transcript:
        """Recognise one recording of any length: a path, bytes, an open binary file, a Waveform or an array of samples.

        An array needs its `sample_rate` in Hz; it is [n] or [n, channels], float in [-1, 1] or integer. `hot_words` are
        phrases to favour, or a mapping of phrases to the reward (natural log) for each of their characters.
        Of more than 25 s, only what sounds like speech is recognised, and a few minutes at most are in memory at once.
        Raises AudioError when the recording cannot be read or is shorter than 0.1 s.
        """
        found = next(self._transcripts([self.open(source, sample_rate=sample_rate)], hot_words))
        return found if plain else self.readable(found, numbers=numbers)

    def transcribe_many(
        self, sources: Iterable[Source], *, hot_words: Phrases = (), plain: bool = False, numbers: bool = True
    ) -> Iterator[Transcript]:
        """Recognise recordings in batches of like length and yield their transcripts in the order given.

        Arrays are not taken here, as they would each need a rate: wrap them with `Recognizer.read`.
        """
        found = self._transcripts(map(self.open, sources), hot_words)
        return found if plain else (self.readable(one, numbers=numbers) for one in found)

    def stream(
        self,
        source: Source,
        *,
        sample_rate: int | None = None,
        hot_words: Phrases = (),
        plain: bool = False,
        numbers: bool = True,
    ) -> Iterator[Segment]:
        """Recognise one recording and yield its segments in order of time, each time after some minutes of it.

        They are those of `transcribe`; unless they are `plain`, each waits for the words after it that may change it.
        To know what the recording was, or to show progress, give what `open` returns. Raises AudioError as `transcribe`
        does, where the damage is met: after the segments before it.
        """
        with self.open(source, sample_rate=sample_rate) as blocks:
            windows = self._windows(0, blocks, self._detector)
            groups = ([segment for _, segment in group] for group in self._groups(windows, hot_words))
            restorer = None if plain else self.restorer
            if restorer is None:
                yield from chain.from_iterable(groups)
                return
            from auricle.restoration import restored_stream

            yield from restored_stream(groups, restorer, numbers=numbers)

    def segments(self, windows: Iterable[Window], *, hot_words: Phrases = ()) -> Iterator[Segment]:
        """Recognise windows of any recordings at the model's rate, and yield the segment of each in their order.

        The windows are those of `plan_windows`, and the segments those that `transcribe` has of the recordings, plain.
        """
        prepared = (self._prepared(number, window) for number, window in enumerate(windows))
        return (segment for _, segment in self._segments(prepared, hot_words))

    def readable(self, transcript: Transcript, *, numbers: bool = True) -> Transcript:
        """Return a transcript with what is `written` for each word: capitals, marks, and with `numbers` figures."""
        restorer = self.restorer
        if restorer is None:
            return transcript
        from auricle.restoration import restored

        return replace(transcript, segments=restored(transcript.segments, restorer, numbers=numbers))

    def live_plan(self) -> Plan:
        """Return what cuts sound into windows while it is spoken, for callers that recognise each of them."""
        return Plan(self.bundle.features.sample_rate, self._detector, at_pauses=True)

    def align(self, source: Source, text: str, *, sample_rate: int | None = None) -> AlignedText:
        """Return where the words and characters of a known text lie in a recording: forced alignment.

        The text is written as the model's alphabet would, and its letters are the network's own, not a speller's.
        Raises AuricleError for a text without a character of it, one too long for the recording, and a recording too
        long to align in one piece (about a quarter of an hour).
        """
        alphabet = self.bundle.alphabet
        tokens = alphabet.encode(alphabet.normalise(text))
        if not tokens:
            raise AuricleError("there is nothing to align: the text has no character of the model's alphabet.")
        with self.open(source, sample_rate=sample_rate) as blocks:
            windows = list(self._windows(0, blocks, None))
        parts = [self._hearing.own(window.features)[:, : alphabet.tokens] for window in windows]
        starts = [
            window.start + self.bundle.frame_seconds * np.arange(len(part))
            for window, part in zip(windows, parts, strict=True)
        ]
        log_probs, times = np.concatenate(parts), np.concatenate(starts)
        if len(log_probs) * len(tokens) > _LARGEST_ALIGNMENT:
            minutes = windows[-1].end / 60
            raise AuricleError(
                f"{minutes:.0f} minutes and {len(tokens):,} characters are too much to align in one piece."
            )
        path = align(log_probs, tokens)
        best = float(log_probs.max(axis=1).sum(dtype=np.float64))
        return aligned_text(
            Hypothesis(alphabet.decode(tokens), path.score, tuple(tokens), path.first_frames, path.last_frames),
            log_probs,
            times=times,
            frame_seconds=self.bundle.frame_seconds,
            end=windows[-1].end,
            best_score=best,
            calibration=self._calibration,
        )

    def log_probs(self, waveform: Waveform, *, phones: bool = False, hearings: int = 1) -> Array:
        """Return the log-probabilities [frames', tokens] that are decoded, for a recording short enough for one window.

        They are those of the letters; with `phones`, and a bundle that has them, theirs come after, and then both of
        each further hearing.
        """
        features = self._features(waveform.samples)
        found = self._hearing.once(features)
        if not phones:
            return found[:, : self.bundle.alphabet.tokens]
        return found if hearings == 1 else np.hstack((found, self._hearing.again(features, hearings)))

    def open(self, source: Source, *, sample_rate: int | None = None) -> Blocks:
        """Return a recording that is decoded, at the model's rate, as it is iterated over. Raises AudioError."""
        rate = self.bundle.features.sample_rate
        if isinstance(source, Blocks):
            if source.rate != rate:
                raise AudioError(
                    f"{source.name} comes at {source.rate} Hz, and the model hears {rate}: open it at that."
                )
            return source
        if isinstance(source, Waveform):
            if source.rate != rate:
                source = replace(audio.from_array(source.samples, source.rate, rate=rate), source=source.source)
            return Blocks.of(source)
        if isinstance(source, str | os.PathLike | bytes) or hasattr(source, "read"):
            return audio.open_blocks(cast("str | os.PathLike[str] | bytes | BinaryIO", source), rate=rate)
        if sample_rate is None:
            raise AudioError("an array of samples does not say its rate: give sample_rate in Hz.")
        return Blocks.of(audio.from_array(source, sample_rate, rate=rate))

    def read(self, source: Source, *, sample_rate: int | None = None) -> Waveform:
        """Return the whole of a recording at the model's rate. Raises AudioError as `transcribe` does."""
        with self.open(source, sample_rate=sample_rate) as blocks:
            waveform = blocks.read()
        _check_length(waveform.duration, blocks.name)
        return waveform

    def _transcripts(self, recordings: Iterable[Blocks], hot_words: Phrases) -> Iterator[Transcript]:
        opened: deque[Blocks] = deque()
        parts: list[Segment] = []
        complete = 0
        for clip, segment in self._segments(self._all_windows(recordings, opened), hot_words):
            while complete < clip:
                yield self._transcript(opened.popleft(), parts)
                parts, complete = [], complete + 1
            parts.append(segment)
        for blocks in opened:
            yield self._transcript(blocks, parts)
            parts = []

    def _transcript(self, blocks: Blocks, segments: Iterable[Segment]) -> Transcript:
        return Transcript(segments=tuple(segments), source=blocks.source, model=self.bundle.name)

    def _segments(self, windows: Iterable[Prepared], hot_words: Phrases) -> Iterator[tuple[int, Segment]]:
        """Recognise windows and yield each one's clip and segment in their order."""
        return chain.from_iterable(self._groups(windows, hot_words))

    def _groups(self, windows: Iterable[Prepared], hot_words: Phrases) -> Iterator[list[tuple[int, Segment]]]:
        """Recognise windows, some at a time, and yield the clips and segments of these in their order."""
        for some in ahead(windows):
            heard = self._hearing.each(some)
            done = [(window.clip, self._segment(window, found, hot_words, again)) for window, found, again in heard]
            yield sorted(done, key=lambda pair: (pair[0], pair[1].start))

    def _all_windows(self, recordings: Iterable[Blocks], opened: deque[Blocks]) -> Iterator[Prepared]:
        for clip, blocks in enumerate(recordings):
            opened.append(blocks)
            with blocks:
                yield from self._windows(clip, blocks, self._detector)

    def _windows(self, clip: int, blocks: Blocks, detector: Detector | None) -> Iterator[Prepared]:
        for window in plan_windows(_long_enough(blocks), blocks.rate, detector):
            yield self._prepared(clip, window)

    def _prepared(self, clip: int, window: Window) -> Prepared:
        rate = self.bundle.features.sample_rate
        features = self._features(window.samples)
        return Prepared(clip, window.start / rate, window.end / rate, features, window.is_whole)

    def _features(self, samples: Array) -> Array:
        return self.bundle.normalization(log_mel(samples, self.bundle.features))

    def _segment(self, window: Prepared, log_probs: Array, hot_words: Phrases, again: Again) -> Segment:
        words: list[Word] = []
        frame, hop = self.bundle.frame_seconds, self.bundle.features.hop_seconds
        said = ""
        for begin, end, goes_on in self._parts(window, log_probs):
            features = window.features[round(begin * frame / hop) : round(end * frame / hop)]
            until = window.end if end == len(log_probs) else window.start + end * frame
            heard = log_probs[begin:end]
            best = self._read(heard, partial(again, features), hot_words, said if goes_on else "")
            said = f"{said} {best.text}" if goes_on else best.text
            words += self._words(best, heard, window.start + begin * frame, until)
        return Segment(window.start, window.end, tuple(words))

    def _parts(self, window: Prepared, log_probs: Array) -> list[tuple[int, int, bool]]:
        """Return the frames that are read together, and whether with what was said in those before.

        Of a recording that was cut into windows, they are those between pauses.
        """
        alphabet, frame = self.bundle.alphabet, self.bundle.frame_seconds
        if window.is_whole or not isinstance(self._decoder, SpokenDecoder):
            return [(0, len(log_probs), False)]
        silent = [BLANK, *(alphabet.encode(" ") if " " in alphabet.characters else ())]
        return parts_between_pauses(
            log_probs, alphabet.tokens, silent, round(_PAUSE / frame), round(_LONG_PAUSE / frame)
        )

    def _read(self, log_probs: Array, again: Callable[[int], Array], hot_words: Phrases, before: str) -> Hypothesis:
        decoder = self._decoder
        if not isinstance(decoder, SpokenDecoder):
            return decoder.decode(log_probs, hot_words=hot_words)[0]
        hearings = decoder.options.hearings
        more = partial(again, hearings) if hearings > 1 else None
        return decoder.decode(log_probs, hot_words=hot_words, again=more, before=before)[0]

    def _words(self, hypothesis: Hypothesis, log_probs: Array, start: float, end: float) -> tuple[Word, ...]:
        return words_of(
            hypothesis,
            log_probs[:, : self.bundle.alphabet.tokens],
            frame_seconds=self.bundle.frame_seconds,
            start=start,
            end=end,
            calibration=self._calibration,
        )


def _long_enough(blocks: Blocks) -> Iterator[Array]:
    """Yield the blocks. Raises AudioError when all there is has the length of a mistake."""
    for index, block in enumerate(blocks):
        if index == 0:
            _check_length(len(block) / blocks.rate, blocks.name)
        yield block


def _check_length(seconds: float, name: str) -> None:
    if seconds < LEAST_SECONDS:
        raise AudioError(f"{name}: {seconds:.3f} s is too short to hold speech ({LEAST_SECONDS} s is the least).")
