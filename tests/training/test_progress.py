"""What a run says of the time it will take."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from auricle.features import Normalization
from auricle.training import progress
from auricle.training.module import SpeechModule
from auricle.training.recipe import make_recipe

NETWORK = {"channels": 2, "residual_layers": 0, "gru_layers": 1, "gru_hidden": 4, "gru_input": 4}


def test_a_resumed_run_measures_from_where_it_was_resumed() -> None:
    clock = 1000.0
    recipe = make_recipe({"name": "r", "features": {"mel": 4}, "network": NETWORK}, "test")
    module = SpeechModule(recipe, Normalization(np.zeros(4, np.float32), np.ones(4, np.float32)))
    module.batches, module.audio_hours = 100, 40.0
    trainer: Any = SimpleNamespace(
        is_global_zero=True, current_epoch=0, optimizers=[SimpleNamespace(param_groups=[{"lr": 0.1}])]
    )
    # Its own clock: that of the process is also the server's, which another test's file has left running.
    teller = progress.TrainingProgress(clock=lambda: clock)
    teller.on_train_start(trainer, module)
    # The schedule is asked where it stands when the first batch begins: nine tenths are over.
    module.done, clock = 0.9, 1010.0
    teller.on_train_batch_end(trainer, module, {"loss": 1.0}, None, 0)
    module.done, module.audio_hours, clock = 0.95, 42.0, 1010.0 + 3600
    assert "2 h of audio per hour  95.0% done, 1:00:00 left" in teller.line(trainer, module)
