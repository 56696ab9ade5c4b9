from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import Run

from auricle import load
from auricle.evaluation import evaluate
from auricle.manifest import read_manifest, write_manifest
from auricle.report import Report


@pytest.fixture(scope="module")
def report(toy_bundle: Path, clips: Path) -> Report:
    toy = load(toy_bundle, threads=1)
    return evaluate(read_manifest(clips / "clips.jsonl"), toy, normalise=toy.bundle.alphabet.normalise)


@pytest.fixture
def parts(clips: Path, tmp_path: Path) -> list[Path]:
    utterances = read_manifest(clips / "clips.jsonl")
    paths = [tmp_path / "first.jsonl", tmp_path / "second.jsonl"]
    write_manifest(utterances[:2], paths[0])
    write_manifest(utterances[2:], paths[1])
    return paths


def test_it_prints_what_the_report_says(shell: Run, toy_bundle: Path, clips: Path, report: Report) -> None:
    result = shell("evaluate", "--manifest", clips / "clips.jsonl", "--model", toy_bundle, "--threads", 1)
    assert (result.code, result.err) == (0, "")
    title, wer, cer, words, audio, speed = result.out.splitlines()
    assert title == str(clips / "clips.jsonl")
    assert wer.split() == [
        "WER", f"{report.wer.value:.2%}", "(95", "%:", f"{report.wer.low:.2%}", "to", f"{report.wer.high:.2%})"
    ]  # fmt: skip
    assert cer.split()[:2] == ["CER", f"{report.cer.value:.2%}"]
    assert (
        words.split()[1:]
        == (
            f"{report.words.reference_length}: {report.substitutions} substituted (S), {report.deletions} deleted (D), "
            f"{report.insertions} inserted (I)"
        ).split()
    )
    assert audio.split()[1:] == ["24.7", "s", "in", "5", "utterances,", "0", "skipped"]
    assert "RTF 0.0" in speed


