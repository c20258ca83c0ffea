"""A standard output that outlasts its reader, so that the command ends by itself."""

from __future__ import annotations

import os
from typing import Any, TextIO


class TolerantStream:
    """Passes everything on; once the stream takes no more, everything goes nowhere.

    click and rich end the process with exit code 1 when nobody reads any more (head, less), which
    for the gate means "over budget"; and a run must not end because its progress cannot be shown.
    `failure` is what went wrong, if that was anything else than a reader who went away.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or drop it."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """Flush, or drop what is left."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())  # what is buffered still, at exit too, goes there
        os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            self.failure = error
