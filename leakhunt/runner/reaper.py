"""Ending a tree of processes with this one, whatever ends this one, SIGKILL included.

A process that is killed can end nothing. So a small one stands beside every worker, service and
load generator, and ends what belongs to it (`reaper_process` says what does).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

_SCRIPT = Path(__file__).with_name("reaper_process.py")
# The tags of a process in its environment: its own, and those of the trees around it.
_TAGS = "LEAKHUNT_TREE"
_TAG_BYTES = 12


class Reaper:
    """Ends a tree: at the end of this, or with this process.

    A tree that outlives this process is asked to end (SIGTERM), and killed after `grace_seconds`.
    """

    def __init__(self, grace_seconds: float = 0.0) -> None:
        tag = secrets.token_hex(_TAG_BYTES)
        around = os.environ.get(_TAGS, "")
        self.variables: Mapping[str, str] = {_TAGS: f"{around} {tag}".strip()}
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SCRIPT), str(os.getpid()), tag, str(grace_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def watch(self, pid: int, group: Path | None = None) -> None:
        """The first process of the tree, which leads a session, and the cgroup made for it."""
        self._send(f"watch {pid}")
        if group is not None:
            self._send(f"group {group}")

    def end(self) -> None:
        """Kill what is left of the tree; returns when it is gone."""
        self._send("end")
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ValueError):  # it was killed, or told the end
            self._process.stdin.write(os.fsencode(line) + b"\n")
            self._process.stdin.flush()
