"""Where the output of a process that we start goes."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from leakhunt.errors import CannotWrite
from leakhunt.text.message import message
from leakhunt.text.system import system_text


def opened_log(log: Path) -> IO[bytes]:
    """A log to be written at its end; whoever asked for it closes it.

    Raises:
        CannotWrite: the disk does not take it.
    """
    try:
        return open(log, "ab")
    except OSError as error:
        raise CannotWrite(
            message(
                "file.cannot-write-log",
                "{log}: {strerror}. Free some space, or use --out",
                log=log,
                strerror=system_text(error),
            )
        ) from error
