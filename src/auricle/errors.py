"""The errors a user can meet. Each message is one sentence: what happened, to which file, what to do.

Every class is also the built-in exception that a caller would expect, so `except ValueError` keeps working for people
who do not know auricle's names.
"""


class AuricleError(Exception):
    """Anything auricle refuses to do. The command line prints the message and exits with 1."""


class AudioError(AuricleError, ValueError):
    """A recording that cannot be read, or that holds no usable samples."""


class UnsupportedAudioError(AudioError):
    """A recording that may be sound, in a format that this installation cannot open."""


class AlphabetError(AuricleError, ValueError):
    """Text with characters that the alphabet does not have, or an alphabet that cannot be one."""


class ManifestError(AuricleError, ValueError):
    """A manifest line that is not an utterance."""


class CorpusError(AuricleError, ValueError):
    """A corpus that cannot be fetched, or is not laid out as it should be."""


class BundleError(AuricleError, ValueError):
    """A model bundle that is damaged, unknown or inconsistent with itself."""


class LanguageModelError(AuricleError, ValueError):
    """Text, settings or a file that no language model can be made from."""


class RestorationError(AuricleError, ValueError):
    """A restorer of capitals and punctuation that is damaged or unknown, or text that none can be made from."""


class RecipeError(AuricleError, ValueError):
    """A training recipe that cannot be followed as it is written."""


class TrainingError(AuricleError, RuntimeError):
    """Training or export that cannot go on."""


class MissingExtraError(AuricleError, ImportError):
    """A part of auricle whose optional dependencies are not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs packages that are not installed: run \"pip install 'auricle[{extra}]'\".")
