"""What a run keeps: checkpoints, the best models, and a diary with its pictures."""

from __future__ import annotations

import io
import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger

from auricle import audio
from auricle.bundle import Bundle, write_bundle
from auricle.evaluation import Plain, evaluate
from auricle.manifest import Utterance
from auricle.recognizer import Recognizer
from auricle.report import Report
from auricle.training.module import SpeechModule
from auricle.training.page import read_rows, run_page
from auricle.training.stopping import Stop

LAST = "last.ckpt"
HELD = "held.ckpt"
BEST = "best.auricle"
KEPT = "kept"
STEPS = "steps.jsonl"
EPOCHS = "epochs.jsonl"
PAGE = "report.html"
_DIARY_STEPS = 10
_SAMPLES = 6


class Keeper(Callback):
    """Saves checkpoints every few minutes and after each epoch, scores dev as users will, keeps the best bundle.

    It also keeps the run's diary: `steps.jsonl`, `epochs.jsonl`, and `report.html`, drawn from them after each scoring.

    SIGTERM and Ctrl-C end the run after the step that it is in, with a checkpoint; a second one ends it at once.
    """

    def __init__(self, folder: Path, minutes: float) -> None:
        self._folder, self._seconds = folder, minutes * 60
        self._saved = time.monotonic()
        self._falling = False
        self._stop = Stop()

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """A run resumed while its rate was falling keeps the checkpoint that it has."""
        self._falling = (self._folder / HELD).exists()
        # In place of Lightning's, which waits in the handler for the other processes until a timeout of half an hour,
        # and loses what was learnt since the last checkpoint. Lightning puts back what was there before the run.
        self._stop.listen()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Save when it is time, or when the run is to stop; process 0 decides for all."""
        assert isinstance(module, SpeechModule)
        if not module.between_steps:
            return
        due = time.monotonic() - self._saved >= self._seconds
        due, asked = trainer.strategy.broadcast((due, self._stop.signal), src=0)
        if due or asked:
            trainer.save_checkpoint(self._folder / LAST)
            self._saved = time.monotonic()
        if asked:
            say(f"stopped after step {module.steps_done}: the same command goes on from there")
            raise SystemExit(128 + asked)
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
        enough = False
        if trainer.is_global_zero and module.corpus.dev and (is_last or epoch % schedule.score_every == 0):
            self._score(trainer, module, module.corpus.dev)
            since_best = _scorings_since_best(read_rows(self._folder / EPOCHS))
            enough = 0 < schedule.patience <= since_best
            if enough and not is_last:
                say(f"{since_best} scorings without a better dev WER: the run ends here (patience)")
        # The others wait here for the scoring, too.
        if trainer.strategy.broadcast(enough, src=0):
            trainer.should_stop = True
        trainer.save_checkpoint(self._folder / LAST)
        self._saved = time.monotonic()

    def _score(self, trainer: lightning.Trainer, module: SpeechModule, dev: Sequence[Utterance]) -> None:
        bundle = module.bundle(self._folder.name)
        report = evaluate(dev, Plain(Recognizer(bundle, threads=1)), normalise=bundle.alphabet.normalise)
        row = epoch_row(trainer, module, report)
        log = self._folder / EPOCHS
        before = [earlier["dev_wer"] for earlier in read_rows(log)]
        _add_row(log, row)
        if row["dev_wer"] < min(before, default=float("inf")):
            write_bundle(bundle, self._folder / BEST)
        if module.recipe.schedule.keep_best > 1:
            self._keep(bundle, row["epoch"], module.recipe.schedule.keep_best)
        samples = [(one.reference, one.hypothesis) for one in report.rows[:_SAMPLES]]
        page = run_page(self._folder.name, module.recipe, read_rows(self._folder / STEPS), read_rows(log), samples)
        (self._folder / PAGE).write_text(page, encoding="utf-8")
        if isinstance(trainer.logger, TensorBoardLogger):
            trainer.logger.log_metrics({key: row[key] for key in ("dev_wer", "dev_cer")}, step=module.steps_done)
            _show(trainer.logger.experiment, Recognizer(bundle, threads=1), dev[0], samples, module.steps_done)
        sample = report.rows[0]
        say(
            f"epoch {row['epoch']}: dev WER {row['dev_wer']:.1%}, CER {row['dev_cer']:.1%}, {len(report.rows)} clips, "
            f"after {row['hours']:.2f} h and {row['audio_hours']:.1f} h of audio\n"
            f"  said:  {sample.reference}\n  heard: {sample.hypothesis}"
        )

    def _keep(self, bundle: Bundle, epoch: int, most: int) -> None:
        """Keep this epoch's model below KEPT when it is among the best so many, and take away what no longer is."""
        kept = self._folder / KEPT
        kept.mkdir(exist_ok=True)
        write_bundle(bundle, _kept_model(kept, epoch))
        rows = [row for row in read_rows(self._folder / EPOCHS) if _kept_model(kept, row["epoch"]).exists()]
        for row in sorted(rows, key=lambda row: (row["dev_wer"], row["epoch"]))[most:]:
            _kept_model(kept, row["epoch"]).unlink()


def _kept_model(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:04}.auricle"


def _scorings_since_best(rows: Sequence[Mapping[str, Any]]) -> int:
    rates = [row["dev_wer"] for row in rows]
    return len(rates) - 1 - rates.index(min(rates))


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


def is_first() -> bool:
    """Say whether this is the process that speaks: torchrun numbers them all, Lightning those on a node."""
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"


def say(message: str) -> None:
    """Tell the person who trains, once for all processes."""
    if is_first():
        print(message, file=sys.stderr, flush=True)  # noqa: T201
