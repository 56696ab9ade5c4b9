"""Random lattices small enough to enumerate."""

import itertools
from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


def lattices(frames: int = 5, tokens: int = 4) -> st.SearchStrategy[np.ndarray]:
    scores = arrays(np.float32, st.tuples(st.integers(1, frames), st.just(tokens)), elements=st.floats(-6, 0, width=32))
    return scores.map(lambda x: np.asarray(x - np.log(np.exp(x).sum(1, keepdims=True)), np.float32))


def collapse(path: Sequence[int]) -> tuple[int, ...]:
    return tuple(token for token, _ in itertools.groupby(path) if token)
