"""One training step over all five clips, as a program: `one_step.py PROCESSES FOLDER` leaves what came of it.

These are the gradients, the clips (by the lengths of their texts), and the steps that Muon makes of the gradients.

The test runs it with one process and with two, which must come to the same ones. Nothing is dropped or masked by chance
that would differ between them.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from auricle.manifest import read_manifest
from auricle.training import loop, muon
from auricle.training import module as training_module
from auricle.training.ctc import ctc_loss
from auricle.training.data import Batch
from auricle.training.module import SpeechModule
from auricle.training.recipe import read_recipe

ROOT = Path(__file__).parent.parent.parent


def main(processes: int, folder: Path) -> None:
    recipe = read_recipe(ROOT / "recipes" / "tiny.toml")
    recipe = replace(
        recipe,
        schedule=replace(recipe.schedule, epochs=1, batch_seconds=40.0, optimizer="muon"),
        network=replace(recipe.network, auxiliary_layer=1),
    )
    clips = read_manifest(ROOT / "tests" / "clips" / "clips.jsonl")
    corpus, _ = loop.prepare(recipe, clips, [], folder / "cache")

    def keep(module: SpeechModule, optimizer: torch.optim.Optimizer) -> None:
        rank = module.trainer.global_rank
        torch.save([parameter.grad for parameter in module.network.parameters()], folder / f"{processes}-{rank}.pt")

    share = muon._shared

    def shared(matrices: list[torch.Tensor]) -> list[torch.Tensor]:
        steps = share(matrices)
        torch.save(steps, folder / f"{processes}-{0 if processes == 1 else torch.distributed.get_rank()}-steps.pt")
        return steps

    muon._shared = shared

    # In float32, CTC is itself right to about 1e-5 on clips like these where it is PyTorch's, and would hide what is
    # looked for.
    def in_double(log_probs: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        return ctc_loss(log_probs.double(), *rest).float()

    training_module.ctc_loss = in_double  # type: ignore[attr-defined,assignment]
    step = SpeechModule.training_step

    def seen(module: SpeechModule, batch: Batch, index: int) -> torch.Tensor:
        path = folder / f"{processes}-{module.trainer.global_rank}.json"
        path.write_text(json.dumps(sorted(batch.target_lengths.tolist())))
        assert index == 0
        return step(module, batch, index)

    SpeechModule.on_before_optimizer_step = keep  # type: ignore[method-assign,assignment]
    SpeechModule.training_step = seen  # type: ignore[method-assign,assignment]
    loop.train(recipe, corpus, folder / f"run-{processes}", machine=loop.Machine(processes, precision="float32"))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
