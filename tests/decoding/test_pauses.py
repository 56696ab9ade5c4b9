from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from said import heard

from auricle.alphabet import BLANK, ENGLISH
from auricle.decoding.pauses import parts_between_pauses
from auricle.features import Array

SILENT = [BLANK, *ENGLISH.encode(" ")]


def parts(log_probs: Array, least: int = 6) -> list[tuple[int, int]]:
    return [(begin, end) for begin, end, _ in parts_between_pauses(log_probs, ENGLISH.tokens, SILENT, least, 12)]


def pause(frames: int, letters: str = "", phones: str = "") -> Array:
    return np.concatenate((heard(letters, phones), heard("", "T")[1:].repeat(frames, axis=0)))[:frames]


GO = heard("go", "G OW")  # four frames, the last of which is silent
TO = heard("to", "T UW")


def test_it_is_cut_in_the_middle_of_a_pause_and_nowhere_else() -> None:
    assert parts(np.concatenate((GO, pause(7), TO, pause(3), GO))) == [(0, 7), (7, 22)]
    assert parts(np.concatenate((GO, pause(4), TO))) == [(0, 12)]


def test_silence_before_and_after_is_no_pause() -> None:
    assert parts(np.concatenate((pause(20), GO, pause(20)))) == [(0, 44)]
    assert parts(pause(20)) == [(0, 20)]
    assert parts(GO[:0]) == [(0, 0)]


def test_a_space_and_the_end_of_a_word_belong_to_a_pause_and_a_letter_or_a_phone_does_not() -> None:
    silence = pause(4)
    ends = np.concatenate((GO, silence, heard(" ", "|"), silence, TO))
    assert len(parts(ends)) == 2
    assert len(parts(np.concatenate((GO, silence, heard("o", ""), silence, TO)))) == 1
    assert len(parts(np.concatenate((GO, silence, heard("", "OW"), silence, TO)))) == 1


def test_after_a_long_pause_nothing_goes_on() -> None:
    heard_one_after_another = np.concatenate((GO, pause(10), TO, pause(11), GO, pause(6), TO))
    found = parts_between_pauses(heard_one_after_another, ENGLISH.tokens, SILENT, 6, 12)
    assert [goes_on for _, _, goes_on in found] == [False, True, False, True]


@given(st.lists(st.sampled_from((GO, TO, pause(2), pause(5), pause(11))), min_size=1, max_size=12), st.integers(1, 9))
def test_the_parts_together_are_everything(pieces: list[Array], least: int) -> None:
    found = parts(np.concatenate(pieces), least)
    assert [begin for begin, _ in found] == [0, *(end for _, end in found[:-1])]
    assert found[-1][1] == sum(map(len, pieces))
    assert all(begin < end for begin, end in found)
