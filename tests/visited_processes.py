"""Processes that nobody prepared, for a visit, and what of it can be seen in them from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running(code: str | Path, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs `code`, or a file of it; it has said that it is ready."""
    program = [str(code)] if isinstance(code, Path) else ["-c", code]
    words = [*(command or (sys.executable,)), *program]
    made = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd="/")
    try:
        assert made.stdout is not None
        assert made.stdout.readline() == "ready\n"
        yield made
    finally:
        if made.poll() is None:
            made.send_signal(signal.SIGCONT)
        made.kill()
        made.wait()
        assert made.stdout is not None
        made.stdout.close()


def state(pid: int, *, pipes: bool = True) -> tuple[list[str], int]:
    """Descriptors by what they lead to, without the one that libffi keeps; threads.

    Without `pipes` where memray was loaded, whose unwinder keeps one.
    """
    folder = Path("/proc", str(pid))
    places = []
    for each in (folder / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            place = os.fspath(each.readlink())
            if "libffi" not in place and (pipes or not place.startswith("pipe:")):
                places.append(place)
    return sorted(places), len(list((folder / "task").iterdir()))


def settles(pid: int, before: tuple[list[str], int], *, pipes: bool = True) -> bool:
    """Whether the process comes to be as it was `before`."""
    deadline = time.monotonic() + 10
    while state(pid, pipes=pipes) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    return state(pid, pipes=pipes) == before
