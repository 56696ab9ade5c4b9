"""Readable text: capitals, punctuation and numbers for the plain words that recognition gives."""

from auricle.restoration.model import RestorerModel, find_restorer, read_restorer, write_restorer
from auricle.restoration.neural import NeuralRestorer
from auricle.restoration.readable import Token, readable, readable_text
from auricle.restoration.stage import Continued, restored, restored_stream
from auricle.restoration.types import MARKS, Pauses, Restorer, WindowedRestorer, Written, plain_words, to_text

__all__ = [
    "MARKS",
    "Continued",
    "NeuralRestorer",
    "Pauses",
    "Restorer",
    "RestorerModel",
    "Token",
    "WindowedRestorer",
    "Written",
    "find_restorer",
    "plain_words",
    "read_restorer",
    "readable",
    "readable_text",
    "restored",
    "restored_stream",
    "to_text",
    "write_restorer",
]
