"""What the routes read from a form: the recording, and phrases to favour."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import File, Form, UploadFile

from auricle.serving.batching import HotWords
from auricle.serving.desk import Upload
from auricle.serving.problems import Problem
from auricle.serving.replies import Granularity, ResponseFormat

_MOST_PHRASES, _LONGEST_PHRASE, _LONGEST_NAME = 200, 80, 100

FileField = Annotated[UploadFile, File(description="The recording, in nearly any format.")]
ModelField = Annotated[str, Form(description="Any name; this server has one model and answers with it.")]
LanguageField = Annotated[str | None, Form(description="ISO 639-1; only en is understood.")]
PromptField = Annotated[
    str | None, Form(description="Words and phrases to expect, with commas or line ends between them.")
]
PlainField = Annotated[bool, Form(description="The bare words: no capitals, no punctuation, no figures.")]
NumbersField = Annotated[bool, Form(description="Numbers in figures, unless the text is plain.")]
GranularitiesField = Annotated[
    list[Granularity] | None, Form(alias="timestamp_granularities[]", description="For verbose_json only.")
]
FormatField = Annotated[
    ResponseFormat, Form(description="`verbose_json` has segments and times; `srt` and `vtt` are captions.")
]


def upload_of(file: UploadFile) -> Upload:
    """Return the recording of a form."""
    return Upload(file.file, shown_name(file.filename))


def shown_name(filename: str | None) -> str:
    """Return a name that may be repeated: the last part of a path, printable, and not long."""
    last = PurePosixPath((filename or "").replace("\\", "/")).name
    return "".join(c for c in last if c.isprintable())[-_LONGEST_NAME:] or "the recording"


def hot_words_of(prompt: str | None) -> HotWords:
    """Return the phrases of a prompt. Raises Problem when they are too many."""
    phrases = [" ".join(part.split()) for part in re.split(r"[,;\n]", prompt or "")]
    found = tuple(dict.fromkeys(phrase for phrase in phrases if phrase))
    if len(found) > _MOST_PHRASES or any(len(phrase) > _LONGEST_PHRASE for phrase in found):
        message = f"prompt takes up to {_MOST_PHRASES} phrases of {_LONGEST_PHRASE} characters, commas between them."
        raise Problem(400, message, code="prompt_too_long", param="prompt")
    return found


def check_language(language: str | None) -> None:
    """Raise Problem for a language that the model does not know."""
    if language and language.lower().split("-")[0] not in {"en", "english"}:
        raise Problem(400, "language: this model understands English (en) only.", code="language", param="language")
