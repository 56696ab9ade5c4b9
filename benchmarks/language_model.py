"""Language models: our builder against kaldingram, and our queries against KenLM's, on a text of one's own.

    python benchmarks/language_model.py TEXT --heldout FILE [--order 4] [--prune "0 0 0 0"] [--lines N]

The builders get the same normalised sentences, one a line, each in a process of its own, and write ARPA; seconds are of
the processor, memory is the most that the process had. kaldingram's models are Kneser-Ney too, with one discount an
order and without interpolation; it cuts n-grams off by other counts, so compare unpruned models. Queries are words at
random places of the held-out text, 64 in a call of ours, one in a call of KenLM's (from flashlight-text); the least and
the median of the repeats stand. Both packages are optional.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auricle.alphabet import ENGLISH
from auricle.decoding.ngram import NgramModel
from auricle.language.arpa import read_arpa, write_arpa
from auricle.language.corpus import choose_vocabulary, make_corpus, token_ids
from auricle.language.estimate import estimate
from auricle.language.text import read_sentences

TOGETHER, CALLS = 64, 1000


def sentences(path: Path) -> list[str]:
    """Return the sentences of a text or a manifest."""
    return [sentence for line in read_sentences(path, ENGLISH) for sentence in line]


def build_ours(text: Path, arpa: Path, order: int, prune: Sequence[int]) -> None:
    """Build with auricle."""
    with text.open(encoding="utf-8") as file:
        corpus = make_corpus([line.strip()] for line in file)
    words = choose_vocabulary(corpus, 1 << 16)
    write_arpa(estimate(token_ids(corpus, words), corpus.starts, words, order=order, prune=prune).trie, arpa)


def build_kaldingram(text: Path, arpa: Path, order: int, prune: Sequence[int]) -> None:
    """Build with kaldingram."""
    from kaldingram import cli

    cutoffs = [f"--gt{size}min={most + 1}" for size, most in enumerate(prune, start=1) if most]
    cli.main(["train", f"--ngram-order={order}", f"--text={text}", f"--lm={arpa}", *cutoffs])


def measured(build: Callable[..., None], results: Any, *arguments: object) -> None:
    """Run a builder; put processor seconds and megabytes into `results`."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    build(*arguments)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    results.put((time.process_time() - start, peak / 1024, before / 1024))


def alone(build: Callable[..., None], *arguments: object) -> tuple[float, float, float]:
    """Run a builder in a process of its own."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=measured, args=(build, results, *arguments))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{build.__name__} failed: see above.")
    return results.get()  # type: ignore[no-any-return]


def repeated(call: Callable[[int], object]) -> str:
    """Return the least and the median microseconds of calls."""
    spent = []
    for index in range(CALLS):
        start = time.perf_counter()
        call(index)
        spent.append(1e6 * (time.perf_counter() - start))
    return f"{min(spent):.0f} us at least, {statistics.median(spent):.0f} us in the median"


def time_ours(model: NgramModel, heldout: list[str]) -> str:
    """Return the time of 64 words in one call."""
    states, words = [], []
    for sentence in heldout:
        state = model.start()[None]
        for word in sentence.split():
            states.append(state[0])
            words.append(model.ids.get(word, 0))
            state = model.score(state, np.array(words[-1:]))[1]
    chosen = at_random(len(words))
    before, following = np.array(states)[chosen], np.array(words)[chosen]
    return repeated(lambda call: model.score(before[call], following[call]))


def time_kenlm(arpa: Path, model: NgramModel, heldout: list[str]) -> str:
    """Return the time of 64 words in 64 calls."""
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    dictionary = Dictionary()
    for word in model.words:
        dictionary.add_entry(word)
    kenlm = KenLM(str(arpa), dictionary)
    places = []
    for sentence in heldout:
        state = kenlm.start(False)
        for word in sentence.split():
            places.append((state, model.ids.get(word, 0)))
            state, _ = kenlm.score(*places[-1])
    calls = [[places[place] for place in row] for row in at_random(len(places)).tolist()]
    return repeated(lambda call: [kenlm.score(state, word) for state, word in calls[call]])


def at_random(places: int) -> NDArray[np.int64]:
    """Return so many places for each call."""
    return np.random.default_rng(0).integers(0, places, (CALLS, TOGETHER))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--heldout", type=Path, required=True)
    parser.add_argument("--order", type=int, default=4)
    parser.add_argument("--prune", default="0 0 0 0")
    parser.add_argument("--lines", type=int, help="read only so many lines of the text")
    arguments = parser.parse_args()
    prune = [int(value) for value in arguments.prune.split()]
    heldout = sentences(arguments.heldout)
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        lines = islice(read_sentences(arguments.text, ENGLISH), arguments.lines)
        text.write_text("".join(f"{sentence}\n" for line in lines for sentence in line), encoding="utf-8")
        print(f"{len(text.read_text().split()):,} words")
        for name, build in (("auricle", build_ours), ("kaldingram", build_kaldingram)):
            arpa = Path(folder) / f"{name}.arpa"
            try:
                seconds, peak, base = alone(build, text, arpa, arguments.order, prune)
            except SystemExit as error:
                print(error)
                continue
            model = NgramModel(read_arpa(arpa))
            report = model.perplexity(map(str.split, heldout))
            counts = " + ".join(f"{count:,}" for count in model.trie.counts)
            print(f"{name}: {seconds:.1f} s, {peak:.0f} MB ({base:.0f} MB before), {counts} n-grams")
            print(
                f"{name}: perplexity {report.known_perplexity:.1f}, without {100 * report.oov_rate:.2f} % unknown words"
            )
        arpa = Path(folder) / "auricle.arpa"
        model = NgramModel(read_arpa(arpa))
        print(f"{TOGETHER} words, auricle, one call: {time_ours(model, heldout)}")
        try:
            print(f"{TOGETHER} words, KenLM, a call each: {time_kenlm(arpa, model, heldout)}")
        except ModuleNotFoundError:
            print("KenLM: not installed (pip install flashlight-text)")
        content = model.to_bytes()
        start = time.perf_counter()
        NgramModel.from_bytes(content)
        print(f"loading {len(content) / 1e6:.1f} MB: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
