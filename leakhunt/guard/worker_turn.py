"""One worker of a parent at a time is handed over: a lock on a file."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

_LOG = logging.getLogger("leakhunt.guard")


class Turn:
    """One worker of a parent at a time: a lock on a file, free when its holder is gone.

    Its time of change says when the last one ended.
    """

    def __init__(self, parent_pid: int, pause_seconds: float, folder: Path | None = None) -> None:
        # Of this user, and of this parent: another user's file could not be locked.
        user = os.getuid() if hasattr(os, "getuid") else 0
        name = f"leakhunt-guard-{user}-{parent_pid}.lock"
        self._path = (folder or Path(tempfile.gettempdir())) / name
        self._pause = pause_seconds
        self._file: IO[bytes] | None = None

    def take(self) -> bool:
        """Whether it is this process's turn now; it stays so until the process ends."""
        if sys.platform == "win32":
            return True
        import fcntl

        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            existed = self._path.exists()
            descriptor = os.open(self._path, flags, 0o600)
        except OSError as error:
            _LOG.warning("leakhunt.guard: no file for turns (%s); this worker takes its own", error)
            return True
        file = os.fdopen(descriptor, "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        if existed and time.time() - os.fstat(file.fileno()).st_mtime < self._pause:
            file.close()
            return False
        self._file = file
        os.utime(self._path)
        return True

    def end(self) -> None:
        """The pause begins: this process is about to end."""
        with contextlib.suppress(OSError):
            os.utime(self._path)
