"""Bundles: what is written reads back, what is damaged is refused, and nothing else ever happens."""

import hashlib
import io
import json
import math
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auricle.alphabet import ENGLISH
from auricle.bundle import ACOUSTIC, Bundle, embedded_bundle, read_bundle, write_bundle
from auricle.errors import BundleError
from auricle.features import FeatureConfig, Normalization

FEATURES = FeatureConfig(mel=40)
BUNDLE = Bundle(
    name="toy",
    version="1.2.3",
    created="2026-11-22T00:00:00+00:00",
    features=FEATURES,
    normalization=Normalization(np.linspace(-9, -4, 40, dtype=np.float32), np.linspace(1 / 3, 3, 40, dtype=np.float32)),
    alphabet=ENGLISH,
    frame_seconds=0.04,
    files={ACOUSTIC: bytes(range(256)) * 40, "lm.arpa": b"\\data\\\nngram 1=1\n"},
    decoder={"kind": "greedy"},
    card={"licence": "none", "trained_on": ["nothing"]},
)


def written(folder: Path, name: str = "toy.auricle", bundle: Bundle = BUNDLE) -> Path:
    write_bundle(bundle, folder / name)
    return folder / name


def refusal(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        read_bundle(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.endswith(".")
    assert "\n" not in message
    return message


def forged(path: Path, change: Callable[[dict[str, Any]], object], **files: bytes) -> Path:
    """Write a bundle whose description was changed and signed again."""
    contents = {**BUNDLE.files, **files}
    description = BUNDLE.describe()
    del description["checksum"]
    description["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    change(description)
    description["checksum"] = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()
    return zipped(path, {"bundle.json": json.dumps(description).encode(), **contents})


def zipped(path: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


# Round trips


@pytest.mark.parametrize("name", ["toy.auricle", "toy", "deeper/down/toy.auricle"])
def test_what_is_written_reads_back(tmp_path: Path, name: str) -> None:
    back = read_bundle(written(tmp_path, name))
    plain = ("name", "version", "created", "features", "alphabet", "frame_seconds", "files", "decoder", "card")
    assert {key: getattr(back, key) for key in plain} == {key: getattr(BUNDLE, key) for key in plain}
    np.testing.assert_allclose(back.normalization.mean, BUNDLE.normalization.mean, rtol=1e-5)
    np.testing.assert_allclose(back.normalization.std, BUNDLE.normalization.std, rtol=1e-5)
    assert back.describe() == BUNDLE.describe()


def test_the_same_bundle_gives_the_same_bytes(tmp_path: Path) -> None:
    first = written(tmp_path, "a.auricle").read_bytes()
    assert written(tmp_path, "b.auricle").read_bytes() == first
    assert written(tmp_path, "c.auricle", read_bundle(tmp_path / "a.auricle")).read_bytes() == first


def test_an_unpacked_bundle_is_a_bundle_whose_files_its_owner_may_read(tmp_path: Path) -> None:
    path = written(tmp_path)
    with zipfile.ZipFile(path) as archive:
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o644}
        archive.extractall(tmp_path / "unpacked")
    assert read_bundle(tmp_path / "unpacked").describe() == BUNDLE.describe()


def test_writing_again_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    written(tmp_path)
    written(tmp_path, bundle=replace(BUNDLE, version="2"))
    assert read_bundle(tmp_path / "toy.auricle").version == "2"
    assert [entry.name for entry in tmp_path.iterdir()] == ["toy.auricle"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(OSError, match="No space"):
        written(tmp_path, bundle=replace(BUNDLE, version="2"))
    assert read_bundle(path).version == "1.2.3"
    assert [entry.name for entry in tmp_path.iterdir()] == ["toy.auricle"]


def test_a_directory_of_something_else_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(BundleError, match=r"'letter\.txt'"):
        write_bundle(BUNDLE, tmp_path / "home")
    assert [entry.name for entry in (tmp_path / "home").iterdir()] == ["letter.txt"]


# Damage


@pytest.mark.parametrize("name", [*BUNDLE.files, "bundle.json"])
@pytest.mark.parametrize("place", [0.0, 0.5, 0.999])
def test_a_changed_byte_in_any_file_is_refused(tmp_path: Path, name: str, place: float) -> None:
    path = written(tmp_path, "toy")
    content = bytearray((path / name).read_bytes())
    content[int(place * len(content))] ^= 1
    (path / name).write_bytes(content)
    assert name in refusal(path)


@pytest.mark.parametrize("name", [*BUNDLE.files, "bundle.json"])
def test_a_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, "toy")
    (path / name).unlink()
    assert "bundle.json" in refusal(path)


def test_a_file_too_many_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "toy")
    (path / "extra.py").write_text("print('hello')")
    assert "files are not those" in refusal(path)


@pytest.mark.parametrize("schema", [0, 4, None, "1", [1]])
def test_another_schema_is_refused_and_named(tmp_path: Path, schema: object) -> None:
    path = forged(tmp_path / "toy.auricle", lambda description: description.update(schema=schema))
    assert f"schema {schema!r}" in refusal(path)


@pytest.mark.parametrize("content", [b"[1, 2]", b"null", b"{", b"\xff\xfe", b"[" * 100_000, b"9" * 5_000])
def test_a_description_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    refusal(zipped(tmp_path / "toy.auricle", {**BUNDLE.files, "bundle.json": content}))


@pytest.mark.parametrize(
    "change",
    [
        {"alphabet": ["a", "a"]},
        {"alphabet": ["ab"]},
        {"alphabet": 5},
        {"normalization": {"mean": [0.0] * 40}},
        {"normalization": {"mean": [0.0] * 39, "std": [1.0] * 39}},
        {"normalization": {"mean": [0.0] * 40, "std": [0.0] * 40}},
        {"normalization": {"mean": [float("nan")] * 40, "std": [1.0] * 40}},
        {"normalization": {"mean": "x", "std": "y"}},
        {"features": {"mel": 41}},
        {"features": {"mel": 40, "wavelets": 3}},
        {"features": {"mel": 0}},
        {"features": {"mel": "many"}},
        {"frame_seconds": 0.0},
        {"frame_seconds": float("nan")},
        {"frame_seconds": None},
        {"decoder": 3},
        {"card": "good"},
        {"files": []},
        {"files": None},
    ],
    ids=str,
)
def test_a_description_at_odds_with_itself_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    refusal(forged(tmp_path / "toy.auricle", lambda description: description.update(change)))


@pytest.mark.parametrize("key", ["name", "version", "features", "normalization", "alphabet", "frame_seconds", "card"])
def test_a_description_that_lacks_something_is_refused(tmp_path: Path, key: str) -> None:
    assert key in refusal(forged(tmp_path / "toy.auricle", lambda description: description.pop(key)))


def test_what_is_not_a_bundle_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.auricle").write_text("Dear diary")
    assert "not a model bundle" in refusal(tmp_path / "notes.auricle")
    assert "no such model bundle" in refusal(tmp_path / "none.auricle")
    (tmp_path / "empty").mkdir()
    assert "bundle.json" in refusal(tmp_path / "empty")


@pytest.mark.parametrize("part", [0.0, 0.2, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, part: float) -> None:
    path = written(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    refusal(path)


def test_a_zip_that_unpacks_to_more_than_a_model_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = written(tmp_path)
    content = bytearray(path.read_bytes())
    for entry in re.finditer(rb"PK\x01\x02", bytes(content)):  # sizes in the central directory, which zipfile believes
        content[entry.start() + 24 : entry.start() + 28] = (0xF000_0000).to_bytes(4, "little")
    path.write_bytes(content)
    assert "larger than a model" in refusal(path)


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    content = bytearray(path.read_bytes())
    for mark, flags in ((rb"PK\x01\x02", 8), (rb"PK\x03\x04", 6)):
        for entry in re.finditer(mark, bytes(content)):
            content[entry.start() + flags] |= 1
    path.write_bytes(content)
    refusal(path)


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "a/b", "..", "a\\b"])
def test_a_file_whose_name_is_a_path_is_refused_and_written_nowhere(tmp_path: Path, name: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    path = forged(home / "toy.auricle", lambda description: None, **{name: b"gotcha"})
    refusal(path)
    with pytest.raises(BundleError):
        write_bundle(replace(BUNDLE, files={**BUNDLE.files, name: b"gotcha"}), home / "out")
    assert [entry.relative_to(tmp_path) for entry in tmp_path.rglob("*")] == [Path("home"), Path("home/toy.auricle")]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06" + bytes(18)]), st.binary(max_size=400))
def test_random_bytes_raise_nothing_but_bundle_error(tmp_path: Path, head: bytes, rest: bytes) -> None:
    (tmp_path / "any.auricle").write_bytes(head + rest)
    with pytest.raises(BundleError):
        read_bundle(tmp_path / "any.auricle")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6))
def test_damage_anywhere_is_refused_or_harmless(tmp_path: Path, damage: list[tuple[float, int]]) -> None:
    path = tmp_path / "damaged.auricle"
    write_bundle(BUNDLE, path)
    content = bytearray(path.read_bytes())
    for place, value in damage:
        content[-1 - int(place * min(len(content), 700))] = value  # the central directory and what is near it
    path.write_bytes(content)
    try:
        back = read_bundle(path)
    except BundleError:
        return
    assert back.describe() == BUNDLE.describe()  # it hit a time stamp, a comment, or nothing


def test_a_model_of_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BundleError, match=r"no model is called 'klingon': .*built in \(.+\)\.$"):
        embedded_bundle("klingon")


