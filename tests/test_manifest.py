import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle.errors import ManifestError
from auricle.manifest import Utterance, read_manifest, read_manifests, spread, write_manifest

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=20).filter(
    lambda name: name not in {".", ".."}
)


def manifest(folder: Path, *rows: object) -> Path:
    path = folder / "manifest.jsonl"
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


UTTERANCES = st.builds(
    Utterance,
    id=st.just("one"),
    audio_filepath=NAMES.map(Path),
    text=st.none() | TEXT,
    offset=st.floats(0, 1e6),
    duration=st.none() | st.floats(1e-3, 1e6),
    speaker=st.none() | TEXT,
    sex=st.none() | st.sampled_from(["F", "M"]),
)


@settings(deadline=None)
@given(UTTERANCES)
def test_what_is_written_reads_back_the_same(tmp_path_factory: pytest.TempPathFactory, utterance: Utterance) -> None:
    folder = tmp_path_factory.getbasetemp()
    beside = replace(utterance, audio_filepath=folder / "clips" / utterance.audio_filepath)
    elsewhere = replace(utterance, id="two", audio_filepath="/elsewhere" / utterance.audio_filepath)
    write_manifest([beside, elsewhere], folder / "round.jsonl")
    assert read_manifest(folder / "round.jsonl") == [beside, elsewhere]


def test_audio_beside_the_manifest_is_named_relative_to_it(tmp_path: Path) -> None:
    write_manifest([Utterance("a", tmp_path / "clips" / "a.wav", text="oh")], tmp_path / "m.jsonl")
    row = json.loads((tmp_path / "m.jsonl").read_text())
    assert row == {"id": "a", "audio_filepath": "clips/a.wav", "text": "oh"}


def test_a_file_name_that_is_not_utf_8_survives(tmp_path: Path) -> None:
    utterances = [Utterance("a", tmp_path / "caf\udce9.wav")]
    write_manifest(utterances, tmp_path / "m.jsonl")
    assert read_manifest(tmp_path / "m.jsonl") == utterances


def test_defaults_blank_lines_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"audio_filepath": "a.wav"}\r\n\r\n{"audio_filepath": "/x/b.wav", "offset": 2}\r\n')
    assert read_manifest(str(path)) == [
        Utterance("a", tmp_path / "a.wav"),
        Utterance("b", Path("/x/b.wav"), offset=2.0),
    ]


def test_a_line_separator_inside_a_text_is_text(tmp_path: Path) -> None:
    path = manifest(tmp_path, '{"audio_filepath": "a.wav", "text": "one\u2028two\x85three"}')
    assert read_manifest(path)[0].text == "one\u2028two\x85three"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not a line of JSON (Expecting property name enclosed in double quotes)."),
        ("[" * 100_000, "not a line of JSON (maximum recursion depth exceeded"),
        ("9" * 5000, "not a line of JSON (Exceeds the limit"),
        ("[]", 'an utterance is a JSON object with "audio_filepath", the name of a file.'),
        ({"text": "oh"}, 'an utterance is a JSON object with "audio_filepath", the name of a file.'),
        ({"audio_filepath": ""}, 'an utterance is a JSON object with "audio_filepath", the name of a file.'),
        ({"audio_filepath": "a\0.wav"}, 'an utterance is a JSON object with "audio_filepath", the name of a file.'),
        ({"audio_filepath": "a.wav", "id": 7}, '"id" has the wrong type (7).'),
        ({"audio_filepath": "a.wav", "text": ["oh"]}, "\"text\" has the wrong type (['oh'])."),
        ({"audio_filepath": "a.wav", "offset": "1"}, "\"offset\" has the wrong type ('1')."),
        ({"audio_filepath": "a.wav", "duration": True}, '"duration" has the wrong type (True).'),
        ({"audio_filepath": "a.wav", "duration": 0}, '"duration" must be above zero and "offset" not below it.'),
        ({"audio_filepath": "a.wav", "offset": -0.1}, '"duration" must be above zero and "offset" not below it.'),
        ({"audio_filepath": "a.wav", "duration": float("nan")}, '"duration" is not a number of seconds (nan).'),
        ({"audio_filepath": "a.wav", "offset": float("inf")}, '"offset" is not a number of seconds (inf).'),
        ({"audio_filepath": "a.wav", "offset": 10**400}, '"offset" is not a number of seconds (inf).'),
    ],
)
def test_a_line_that_is_no_utterance_is_named_with_its_number(tmp_path: Path, line: object, message: str) -> None:
    path = manifest(tmp_path, {"audio_filepath": "first.wav"}, line)
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert str(caught.value).startswith(f"{path}:2: {message}")


def test_an_id_is_used_once(tmp_path: Path) -> None:
    path = manifest(tmp_path, {"audio_filepath": "a/1.wav"}, "", {"audio_filepath": "b/1.wav"})
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    message = f"{path}:3: the id '1' is already on line 1; give each utterance an \"id\" of its own."
    assert str(caught.value) == message


def test_several_manifests_are_read_in_order_and_share_no_id(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    first = manifest(tmp_path, {"audio_filepath": "a.wav"})
    second = manifest(tmp_path / "more", {"audio_filepath": "b.wav"})
    assert [utterance.id for utterance in read_manifests([first, second])] == ["a", "b"]
    with pytest.raises(ManifestError, match="the id 'a' is in another manifest of this call already"):
        read_manifests([first, second, first])


def test_manifests_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none.jsonl: cannot read the manifest \(No such file or directory\)"):
        read_manifest(tmp_path / "none.jsonl")
    (tmp_path / "latin").write_bytes("café".encode("latin-1"))
    with pytest.raises(ManifestError, match="latin: a manifest is a text file in UTF-8, and this is not"):
        read_manifest(tmp_path / "latin")
    with pytest.raises(ManifestError, match="the manifest has no utterances"):
        read_manifest(manifest(tmp_path, "", "  "))


@pytest.mark.parametrize(
    ("limit", "taken"), [(None, "0123456789"), (20, "0123456789"), (5, "02468"), (3, "036"), (1, "0")]
)
def test_a_part_of_a_manifest_is_spread_over_the_whole(limit: int | None, taken: str) -> None:
    utterances = [Utterance(str(number), Path(f"{number}.wav")) for number in range(10)]
    assert "".join(one.id for one in spread(utterances, limit)) == taken
    assert spread([], limit) == []
