"""A training run from beginning to end: one folder, one Trainer, regular checkpoints, dev WER every epoch."""

from __future__ import annotations

import ctypes
import io
import json
import logging
import math
import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy

from auricle import audio
from auricle.alphabet import Alphabet
from auricle.bundle import Bundle, write_bundle
from auricle.errors import TrainingError
from auricle.evaluation import evaluate
from auricle.manifest import Utterance
from auricle.recognizer import Recognizer
from auricle.report import Report
from auricle.training.data import FeatureStore, examples_of, normalization_of
from auricle.training.gru import fastest_products, products_in
from auricle.training.initial import started_from
from auricle.training.module import Corpus, SpeechModule, load_module
from auricle.training.page import read_rows, run_page
from auricle.training.progress import TrainingProgress
from auricle.training.recipe import Recipe

Precision: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]
LAST = "last.ckpt"
HELD = "held.ckpt"
BEST = "best.auricle"
STEPS = "steps.jsonl"
EPOCHS = "epochs.jsonl"
PAGE = "report.html"
_NORMALIZATION_CLIPS = 2000
_DEV_CLIPS = 200
_DIARY_STEPS = 10
_SAMPLES = 6


def prepare(
    recipe: Recipe,
    train: Sequence[Utterance],
    dev: Sequence[Utterance],
    cache: Path,
    *,
    noise: Sequence[Utterance] = (),
    workers: int = 1,
    progress: Any = lambda _: None,
) -> tuple[Corpus, dict[str, str]]:
    """Compute (or find) the features and check every clip; return the corpus, and why each clip left out was left out.

    Of `dev`, 200 clips spread evenly over the manifest are kept: enough to steer by, and quick. Raises TrainingError
    when nothing is left to learn from.
    """
    store = FeatureStore.open(train, recipe.features, cache, workers=workers, progress=progress)
    examples, left_out = examples_of(train, store, Alphabet(tuple(recipe.alphabet)), recipe.network.stride)
    if not examples:
        name, reason = next(iter(left_out.items()))
        raise TrainingError(f"none of the {len(train)} clips can be learnt from; the first, {name}: {reason}")
    step = max(1, -(-len(dev) // _DEV_CLIPS))
    return Corpus(examples, store, dev[::step], noise), left_out


@dataclass(frozen=True, slots=True)
class Machine:
    """What a run may use. Under `torchrun`, processes and nodes are those that it has started."""

    processes: int = 1
    """Processes on each node. Lightning starts the others by running the same command again; each uses one core."""
    nodes: int = 1
    precision: Precision = "auto"
    """Type of the matrix products: what the processor is fastest at, or the one named. On a GPU, auto is float32."""

    @classmethod
    def here(cls, processes: int = 1, nodes: int = 1, precision: Precision = "auto") -> Machine:
        """Return the machine that was asked for, or that `torchrun` gives."""
        if "TORCHELASTIC_RUN_ID" in os.environ:
            processes = int(os.environ["LOCAL_WORLD_SIZE"])
            nodes = int(os.environ["WORLD_SIZE"]) // processes
        return cls(processes, nodes, precision)

    @property
    def cpu_products(self) -> torch.dtype:
        """The type that a CPU makes products in. Raises TrainingError for float16, whose range is too small there."""
        known = {"auto": fastest_products(), "float32": torch.float32, "bfloat16": torch.bfloat16}
        if self.precision not in known:
            raise TrainingError("float16 is for GPUs: take --precision bfloat16, or auto.")
        return known[self.precision]

    @property
    def lightning_precision(self) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
        """Lightning's word for the precision on a GPU; on a CPU, the layers choose themselves."""
        if not torch.cuda.is_available():
            return "32-true"
        if self.precision == "bfloat16":
            return "bf16-mixed"
        return "16-mixed" if self.precision == "float16" else "32-true"

    def describe(self) -> str:
        """Say what the products are made in, and why."""
        if torch.cuda.is_available():
            return f"training on {torch.cuda.get_device_name()}, {self.lightning_precision}"
        kind = str(self.cpu_products).removeprefix("torch.")
        quick = "has" if fastest_products() == torch.bfloat16 else "has not"
        return (
            f"training on {self.processes * self.nodes} CPU cores, products in {kind} "
            f"(the processor {quick} instructions for bfloat16)"
        )


def train(
    recipe: Recipe,
    corpus: Corpus,
    folder: Path,
    *,
    machine: Machine = Machine(),
    max_hours: float | None = None,
    checkpoint_minutes: float = 5.0,
    card: Mapping[str, Any] | None = None,
    start: Bundle | None = None,
) -> SpeechModule:
    """Train, or go on with the run in `folder`, and return the trained module.

    `folder` gets `last.ckpt`, `held.ckpt` (where the rate began to fall, if the schedule holds it), `best.auricle` (the
    best dev WER so far), `epochs.jsonl` and TensorBoard's files. `start` is the model that a new run begins from. A run
    that held its rate goes on from `held.ckpt` when it is given more time. Raises TrainingError when the folder holds a
    run of another recipe, or the loss has stopped being a number for good.
    """
    keep_freed_memory()
    lightning.seed_everything(recipe.schedule.seed, verbose=False)
    folder.mkdir(parents=True, exist_ok=True)
    resume = _where_it_stood(folder, recipe, max_hours)
    module = _resumed(resume, recipe) if resume else _begun(recipe, corpus, start)
    module.corpus, module.max_hours = corpus, max_hours
    module.card.update(card or {})
    if machine.processes * machine.nodes > 1:
        torch.set_num_threads(1)
    products = torch.float32 if torch.cuda.is_available() else machine.cpu_products
    with _without_denormals(), _without_advice(), products_in(products):
        _say(machine.describe())
        trainer = _trainer(recipe, folder, machine, [TrainingProgress(), Keeper(folder, checkpoint_minutes)])
        trainer.fit(module, ckpt_path=resume, weights_only=True)
    return module


def _trainer(recipe: Recipe, folder: Path, machine: Machine, callbacks: list[Callback]) -> lightning.Trainer:
    return lightning.Trainer(
        accelerator="auto" if torch.cuda.is_available() else "cpu",
        devices=machine.processes,
        num_nodes=machine.nodes,
        precision=machine.lightning_precision,
        strategy=DDPStrategy() if machine.processes * machine.nodes > 1 else "auto",
        max_epochs=recipe.schedule.epochs,
        gradient_clip_val=recipe.schedule.clip_norm,
        logger=TensorBoardLogger(folder, name="", version=""),
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        reload_dataloaders_every_n_epochs=1,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
    )


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


def _begun(recipe: Recipe, corpus: Corpus, start: Bundle | None) -> SpeechModule:
    if start:
        return started_from(start, recipe)
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
    """Saves checkpoints every few minutes and after each epoch, scores dev as users will, keeps the best bundle.

    It also keeps the run's diary: `steps.jsonl`, `epochs.jsonl`, and `report.html`, drawn from them after each scoring.
    """

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
        if trainer.is_global_zero and module.steps_done % _DIARY_STEPS == 1:
            _add_row(self._folder / STEPS, step_row(trainer, module))
        schedule = module.recipe.schedule
        falling = module.done >= schedule.warmup + schedule.hold
        if schedule.hold and falling and not self._falling:
            trainer.save_checkpoint(self._folder / HELD)
        self._falling = falling

    def on_exception(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Keep the sound weights of a run whose loss stopped being a number."""
        assert isinstance(module, SpeechModule)
        if module.skipped_in_a_row:
            trainer.save_checkpoint(self._folder / LAST)

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
        log = self._folder / EPOCHS
        before = [earlier["dev_wer"] for earlier in read_rows(log)]
        _add_row(log, row)
        if row["dev_wer"] < min(before, default=float("inf")):
            write_bundle(bundle, self._folder / BEST)
        samples = [(one.reference, one.hypothesis) for one in report.rows[:_SAMPLES]]
        page = run_page(self._folder.name, module.recipe, read_rows(self._folder / STEPS), read_rows(log), samples)
        (self._folder / PAGE).write_text(page, encoding="utf-8")
        if isinstance(trainer.logger, TensorBoardLogger):
            trainer.logger.log_metrics({key: row[key] for key in ("dev_wer", "dev_cer")}, step=module.steps_done)
            _show(trainer.logger.experiment, Recognizer(bundle, threads=1), dev[0], samples, module.steps_done)
        sample = report.rows[0]
        _say(
            f"epoch {row['epoch']}: dev WER {row['dev_wer']:.1%}, CER {row['dev_cer']:.1%}, {len(report.rows)} clips, "
            f"after {row['hours']:.2f} h and {row['audio_hours']:.1f} h of audio\n"
            f"  said:  {sample.reference}\n  heard: {sample.hypothesis}"
        )


def _add_row(path: Path, row: Mapping[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def _show(board: Any, recognizer: Recognizer, clip: Utterance, samples: Sequence[tuple[str, str]], step: int) -> None:
    """Put what was said and heard, and the picture of one clip's CTC path, on TensorBoard."""
    from matplotlib.image import imread

    from auricle.inspection import look
    from auricle.inspection.picture import picture

    table = "\n".join(f"| {said} | {heard} |" for said, heard in samples)
    board.add_text("said and heard", f"| said | heard |\n|---|---|\n{table}", step)
    waveform = audio.read(
        clip.audio_filepath, rate=recognizer.bundle.features.sample_rate, offset=clip.offset, duration=clip.duration
    )
    drawn = picture(look(recognizer, waveform, name=clip.id))
    board.add_image("CTC path", imread(io.BytesIO(drawn))[..., :3], step, dataformats="HWC")


def step_row(trainer: lightning.Trainer, module: SpeechModule) -> dict[str, Any]:
    """Return what `steps.jsonl` keeps of a step; numbers that are none become null."""
    known = {key: float(trainer.callback_metrics.get(key, float("nan"))) for key in ("loss", "rate", "gradient_norm")}
    return {
        "steps": module.steps_done,
        "hours": round(module.hours, 4),
        "audio_hours": round(module.audio_hours, 3),
        **{key: float(f"{value:.5g}") if math.isfinite(value) else None for key, value in known.items()},
    }


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


def is_first() -> bool:
    """Say whether this is the process that speaks: torchrun numbers them all, Lightning those on a node."""
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"


def _say(message: str) -> None:
    if is_first():
        print(message, file=sys.stderr, flush=True)  # noqa: T201