def test_a_bundle_is_a_plain_zip(tmp_path: Path) -> None:
    assert members(written(tmp_path)).keys() == {ACOUSTIC, "lm.arpa", "bundle.json"}
    with zipfile.ZipFile(io.BytesIO((tmp_path / "toy.auricle").read_bytes())) as archive:
        assert archive.testzip() is None


# Phones


def test_phones_make_it_schema_2_and_read_back(tmp_path: Path) -> None:
    back = read_bundle(written(tmp_path, bundle=replace(BUNDLE, phones=("K", "AE", "T"))))
    assert back.phones == ("K", "AE", "T")
    assert back.describe()["schema"] == 2
    assert back.tokens == ENGLISH.tokens + 5


def test_without_phones_a_bundle_is_the_one_that_it_was_before_there_were_any(tmp_path: Path) -> None:
    description = json.loads(members(written(tmp_path))["bundle.json"])
    assert description["schema"] == 1
    assert "phones" not in description
    assert BUNDLE.tokens == ENGLISH.tokens


def test_a_prior_makes_it_schema_3_and_reads_back(tmp_path: Path) -> None:
    normalization = replace(BUNDLE.normalization, prior=700.0)
    path = written(tmp_path, bundle=replace(BUNDLE, normalization=normalization))
    assert json.loads(members(path)["bundle.json"])["schema"] == 3
    assert read_bundle(path).normalization.prior == 700
    assert read_bundle(written(tmp_path)).normalization.prior == math.inf


@pytest.mark.parametrize("prior", [-1, 0, math.nan])
def test_a_prior_that_cannot_be_is_refused(tmp_path: Path, prior: float) -> None:
    path = forged(tmp_path / "toy.auricle", lambda description: description["normalization"].update(prior=prior))
    assert "frames cannot be" in refusal(path)


@pytest.mark.parametrize("phones", [["K", "K"], [f"P{number}" for number in range(255)]])
def test_phones_stand_there_once_and_fit_into_a_byte(tmp_path: Path, phones: list[str]) -> None:
    path = forged(tmp_path / "toy.auricle", lambda description: description.update(schema=2, phones=phones))
    assert "not each there once, 254 at most" in refusal(path)


@pytest.mark.parametrize("phones", ["K", [1], None, {"K": 1}, 3])
def test_phones_that_are_no_names_are_refused(tmp_path: Path, phones: object) -> None:
    path = forged(tmp_path / "toy.auricle", lambda description: description.update(schema=2, phones=phones))
    assert "phones are not a list of names" in refusal(path)
