"""What decoding costs and gains: greedy, the language model, hot words, and flashlight's decoder beside ours.

    python benchmarks/decoding.py MANIFEST... [--model BUNDLE] [--limit N] [--beam N] [--arpa LM.arpa]

Prints word error rate and seconds of decoding per second of speech on one core (processor time, so that other work on
the machine does not count); then the same with 1,000 hot words that are not said; then how many of
the rare words are found with and without them as hot words. A word is rare here when fewer than 1 in a million words of
the language model's text is that word, or it has none. The network's time is not counted, that of what is heard again
neither. With --arpa, the same language model as an ARPA file,
flashlight-text's lexicon decoder with KenLM decodes the same log-probabilities with the same weights.
"""

from __future__ import annotations

import argparse
import math
import platform
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from auricle import audio
from auricle.bundle import LANGUAGE_MODEL, PRONUNCIATIONS, RECURRENT
from auricle.decoders import beam_options, decoder_of, phone_options
from auricle.decoding import BeamDecoder, GreedyDecoder, NgramModel
from auricle.features import Array
from auricle.manifest import read_manifests
from auricle.metrics import ErrorCounts, rate_with_interval, word_errors
from auricle.recognizer import Recognizer, load

RARE = math.log(1e-6)
Clip = tuple[Array, str]


