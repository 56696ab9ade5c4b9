from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.decoding.keys import SortedKeys

LEAST = -(1 << 16)


@given(
    st.lists(st.integers(1, 1 << 35) | st.integers(1, 200), max_size=150),
    st.lists(st.integers(0, 150) | st.integers(0, 9).map(lambda block: 16 * block), max_size=4),
    st.integers(0, 1 << 34),
)
def test_it_finds_what_it_holds_where_it_is_and_nothing_else(gaps: list[int], cuts: list[int], beyond: int) -> None:
    keys = np.cumsum(np.array(gaps, np.int64)) - 1
    limit = int(keys.max(initial=-1)) + 1 + beyond
    bounds = [0, *sorted(min(cut, len(keys)) for cut in cuts), len(keys)]
    held = SortedKeys(len(keys), (keys[a:b] for a, b in pairwise(bounds)), least=LEAST, limit=limit)
    # Neighbours, and what has the same lower bytes.
    steps = (0, 1, -1, 1 << 32, -(1 << 32), 1 << 33, -(1 << 33))
    wanted = np.concatenate([*(keys + step for step in steps), [LEAST, -1, 0, limit - 1]])
    wanted = wanted[(wanted >= LEAST) & (wanted < limit)].reshape(-1, 1)
    found, at = held.find(wanted)
    assert found[:, 0].tolist() == np.isin(wanted[:, 0], keys).tolist()
    np.testing.assert_array_equal(keys[at[found]], wanted[found])
    np.testing.assert_array_equal(held[:], keys)
    np.testing.assert_array_equal(held[3:40], keys[3:40])


@pytest.mark.parametrize(("gap", "size"), [(1_000, 4), (1 << 40, 8)])
def test_a_key_takes_four_bytes_or_eight_where_there_are_wide_gaps(gap: int, size: int) -> None:
    keys = np.arange(1_000, dtype=np.int64)
    keys[500:] += gap
    held = SortedKeys(len(keys), [keys], least=LEAST, limit=int(keys[-1]) + 1)
    assert held.find(keys[:, None])[0].all()
    assert held.nbytes == 63 * (8 + 16 * size)


def test_what_lies_behind_the_last_key_of_a_block_is_told_from_its_keys() -> None:
    keys = np.arange(32, dtype=np.int64)
    keys[16:] += 1 << 33
    held = SortedKeys(32, (keys[:16], keys[16:]), least=LEAST, limit=int(keys[-1]) + 1)
    assert not held.find(keys[:16, None] + (1 << 32))[0].any()
