"""A training run from beginning to end: one folder, one Trainer, regular checkpoints, dev WER every epoch."""

from __future__ import annotations

import ctypes
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy

from auricle.alphabet import Alphabet
from auricle.bundle import Bundle
from auricle.errors import TrainingError
from auricle.manifest import Utterance
from auricle.training.data import examples_of, normalization_of
from auricle.training.gru import fastest_products, products_in
from auricle.training.initial import started_from
from auricle.training.keeper import HELD, LAST, Keeper, say
from auricle.training.module import Corpus, SpeechModule, load_module
from auricle.training.phones import PhoneSpeller
from auricle.training.progress import TrainingProgress
from auricle.training.recipe import Recipe
from auricle.training.store import FeatureStore

Precision: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]
_NORMALIZATION_CLIPS = 2000
_DEV_CLIPS = 200


def prepare(
    recipe: Recipe,
    train: Sequence[Utterance],
    dev: Sequence[Utterance],
    cache: Path,
    *,
    noise: Sequence[Utterance] = (),
    weights: Mapping[str, float] = MappingProxyType({}),
    pronunciations: Mapping[str, Sequence[Sequence[str]]] = MappingProxyType({}),
    workers: int = 1,
    progress: Any = lambda _: None,
) -> tuple[Corpus, dict[str, str]]:
    """Compute (or find) the features and check every clip; return the corpus, and why each clip left out was left out.

    `weights` say how often a clip is seen in an epoch, by its id; 1 where there is none. `pronunciations` say how words
    are said, for recipes with phones.

    Of `dev`, 200 clips spread evenly over the manifest are kept: enough to steer by, and quick. Raises TrainingError
    when nothing is left to learn from.
    """
    store = FeatureStore.open(train, recipe.features, cache, workers=workers, progress=progress)
    speller = PhoneSpeller(pronunciations, recipe.phones) if recipe.phones else None
    alphabet = Alphabet(tuple(recipe.alphabet))
    examples, left_out = examples_of(train, store, alphabet, recipe.network.stride, weights, speller)
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
    run of another recipe, or the loss has stopped being a number for good, and SystemExit, after a checkpoint, when
    SIGTERM or Ctrl-C came.
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
        say(machine.describe())
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
        accumulate_grad_batches=recipe.schedule.accumulate,
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
            say(f"{folder}: more time is given, so the run goes on from before its rate fell")
            held.replace(last)
    return last if last.exists() else None


def _resumed(checkpoint: Path, recipe: Recipe) -> SpeechModule:
    module = load_module(checkpoint)
    folder = checkpoint.parent
    if module.recipe.digest != recipe.digest:
        raise TrainingError(f"{folder}: holds a run of another recipe: choose another --name, or remove the folder.")
    say(f"resuming {folder} after step {module.steps_done} ({module.hours:.2f} h in)")
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


def keep_freed_memory() -> None:
    """Ask glibc to keep what is freed: tensors taken and returned at each step are otherwise page-faulted in anew."""
    trim_threshold, mmap_threshold = -1, -3
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, (1 << 31) - 1)
