"""`auricle data listen`: what a network hears in training, for people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auricle.cli.data import data_app
from auricle.errors import AuricleError, MissingExtraError, RecipeError
from auricle.manifest import read_manifest, read_manifests


@data_app.command()
def listen(  # noqa: PLR0917  (typer makes options of them)
    manifest: Annotated[Path, typer.Argument(metavar="M.jsonl", help="Clips to take, spread over the manifest.")],
    recipe: Annotated[Path, typer.Option(metavar="RECIPE.toml", help="Whose [waveform] distorts them.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the WAV files.")],
    noise: Annotated[
        list[Path] | None, typer.Option("--noise", metavar="M.jsonl", help="Manifest of noise, as for training.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Number of clips.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Another number draws other distortions.")] = 0,
) -> None:
    """Write some clips as a recipe distorts them for training, to be listened to.

    Each file's name says what was done. Masks and stretching are done to features and cannot be heard.
    """
    try:
        import numpy as np
        import soundfile

        from auricle.training.data import distorter_of
        from auricle.training.recipe import read_recipe
        from auricle.training.store import samples_of
    except ModuleNotFoundError as error:
        raise MissingExtraError("training", "train") from error

    chosen = read_recipe(recipe)
    if not chosen.waveform.any:
        raise RecipeError(f"{recipe}: distorts no waveforms: give its [waveform] a probability, such as noise = 0.3.")
    utterances = read_manifest(manifest)
    distorter = distorter_of(chosen, utterances, read_manifests(noise or []))
    rng = np.random.default_rng(seed)
    output.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        utterance = utterances[number * len(utterances) // count]
        plan: list[str] = []
        while not plan:
            plan = distorter.plan(rng)
        rate = chosen.features.sample_rate
        samples = distorter(samples_of(utterance, rate), plan, rng)
        path = output / f"{number + 1:02d}-{'-'.join(plan)}-{utterance.id.replace('/', '_')}.wav"
        try:
            soundfile.write(path, np.clip(samples, -1, 1), rate)
        except (OSError, soundfile.SoundFileError) as error:
            raise AuricleError(f"{path} cannot be written: {error}.") from error
        typer.echo(f"{path}  {utterance.text or ''}")
