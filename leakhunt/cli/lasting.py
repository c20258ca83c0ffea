"""A standard output that outlasts its reader, so that the exit code is the command's own."""

from __future__ import annotations

import os
from typing import Any, TextIO


class OutputFull(Exception):
    """The output takes no more, for another reason than that nobody reads it."""


class Lasting:
    """Passes everything on; once nobody reads any more (head, less), to nowhere.

    click and rich end the process with exit code 1 then, which for the gate means "over budget".
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._full: OutputFull | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or drop it.

        Raises:
            OutputFull: the disk behind it is full.
        """
        self._raise_if_full()
        try:
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """Flush, or drop what is left.

        Raises:
            OutputFull: the disk behind it is full.
        """
        self._raise_if_full()
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())  # what is buffered still, at exit too, goes there
        os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            self._full = OutputFull(f"the output cannot be written: {error.strerror}")
            self._raise_if_full()

    def _raise_if_full(self) -> None:
        """Again at every use: click swallows an error of its first, probing write."""
        if self._full is not None:
            raise self._full
