"""What a run says while it runs: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from auricle.training.module import SpeechModule

_LOG_SECONDS = 60.0


class TrainingProgress(Callback):
    """Shows epoch, loss, learning rate, hours of audio per hour and the time left, on standard error.

    The `clock` counts seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._loss = float("nan")
        self._since = self._said = 0.0
        self._audio, self._done = 0.0, math.nan
        self._bar: Progress | None = None

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Open the bar where a person is watching."""
        assert isinstance(module, SpeechModule)
        self._said = self._clock()
        if trainer.is_global_zero and sys.stderr.isatty():
            self._bar = Progress(BarColumn(16), TextColumn("{task.description}"), console=Console(stderr=True))
            self._bar.add_task("starting", total=1.0)
            self._bar.start()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Move the bar, or write a line when the last is a minute old."""
        assert isinstance(module, SpeechModule)
        if not trainer.is_global_zero:
            return
        if math.isnan(self._done):
            # Only now does a run that was resumed know how much of it is over.
            self._since, self._audio, self._done = self._clock(), module.audio_hours, module.done
        loss = float(outputs["loss"])
        if math.isfinite(loss):
            self._loss = loss if math.isnan(self._loss) else 0.98 * self._loss + 0.02 * loss
        now = self._clock()
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=module.done, description=self.line(trainer, module))
        elif now - self._said > _LOG_SECONDS:
            self._said = now
            print(self.line(trainer, module), file=sys.stderr, flush=True)  # noqa: T201

    def line(self, trainer: lightning.Trainer, module: SpeechModule) -> str:
        """Return where the run stands, on one line."""
        spent = max(self._clock() - self._since, 1e-9)
        speed = (module.audio_hours - self._audio) / (spent / 3600)
        part = module.done - self._done
        left = timedelta(seconds=round(spent * (1 - module.done) / part)) if part > 0 else "?"
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        where = f"epoch {trainer.current_epoch + 1}/{module.recipe.schedule.epochs}"
        skipped = f"  {module.skipped} steps left out (not a number)" if module.skipped else ""
        if self._bar is not None:  # 80 columns have to do
            return f"{where}  loss {self._loss:.2f}  {speed:.0f} audio h/h  {left} left"
        return (
            f"{where} batch {module.batches_done}/{module.batches}  loss {self._loss:.3f}  rate {rate:.2e}  "
            f"{speed:.0f} h of audio per hour  {module.done:.1%} done, {left} left{skipped}"
        )

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def on_exception(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Give the terminal back."""
        self.on_train_end(trainer, module)
