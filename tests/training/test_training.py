"""A real run, small: the toy recipe learns the five clips by heart, is killed, goes on, ends as a working bundle."""

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import soundfile
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from auricle.bundle import read_bundle
from auricle.errors import TrainingError
from auricle.evaluation import evaluate
from auricle.manifest import Utterance, read_manifest
from auricle.recognizer import load
from auricle.training import keeper, loop
from auricle.training.data import Clips, EpochPlan
from auricle.training.module import SpeechModule, disagreement, load_module, one_cycle
from auricle.training.page import read_rows
from auricle.training.recipe import Recipe, ScheduleConfig, make_recipe, read_recipe

ROOT = Path(__file__).parent.parent.parent
TINY = ROOT / "recipes" / "tiny.toml"
CLIPS = ROOT / "tests" / "clips" / "clips.jsonl"
LEARNT = 0.25  # nats per character; an untrained network has 3.3, one that has found the letters' frequencies 2.8


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Steps this small lose by sharing, and threads that wait for one another lose most where others work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def clips() -> list[Utterance]:
    return read_manifest(CLIPS)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("features")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, clips: list[Utterance], cache: Path) -> Path:
    """The folder of a whole run of recipes/tiny.toml."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    recipe = read_recipe(TINY)
    corpus, left_out = loop.prepare(recipe, clips, clips, cache)
    assert not left_out
    loop.train(recipe, corpus, folder)
    return folder


def epochs(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "epochs.jsonl").read_text().splitlines()]


def short(name: str = "short", **schedule: Any) -> Recipe:
    """The toy recipe with a schedule of its own."""
    values = read_recipe(TINY).to_dict()
    return make_recipe({**values, "name": name, "schedule": {**values["schedule"], **schedule}}, "test")


def write_toml(recipe: Recipe, path: Path) -> Path:
    schedule = recipe.schedule
    text = TINY.read_text()
    for key in ("epochs", "score_every"):
        old = next(line for line in text.splitlines() if line.startswith(f"{key} ="))
        text = text.replace(old, f"{key} = {getattr(schedule, key)}")
    path.write_text(text)
    return path


def command(recipe: Path, runs: Path, cache: Path, *options: str) -> list[str]:
    return [
        *(sys.executable, "-m", "auricle", "train", str(recipe), "--train", str(CLIPS), "--dev", str(CLIPS)),
        *("--runs", str(runs), "--cache", str(cache), *options),
    ]


def test_the_toy_learns_its_clips_by_heart(run: Path) -> None:
    last = epochs(run)[-1]
    assert last["loss"] < LEARNT
    assert last["dev_wer"] < 0.2


def test_the_best_bundle_says_through_the_recognizer_what_the_log_says(run: Path, clips: list[Utterance]) -> None:
    recognizer = load(run / keeper.BEST, threads=1)
    report = evaluate(clips, recognizer, normalise=recognizer.bundle.alphabet.normalise)
    assert report.wer.value == pytest.approx(min(row["dev_wer"] for row in epochs(run)), abs=1e-4)


def test_the_run_keeps_a_diary_and_draws_it(run: Path) -> None:
    steps = read_rows(run / "steps.jsonl")
    assert steps[0]["steps"] == 1
    assert steps[-1]["loss"] < LEARNT < steps[0]["loss"]
    assert all(row["gradient_norm"] > 0 and row["rate"] > 0 for row in steps)
    page = (run / "report.html").read_text()
    best = min(row["dev_wer"] for row in epochs(run))
    assert f'<p class="figure">{best:.1%}</p>' in page
    assert page.count("<svg") == 1
    assert "he was not an ill disposed young man" in page
    assert "gru_hidden = 96" in page
    assert not re.search(r"(src|href)=.http|url\(http|@import|<script", page)  # nothing is fetched


def test_rows_that_a_resumption_has_done_again_are_read_once(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "".join(f'{{"steps": {step}, "try": {number}}}\n' for number, step in enumerate([1, 11, 21, 11, 31]))
    )
    assert [(row["steps"], row["try"]) for row in read_rows(path)] == [(1, 0), (11, 3), (31, 4)]


def test_tensorboard_gets_the_curves_the_texts_and_the_ctc_path(run: Path) -> None:
    board = EventAccumulator(str(run)).Reload()
    tags = board.Tags()
    assert {"loss", "rate", "gradient_norm", "dev_wer", "dev_cer"} <= set(tags["scalars"])
    assert "said and heard/text_summary" in tags["tensors"]
    assert board.Images("CTC path")[-1].width > 500


def test_a_checkpoint_becomes_a_bundle_that_names_its_training(run: Path) -> None:
    module = load_module(run / keeper.LAST)
    bundle = module.bundle("again")
    assert bundle.card["steps"] == module.steps_done > 0
    assert bundle.card["recipe_hash"] == read_recipe(TINY).digest


def test_a_run_that_begins_from_a_model_begins_where_that_ended(
    run: Path, clips: list[Utterance], cache: Path, tmp_path: Path
) -> None:
    recipe = write_toml(short(epochs=1, score_every=1), tmp_path / "on.toml")
    learn = command(recipe, tmp_path, cache, "--init", str(run / "best.auricle"))
    done = subprocess.run(learn, check=False, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    [first] = epochs(tmp_path / "on")
    assert first["loss"] < 2 * LEARNT  # by chance it would be above 3
    assert read_bundle(tmp_path / "on" / "best.auricle").card["started_from"].startswith("tiny ")


def test_a_killed_run_goes_on_where_it_was_and_says_so(tmp_path: Path, clips: list[Utterance], cache: Path) -> None:
    recipe = short(epochs=12, score_every=12)
    toml = write_toml(recipe, tmp_path / "short.toml")
    go = command(toml, tmp_path, cache, "--checkpoint-minutes", "0.0")
    checkpoint = tmp_path / "short" / keeper.LAST
    with subprocess.Popen(go, stderr=subprocess.PIPE) as first:
        end = time.monotonic() + 120
        while not checkpoint.exists() and first.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(first.pid, signal.SIGKILL)
    at_kill = load_module(checkpoint).steps_done
    second = subprocess.run(go, stderr=subprocess.PIPE, text=True, check=True, timeout=240)
    assert f"resuming {tmp_path / 'short'} after step {at_kill}" in second.stderr

    corpus, _ = loop.prepare(recipe, clips, clips, cache)
    planned = sum(len(EpochPlan(corpus.examples, corpus.store, recipe, epoch=epoch)) for epoch in range(12))
    assert 0 < at_kill < planned
    assert load_module(checkpoint).steps_done == planned


@pytest.mark.parametrize(("asked", "processes"), [(signal.SIGTERM, 2), (signal.SIGINT, 1)])
def test_a_run_that_is_asked_to_stop_keeps_what_it_learnt(
    tmp_path: Path, cache: Path, asked: signal.Signals, processes: int
) -> None:
    toml = write_toml(short(epochs=500, score_every=500), tmp_path / "long.toml")
    folder = tmp_path / "long"
    go = command(toml, tmp_path, cache, "--processes", str(processes), "--checkpoint-minutes", "60")
    with subprocess.Popen(go, stderr=subprocess.PIPE, text=True) as run:
        end = time.monotonic() + 120
        while not (folder / "steps.jsonl").exists() and run.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        run.send_signal(asked)  # to the first process only, as `kill` does
        _, told = run.communicate(timeout=60)
    done = load_module(folder / keeper.LAST).steps_done
    assert run.returncode == 128 + asked
    assert told.endswith(f"stopped after step {done}: the same command goes on from there\n"), told
    assert done > 0


class Watched:
    """Keeps each step's number, loss and clips (by the length of their texts), and may break off before one."""

    def __init__(self, patch: pytest.MonkeyPatch, stop_at: int | None = None) -> None:
        self.seen: list[tuple[int, float, list[int]]] = []
        step = SpeechModule.training_step

        def training_step(module: SpeechModule, batch: Any, index: int) -> Any:
            number = module.steps_done
            if number == stop_at:
                raise RuntimeError("stopped")
            loss = step(module, batch, index)
            self.seen.append((number, float(loss.detach()), batch.target_lengths.tolist()))
            return loss

        patch.setattr(SpeechModule, "training_step", training_step)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_run_resumed_in_mid_epoch_goes_on_to_the_digit(
    clips: list[Utterance], cache: Path, tmp_path: Path, optimizer: str
) -> None:
    values = short(epochs=9, score_every=100, average=0.9, optimizer=optimizer).to_dict()
    recipe = make_recipe({**values, "network": {**values["network"], "gru_dropout": 0.2, "dropout": 0.1}}, "test")
    corpus, _ = loop.prepare(recipe, clips, [], cache)

    def train(folder: str, stop_at: int | None = None) -> tuple[Watched, SpeechModule | None]:
        with pytest.MonkeyPatch.context() as patch:
            watched = Watched(patch, stop_at)
            if stop_at is None:
                return watched, loop.train(recipe, corpus, tmp_path / folder)
            with pytest.raises(RuntimeError, match="stopped"):
                loop.train(recipe, corpus, tmp_path / folder, checkpoint_minutes=0)
            return watched, None

    whole, module = train("whole")
    before, _ = train("parts", stop_at=10)
    after, resumed = train("parts")
    assert len(before.seen) == 10
    assert len(after.seen) >= 20
    assert before.seen + after.seen == whole.seen  # every loss, every clip, in order
    assert module is not None
    assert resumed is not None
    for ours, theirs in zip(
        resumed.averaged_network().parameters(), module.averaged_network().parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_two_processes_train_one_network(tmp_path: Path, cache: Path) -> None:
    toml = write_toml(short(epochs=3, score_every=1), tmp_path / "pair.toml")
    done = subprocess.run(
        command(toml, tmp_path, cache, "--processes", "2"), stderr=subprocess.PIPE, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(epochs(tmp_path / "pair")) == 3
    assert (tmp_path / "pair" / keeper.BEST).exists()


def test_two_processes_come_to_the_gradients_of_one_over_the_same_clips(tmp_path: Path) -> None:
    program = Path(__file__).parent / "one_step.py"
    for processes in ("1", "2"):
        subprocess.run([sys.executable, program, processes, tmp_path], check=True, timeout=240, capture_output=True)
    together, *halves = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("1-0", "2-0", "2-1")]
    assert all(halves)
    assert sorted(halves[0] + halves[1]) == together  # no clip twice, none left out, and not the same work on both
    ours, theirs, other = (torch.load(tmp_path / f"{name}.pt") for name in ("2-0", "1-0", "2-1"))
    for shared, alone, same in zip(ours, theirs, other, strict=True):
        assert torch.equal(shared, same)
        # A bias before LayerNorm has no gradient but rounding: what is below a millionth is none.
        assert float((shared - alone).norm() / alone.norm().clamp(min=1e-2)) < 1e-5
    # The orthogonal steps, of which each process makes half, are the same in both, and as one process makes them.
    steps, whole, same_steps = (torch.load(tmp_path / f"{name}-steps.pt") for name in ("2-0", "1-0", "2-1"))
    assert len(steps) > 4
    for shared, alone, same in zip(steps, whole, same_steps, strict=True):
        assert torch.equal(shared, same)
        assert float((shared - alone).norm() / alone.norm()) < 1e-2


def test_ten_epochs_in_bfloat16_end_where_those_in_float32_do(
    tmp_path: Path, clips: list[Utterance], cache: Path
) -> None:
    corpus, _ = loop.prepare(short(), clips, [], cache)

    def loss_after_ten_epochs(seed: int, precision: loop.Precision) -> float:
        recipe = short(epochs=10, score_every=100, seed=seed)
        folder = tmp_path / f"{precision}-{seed}"
        loop.train(recipe, corpus, folder, machine=loop.Machine(precision=precision))
        losses = [row["loss"] for row in read_rows(folder / "steps.jsonl")]
        return float(sum(losses[-5:])) / 5

    exact = [loss_after_ten_epochs(seed, "float32") for seed in (1, 2, 3)]
    rounded = loss_after_ten_epochs(1, "bfloat16")
    noise = max(exact) - min(exact)  # what another seed changes
    assert rounded != exact[0]
    assert abs(rounded - exact[0]) < min(noise, 0.05)


def test_torchrun_trains_one_network_on_two_nodes(tmp_path: Path, cache: Path) -> None:
    toml = write_toml(short(epochs=2, score_every=1), tmp_path / "nodes.toml")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    rendezvous = ("--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-id", "test")
    start = [sys.executable, "-m", "torch.distributed.run", *rendezvous, "--rdzv-endpoint", f"127.0.0.1:{port}"]
    learn = [*start, *command(toml, tmp_path / "runs", cache)[1:]]
    nodes = [subprocess.Popen(learn, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [node.communicate(timeout=240)[1] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], said
    assert sum("2 CPU cores" in text for text in said) == 1  # one of them speaks
    assert len(epochs(tmp_path / "runs" / "nodes")) == 2


def test_a_run_of_another_recipe_is_not_gone_on_with(run: Path, clips: list[Utterance], cache: Path) -> None:
    recipe = short("tiny", epochs=41)
    corpus, _ = loop.prepare(recipe, clips, clips, cache)
    with pytest.raises(TrainingError, match="another recipe"):
        loop.train(recipe, corpus, run)


def test_the_time_limit_ends_the_run_and_its_schedule(tmp_path: Path, clips: list[Utterance], cache: Path) -> None:
    recipe = short(epochs=10_000)
    corpus, _ = loop.prepare(recipe, clips, [], cache)
    module = loop.train(recipe, corpus, tmp_path / "brief", max_hours=3 / 3600)
    assert module.done == 1.0
    assert 0 < module.steps_done < 2_000


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "last.ckpt"
    loop.AtomicCheckpointIO().save_checkpoint({"value": 1}, target)

    def full(
        *_: object, **__: object
    ) -> None:  # stands in for a disk without room, which a test cannot make everywhere
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(TrainingError, match="No space left"):
        loop.AtomicCheckpointIO().save_checkpoint({"value": 2}, target)
    monkeypatch.undo()
    assert torch.load(target, weights_only=True) == {"value": 1}
    assert list(tmp_path.iterdir()) == [target]


def test_clips_that_cannot_be_learnt_from_are_named(tmp_path: Path, clips: list[Utterance], cache: Path) -> None:
    silent = Utterance("empty", clips[0].audio_filepath)
    with pytest.raises(TrainingError, match="none of the 1 clips can be learnt from; the first, empty: no text"):
        loop.prepare(short(), [silent], [], tmp_path)


def test_clips_in_which_nobody_speaks_teach_to_write_nothing(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    quiet = []
    for name in ("rain", "wind", "train"):
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, 0.1 * random.normal(size=16_000), 16_000)
        quiet.append(Utterance(name, path, duration=1.0, text=""))
    corpus, left_out = loop.prepare(short("quiet", epochs=12, score_every=12), quiet, [], tmp_path)
    assert not left_out
    module = loop.train(short("quiet", epochs=12, score_every=12), corpus, tmp_path / "quiet")
    losses = [json.loads(line)["loss"] for line in (tmp_path / "quiet" / "steps.jsonl").read_text().splitlines()]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0] / 10
    assert module.skipped == 0


def test_a_broken_checkpoint_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"not a checkpoint")
    with pytest.raises(TrainingError, match="not a checkpoint of auricle's"):
        load_module(tmp_path / "last.ckpt")
    with pytest.raises(TrainingError, match="cannot read"):
        load_module(tmp_path / "missing.ckpt")


def test_two_views_are_drawn_to_each_other_within_their_lengths() -> None:
    torch.manual_seed(0)
    scores = torch.randn(4, 5, 7, requires_grad=True)
    log_probs, lengths = scores.log_softmax(-1), torch.tensor([5, 3, 5, 3])
    apart = disagreement(log_probs, lengths)
    apart.backward()  # type: ignore[no-untyped-call]
    one, other = log_probs.detach().exp().chunk(2)
    wanted = torch.cat((one - other, other - one))
    wanted[1::2, 3:] = 0
    torch.testing.assert_close(scores.grad, wanted)
    inside = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    both_ways = ((one - other) * (one.log() - other.log())).sum(-1) * inside
    assert float(apart.detach()) == pytest.approx(float(both_ways.sum()), rel=1e-5)
    same = log_probs.detach()[:2].repeat(2, 1, 1)
    assert float(disagreement(same, lengths)) == pytest.approx(0, abs=1e-5)


def test_a_network_that_learns_from_two_views_hears_the_same_in_both(
    tmp_path: Path, clips: list[Utterance], cache: Path
) -> None:
    def apart(agreement: float) -> float:
        recipe = short(f"agreement-{agreement}", epochs=25, score_every=100, batch_seconds=80, agreement=agreement)
        corpus, _ = loop.prepare(recipe, clips, [], cache)
        module = loop.train(recipe, corpus, tmp_path / recipe.name)
        heard = Clips(corpus.examples, corpus.store, module.normalization, recipe, 1000)
        batch = heard[[clip.id for clip in clips]]
        with torch.no_grad():
            log_probs, lengths = module.network.eval()(batch.features, batch.lengths)
        return float(disagreement(log_probs, lengths)) / int(lengths.sum())

    assert apart(4.0) < 0.5 * apart(1e-9)


@pytest.mark.parametrize("anneal", ["linear", "cosine"])
def test_the_learning_rate_makes_one_cycle(anneal: Any) -> None:
    schedule = ScheduleConfig(peak_rate=1.0, start_factor=0.1, end_factor=0.01, warmup=0.25, anneal=anneal)
    rates = [one_cycle(step / 100, schedule) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[25] == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.01)
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)


