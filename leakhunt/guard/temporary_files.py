"""A folder for temporary files that outlives neither its scope nor a killed process."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_PREFIX = "leakhunt-scope-"


@contextmanager
def temporary_scope(folder: Path | str | None = None) -> Iterator[Path]:
    """A folder for temporary files, removed with all of them at the end, whatever happens.

    What processes that were killed have left in `folder` (default: the system's) is removed at
    the start: its name has the process's id and start.
    """
    base = Path(folder) if folder is not None else Path(tempfile.gettempdir())
    remove_leftovers(base)
    me = psutil.Process()
    made = tempfile.mkdtemp(prefix=f"{_PREFIX}{me.pid}-{_started(me)}-", dir=base)
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def remove_leftovers(folder: Path) -> int:
    """Remove the scopes of processes of this user that are gone; how many."""
    count = 0
    for left in folder.glob(f"{_PREFIX}*"):
        pid, _, rest = left.name.removeprefix(_PREFIX).partition("-")
        started = rest.partition("-")[0]
        if not pid.isdigit() or not started.isdigit() or _lives(int(pid), int(started)):
            continue
        with contextlib.suppress(OSError):
            if left.is_symlink() or (hasattr(os, "getuid") and left.stat().st_uid != os.getuid()):
                continue
            shutil.rmtree(left, ignore_errors=True)
            count += 1
    return count


def _lives(pid: int, started: int) -> bool:
    try:
        return _started(psutil.Process(pid)) == started
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def _started(process: psutil.Process) -> int:
    return round(process.create_time() * 100)
