"""Hashes found among others, also those that share a slot."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from auricle.decoding.finder import Finder

# Few upper bits and few lower ones: many share a slot, and many are wanted that are not there.
HASHES = st.builds(lambda high, low: (high << 60) + low, st.integers(0, 15), st.integers(0, 40))


@given(st.lists(st.tuples(st.lists(HASHES, min_size=1, max_size=64, unique=True), st.lists(HASHES)), min_size=1))
def test_it_finds_what_a_dictionary_finds_also_after_other_keys(
    rounds: list[tuple[list[int], list[int]]],
) -> None:
    finder = Finder(64)
    for keys, wanted in rounds:
        place = {key: row for row, key in enumerate(keys)}
        rows, which = finder(np.array(keys, np.uint64), np.array(wanted, np.uint64))
        assert dict(zip(which.tolist(), rows.tolist(), strict=True)) == {
            index: place[key] for index, key in enumerate(wanted) if key in place
        }
