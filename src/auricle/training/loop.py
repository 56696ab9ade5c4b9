"""A training run from beginning to end: one folder, one Trainer, regular checkpoints, dev WER every epoch."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy

from auricle.alphabet import Alphabet
from auricle.bundle import write_bundle
from auricle.errors import TrainingError
from auricle.evaluation import evaluate
from auricle.manifest import Utterance
from auricle.recognizer import Recognizer
from auricle.report import Report
from auricle.training.data import FeatureStore, examples_of, normalization_of
from auricle.training.module import Corpus, SpeechModule, load_module
from auricle.training.progress import TrainingProgress
from auricle.training.recipe import Recipe

LAST = "last.ckpt"
HELD = "held.ckpt"
BEST = "best.auricle"
_NORMALIZATION_CLIPS = 2000
_DEV_CLIPS = 200


def prepare(
    recipe: Recipe,
    train: Sequence[Utterance],
    dev: Sequence[Utterance],
    cache: Path,
    *,
    workers: int = 1,
    progress: Any = lambda _: None,
) -> tuple[Corpus, dict[str, str]]:
    """Compute (or find) the features and check every clip; return the corpus, and why each clip left out was left out.

    Of `dev`, 200 clips spread evenly over the manifest are kept: enough to steer by, and quick. Raises TrainingError
    when nothing is left to learn from.
    """
    store = FeatureStore.open(train, recipe.features, cache, workers=workers, progress=progress)
    examples, left_out = examples_of(train, store, Alphabet(tuple(recipe.alphabet)), recipe.network.stride_time)
    if not examples:
        name, reason = next(iter(left_out.items()))
        raise TrainingError(f"none of the {len(train)} clips can be learnt from; the first, {name}: {reason}")
    step = max(1, -(-len(dev) // _DEV_CLIPS))
    return Corpus(examples, store, dev[::step]), left_out


def train(
    recipe: Recipe,
    corpus: Corpus,
    folder: Path,
    *,
    processes: int = 1,
    max_hours: float | None = None,
    checkpoint_minutes: float = 5.0,
    card: Mapping[str, Any] | None = None,
) -> SpeechModule:
    """Train, or go on with the run in `folder`, and return the trained module.

    `folder` gets `last.ckpt`, `held.ckpt` (where the rate began to fall, if the schedule holds it), `best.auricle` (the
    best dev WER so far), `epochs.jsonl` and TensorBoard's files. With `processes` above one, Lightning starts the
    others by running this very command again; each uses one core. A run that held its rate goes on from `held.ckpt`
    when it is given more time. Raises TrainingError when the folder holds a run of another recipe, or the loss stops
    being a number.
    """
    keep_freed_memory()
    with _without_denormals():
        return _train(recipe, corpus, folder, processes, max_hours, checkpoint_minutes, card or {})


def _train(  # noqa: PLR0917
    recipe: Recipe,
    corpus: Corpus,
    folder: Path,
    processes: int,
    max_hours: float | None,
    checkpoint_minutes: float,
    card: Mapping[str, Any],
) -> SpeechModule:
    lightning.seed_everything(recipe.schedule.seed, verbose=False)
    folder.mkdir(parents=True, exist_ok=True)
    resume = _where_it_stood(folder, recipe, max_hours)
    module = _resumed(resume, recipe) if resume else _fresh(recipe, corpus)
    module.corpus, module.max_hours = corpus, max_hours
    module.card = dict(card)
    if processes > 1:
        torch.set_num_threads(1)
    with _without_advice():
        trainer = lightning.Trainer(
            accelerator="auto" if torch.cuda.is_available() else "cpu",
            devices=processes,
            strategy=DDPStrategy() if processes > 1 else "auto",
            max_epochs=recipe.schedule.epochs,
            gradient_clip_val=recipe.schedule.clip_norm,
            logger=TensorBoardLogger(folder, name="", version=""),
            callbacks=[TrainingProgress(), Keeper(folder, checkpoint_minutes)],
            plugins=[AtomicCheckpointIO()],
            reload_dataloaders_every_n_epochs=1,
            use_distributed_sampler=False,
            enable_progress_bar=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=10,
        )
        trainer.fit(module, ckpt_path=resume, weights_only=True)
    return module


def _where_it_stood(folder: Path, recipe: Recipe, max_hours: float | None) -> Path | None:
    """Return the checkpoint to go on from. A run that is made longer takes up from before its rate began to fall."""
    last, held = folder / LAST, folder / HELD
    if last.exists() and held.exists() and max_hours is not None:
        falls_from = recipe.schedule.warmup + recipe.schedule.hold
        if load_module(last).hours / max_hours < falls_from:
            _say(f"{folder}: more time is given, so the run goes on from before its rate fell")
            held.replace(last)
    return last if last.exists() else None


def _resumed(checkpoint: Path, recipe: Recipe) -> SpeechModule:
    module = load_module(checkpoint)
    folder = checkpoint.parent
    if module.recipe.digest != recipe.digest:
        raise TrainingError(f"{folder}: holds a run of another recipe: choose another --name, or remove the folder.")
    _say(f"resuming {folder} after step {module.steps_done} ({module.hours:.2f} h in)")
    return module


def _fresh(recipe: Recipe, corpus: Corpus) -> SpeechModule:
    names = [example.utterance.id for example in corpus.examples]
    spread = names[:: max(1, len(names) // _NORMALIZATION_CLIPS)]
    return SpeechModule(recipe, normalization_of(corpus.store, spread))


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep Lightning's hints and its inner deprecations away from the user: a run speaks for itself."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Features come from memory: a loader with worker processes, which Lightning advises, is slower here.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        # It is: the plan of the epoch passes over what was done.
        warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
        yield
    logger.setLevel(level)


@contextmanager
def _without_denormals() -> Iterator[None]:
    """Take numbers too small for full precision for zero: gradients fade into them, and they are slow to handle."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the old checkpoint, then replaces it: a kill or a full disk leaves the old one as it was."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write the checkpoint. Raises TrainingError when the disk is full; the one before is then untouched."""
        partial = Path(f"{path}.partial")
        try:
            with partial.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:
            partial.unlink(missing_ok=True)
            raise TrainingError(
                f"{path}: cannot write the checkpoint ({error}); the one before it is untouched."
            ) from error
        partial.replace(path)


class Keeper(Callback):
    """Saves checkpoints every few minutes and after each epoch, scores dev as users will, keeps the best bundle."""

    def __init__(self, folder: Path, minutes: float) -> None:
        self._folder, self._seconds = folder, minutes * 60
        self._saved = time.monotonic()
        self._falling = False

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """A run resumed while its rate was falling keeps the checkpoint that it has."""
        self._falling = (self._folder / HELD).exists()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Save when it is time; process 0's clock decides for all."""
        due = time.monotonic() - self._saved >= self._seconds
        if trainer.strategy.broadcast(due, src=0):
            trainer.save_checkpoint(self._folder / LAST)
            self._saved = time.monotonic()
        assert isinstance(module, SpeechModule)
        schedule = module.recipe.schedule
        falling = module.done >= schedule.warmup + schedule.hold
        if schedule.hold and falling and not self._falling:
            trainer.save_checkpoint(self._folder / HELD)
        self._falling = falling

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Score, tell, and keep."""
        assert isinstance(module, SpeechModule)
        assert module.corpus is not None
        epoch, schedule = trainer.current_epoch + 1, module.recipe.schedule
        is_last = epoch == schedule.epochs or trainer.should_stop
        if trainer.is_global_zero and module.corpus.dev and (is_last or epoch % schedule.score_every == 0):
            self._score(trainer, module, module.corpus.dev)
        trainer.strategy.barrier("scored")
        trainer.save_checkpoint(self._folder / LAST)
        self._saved = time.monotonic()

    def _score(self, trainer: lightning.Trainer, module: SpeechModule, dev: Sequence[Utterance]) -> None:
        bundle = module.bundle(self._folder.name)
        report = evaluate(dev, Recognizer(bundle, threads=1), normalise=bundle.alphabet.normalise)
        row = epoch_row(trainer, module, report)
        log = self._folder / "epochs.jsonl"
        before = [json.loads(line)["dev_wer"] for line in log.read_text().splitlines()] if log.exists() else []
        with log.open("a") as file:
            file.write(json.dumps(row) + "\n")
        if row["dev_wer"] < min(before, default=float("inf")):
            write_bundle(bundle, self._folder / BEST)
        if trainer.logger is not None:
            trainer.logger.log_metrics({key: row[key] for key in ("dev_wer", "dev_cer")}, step=module.steps_done)
        sample = report.rows[0]
        _say(
            f"epoch {row['epoch']}: dev WER {row['dev_wer']:.1%}, CER {row['dev_cer']:.1%}, {len(report.rows)} clips, "
            f"after {row['hours']:.2f} h and {row['audio_hours']:.1f} h of audio\n"
            f"  said:  {sample.reference}\n  heard: {sample.hypothesis}"
        )


def epoch_row(trainer: lightning.Trainer, module: SpeechModule, report: Report) -> dict[str, Any]:
    """Return what `epochs.jsonl` keeps of an epoch."""
    loss = trainer.callback_metrics.get("loss")
    return {
        "epoch": trainer.current_epoch + 1,
        "steps": module.steps_done,
        "hours": round(module.hours, 4),
        "audio_hours": round(module.audio_hours, 3),
        "loss": None if loss is None else round(float(loss), 4),
        "dev_wer": round(report.wer.value, 5),
        "dev_cer": round(report.cer.value, 5),
    }


def keep_freed_memory() -> None:
    """Ask glibc to keep what is freed: tensors taken and returned at each step are otherwise page-faulted in anew."""
    trim_threshold, mmap_threshold = -1, -3
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, (1 << 31) - 1)


def _say(message: str) -> None:
    if int(os.environ.get("LOCAL_RANK", "0")) == 0:
        print(message, file=sys.stderr, flush=True)  # noqa: T201
