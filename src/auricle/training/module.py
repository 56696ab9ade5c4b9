"""The network, its loss, its schedule and its position in the run, as a LightningModule."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from auricle.alphabet import Alphabet
from auricle.bundle import Bundle
from auricle.errors import TrainingError
from auricle.features import Normalization
from auricle.manifest import Utterance
from auricle.training.ctc import ctc_loss
from auricle.training.data import Batch, Clips, EpochPlan, Example, loader_of
from auricle.training.export import to_bundle
from auricle.training.graph import Weights
from auricle.training.gru import valid
from auricle.training.mmi import Trigrams, log_denominator, trigrams
from auricle.training.muon import Muon, parameter_groups
from auricle.training.network import DeepSpeech2, decayed_parameters
from auricle.training.recipe import Recipe, ScheduleConfig, make_recipe
from auricle.training.store import FeatureStore

_SKIPPED_IN_A_ROW = 20
_STEPS_APART = 200  # of a run that began from a bundle: what the second classifier learns then moves nothing else


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a run learns from, and what it is judged by."""

    examples: Sequence[Example]
    store: FeatureStore
    dev: Sequence[Utterance] = field(default_factory=list)
    noise: Sequence[Utterance] = ()
    """Recorded noise to mix in, where the recipe asks for noise."""