def test_a_rate_that_is_held_falls_only_after_that() -> None:
    schedule = ScheduleConfig(peak_rate=1.0, warmup=0.1, hold=0.5, anneal="linear", end_factor=0.0)
    rates = [one_cycle(step / 100, schedule) for step in range(101)]
    assert rates[10:61] == pytest.approx([1.0] * 51)
    assert rates[80] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0.0)
    with pytest.raises(ValueError, match="must leave a part of the run"):
        ScheduleConfig(warmup=0.5, hold=0.5)


def test_the_average_of_the_weights_is_scored_kept_and_exported(
    tmp_path: Path, clips: list[Utterance], cache: Path
) -> None:
    recipe = short("average", epochs=6, score_every=6, average=0.9)
    corpus, _ = loop.prepare(recipe, clips, [], cache)
    module = loop.train(recipe, corpus, tmp_path / "average")
    assert module.average is not None
    averaged = list(module.averaged_network().parameters())
    again = load_module(tmp_path / "average" / keeper.LAST)
    for mean, kept, now in zip(averaged, again.average or (), module.network.parameters(), strict=True):
        torch.testing.assert_close(mean.data, kept)
        assert not torch.equal(mean.data, now.data)
    exported = module.bundle("average").files
    module.average = None
    assert module.bundle("average").files != exported
    for parameter, mean in zip(module.network.parameters(), averaged, strict=True):
        parameter.data.copy_(mean)
    assert module.bundle("average").files == exported


