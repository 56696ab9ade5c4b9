"""`auricle data synthesize`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auricle.cli.data import announce, data_app
from auricle.cli.terminal import Bar, Processes


@data_app.command()
def synthesize(  # noqa: PLR0917  (typer makes options of them)
    texts: Annotated[
        list[Path],
        typer.Argument(metavar="TEXT...", help="Text (.txt, .xz, .gz), a paragraph a line, or manifests with texts."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where recordings and train.jsonl go.")],
    hours: Annotated[float, typer.Option(min=0.0, metavar="H", help="Hours of speech to make.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Which sentences, and how they are said.")] = 0,
    exclude: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="What a model will be measured by, a manifest or a text: sentences that share 8 words in a row with "
            "it are left out. May be given several times.",
        ),
    ] = None,
    exclude_hashes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The same, as a file of 64-bit BLAKE2b hashes of 8 words in a row. Slower."),
    ] = None,
    kokoro: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="MODEL.onnx VOICES.bin",
            help="Speak with Kokoro's voices instead, mixed anew for each sentence; needs `kokoro-onnx`, whose page "
            "says where both files are.",
        ),
    ] = None,
    processes: Processes = None,
) -> None:
    """Have sentences spoken by a synthesiser, for words that no recording at hand has; needs `hibari-tts`.

    Its one voice is moved up and down, quicker and slower; Kokoro's are many, and take sixty times as long. A network
    learns words and spellings from them, and hardly voices: give the manifest to `auricle train` beside recordings of
    people, with less weight. Sentences with digits, initials or signs are passed over, as a voice may say something
    else than a text has.
    """
    from auricle.alphabet import ENGLISH
    from auricle.corpora.synthesis import Sentence, synthesize
    from auricle.corpora.voices import Hibari, Kokoro
    from auricle.language.spoken import read_spoken

    voice = Kokoro(*kokoro) if kokoro else Hibari()
    voice.check()
    with Bar("reading") as bar:
        pairs = read_spoken(texts, ENGLISH, exclude=exclude or [], exclude_hashes=exclude_hashes)
        sentences = [Sentence(*pair) for pair in pairs]
        collected = synthesize(
            sentences, output, hours=hours, seed=seed, voice=voice, processes=processes, progress=bar.tell
        )
    announce(collected, output / "train.jsonl")