class SpeechModule(lightning.LightningModule):
    """All that a run is: a checkpoint of it can be resumed in mid-epoch, or exported.

    `max_hours` bounds the wall clock of the whole run; the learning-rate cycle then ends with the time, or with the
    last epoch where that is earlier.
    """

    def __init__(self, recipe: Recipe, normalization: Normalization, *, max_hours: float | None = None) -> None:
        super().__init__()
        self.recipe, self.max_hours = recipe, max_hours
        self.normalization = replace(normalization, prior=float(recipe.prior_frames or math.inf))
        self.network = DeepSpeech2(recipe.network, recipe.features.mel, *recipe.outputs)
        self.corpus: Corpus | None = None
        self.card: dict[str, Any] = {}
        """What else the model card should say, such as the manifests."""
        self.batches = self.batches_done = self.steps_done = 0
        self.audio_hours = 0.0
        self.skipped = self.skipped_in_a_row = 0
        """Steps left out because their gradient was not a number."""
        self.average: list[Tensor] | None = None
        """The moving average of the network's parameters, in their order."""
        self.done = 0.0
        """The part of the run that is over, in [0, 1]."""
        self.following: Trigrams | None = None
        """How phones follow each other in what the run learns from, where the recipe asks for it."""
        self._hours_before = 0.0
        self._started = time.monotonic()
        self._resumed_epoch: int | None = None

    @property
    def between_steps(self) -> bool:
        """Whether no gradient waits for the batches that make a step with it: a checkpoint would lose it."""
        return self.batches_done % self.recipe.schedule.accumulate == 0 or self.batches_done == self.batches

    @property
    def _trained(self) -> bool:
        """Whether the run began from a bundle, and not from chance."""
        return "started_from" in self.card

    @property
    def hours(self) -> float:
        """Hours of wall clock spent on this run, those before a resumption included."""
        return self._hours_before + (time.monotonic() - self._started) / 3600

    def on_fit_start(self) -> None:
        """Start the clock; count phones where the recipe asks for it and the network has learnt before."""
        self._started = time.monotonic()
        if self.recipe.phones and self.recipe.schedule.phone_mmi and self._trained:
            assert self.corpus is not None
            said = ((example.phones, example.weight) for example in self.corpus.examples)
            self.following = trigrams(said, self.recipe.outputs[-1])

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the batches of the current epoch that this process has not seen."""
        assert self.corpus is not None
        epoch = self.trainer.current_epoch
        if epoch != self._resumed_epoch:
            self.batches_done = 0
        self._resumed_epoch = None
        plan = EpochPlan(
            self.corpus.examples,
            self.corpus.store,
            self.recipe,
            epoch=epoch,
            rank=self.trainer.global_rank,
            processes=self.trainer.world_size,
            done=self.batches_done,
        )
        self.batches = len(plan)
        clips = Clips(
            self.corpus.examples, self.corpus.store, self.normalization, self.recipe, epoch, noise=self.corpus.noise
        )
        return loader_of(clips, plan)

    def on_train_batch_start(self, batch: Batch, index: int) -> int | None:
        """Set the learning rate; end the run when its time is up."""
        epochs = (self.trainer.current_epoch + self.batches_done / max(1, self.batches)) / self.recipe.schedule.epochs
        clock = self.hours / self.max_hours if self.max_hours else 0.0
        # All processes must follow one schedule to the last bit, and their clocks differ.
        self.done = float(self.trainer.strategy.broadcast(min(1.0, max(epochs, clock)), src=0))
        if self.done >= 1.0:
            self.trainer.should_stop = True
            return -1
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = one_cycle(self.done, self.recipe.schedule)
        return None

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """CTC loss, in nats per character of the batch."""
        # What dropout draws depends on the batch alone: a run that was resumed draws what it would have drawn.
        place = (self.trainer.current_epoch, self.batches_done, self.trainer.global_rank)
        torch.manual_seed(hash((self.recipe.schedule.seed, *place)))
        # No bundle has a second classifier. One that knows nothing yet would pull a trained network out of its place.
        apart = self._trained and self.steps_done < _STEPS_APART
        log_probs, early, lengths = self.network.both(batch.features, batch.lengths, apart=apart)
        total = self._ctc(log_probs, lengths, batch, following=self.following)
        objective = total
        if early is not None:
            weight = self.recipe.schedule.auxiliary_weight
            objective = (1 - weight) * total + weight * self._ctc(early, lengths, batch)
        if self.recipe.schedule.agreement:
            objective = objective + self.recipe.schedule.agreement * disagreement(log_probs, lengths)
        characters = batch.target_lengths.sum().clamp(min=1)  # in none of the clips may anybody speak
        loss = total.detach() / characters
        self.batches_done += 1
        self.audio_hours += batch.seconds * self.trainer.world_size / 3600
        self.log("loss", loss)
        self.log("rate", one_cycle(self.done, self.recipe.schedule))
        return objective / self._share_of_all(characters)

    def _ctc(self, log_probs: Tensor, lengths: Tensor, batch: Batch, following: Trigrams | None = None) -> Tensor:
        """Return the CTC loss of log-probabilities [B, T', tokens], in nats, summed over the batch.

        Where there are phones, it is the weighted mean of the letters' and of the phones', which is, as far as the
        recipe says, not against all that frames could hold but against what phones `following` each other could.
        """
        letters, *rest = torch.split(log_probs, list(self.network.alphabets), -1)
        loss = ctc_loss(letters, batch.targets, lengths, batch.target_lengths)
        weight = self.recipe.schedule.phone_weight
        for phones in rest:
            said = ctc_loss(phones, batch.phones, lengths, batch.phone_lengths)
            if following is not None:
                others = log_denominator(phones, lengths, following)
                expected = following.log_likelihood(batch.phones, batch.phone_lengths)
                said = said + self.recipe.schedule.phone_mmi * (others - expected)
            loss = (1 - weight) * loss + weight * said
        return loss

    def _share_of_all(self, characters: Tensor) -> Tensor:
        """Return the mean over the processes: they average gradients, and each character is to count alike."""
        processes = self.trainer.world_size
        if processes == 1:
            return characters
        everywhere = characters.clone()
        torch.distributed.all_reduce(everywhere)
        return everywhere / processes

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by the norm of the whole gradient; leave out a step whose gradient is not a number.

        The gradient, unlike the loss, is the same on all processes. Raises TrainingError when many steps in a row had
        to be left out: the weights are then those before the first of them.
        """
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), gradient_clip_val or math.inf)
        self.log("gradient_norm", norm)
        if torch.isfinite(norm):
            self.skipped_in_a_row = 0
            return
        optimizer.zero_grad()
        self.skipped += 1
        self.skipped_in_a_row += 1
        if self.skipped_in_a_row >= _SKIPPED_IN_A_ROW:
            raise TrainingError(
                f"the loss was not a number {self.skipped_in_a_row} times in a row: lower peak_rate, or look at the "
                "clips; last.ckpt holds the weights from before."
            )

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        """Step, and move the average of the weights after them: before callbacks, which may save a checkpoint."""
        super().optimizer_step(*arguments, **options)
        self.steps_done += 1
        keep = self.recipe.schedule.average
        if not keep:
            return
        weights = [parameter.detach() for parameter in self.network.parameters()]
        if not self.average:
            self.average = [weight.clone() for weight in weights]
        # A young average must not remember the random beginning.
        keep = min(keep, (1 + self.steps_done) / (10 + self.steps_done))
        torch._foreach_lerp_(self.average, weights, 1 - keep)

    def averaged_network(self) -> DeepSpeech2:
        """Return a copy of the network for evaluation, with the averaged weights where the recipe asks for them."""
        network = copy.deepcopy(self.network).cpu().eval()
        for parameter, average in zip(network.parameters(), self.average or (), strict=bool(self.average)):
            parameter.data.copy_(average)
        return network

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return what the recipe asks for."""
        return optimizer_of(self.network, self.recipe.schedule)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a bundle and a resumption need, as plain values."""
        checkpoint["auricle"] = {
            "recipe": self.recipe.to_dict(),
            "mean": self.normalization.mean.tolist(),
            "std": self.normalization.std.tolist(),
            "hours": self.hours,
            "audio_hours": self.audio_hours,
            "epoch": self.trainer.current_epoch,
            "batches_done": self.batches_done,
            "steps_done": self.steps_done,
            "skipped": self.skipped,
            "processes": self.trainer.world_size,
            "card": self.card,
            "average": self.average,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the run where it stood. A run that goes on with another number of processes begins its epoch anew."""
        self._take_up(checkpoint["auricle"])
        if checkpoint["auricle"]["processes"] == self.trainer.world_size:
            self._resumed_epoch = checkpoint["auricle"]["epoch"]

    def _take_up(self, state: dict[str, Any]) -> None:
        self._hours_before, self.audio_hours = state["hours"], state["audio_hours"]
        self.batches_done, self.steps_done = state["batches_done"], state["steps_done"]
        self.skipped = state.get("skipped", 0)
        self.card, self.average = state.get("card", {}), state.get("average")
        self._started = time.monotonic()

    def bundle(self, name: str, *, weights: Weights = "float16", card: dict[str, Any] | None = None) -> Bundle:
        """Return the network of this moment as a bundle. Raises TrainingError when the parity check fails."""
        from auricle import __version__

        facts = {
            "recipe": self.recipe.to_dict(),
            "recipe_hash": self.recipe.digest,
            "parameters": self.network.parameter_count,
            "training_hours": round(self.hours, 2),
            "audio_hours_seen": round(self.audio_hours, 1),
            "steps": self.steps_done,
            **({"steps_left_out": self.skipped} if self.skipped else {}),
        }
        return to_bundle(
            self.averaged_network(),
            name=name,
            version=__version__,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            features=self.recipe.features,
            normalization=self.normalization,
            alphabet=Alphabet(tuple(self.recipe.alphabet)),
            phones=self.recipe.phones,
            weights=weights,
            card={**facts, **self.card, **(card or {})},
        )


def load_module(path: Path) -> SpeechModule:
    """Read a checkpoint. Raises TrainingError when there is none, or it is not auricle's."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        state = checkpoint["auricle"]
    except OSError as error:
        raise TrainingError(f"{path}: cannot read the checkpoint ({error.strerror or error}).") from error
    except Exception as error:
        raise TrainingError(f"{path}: not a checkpoint of auricle's, or a damaged one.") from error
    mean, std = (np.array(state[key], dtype=np.float32) for key in ("mean", "std"))
    module = SpeechModule(make_recipe(state["recipe"], str(path)), Normalization(mean, std))
    module.load_state_dict(checkpoint["state_dict"])
    module._take_up(state)
    return module


def optimizer_of(network: DeepSpeech2, schedule: ScheduleConfig) -> torch.optim.Optimizer:
    """Return what a schedule asks for, for a network's parameters; biases and norms are not decayed."""
    if schedule.optimizer == "muon":
        groups = parameter_groups(network, schedule.weight_decay)
        return Muon(groups, lr=schedule.peak_rate, betas=(0.9, 0.98))
    decayed, spared = decayed_parameters(network)
    groups = [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": spared, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=schedule.peak_rate, betas=(0.9, 0.98))


def disagreement(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """Return how far two views of the same clips are apart: log-probabilities [2 B, T', tokens], lengths [2 B] alike.

    It is the divergence of each view's distribution from the other's (Kullback & Leibler, 1951), in nats, summed over
    the frames of both. Each is drawn to the other as it stands; nothing flows back through what it is drawn to.
    """
    one, other = log_probs.chunk(2)
    inside = valid(lengths[: len(one)], one.shape[1]).T
    goals = log_probs.detach().exp().chunk(2)
    frames = sum(
        nn.functional.kl_div(view, goal, reduction="none").sum(-1)
        for view, goal in ((one, goals[1]), (other, goals[0]))
    )
    return torch.where(inside, frames, 0.0).sum()


def one_cycle(done: float, schedule: ScheduleConfig) -> float:
    """Return the learning rate when the part `done` of the run, in [0, 1], is over."""
    if done < schedule.warmup:
        factor = schedule.start_factor + (1 - schedule.start_factor) * done / schedule.warmup
    else:
        falling = max(0.0, done - schedule.warmup - schedule.hold) / (1 - schedule.warmup - schedule.hold)
        shape = 1 - falling if schedule.anneal == "linear" else (1 + math.cos(math.pi * falling)) / 2
        factor = schedule.end_factor + (1 - schedule.end_factor) * shape
    return schedule.peak_rate * factor
