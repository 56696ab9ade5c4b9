"""From log-probabilities to text."""

from auricle.decoding.greedy import GreedyDecoder
from auricle.decoding.types import Decoder, Hypothesis

__all__ = ["Decoder", "GreedyDecoder", "Hypothesis"]
