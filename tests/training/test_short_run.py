from __future__ import annotations

import os
import signal

import pytest

from auricle.training.short_run import Progress, run


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_after_its_step_and_is_then_handled_as_before(asked: signal.Signals) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    told: list[Progress] = []

    def take(step: int, share: float) -> tuple[float, int]:
        if step == 7:
            os.kill(os.getpid(), asked)
        return float(step), 10

    end = run(take, lambda step, _: step / 1000, max_minutes=None, clock=lambda: 0.0, tell=told.append)
    assert end == told[-1] == Progress(7 / 1000, 7, 4.0, 70, asked)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_second_signal_is_not_waited_for() -> None:
    def take(step: int, share: float) -> tuple[float, int]:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return 0.0, 1

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(take, lambda step, _: 0.0, max_minutes=None, clock=lambda: 0.0, tell=lambda _: None)
    assert signal.getsignal(signal.SIGINT) == before


def test_a_run_that_nothing_stops_ends_with_its_share() -> None:
    told: list[Progress] = []
    end = run(
        lambda step, _: (1.0, 2), lambda _, words: words / 60, max_minutes=None, clock=lambda: 0, tell=told.append
    )
    assert end == Progress(1.0, 30, 1.0, 60, 0)
    assert [progress.step for progress in told] == [25, 30]
