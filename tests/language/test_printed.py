from __future__ import annotations

import pytest

from auricle.language.printed import BLOCK, MARGIN, Printed, parts, take_apart


def shown(printed: Printed | None) -> str:
    assert printed is not None
    return " ".join(form + mark for form, mark in zip(printed.forms, printed.marks, strict=True))


@pytest.mark.parametrize(
    ("paragraph", "expected"),
    [
        ("“Is it?” said Anna, smiling.", "Is it? said Anna, smiling."),
        ("“I was--that is, I am--late!”", "I was— that is, I am— late!"),
        ("Mr. Vane met Mrs. Bennet.", "Mister Vane met Missus Bennet."),
        ("The dressing-gown was J. Smith's.", "The dressing gown was J Smith's."),
        ("It was I. He knew.", "It was I. He knew."),
        ("He went . . . and came back. . . . Then he left.", "He went and came back. Then he left."),
        ("\u2018Don\u2019t,\u2019 he said; \u2018don\u2019t!\u2019", "Don't, he said; don't!"),
        ("The café (he said) was _old_.", "The cafe he said was old."),
        ("So he said,--nothing: it was all.", "So he said, nothing: it was all."),
        ("'Tis the dogs' day", "Tis the dogs day"),
    ],
)
def test_a_paragraph_is_taken_apart(paragraph: str, expected: str) -> None:
    assert shown(take_apart(paragraph)) == expected


@pytest.mark.parametrize("paragraph", ["In 1812 he died.", "CHAPTER THE FIRST", "* * *", "Она пришла."])
def test_what_nobody_could_say_from_its_letters_is_left_out(paragraph: str) -> None:
    assert take_apart(paragraph) is None


def test_the_words_are_small_letters_of_the_forms() -> None:
    printed = take_apart("Did O'Brien see McDonald?")
    assert printed is not None
    assert printed.words == ("did", "o'brien", "see", "mcdonald")


def test_blocks_are_held_out_with_margins_around_them() -> None:
    paragraphs = [f"paragraph number {number}" for number in range(200 * BLOCK)]
    found = parts(paragraphs)
    blocks = [set(found[begin : begin + BLOCK]) for begin in range(0, len(found), BLOCK)]
    held = [number for number, block in enumerate(blocks) if block & {"dev", "test"}]
    assert {"dev", "test"} <= set(found)
    assert all(len(blocks[number]) == 1 for number in held), "a held-out block is held out whole"
    for number in held:
        for place in (number * BLOCK - MARGIN, (number + 1) * BLOCK + MARGIN - 1):
            if 0 <= place < len(found):
                assert found[place] != "train"
    assert 0.8 < found.count("train") / len(found) < 0.95
    assert parts(paragraphs) == found


def test_the_choice_hangs_on_the_text_and_not_on_what_follows() -> None:
    paragraphs = [f"paragraph number {number}" for number in range(50 * BLOCK)]
    shorter = parts(paragraphs[: 20 * BLOCK])
    assert parts(paragraphs)[: 19 * BLOCK] == shorter[: 19 * BLOCK]
