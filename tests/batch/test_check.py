"""`auricle data check --engine local`: what it finds is what this process finds, and what kills a process as well."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from auricle.batch.engine import Engine
from auricle.batch.on_ray import RayWorker
from auricle.batch.stages import Checker
from auricle.corpora.check import listen
from auricle.corpora.findings import Kind
from auricle.manifest import Utterance

from .conftest import Command, manifest_of_damage

LOCAL = ("--engine", "local", "--processes", "2")


@pytest.fixture
def damaged(clips: Path, tmp_path: Path) -> Path:
    return manifest_of_damage(clips, tmp_path / "damaged")


@pytest.mark.parametrize("more", [(), ("--align",)])
def test_every_byte_of_the_result_is_that_of_this_process(
    shell: Command, damaged: Path, toy_bundle: Path, tmp_path: Path, more: tuple[str, ...]
) -> None:
    asked = ["data", "check", damaged, "--model", toy_bundle, *more]
    cleaned = tmp_path / "cleaned.jsonl"
    results = []
    for engine in ((), LOCAL):
        table, document = shell(*asked, *engine), shell(*asked, *engine, "--json", "-o", cleaned)
        results.append([table.returncode, table.stdout, table.stderr, document.stdout, cleaned.read_bytes()])
        cleaned.unlink()
    assert results[1] == results[0]
    assert results[0][0] == 1
    found = json.loads(document.stdout)
    expected = set(Kind) - (set() if more else {Kind.MISMATCH})
    assert {kind for kind, count in found["counts"].items() if count} == expected
    assert bool(found["scores"]) == bool(more)


def test_a_recording_that_kills_is_unreadable_by_its_name_and_the_others_are_checked(
    shell: Command, damaged: Path, poison: dict[str, str], toy_bundle: Path
) -> None:
    asked = ["data", "check", damaged, "--model", toy_bundle, "--align", "--json", *LOCAL]
    undisturbed, done = json.loads(shell(*asked).stdout), shell(*asked, env=poison)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    (killer,) = [one for one in found["findings"] if one["id"] == "poison" and one["kind"] == "unreadable"]
    file = damaged.with_name("poison.flac")
    assert killer["detail"] == f"{file} ended the process that read it, more than once: it is set aside."
    assert [one for one in found["findings"] if one["id"] != "poison"] == undisturbed["findings"]
    assert found["scores"] == {name: score for name, score in undisturbed["scores"].items() if name != "poison"}


def test_where_all_is_dropped_nothing_is_aligned(shell: Command, toy_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"audio_filepath": "gone.wav", "text": "oh"}')
    done = shell("data", "check", tmp_path / "m.jsonl", "--model", toy_bundle, "--align", "--json", *LOCAL)
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout)["counts"]["unreadable"] == 1


def test_an_actor_of_ray_answers_as_this_process_does(clips: Path) -> None:
    utterance = Utterance("a", clips / "austen-0880.flac")
    with closing(Checker(16_000, None)) as checker:
        (made,) = RayWorker(lambda settings: checker, None, [])({"value": pickle.dumps((3, utterance))}).values()
    assert pickle.loads(made) == (3, listen(utterance, rate=16_000))


def test_answers_of_a_cluster_are_put_in_order_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="the extra ray is not installed")

    def disordered(given: Iterator[tuple[int, Utterance]], **_: object) -> Iterator[tuple[int, str]]:
        answers = [(number, utterance.id) for number, utterance in given]
        yield from (answers[index] for index in (2, 0, 0, 1, 1, 2, 3))

    monkeypatch.setattr("auricle.batch.on_ray.run_ray", disordered)
    utterances = [Utterance(name, Path(f"/{name}.wav")) for name in "abcd"]
    assert list(Engine("ray").check(utterances, 16_000)) == list("abcd")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--address", "x:1"], "only --engine ray has an address"),
        (["--processes", "2"], "only --engine has workers to count"),
        (["--engine", "local", "--threads", "2"], "give --processes"),
    ],
)
def test_wrong_usage(shell: Command, arguments: list[str], said: str) -> None:
    done = shell("data", "check", "m.jsonl", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())