def test_readable_text_is_scored_apart_where_the_texts_have_it(
    auricle: Run, toy_bundle: Path, clips: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "printed.jsonl"
    text = "He might even have been made amiable himself."
    manifest.write_text(json.dumps({"audio_filepath": str(clips / "austen-0930.flac"), "text": text}) + "\n")
    result = auricle("evaluate", "-m", manifest, "--model", toy_bundle)
    title, *rows = result.out[result.out.index("  readable text") :].splitlines()
    assert title == "  readable text, 1 utterances"
    assert rows[0].split()[:2] == [".", "F1"]
    document = json.loads(auricle("evaluate", "-m", manifest, "--model", toy_bundle, "--json").out)
    assert document["pooled"]["readable"]["utterances"] == 1
    assert document["pooled"]["readable"]["scores"]["."]["count"] == 1
    plain = auricle("evaluate", "-m", clips / "clips.jsonl", "--model", toy_bundle)
    assert "readable" not in plain.out


def test_several_manifests_are_scored_apart_and_pooled(
    auricle: Run, toy_bundle: Path, parts: list[Path], report: Report
) -> None:
    result = auricle("evaluate", "-m", parts[0], "-m", parts[1], "--model", toy_bundle, "--json")
    document = json.loads(result.out)
    assert document["model"] == "toy"
    assert [one["manifest"] for one in document["manifests"]] == [str(path) for path in parts]
    assert [one["utterances"] for one in document["manifests"]] == [2, 3]
    assert document["pooled"]["utterances"] == 5
    for kind in ("substitutions", "deletions", "insertions"):
        assert document["pooled"][kind] == getattr(report, kind)
        assert document["pooled"][kind] == sum(one[kind] for one in document["manifests"])
    assert document["pooled"]["wer"]["value"] == pytest.approx(report.wer.value)
    text = auricle("evaluate", "-m", parts[0], "-m", parts[1], "--model", toy_bundle).out
    assert f"all together\n  WER   {report.wer.value:8.2%}" in text


def test_what_cannot_be_scored_is_counted_and_the_code_is_1(
    auricle: Run, toy_bundle: Path, clips: Path, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "moment.wav", np.zeros(99), 16_000)
    rows = [
        {"audio_filepath": str(clips / "austen-0930.flac"), "text": "he might even have been made amiable himself"},
        {"audio_filepath": "missing.wav", "text": "a"},
        {"audio_filepath": "moment.wav", "text": "b"},
    ]
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = auricle("evaluate", "-m", manifest, "--model", toy_bundle)
    assert result.code == 1
    assert "in 1 utterances, 2 skipped" in result.out
    assert result.err.count("\n") == 1
    assert "2 of 3" in result.err
    assert "missing" in result.err


def test_the_pipeline_of_a_batch_finds_what_this_process_finds(
    auricle: Run, toy_bundle: Path, clips: Path, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow", reason="the extra ray is not installed")
    rows = [json.loads(line) for line in (clips / "clips.jsonl").read_text().splitlines()]
    rows = [row | {"audio_filepath": str(clips / row["audio_filepath"])} for row in rows]
    rows.insert(1, {"id": "gone", "audio_filepath": "missing.wav", "text": "a"})
    rows.insert(2, {"id": "mute", "audio_filepath": str(clips / "austen-0930.flac")})
    rows[0]["text"] = rows[0]["text"].capitalize() + "."
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = ["evaluate", "-m", manifest, "-m", clips / "clips.jsonl", "--model", toy_bundle, "--json"]
    here, spread = auricle(*asked), auricle(*asked, "--engine", "local", "--processes", 2)
    assert (here.code, spread.code) == (1, 1)
    assert spread.err == here.err
    first, second = json.loads(here.out), json.loads(spread.out)
    assert second["pooled"]["recognition_seconds"] > 0
    assert len(first["manifests"][0]["rows"]) == 5
    for one, other in zip(first["manifests"], second["manifests"], strict=True):
        assert [_scored(row) for row in other["rows"]] == [_scored(row) for row in one["rows"]]
        assert other["failures"] == one["failures"]
        assert other["readable"] == one["readable"]


def _scored(row: dict[str, object]) -> list[object]:
    return [row[name] for name in ("id", "reference", "hypothesis", "duration", "readable", "wer", "cer")]


def test_nothing_scored_is_still_a_report(auricle: Run, toy_bundle: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"audio_filepath": "missing.wav", "text": "a"}\n')
    assert "nothing was scored" in auricle("evaluate", "-m", manifest, "--model", toy_bundle).out
    document = json.loads(auricle("evaluate", "-m", manifest, "--model", toy_bundle, "--json").out)
    assert document["pooled"]["wer"]["value"] is None


def test_report_and_limit(auricle: Run, toy_bundle: Path, clips: Path, tmp_path: Path) -> None:
    page = tmp_path / "new" / "report.html"
    result = auricle(
        "evaluate", "-m", clips / "clips.jsonl", "--limit", 2, "--report", page, "--model", toy_bundle, "--json"
    )
    (one,) = json.loads(result.out)["manifests"]
    ids = [utterance.id for utterance in read_manifest(clips / "clips.jsonl")]
    assert [row["id"] for row in one["rows"]] == [ids[0], ids[2]]
    assert "<title>clips</title>" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "--manifest"),
        (["-m", "a.jsonl", "-m", "./a.jsonl"], 2, "twice"),
        (["-m", "a.jsonl", "--limit", "0"], 2, "--limit"),
        (["-m", "a.jsonl", "--address", "x:1"], 2, "only --engine ray has an address"),
        (["-m", "a.jsonl", "--processes", "2"], 2, "only --engine has workers to count"),
        (["-m", "a.jsonl", "--engine", "local", "--threads", "2"], 2, "give --processes"),
        (["-m", "a.jsonl"], 1, "auricle: a.jsonl: cannot read the manifest"),
    ],
)
def test_wrong_usage(auricle: Run, arguments: list[str], code: int, said: str) -> None:
    result = auricle("evaluate", *arguments)
    assert (result.code, result.out) == (code, "")
    assert said in " ".join(result.err.split())
