"""Features of clips, computed once and kept on disk, whatever manifests the clips stand in."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt

from auricle import audio
from auricle.errors import AudioError, TrainingError
from auricle.features import Array, FeatureConfig, log_mel
from auricle.manifest import Utterance

_CLIPS_A_SHARD = 2048  # some fifty seconds of two cores


@dataclass(frozen=True, slots=True)
class _Span:
    """Where a clip's features lie: a shard's file, its first frame there, and the first after it."""

    shard: Path
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Known:
    """What shards hold, by the clips' keys: features, or the reason why there are none."""

    spans: dict[str, _Span] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def __contains__(self, key: str) -> bool:
        return key in self.spans or key in self.failures

    def update(self, other: _Known) -> None:
        self.spans.update(other.spans)
        self.failures.update(other.failures)


class FeatureStore:
    """Log-mel features of clips, float16 on disk, mapped into memory.

    They are computed once for a feature configuration and a clip. Whoever opens a store with clips that no file in its
    folder has yet writes some more, shards, each with an index beside it: a corpus more costs the time for that corpus,
    and what was computed when a run was broken off stays. A clip's key is a hash of its recording's path, size and time
    of change, and of what part of it the clip is, so that a changed clip is never mistaken for an old one.
    """

    def __init__(self, spans: Mapping[str, _Span], failures: dict[str, str], mel: int) -> None:
        self.failures = failures
        self._spans = spans
        self._shards = {
            shard: np.memmap(shard, dtype=np.float16, mode="r", shape=(shard.stat().st_size // (2 * mel), mel))
            for shard in {span.shard for span in spans.values()}
        }

    def __getitem__(self, name: str) -> Array:
        """Return log-mel features [frames, mel] of the utterance called `name`."""
        span = self._spans[name]
        return self._shards[span.shard][span.start : span.end].astype(np.float32)

    def __contains__(self, name: str) -> bool:
        return name in self._spans

    def frames(self, name: str) -> int:
        """Return the number of frames of the utterance called `name`."""
        span = self._spans[name]
        return span.end - span.start

    @classmethod
    def open(
        cls,
        utterances: Sequence[Utterance],
        config: FeatureConfig,
        folder: Path,
        *,
        workers: int = 1,
        progress: Callable[[int], None] = lambda _: None,
    ) -> FeatureStore:
        """Open the store of these utterances in `folder`, computing first what is not there.

        An utterance that cannot be read is left out and kept in `failures` with the reason. `progress` hears of each
        clip, of those that are there all at once. Raises TrainingError when no clip can be read, or no file written.
        """
        keys = {utterance.id: _key(utterance) for utterance in utterances}
        # Processes that torchrun starts come here at once: the first writes, the others wait and find it written.
        with _locked(folder):
            known = _read_shards(folder, config)
            missing = {keys[one.id]: one for one in utterances if keys[one.id] not in known}
            if missing:
                if there := len(utterances) - len(missing):
                    progress(there)
                for part in _parts(missing):
                    known.update(_write_shard(folder, part, config, workers, progress))
        spans = {name: known.spans[key] for name, key in keys.items() if key in known.spans}
        failures = {name: known.failures[key] for name, key in keys.items() if key in known.failures}
        if not spans:
            reason = next(iter(failures.values()), "the manifest is empty")
            raise TrainingError(f"none of the {len(utterances)} clips can be read; the first: {reason}")
        return cls(spans, failures, config.mel)


def samples_of(utterance: Utterance, rate: int) -> Array:
    """Return an utterance's samples at `rate` Hz. Raises AudioError."""
    return audio.read(utterance.audio_filepath, rate=rate, offset=utterance.offset, duration=utterance.duration).samples


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Have a folder for oneself, which is made if need be. Raises TrainingError for what cannot be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
    except OSError as error:
        raise TrainingError(f"{folder}: cannot keep the clips' features there ({error.strerror or error}).") from error


def _key(utterance: Utterance) -> str:
    path = utterance.audio_filepath.absolute()
    size, changed = 0, 0
    with suppress(OSError):  # which reading it will report
        stamp = path.stat()
        size, changed = stamp.st_size, stamp.st_mtime_ns
    return _hash(f"{path}\0{utterance.offset}\0{utterance.duration}\0{size}\0{changed}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _prefix(config: FeatureConfig) -> str:
    return _hash(json.dumps(asdict(config), sort_keys=True))


def _read_shards(folder: Path, config: FeatureConfig) -> _Known:
    known = _Known()
    for index in sorted(folder.glob(f"{_prefix(config)}-*.json")):
        shard = index.with_suffix(".f16")
        if shard.exists():
            held = json.loads(index.read_text())
            spans = {key: _Span(shard, *span) for key, span in held["spans"].items()}
            known.update(_Known(spans, held["failures"]))
    return known


def _parts(clips: Mapping[str, Utterance]) -> Iterator[dict[str, Utterance]]:
    """Yield clips so many at a time that a run which is killed loses less than a minute."""
    items = iter(clips.items())
    while part := dict(islice(items, _CLIPS_A_SHARD)):
        yield part


def _write_shard(
    folder: Path, clips: Mapping[str, Utterance], config: FeatureConfig, workers: int, progress: Callable[[int], None]
) -> _Known:
    """Write the features of clips, by their keys, and return what is known of them.

    What is there when it is broken off stays.
    """
    spans: dict[str, tuple[int, int]] = {}
    failures: dict[str, str] = {}
    frames = 0
    partial = folder / f"{_prefix(config)}.partial"
    shard = partial
    try:
        with partial.open("wb") as file:
            for key, result in zip(clips, _computed(list(clips.values()), config, workers), strict=True):
                if isinstance(result, str):
                    failures[key] = result
                else:
                    file.write(result.tobytes())
                    spans[key] = (frames, frames + len(result))
                    frames += len(result)
                progress(1)
    finally:
        if spans:
            shard = folder / f"{_prefix(config)}-{_hash(' '.join(spans))}.f16"
            _publish(partial, shard, spans, failures)
        partial.unlink(missing_ok=True)
    return _Known({key: _Span(shard, *span) for key, span in spans.items()}, failures)


def _publish(partial: Path, shard: Path, spans: Mapping[str, tuple[int, int]], failures: Mapping[str, str]) -> None:
    partial.replace(shard)
    # The index is written last: a shard without one was never finished.
    index = shard.with_suffix(".json.partial")
    try:
        index.write_text(json.dumps({"spans": spans, "failures": failures}))
    except OSError:
        for path in (index, shard):
            with suppress(OSError):
                path.unlink()
        raise
    index.replace(shard.with_suffix(".json"))


def _computed(
    utterances: Sequence[Utterance], config: FeatureConfig, workers: int
) -> Iterator[npt.NDArray[np.float16] | str]:
    if workers <= 1:
        yield from (_features_or_reason(utterance, config) for utterance in utterances)
        return
    # Not `fork`: the parent may hold the threads of PyTorch or of an encoder.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_features_or_reason, utterances, [config] * len(utterances), chunksize=16)


def _features_or_reason(utterance: Utterance, config: FeatureConfig) -> npt.NDArray[np.float16] | str:
    try:
        samples = samples_of(utterance, config.sample_rate)
    except AudioError as error:
        return str(error)
    return log_mel(samples, config).astype(np.float16)
