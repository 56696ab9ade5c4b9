"""`auricle data check`: one damage each, on real speech."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from command import Result, Run

from auricle import audio
from auricle.alphabet import ENGLISH, Alphabet
from auricle.corpora.check import Limits, unwritable
from auricle.features import FeatureConfig
from auricle.manifest import Utterance, read_manifest, write_manifest

RATE = 16_000


@pytest.fixture
def folder(tmp_path: Path, clips: Path) -> Path:
    """The clips and their manifest, which nothing is wrong with."""
    for path in clips.glob("*.flac"):
        shutil.copy(path, tmp_path)
    shutil.copy(clips / "clips.jsonl", tmp_path / "clips.jsonl")
    return tmp_path


def with_row(folder: Path, **row: object) -> Path:
    """The manifest with one more line, which is a whole clip where it does not say otherwise."""
    row = {"id": "new", "audio_filepath": "austen-0880.flac", "text": "he was not an ill disposed young man", **row}
    path = folder / "clips.jsonl"
    path.write_text(path.read_text() + json.dumps({key: value for key, value in row.items() if value is not None}))
    return path


def found(auricle: Run, path: Path, *options: str) -> tuple[Result, list[dict[str, Any]]]:
    result = auricle("data", "check", path, "--json", *options)
    return result, json.loads(result.out)["findings"]


def test_nothing_is_found_where_nothing_is_wrong(auricle: Run, folder: Path) -> None:
    result = auricle("data", "check", folder / "clips.jsonl")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        f"{folder}/clips.jsonl: 5 utterances, 24.7 s decoded",
        "nothing wrong was found",
    ]


def quiet(folder: Path, gain: float) -> str:
    samples, _ = soundfile.read(folder / "austen-0880.flac", dtype="float32")
    soundfile.write(folder / "changed.wav", np.clip(samples * gain, -1, 1), RATE, subtype="FLOAT")
    return "changed.wav"


@pytest.mark.parametrize(
    ("row", "kind", "detail"),
    [
        ({"audio_filepath": "gone.flac"}, "unreadable", "gone.flac"),
        ({"audio_filepath": "clips.jsonl"}, "unreadable", "clips.jsonl is damaged or not a recording"),
        ({"offset": 3.5}, "unreadable", "is 2.99 seconds long and has nothing at 3.5"),
        ({"text": None}, "no_text", "the text is empty."),
        ({"text": " ?! "}, "no_text", "it is ' ?! '"),
        ({"text": "he was 3 men"}, "characters", "3 in 'he was 3 men'"),
        ({"text": "it cost 2 € in Яд"}, "characters", "2 € Я д in"),
        ({"id": "austen-0930"}, "duplicate_id", "line 6 has the id of line 5."),
        ({"text": "he was not an ill disposed young man " * 5}, "too_short", "184 characters need"),
        ({"duration": 5.5}, "duration", "2.99 s, not 5.50 s."),
        ({"offset": 1.0, "duration": 2.5}, "duration", "1.99 s, not 2.50 s."),
    ],
)
def test_each_damage_is_found_and_nothing_else(
    auricle: Run, folder: Path, row: dict[str, object], kind: str, detail: str
) -> None:
    result, findings = found(auricle, with_row(folder, **row))
    assert result.code == 1
    assert [(one["kind"], one["line"]) for one in findings] == [(kind, 6)]
    assert detail in findings[0]["detail"]


def test_a_line_that_is_no_utterance_is_found_among_the_others(auricle: Run, folder: Path) -> None:
    path = folder / "clips.jsonl"
    path.write_text("{oh\n" + path.read_text())
    _, findings = found(auricle, path)
    assert [(one["kind"], one["line"]) for one in findings] == [("line", 1)]


@pytest.mark.parametrize(("decibels", "kinds"), [(-30, []), (-60, ["silent"]), (12, []), (40, ["clipped"])])
def test_silence_and_clipping_are_told_from_quiet_and_loud(
    auricle: Run, folder: Path, decibels: float, kinds: list[str]
) -> None:
    peak = float(np.abs(audio.read(folder / "austen-0880.flac").samples).max())
    name = quiet(folder, 10 ** (decibels / 20) if decibels > 12 else 10 ** (min(decibels, -0.5) / 20) / peak)
    _, findings = found(auricle, with_row(folder, audio_filepath=name))
    assert [one["kind"] for one in findings] == kinds


def test_clipped_recordings_alone_are_no_failure(auricle: Run, folder: Path) -> None:
    path = with_row(folder, audio_filepath=quiet(folder, 100))
    result = auricle("data", "check", path)
    assert result.code == 0
    assert "clipped" in result.out
    assert "kept" in result.out


def test_a_stated_duration_below_the_files_is_a_part_where_others_are_in_it(auricle: Run, folder: Path) -> None:
    shutil.copy(folder / "austen-0880.flac", folder / "own.flac")
    path = with_row(folder, audio_filepath="own.flac", duration=2.5)
    _, findings = found(auricle, path)
    assert [(one["kind"], one["seconds"]) for one in findings] == [("duration", 2.99)]
    path.write_text(path.read_text() + "\n")
    _, findings = found(auricle, with_row(folder, id="rest", audio_filepath="own.flac", offset=2.0, text="man"))
    assert findings == []


def test_the_cleaned_manifest_is_clean_and_keeps_all_fields(auricle: Run, folder: Path) -> None:
    path = folder / "clips.jsonl"
    path.write_text(path.read_text().replace('"id": "austen-0870"', '"id": "austen-0870", "age": 41'))
    path = with_row(folder, text="7")
    path.write_text(path.read_text() + "\n{oh\n")
    path = with_row(folder, id="long", duration=9.0)
    output = folder / "below" / "cleaned.jsonl"
    result = auricle("data", "check", path, "--output", output)
    assert result.code == 0
    assert "6 of 8 utterances are in it." in result.err
    kept = read_manifest(output)
    assert [utterance.id for utterance in kept][-2:] == ["austen-0930", "long"]
    assert kept[-1].duration == 2.99
    assert kept[0].audio_filepath == folder / "austen-0870.flac"
    assert json.loads(output.read_text().splitlines()[0])["age"] == 41
    assert auricle("data", "check", output).code == 0


def test_no_manifest_is_written_when_nothing_is_left(auricle: Run, folder: Path) -> None:
    (folder / "m.jsonl").write_text('{"audio_filepath": "gone.flac", "text": "oh"}')
    result = auricle("data", "check", folder / "m.jsonl", "--output", folder / "cleaned.jsonl")
    assert result.code == 1
    assert "nothing is left" in result.err
    assert not (folder / "cleaned.jsonl").exists()


def test_the_table_counts_and_shows_the_worst(auricle: Run, folder: Path) -> None:
    path = folder / "m.jsonl"
    rows = [{"id": str(n), "audio_filepath": "austen-0880.flac", "text": "oh " + "9" * n} for n in range(1, 6)]
    path.write_text("\n".join(map(json.dumps, rows)))
    result = auricle("data", "check", path, "--examples", "2")
    (line,) = (line for line in result.out.splitlines() if "outside the alphabet" in line)
    assert line.split()[-1] == "99999'"
    assert " 5 " in line
    assert sum("oh 9" in line for line in result.out.splitlines()) == 2


def test_an_alphabet_to_be_trained_decides(auricle: Run, folder: Path) -> None:
    path = with_row(folder, text="я дщ")
    assert found(auricle, path)[1][0]["detail"].startswith("я д щ in")
    alphabet = "abcdefghijklmnopqrstuvwxyz 'ядщ"
    assert found(auricle, path, "--alphabet", alphabet)[1] == []


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("Don\u2019t — “stop”, café! O\u02bcClock… ™", ""),
        ("naïve \u0301 ﬁve", ""),
        ("5 % of £3 & ½", "5%£3&½"),
        ("да", "да"),
    ],
)
def test_only_what_is_spoken_and_has_no_spelling_is_unwritable(text: str, unknown: str) -> None:
    assert "".join(unwritable(text, ENGLISH)) == unknown


def test_frames_are_counted_as_the_network_does() -> None:
    limits = Limits(Alphabet(("a",)), FeatureConfig(), stride=4)
    assert [limits.frames(samples) for samples in (1, 160, 161, 640, 641, 16_000)] == [1, 1, 1, 1, 2, 25]


def test_equal_neighbours_need_a_frame_more(auricle: Run, folder: Path) -> None:
    # 0.4 s are 10 frames of 0.04 s: ten letters fit when they differ, and not when two are the same.
    soundfile.write(folder / "short.wav", np.random.default_rng(0).normal(0, 0.1, 6_400), RATE)
    path = folder / "m.jsonl"
    kinds: dict[str, list[str]] = {}
    for text in ("abcdefghij", "abcdefghii"):
        path.write_text(json.dumps({"audio_filepath": "short.wav", "text": text}))
        kinds[text] = [one["kind"] for one in found(auricle, path, "--alphabet", "abcdefghij")[1]]
    assert kinds == {"abcdefghij": [], "abcdefghii": ["too_short"]}


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot read the manifest"), ("", "no utterances"), ("{", "not a line of JSON")]
)
def test_what_is_no_manifest_is_one_line(auricle: Run, tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "m.jsonl").write_text(content)
    result = auricle("data", "check", tmp_path / "m.jsonl")
    assert (result.code, len(result.err.splitlines())) == (1, 1)
    assert message in result.err


@pytest.mark.needs_embedded_model
def test_swapped_texts_are_found_and_right_ones_are_not_accused(auricle: Run, folder: Path) -> None:
    right = read_manifest(folder / "clips.jsonl")
    texts = {utterance.id: utterance.text for utterance in right}
    swapped = {"austen-0870": texts["austen-0920"], "austen-0920": texts["austen-0870"]}
    write_manifest([replace(u, text=swapped.get(u.id, u.text)) for u in right], folder / "swapped.jsonl")
    result, findings = found(auricle, folder / "swapped.jsonl", "--align")
    assert result.code == 1
    assert {(one["kind"], one["id"]) for one in findings} == {("mismatch", name) for name in swapped}
    assert set(json.loads(result.out)["scores"]) == set(texts)
    cleaned = folder / "cleaned.jsonl"
    auricle("data", "check", folder / "swapped.jsonl", "--align", "-o", cleaned)
    assert {utterance.id for utterance in read_manifest(cleaned)} == set(texts) - set(swapped)


@pytest.mark.needs_embedded_model
def test_the_part_of_a_file_is_aligned_not_all_of_it(auricle: Run, folder: Path) -> None:
    first, second = (audio.read(folder / f"austen-{n}.flac").samples for n in ("0880", "0890"))
    soundfile.write(folder / "both.wav", np.concatenate([first, second]), RATE)
    texts = [utterance.text for utterance in read_manifest(folder / "clips.jsonl")]
    start = len(first) / RATE
    parts = [
        Utterance("a", folder / "both.wav", texts[1], 0.0, start),
        Utterance("b", folder / "both.wav", texts[2], start),
        Utterance("c", folder / "both.wav", texts[1], start),
    ]
    write_manifest(parts, folder / "parts.jsonl")
    _, findings = found(auricle, folder / "parts.jsonl", "--align")
    assert [(one["kind"], one["id"]) for one in findings] == [("mismatch", "c")]


@pytest.mark.needs_embedded_model
def test_the_least_score_can_be_moved(auricle: Run, folder: Path) -> None:
    _, findings = found(auricle, folder / "clips.jsonl", "--align", "--least-score", "0")
    assert {one["kind"] for one in findings} == {"mismatch"}


def test_an_alphabet_and_a_model_are_not_given_together(auricle: Run, folder: Path) -> None:
    result = auricle("data", "check", folder / "clips.jsonl", "--align", "--alphabet", "abc")
    assert result.code == 2
    assert "give one of them" in " ".join(result.err.split())


def test_random_bytes_in_the_middle_of_a_clip_never_end_in_a_traceback(auricle: Run, folder: Path) -> None:
    content = bytearray((folder / "austen-0890.flac").read_bytes())
    draw = random.Random(3)
    for _ in range(200):
        content[draw.randrange(5_000, len(content))] = draw.randrange(256)
    (folder / "hurt.flac").write_bytes(content)
    _, findings = found(auricle, with_row(folder, audio_filepath="hurt.flac"))
    assert [one["kind"] for one in findings] == ["unreadable"]