def test_a_run_that_is_made_longer_goes_on_from_before_its_rate_fell(
    tmp_path: Path, clips: list[Utterance], cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = short("held", epochs=10_000, warmup=0.1, hold=0.5)
    corpus, _ = loop.prepare(recipe, clips, [], cache)
    folder = tmp_path / "held"
    first = loop.train(recipe, corpus, folder, max_hours=3 / 3600)
    held = load_module(folder / keeper.HELD)
    assert 0 < held.steps_done < first.steps_done
    assert held.hours * 3600 == pytest.approx(0.6 * 3, abs=0.5)
    second = loop.train(recipe, corpus, folder, max_hours=6 / 3600)
    assert f"resuming {folder} after step {held.steps_done} " in capfd.readouterr().err
    assert second.steps_done > held.steps_done
    # Given no more time, a run that is over is not taken back.
    third = loop.train(recipe, corpus, folder, max_hours=6 / 3600)
    assert third.steps_done == second.steps_done


def test_batches_are_accumulated_to_one_step_and_no_checkpoint_cuts_it(
    tmp_path: Path, clips: list[Utterance], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = []
    save = lightning.Trainer.save_checkpoint

    def saved(trainer: Any, *arguments: Any) -> None:
        cut.append(trainer.lightning_module.between_steps)
        save(trainer, *arguments)

    monkeypatch.setattr(lightning.Trainer, "save_checkpoint", saved)
    recipe = short("together", epochs=3, batch_seconds=12.0, accumulate=2)
    corpus, _ = loop.prepare(recipe, clips, [], cache)
    module = loop.train(recipe, corpus, tmp_path / "together", checkpoint_minutes=0)
    batches = [len(EpochPlan(corpus.examples, corpus.store, recipe, epoch=epoch)) for epoch in range(3)]
    # At an epoch's end, what is left makes a step by itself.
    assert any(count % 2 for count in batches)
    steps = sum(-(-count // 2) for count in batches)
    assert module.steps_done == steps
    assert len(cut) == steps + 3
    assert all(cut)


def test_so_many_of_the_best_models_are_kept_and_a_run_that_gains_nothing_ends(
    tmp_path: Path, clips: list[Utterance], cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # A rate this small learns nothing: all scorings are alike, so the first stays the best.
    recipe = short("still", epochs=50, score_every=2, peak_rate=1e-9, keep_best=2, patience=3)
    corpus, _ = loop.prepare(recipe, clips, clips, cache)
    folder = tmp_path / "still"
    loop.train(recipe, corpus, folder)
    assert [row["epoch"] for row in epochs(folder)] == [2, 4, 6, 8]
    assert "3 scorings without a better dev WER" in capfd.readouterr().err
    assert sorted(path.name for path in (folder / keeper.KEPT).iterdir()) == [
        "epoch-0002.auricle",
        "epoch-0004.auricle",
    ]
    assert load(folder / keeper.KEPT / "epoch-0002.auricle").transcribe(clips[0].audio_filepath) is not None


class Poisoned:
    """A corpus whose clips of some steps hold nothing but NaN."""

    def __init__(self, patch: pytest.MonkeyPatch, poisoned: Callable[[int], bool]) -> None:
        step = SpeechModule.training_step

        def training_step(module: SpeechModule, batch: Any, index: int) -> Any:
            if poisoned(module.steps_done):
                batch = batch._replace(features=batch.features * float("nan"))
            return step(module, batch, index)

        patch.setattr(SpeechModule, "training_step", training_step)


def test_a_step_whose_loss_is_no_number_is_left_out_and_counted(
    clips: list[Utterance], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = short(epochs=4)
    corpus, _ = loop.prepare(recipe, clips, clips, cache)
    Poisoned(monkeypatch, lambda step: step in {1, 2})
    module = loop.train(recipe, corpus, tmp_path / "spots")
    assert module.skipped == 2
    assert module.steps_done > 3
    assert all(torch.isfinite(weight).all() for weight in module.network.parameters())
    assert module.bundle("spots").card["steps_left_out"] == 2
    assert load_module(tmp_path / "spots" / "last.ckpt").skipped == 2


def test_a_loss_that_stays_no_number_stops_the_run_and_keeps_the_weights_from_before(
    clips: list[Utterance], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = short(epochs=60)
    corpus, _ = loop.prepare(recipe, clips, [], cache)
    Poisoned(monkeypatch, lambda step: step >= 2)
    with pytest.raises(TrainingError, match="not a number 20 times in a row: lower peak_rate"):
        loop.train(recipe, corpus, tmp_path / "nan", checkpoint_minutes=0)
    kept = load_module(tmp_path / "nan" / "last.ckpt")
    assert kept.skipped == 20
    assert all(torch.isfinite(weight).all() for weight in kept.network.parameters())