def clips_of(recognizer: Recognizer, manifests: Sequence[Path], limit: int | None, *, hearings: int = 1) -> list[Clip]:
    """Return log-probabilities and normalised texts of utterances spread over the manifests."""
    utterances = read_manifests(manifests)
    step = max(1, len(utterances) // (limit or len(utterances)))
    clips = []
    for utterance in utterances[::step]:
        waveform = audio.read(
            utterance.audio_filepath, rate=16_000, offset=utterance.offset, duration=utterance.duration
        )
        clips.append(
            (
                recognizer.log_probs(waveform, phones=True, hearings=hearings),
                recognizer.bundle.alphabet.normalise(utterance.text or ""),
            )
        )
    return clips


def measure(name: str, decode: Callable[[Array], str], clips: Sequence[Clip], seconds: float) -> list[str]:
    """Decode all clips, print a row, and return the texts."""
    start = time.process_time()
    texts = [decode(log_probs) for log_probs, _ in clips]
    spent = time.process_time() - start
    counts: list[ErrorCounts] = [word_errors(said, text) for (_, said), text in zip(clips, texts, strict=True)]
    rate = rate_with_interval(counts)
    print(
        f"{name:<44} WER {rate.value:6.2%} ({rate.low:.2%} to {rate.high:.2%})   {spent / seconds:.4f} s per s",
        flush=True,
    )
    return texts


def recall(words: set[str], texts: Sequence[str], clips: Sequence[Clip]) -> str:
    """Return how many of the times that these words are said, the text of the clip has them."""
    said = [(word, index) for index, (_, text) in enumerate(clips) for word in text.split() if word in words]
    found = sum(word in texts[index].split() for word, index in said)
    return f"{found} of {len(said)} ({found / max(1, len(said)):.1%})"


def flashlight(model: NgramModel, arpa: Path, recognizer: Recognizer, options: Any) -> Callable[[Array], str]:
    """Return flashlight-text's lexicon decoder with KenLM, set as ours is."""
    from flashlight.lib.text.decoder import (
        CriterionType,
        KenLM,
        LexiconDecoder,
        LexiconDecoderOptions,
        SmearingMode,
        Trie,
    )
    from flashlight.lib.text.dictionary import Dictionary

    alphabet = recognizer.bundle.alphabet
    words = [word for word in model.words[3:] if alphabet.normalise(word) == word]
    dictionary = Dictionary([*words, "<unk>"])
    lm = KenLM(str(arpa), dictionary)
    space = alphabet.encode(" ")[0]
    trie = Trie(alphabet.tokens, space)
    state = lm.start(False)
    for word in words:
        label = dictionary.get_index(word)
        trie.insert([*alphabet.encode(word), space], label, lm.score(state, label)[1])
    trie.smear(SmearingMode.MAX)
    settings = LexiconDecoderOptions(
        beam_size=options.beam,
        beam_size_token=alphabet.tokens,
        beam_threshold=options.beam_threshold,
        lm_weight=options.alpha * math.log(10),  # KenLM's scores are decimal logarithms
        word_score=options.beta,
        unk_score=-math.inf,
        sil_score=0.0,
        log_add=True,
        criterion_type=CriterionType.CTC,
    )
    decoder = LexiconDecoder(settings, trie, lm, space, 0, dictionary.get_index("<unk>"), [], False)

    def decode(log_probs: Array) -> str:
        frames = np.ascontiguousarray(log_probs[:, : alphabet.tokens], np.float32)
        best = decoder.decode(frames.ctypes.data, *frames.shape)[0]
        return " ".join(dictionary.get_entry(word) for word in best.words if word >= 0)

    return decode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifests", nargs="+", type=Path)
    parser.add_argument("--model", help="a bundle with a language model; default: English")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--beam", type=int, help="texts that a search keeps; default: the bundle's")
    parser.add_argument("--arpa", type=Path)
    arguments = parser.parse_args()
    recognizer = load(arguments.model, threads=1)
    bundle = recognizer.bundle
    model = NgramModel.from_bytes(bundle.files[LANGUAGE_MODEL])
    options = beam_options(bundle)
    if arguments.beam:
        options = replace(options, beam=arguments.beam)
    hearings = phone_options(bundle).hearings if PRONUNCIATIONS in bundle.files else 1
    clips = clips_of(recognizer, arguments.manifests, arguments.limit, hearings=hearings)
    seconds = bundle.frame_seconds * sum(len(log_probs) for log_probs, _ in clips)
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {len(clips)} clips, {seconds / 60:.1f} min, {options}")

    alone = clips_of(load(arguments.model, threads=1, language_model=False), arguments.manifests, arguments.limit)

    def first(log_probs: Array) -> Array:
        return log_probs[:, : bundle.tokens]

    greedy = GreedyDecoder(bundle.alphabet)
    measure("greedy", lambda x: greedy.decode(x)[0].text, alone, seconds)
    plain = decoder_of(bundle, language_model=False, beam=options.beam)
    measure("beam, no language model", lambda x: plain.decode(x)[0].text, alone, seconds)
    fused = BeamDecoder(bundle.alphabet, model, options)
    without = measure("beam, language model", lambda x: fused.decode(x)[0].text, clips, seconds)
    spoken = decoder_of(bundle, beam=arguments.beam)
    if RECURRENT in bundle.files:
        without_it = replace(bundle, files={name: held for name, held in bundle.files.items() if name != RECURRENT})
        judged = decoder_of(without_it, beam=arguments.beam)
        measure("beam by phones, n-grams alone", lambda x: judged.decode(first(x))[0].text, clips, seconds)
    if PRONUNCIATIONS in bundle.files:
        measure("beam by phones, language model", lambda x: spoken.decode(first(x))[0].text, clips, seconds)
    if hearings > 1:
        measure(f"the same, heard up to {hearings} times", lambda x: spoken.decode(x)[0].text, clips, seconds)

    said = {word for _, text in clips for word in text.split()}
    chance = random.Random(1)
    others = sorted({word for word in model.words[3:] if len(word) > 3} - said)
    never = chance.sample(others, 1000)
    measure(
        "beam, language model, 1,000 hot words unsaid",
        lambda x: fused.decode(x, hot_words=never)[0].text,
        clips,
        seconds,
    )
    rare = {
        word for word in said if word not in model.ids or (len(word) > 3 and model.unigrams[model.ids[word]] < RARE)
    }
    hot = sorted(rare)
    texts = measure(
        f"beam, language model, {len(hot)} rare words hot",
        lambda x: fused.decode(x, hot_words=hot)[0].text,
        clips,
        seconds,
    )
    print(f"rare words found: {recall(rare, without, clips)} without, {recall(rare, texts, clips)} as hot words")
    if PRONUNCIATIONS in bundle.files:
        for name, words in ("1,000 hot words unsaid", never), (f"{len(hot)} rare words hot", hot):
            texts = measure(
                f"by phones, {name}",
                lambda x, words=words: spoken.decode(x, hot_words=words)[0].text,  # type: ignore[misc]
                clips,
                seconds,
            )
        print(f"rare words found by phones: {recall(rare, texts, clips)} as hot words")
    if arguments.arpa:
        measure(
            "flashlight-text with KenLM, the same weights",
            flashlight(model, arguments.arpa, recognizer, options),
            clips,
            seconds,
        )


if __name__ == "__main__":
    main()
