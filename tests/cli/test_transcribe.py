from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from command import Run

from auricle import formats, load
from auricle.audio import SourceInfo, Waveform
from auricle.cli import transcribe
from auricle.cli.terminal import Bar
from auricle.cli.transcribe import Format
from auricle.transcript import Segment, Word

from .conftest import SCRIPT

RATE = 16_000


def sound(path: Path, samples: Any, subtype: str = "PCM_16") -> Path:
    soundfile.write(path, np.asarray(samples), RATE, format="WAV", subtype=subtype)
    return path


def truncated_mp3(path: Path, clips: Path) -> None:
    content = (clips / "formats/austen-0890-mono-22050.mp3").read_bytes()
    path.write_bytes(content[: len(content) // 2])


BAD: dict[str, Callable[[Path, Path], Any]] = {
    "missing.wav": lambda path, clips: None,
    "folder.wav": lambda path, clips: path.mkdir(),
    "empty.wav": lambda path, clips: path.touch(),
    "cut.mp3": truncated_mp3,
    "text.wav": lambda path, clips: path.write_text("this is not a recording\n" * 9),
    "nothing.wav": lambda path, clips: sound(path, np.zeros(0)),
    "nan.wav": lambda path, clips: sound(path, np.full(RATE, np.nan, np.float32), "FLOAT"),
    "moment.wav": lambda path, clips: sound(path, np.zeros(RATE // 100)),
}


@pytest.fixture(scope="module")
def texts(toy_bundle: Path, clips: Path) -> dict[str, str]:
    """What the toy hears in each clip, by the clip's path."""
    toy = load(toy_bundle, threads=1)
    return {str(path): toy.transcribe(path).text for path in sorted(clips.glob("*.flac"))}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_recording_is_one_line_on_stderr_and_the_others_are_done(
    *, name: str, auricle: Run, toy_bundle: Path, clips: Path, tmp_path: Path, texts: dict[str, str]
) -> None:
    bad = tmp_path / name
    BAD[name](bad, clips)
    first, second = list(texts)[:2]
    result = auricle("transcribe", first, bad, second, "--model", toy_bundle, "--threads", 1)
    assert result.code == 1
    assert result.out == f"{first}: {texts[first]}\n{second}: {texts[second]}\n"
    assert result.err.startswith("auricle: ")
    assert result.err.count(name) >= 1
    assert result.err.count("\n") == 1
    assert result.err.endswith(".\n")


def test_all_bad_recordings_at_once_as_users_run_it(
    shell: Run, toy_bundle: Path, clips: Path, tmp_path: Path, texts: dict[str, str]
) -> None:
    for name, make in BAD.items():
        make(tmp_path / name, clips)
    good = next(iter(texts))
    result = shell("transcribe", *(tmp_path / name for name in BAD), good, "--model", toy_bundle, "--threads", 1)
    assert result.code == 1
    assert result.out == f"{good}: {texts[good]}\n"
    lines = result.err.splitlines()
    assert len(lines) == len(BAD)
    assert all(name in line for name, line in zip(BAD, lines, strict=True))


def test_one_recording_is_its_text_alone(auricle: Run, toy_bundle: Path, texts: dict[str, str]) -> None:
    name, text = next(iter(texts.items()))
    result = auricle("transcribe", name, "--model", toy_bundle, "--threads", 1)
    assert (result.code, result.out, result.err) == (0, text + "\n", "")


def test_silence_is_an_empty_line(auricle: Run, toy_bundle: Path, tmp_path: Path) -> None:
    result = auricle("transcribe", sound(tmp_path / "silence.wav", np.zeros(2 * RATE)), "--model", toy_bundle)
    assert (result.code, result.out, result.err) == (0, "\n", "")


def test_many_recordings_come_in_the_order_given(auricle: Run, toy_bundle: Path, texts: dict[str, str]) -> None:
    names = [*texts, *reversed(texts)] * 3  # several groups
    result = auricle("transcribe", *names, "--model", toy_bundle, "--threads", 1)
    assert result.out.splitlines() == [f"{name}: {texts[name]}" for name in names]


def test_results_come_before_everything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def fake_opened(_: object, name: str) -> Any:
        read.append(name)
        return Waveform(np.zeros(int(name), np.float32), 1, SourceInfo("array", 1, 1, float(name)))

    recognizer: Any = SimpleNamespace(transcribe_many=lambda clips, hot_words: iter(clips))
    monkeypatch.setattr(transcribe, "_opened", fake_opened)
    for names, at_once in ((["40", "40", "1", "1"], 2), (["1"] * 40, 16)):
        read.clear()
        outcomes = transcribe._outcomes(recognizer, names, Bar(""))
        assert next(outcomes)[0] == names[0]
        assert len(read) == at_once
        assert [name for name, _ in outcomes] == names[1:]


def test_standard_input(shell: Run, toy_bundle: Path, texts: dict[str, str]) -> None:
    name, text = next(iter(texts.items()))
    result = shell("transcribe", "-", "--model", toy_bundle, given=Path(name).read_bytes())
    assert (result.code, result.out, result.err) == (0, text + "\n", "")


@pytest.mark.parametrize("given", [b"", b"no recording", b"too short"])
def test_bad_standard_input_is_named(shell: Run, toy_bundle: Path, given: bytes, tmp_path: Path) -> None:
    if given == b"too short":
        given = sound(tmp_path / "x.wav", np.zeros(99)).read_bytes()
    result = shell("transcribe", "-", "--model", toy_bundle, given=given)
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert result.err.startswith("auricle: standard input")


def test_closed_standard_input_is_said(auricle: Run, toy_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    result = auricle("transcribe", "-", "--model", toy_bundle)
    assert (result.code, result.err) == (1, "auricle: standard input: it is closed: pipe a recording into it.\n")


@pytest.mark.parametrize("format_name", Format)
def test_formats_are_those_of_the_package(
    auricle: Run, toy_bundle: Path, texts: dict[str, str], format_name: str
) -> None:
    name = next(iter(texts))
    result = auricle("transcribe", name, "--format", format_name, "--model", toy_bundle, "--threads", 1)
    transcript = load(toy_bundle, threads=1).transcribe(name)
    assert result.out == formats.write(transcript, format_name, name=Path(name).stem)


def test_plain_words_and_words_for_numbers_can_be_had(
    auricle: Run, toy_bundle: Path, texts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auricle.recognizer.words_of", lambda *_, **__: spoken("he paid twenty five dollars"))
    name = next(iter(texts))
    for flags, expected in (
        ((), "He paid $25.\n"),
        (("--no-numbers",), "He paid twenty five dollars.\n"),
        (("--plain",), "he paid twenty five dollars\n"),
    ):
        assert auricle("transcribe", name, *flags, "--model", toy_bundle, "--threads", 1).out == expected


def spoken(text: str) -> tuple[Word, ...]:
    return tuple(Word(word, 0.4 * i, 0.4 * i + 0.38, 0.9) for i, word in enumerate(text.split()))


def test_no_format_is_forgotten() -> None:
    assert list(Format) == list(formats.FORMATS)


def test_json_of_several_is_a_document_a_line(auricle: Run, toy_bundle: Path, texts: dict[str, str]) -> None:
    result = auricle("transcribe", *texts, "--format", "json", "--model", toy_bundle, "--threads", 1)
    documents = [json.loads(line) for line in result.out.splitlines()]
    assert [(document["file"], document["text"]) for document in documents] == list(texts.items())
    assert all(document["words"] for document in documents)


def test_output_dir_gets_a_file_for_each_recording_and_nothing_else(
    auricle: Run, toy_bundle: Path, tmp_path: Path, texts: dict[str, str]
) -> None:
    folder = tmp_path / "new" / "texts"
    result = auricle("transcribe", *texts, "-o", folder, "--model", toy_bundle, "--threads", 1)
    assert (result.code, result.out, result.err) == (0, "", "")
    written = {path.name: path.read_text() for path in folder.iterdir()}
    assert written == {f"{Path(name).stem}.txt": f"{text}\n" for name, text in texts.items()}


def test_a_file_that_cannot_be_written_keeps_what_was_there(
    auricle: Run, toy_bundle: Path, tmp_path: Path, texts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = next(iter(texts))
    target = tmp_path / f"{Path(name).stem}.txt"
    target.write_text("before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    result = auricle("transcribe", name, "-o", tmp_path, "--model", toy_bundle)
    assert (result.code, result.err) == (1, f"auricle: {target} cannot be written: No space left on device.\n")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {target.name: "before"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing argument"),
        (["a.wav", "--format", "doc"], "doc"),
        (["a.wav", "--threads", "0"], "--threads"),
        (["-", "-"], "only once"),
        (["a.wav", "b.wav", "--format", "srt"], "--output-dir"),
        (["x/a.wav", "y/a.mp3", "-o", "out"], "a.txt"),
        (["a.wav", "a.wav", "-o", "out"], "a.txt"),
        (["a.wav", "a.mp3", "-o", "out", "--format", "vtt-words"], "a.vtt"),
        (["x/a.wav", "y/a.mp3", "--format", "ctm"], "called a"),
        (["a.wav", "b.wav", "--format", "textgrid"], "--output-dir"),
        (["a.txt", "-o", "."], "overwritten"),
        (["a.wav", "-o", __file__], "not a directory"),
    ],
)
def test_wrong_usage_is_code_2_and_nothing_is_done(
    auricle: Run, arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = auricle("transcribe", *arguments)
    assert (result.code, result.out) == (2, "")
    assert said in " ".join(result.err.split())
    assert list(tmp_path.iterdir()) == []


def test_a_file_name_that_is_not_text_is_printed_as_it_is(
    toy_bundle: Path, tmp_path: Path, texts: dict[str, str]
) -> None:
    name, text = next(iter(texts.items()))
    odd = os.fsencode(tmp_path) + b"/caf\xe9.flac"
    shutil.copy(os.fsencode(name), odd)
    command: list[Path | str | bytes] = [SCRIPT, "transcribe", odd, odd + b"?", odd, "--model", toy_bundle]
    done = subprocess.run(
        command, capture_output=True, check=False, timeout=120, env={**os.environ, "LC_ALL": "C.UTF-8"}
    )
    assert done.stdout == (odd + b": " + text.encode() + b"\n") * 2
    assert done.stderr.count(b"\n") == 1


def test_a_reader_that_leaves_ends_it_quietly(toy_bundle: Path, texts: dict[str, str]) -> None:
    many = [*texts] * 60
    running = subprocess.Popen(
        [SCRIPT, "transcribe", *many, "--model", toy_bundle], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stdout is not None
    assert running.stderr is not None
    with running, running.stdout as out, running.stderr as err:
        assert out.readline().decode().startswith(many[0])
        out.close()
        assert err.read() == b""
        assert running.wait(timeout=60) == 128 + signal.SIGPIPE


def listen_to_ctrl_c() -> None:
    """A shell's background job ignores Ctrl-C, and so would everything that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_is_one_line_and_130(toy_bundle: Path, texts: dict[str, str]) -> None:
    many = [*texts] * 200
    running = subprocess.Popen(
        [SCRIPT, "transcribe", *many, "--model", toy_bundle],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=listen_to_ctrl_c,  # noqa: PLW1509
    )
    assert running.stdout is not None
    running.stdout.readline()
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (130, b"auricle: interrupted.\n")


@pytest.fixture
def long(tmp_path: Path, clips: Path) -> Path:
    """The clips three times, with silence of five seconds after each time: 89 seconds, and four windows at least."""
    speech = [soundfile.read(path)[0] for path in sorted(clips.glob("*.flac"))]
    return sound(tmp_path / "long.wav", np.concatenate([*speech, np.zeros(5 * RATE)] * 3))


@pytest.mark.parametrize("format_name", Format)
def test_a_long_recording_says_the_same_as_through_the_api(
    auricle: Run, toy_bundle: Path, long: Path, format_name: str
) -> None:
    result = auricle("transcribe", long, "--format", format_name, "--model", toy_bundle, "--threads", 1)
    expected = load(toy_bundle, threads=1).transcribe(long)
    assert len(expected.segments) >= 3
    assert (result.code, result.out) == (0, formats.write(expected, format_name, name="long"))


def test_a_long_recording_among_others_has_its_line(
    auricle: Run, toy_bundle: Path, texts: dict[str, str], long: Path
) -> None:
    first, second = list(texts)[:2]
    result = auricle("transcribe", first, long, second, "--model", toy_bundle, "--threads", 1)
    expected = load(toy_bundle, threads=1).transcribe(long).text
    assert result.out == f"{first}: {texts[first]}\n{long}: {expected}\n{second}: {texts[second]}\n"


def test_the_text_of_a_long_recording_comes_piece_by_piece(
    auricle: Run, toy_bundle: Path, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C after the first segment: what was printed stands, and its line has an end."""
    segments = load(toy_bundle, threads=1).transcribe(long).segments

    def stream(*_: object, **__: object) -> Iterator[Segment]:
        yield segments[0]
        raise KeyboardInterrupt

    monkeypatch.setattr("auricle.recognizer.Recognizer.stream", stream)
    result = auricle("transcribe", long, "--model", toy_bundle)
    assert (result.code, result.out) == (130, segments[0].text + "\n")
    assert result.err == "auricle: interrupted.\n"


def test_ctrl_c_in_a_long_recording_leaves_no_file(
    auricle: Run, toy_bundle: Path, long: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = load(toy_bundle, threads=1).transcribe(long).segments

    def stream(*_: object, **__: object) -> Iterator[Segment]:
        yield segments[0]
        raise KeyboardInterrupt

    monkeypatch.setattr("auricle.recognizer.Recognizer.stream", stream)
    result = auricle("transcribe", long, "--model", toy_bundle, "-o", tmp_path / "texts")
    assert (result.code, result.out) == (130, "")
    assert not list(tmp_path.rglob("*.txt"))
    assert not list(tmp_path.rglob("*.partial"))


def test_ctrl_c_as_users_press_it_leaves_the_text_so_far(toy_bundle: Path, tmp_path: Path, clips: Path) -> None:
    speech = np.concatenate([soundfile.read(path)[0] for path in sorted(clips.glob("*.flac"))])
    path = sound(tmp_path / "hour.wav", np.tile(speech, 40))  # 16 minutes: several times as far as is looked ahead
    command = [str(SCRIPT), "transcribe", str(path), "--model", str(toy_bundle), "--threads", "1"]
    running = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        preexec_fn=listen_to_ctrl_c,  # noqa: PLW1509
    )
    assert running.stdout is not None
    first = running.stdout.read(1)
    running.send_signal(signal.SIGINT)
    rest, err = running.communicate(timeout=60)
    text = load(toy_bundle, threads=1).transcribe(path).text
    assert (running.returncode, err) == (130, b"auricle: interrupted.\n")
    so_far = (first + rest).decode()
    assert so_far.endswith("\n")
    assert text.startswith(so_far[:-1])
    assert len(so_far) < len(text)


def test_a_long_recording_damaged_at_its_end_is_reported_after_its_text(
    auricle: Run, toy_bundle: Path, long: Path, texts: dict[str, str]
) -> None:
    samples = soundfile.read(long)[0].astype(np.float32)
    samples[-100] = np.nan
    good, bad = next(iter(texts)), sound(long.with_name("bad.wav"), samples, "FLOAT")
    result = auricle("transcribe", bad, good, "--model", toy_bundle, "--threads", 1)
    assert result.code == 1
    text = load(toy_bundle, threads=1).transcribe(long).segments[0].text
    assert result.out.startswith(f"{bad}: {text} ")
    assert result.out.endswith(f"\n{good}: {texts[good]}\n")
    assert result.err.startswith(f"auricle: {bad} holds samples that are not numbers")
    assert result.err.count("\n") == 1


def test_on_a_terminal_each_piece_of_a_long_text_has_a_line(
    auricle: Run, toy_bundle: Path, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, err = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    assert auricle("transcribe", long, "--model", toy_bundle, "--threads", 1).code == 0
    expected = [segment.text for segment in load(toy_bundle, threads=1).transcribe(long).segments if segment.words]
    # Each line has its end at once: the bar would be drawn over one that has not.
    assert [piece for piece in out.written if piece] == [f"{text}\n" for text in expected]
    assert "of 1:29" in err.getvalue()


def test_ctm_of_several_names_them(auricle: Run, toy_bundle: Path, texts: dict[str, str]) -> None:
    result = auricle("transcribe", *texts, "--format", "ctm", "--model", toy_bundle, "--threads", 1)
    stems = [Path(name).stem for name in texts]
    assert list(dict.fromkeys(line.split()[0] for line in result.out.splitlines())) == stems
    words = [line.split()[4] for line in result.out.splitlines()]
    toy = load(toy_bundle, threads=1)
    assert words == " ".join(toy.transcribe(name).plain_text for name in texts).split()


class Terminal(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def write(self, text: str) -> int:
        self.written.append(text)
        return super().write(text)

    def isatty(self) -> bool:
        return True


def test_progress_is_on_stderr_and_only_on_a_terminal(
    auricle: Run, toy_bundle: Path, texts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    result = auricle("transcribe", *texts, "--model", toy_bundle, "--threads", 1)
    assert result.out.splitlines() == [f"{name}: {text}" for name, text in texts.items()]
    assert "\x1b[" in terminal.getvalue()


@pytest.mark.needs_embedded_model
def test_without_a_model_the_english_one_is_used(shell: Run, clips: Path) -> None:
    result = shell("transcribe", clips / "austen-0930.flac")
    assert (result.code, result.err) == (0, "")
    assert result.out.split() == load(threads=1).transcribe(clips / "austen-0930.flac").text.split()
    assert len(result.out.split()) >= 5


def test_an_unknown_model_is_one_line(auricle: Run, texts: dict[str, str]) -> None:
    for model in ("klingon", "klingon.auricle"):
        result = auricle("transcribe", next(iter(texts)), "--model", model)
        assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
        assert model in result.err


def test_interrupted_while_recognising(
    auricle: Run, toy_bundle: Path, texts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> SimpleNamespace:
        raise KeyboardInterrupt

    monkeypatch.setattr("auricle.acoustic.AcousticModel.log_probs", interrupt)
    result = auricle("transcribe", next(iter(texts)), "--model", toy_bundle)
    assert (result.code, result.out, result.err) == (130, "", "auricle: interrupted.\n")
