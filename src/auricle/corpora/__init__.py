"""Corpora: where speech with text comes from, how it becomes a manifest, and what is wrong with it.

Each source is one module, and each returns `Collected` utterances. Texts stay as the corpus has them: writing them in
an alphabet is training's business.
"""

from auricle.corpora.collected import Collected, save

__all__ = ["Collected", "save"]
