"""From log-probabilities to hypotheses."""

from auricle.decoding.alignment import Alignment, align
from auricle.decoding.beam import BeamDecoder
from auricle.decoding.greedy import GreedyDecoder
from auricle.decoding.ngram import NgramModel
from auricle.decoding.pronunciations import Pronunciations, SpokenLexicon
from auricle.decoding.recurrent import RecurrentModel
from auricle.decoding.spoken import SpokenDecoder
from auricle.decoding.types import BeamOptions, Decoder, Hypothesis, Phrases

__all__ = [
    "Alignment",
    "BeamDecoder",
    "BeamOptions",
    "Decoder",
    "GreedyDecoder",
    "Hypothesis",
    "NgramModel",
    "Phrases",
    "Pronunciations",
    "RecurrentModel",
    "SpokenDecoder",
    "SpokenLexicon",
    "align",
]
