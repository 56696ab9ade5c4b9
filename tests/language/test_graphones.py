from __future__ import annotations

from auricle.language.alignment import align


def test_letters_are_paired_with_the_phones_they_stand_for() -> None:
    pairs = [
        ("cat", ("K", "AE", "T")),
        ("cab", ("K", "AE", "B")),
        ("tab", ("T", "AE", "B")),
        ("bat", ("B", "AE", "T")),
        ("that", ("DH", "AE", "T")),
        ("tax", ("T", "AE", "K", "S")),
    ]
    aligned = align(pairs)
    assert [("".join(part.letters for part in word), sum((part.phones for part in word), ())) for word in aligned] == [
        *pairs
    ]
    assert aligned[0] == (("c", ("K",)), ("a", ("AE",)), ("t", ("T",)))
    assert aligned[-1][-1] == ("x", ("K", "S"))


def test_what_has_too_many_phones_for_its_letters_is_left_out() -> None:
    assert align([("w", ("D", "AH", "B", "AX", "L", "Y", "UW"))]) == []
    assert align([]) == []
    assert [len(word) for word in align([("w", ("D", "AH", "B")), ("at", ("AE", "T"))])] == [2]
