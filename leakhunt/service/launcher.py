"""Started in place of a service's command, and becomes it: ``python -m leakhunt.service.launcher``.

It waits for a line on its standard input, so that it is inside its memory cgroup before it
allocates, and lets the kernel end it with its supervisor, whose number is the first argument; 0: it
outlives it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
CANNOT_RUN = 127


def main(words: list[str]) -> int:
    """Become the command; returns only where that is not possible."""
    supervisor, command = int(words[0]), words[1:]
    if supervisor and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != supervisor:  # it died before the kernel was told
            return CANNOT_RUN
    if not sys.stdin.readline():  # whoever started it is gone, or could not limit it
        return CANNOT_RUN
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command that the user asked for
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return CANNOT_RUN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
