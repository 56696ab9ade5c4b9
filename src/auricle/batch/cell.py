"""A process that may die without taking anything else with it.

A decoder that meets hostile bytes, or a recording that asks for more memory than there is, can end a process in ways
that no `except` catches. So both engines let a child do what is dangerous, one call at a time: when it dies, it is
certain during which call, and the next call gets a new child.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any, cast

from auricle.errors import AuricleError

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_PATIENCE_SECONDS = 10
_STARTS = 3


class CellDied(Exception):  # noqa: N818 - it is no error of the caller's
    """The child ended before it had answered."""


class Cell:
    """A child that answers calls with values, some at a time. Not for several threads at once.

    `role` and `options` are what `auricle.batch.child` is to be: they go there with the first call.
    """

    def __init__(self, role: str, **options: Any) -> None:
        self._hello = (role, options)
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False

    def call(self, value: object) -> Iterator[Any]:
        """Yield what the child answers. Raises CellDied when it ends early, and AuricleError when it cannot begin."""
        try:
            process = self._running()
            _send(process, value)
            while (answer := _receive(process))[0] == "value":
                yield answer[1]
        except BaseException:  # also when the caller wants no more: what is still to come would answer the next call
            self._kill()
            raise

    def close(self) -> None:
        """End the child at once; from any thread. A call that waits for it raises CellDied, and so do later ones."""
        self._is_closed = True
        self._kill()

    @property
    def pid(self) -> int | None:
        """The child's process, if there is one."""
        return self._process.pid if self._process else None

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process:
            process.kill()
            process.wait(_PATIENCE_SECONDS)
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):  # what was still to be sent to a child that is dead
                    cast("IO[bytes]", pipe).close()

    def _running(self) -> subprocess.Popen[bytes]:
        """Return the child that lives, or begin another, several times if need be."""
        if self._process and self._process.poll() is not None:
            self._kill()
        for _ in range(0 if self._process else _STARTS):
            if self._is_closed:
                raise CellDied
            self._process = process = self._started()
            try:
                _send(process, self._hello)
                kind, answer = _receive(process)
            except CellDied:
                self._kill()
                continue
            if kind == "refused":
                raise AuricleError(answer)
            break
        if not self._process:
            role, _ = self._hello
            raise AuricleError(f"no process could be started to {role}, {_STARTS} times: see what it said above.")
        return self._process

    def _started(self) -> subprocess.Popen[bytes]:
        # Its standard input ends when this process does, however that happens, and then the child ends too.
        return subprocess.Popen(
            [sys.executable, "-m", "auricle.batch.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **_ONE_THREAD},
            start_new_session=True,  # Ctrl-C is for the parent, which then closes the pipe
        )


def _send(process: subprocess.Popen[bytes], value: object) -> None:
    pipe = cast("IO[bytes]", process.stdin)
    try:
        pickle.dump(value, pipe, protocol=pickle.HIGHEST_PROTOCOL)
        pipe.flush()
    except (OSError, ValueError) as error:
        raise CellDied from error


def _receive(process: subprocess.Popen[bytes]) -> tuple[str, Any]:
    try:
        return cast("tuple[str, Any]", pickle.load(cast("IO[bytes]", process.stdout)))
    except (EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
        raise CellDied from error
