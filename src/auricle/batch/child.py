"""What runs in the child of a `Cell`: it reads recordings, recognises windows, or checks utterances, until its
input ends.

Calls and answers are pickles on standard input and output; the parent is the only one that writes there. A call is
answered by any number of ("value", VALUE), then ("end", None). Before the first, ("ready", None) says that the role is
loaded, or ("refused", SENTENCE) that it cannot be.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, Any, TypeAlias

from auricle.errors import AuricleError

Answer: TypeAlias = Callable[[Any], Iterator[Any]]


def main() -> None:
    """Answer calls until the parent closes the pipe or is gone."""
    calls = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    # Whatever a C library prints must not come between the answers.
    os.dup2(2, 1)
    with suppress(EOFError, BrokenPipeError):
        role, options = pickle.load(calls)
        try:
            answer = _role(role, options)
        except AuricleError as error:
            _send(answers, "refused", str(error))
            return
        _send(answers, "ready", None)
        while True:
            for value in answer(pickle.load(calls)):
                _send(answers, "value", value)
            _send(answers, "end", None)


def _role(role: str, options: dict[str, Any]) -> Answer:
    """Load what the role needs, and nothing else: a reader is a small process."""
    if role == "read":
        from auricle.batch.reading import Windows

        return Windows(**options)
    if role == "check":
        from auricle.batch.checking import Answers

        return Answers(**options)
    from auricle.batch.recognising import Segments

    return Segments(**options)


def _send(answers: IO[bytes], kind: str, value: object) -> None:
    pickle.dump((kind, value), answers, protocol=pickle.HIGHEST_PROTOCOL)
    answers.flush()


if __name__ == "__main__":
    main()
    # Interpreters with ONNX Runtime's threads take their time to leave, and there is nothing left to save.
    sys.stderr.flush()
    os._exit(0)
