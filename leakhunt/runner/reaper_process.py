"""The process beside a supervisor that ends a tree of processes: a script of its own.

Started as ``python -I -S reaper_process.py SUPERVISOR TAG GRACE_SECONDS``; nothing but the standard
library is imported, so that it is there in milliseconds. Standard input has lines: ``watch PID``,
``group FOLDER`` (a cgroup), and ``end``. At ``end`` what is left of the tree is killed. Where the
supervisor dies without a word, the tree gets SIGTERM, and SIGKILL after the time of grace.

A process belongs to the tree if its environment has the tag, if it is in the session of the process
that is watched or below it, or in the cgroup.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_POLL_SECONDS = 0.02
# A process that cannot be killed (it waits for a disk, say) is given up.
_PATIENCE_SECONDS = 2.0
_READ_BYTES = 1 << 16
_DESCRIPTOR = 0


class ReapedTree:
    """The processes that carry a tag, or hang together with the one that is watched."""

    def __init__(self, tag: str) -> None:
        self._tag = tag.encode()
        self._root = 0
        self._root_started = ""
        self._group: Path | None = None

    def take(self, line: str) -> None:
        """Heed a line of the supervisor's."""
        word, _, about = line.partition(" ")
        if word == "watch":
            self._root = int(about)
            self._root_started = _started(self._root)
        elif word == "group":
            self._group = Path(about)

    def is_alive(self) -> bool:
        """Whether a process of it lives."""
        if not _PROC.is_dir():
            return bool(self._root) and _kill_session(self._root, 0)
        return bool(self._members())

    def kill(self, number: signal.Signals) -> bool:
        """Send a signal to every process; whether there was one."""
        members = self._members()
        if number is signal.SIGKILL and self._group is not None:
            with contextlib.suppress(OSError):  # cgroup v2 of Linux 5.14 and later
                (self._group / "cgroup.kill").write_text("1")
        for pid in members:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        if not _PROC.is_dir() and self._root:
            return _kill_session(self._root, number)
        return bool(members)

    def remove_group(self) -> None:
        """Remove the cgroup, if it is still there."""
        if self._group is not None:
            with contextlib.suppress(OSError):
                self._group.rmdir()

    def _members(self) -> set[int]:
        processes = dict(_processes())
        own = {os.getpid()}
        root = self._root
        is_known = root and _started(root) in ("", self._root_started)  # no other of that number
        found = {
            pid
            for pid, (_, session) in processes.items()
            if (is_known and root in (pid, session)) or _has_tag(pid, self._tag)
        }
        found |= _in_group(self._group) & processes.keys()
        below = found - own
        while below:
            below = {pid for pid, (parent, _) in processes.items() if parent in below} - found
            found |= below
        return found - own


def _kill_session(root: int, number: int) -> bool:
    """Where there is no /proc: the process group is what can be reached."""
    try:
        os.killpg(root, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _processes() -> Iterator[tuple[int, tuple[int, int]]]:
    """Parent and session of every process that is no zombie, by its number."""
    if not _PROC.is_dir():
        return
    for name in os.listdir(_PROC):  # noqa: PTH208 - names are enough
        if name.isdigit() and (fields := _stat(int(name))) and fields[0] not in "ZX":
            yield int(name), (int(fields[1]), int(fields[3]))


def _stat(pid: int) -> list[str]:
    """The fields of proc(5) stat after the name: state, parent, group, session, ...; or none."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _started(pid: int) -> str:
    """When a process began, in ticks since the start of the system; empty: it is gone."""
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 else ""


def _has_tag(pid: int, tag: bytes) -> bool:
    try:
        return tag in (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False


def _in_group(group: Path | None) -> set[int]:
    if group is None:
        return set()
    try:
        return set(map(int, (group / "cgroup.procs").read_text(encoding="ascii").split()))
    except OSError:
        return set()


def _lines(supervisor: int) -> Iterator[str]:
    """The supervisor's lines, until it hangs up or dies."""
    poll = select.poll()
    poll.register(_DESCRIPTOR, select.POLLIN)
    ended = -1
    if hasattr(os, "pidfd_open"):  # what the supervisor forks may keep the pipe open
        with contextlib.suppress(OSError):
            ended = os.pidfd_open(supervisor)
            poll.register(ended, select.POLLIN)
        if os.getppid() != supervisor:  # it died before this, and another may have its number
            return
    rest = b""
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if _DESCRIPTOR in ready:
            part = os.read(_DESCRIPTOR, _READ_BYTES)
            if not part:
                return
            *lines, rest = (rest + part).split(b"\n")
            yield from (os.fsdecode(line) for line in lines)
        elif ended in ready:
            return


def main(words: list[str]) -> None:
    """Wait for the end, and end the tree."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    supervisor, tag, grace_seconds = int(words[0]), words[1], float(words[2])
    tree = ReapedTree(tag)
    for line in _lines(supervisor):
        if line == "end":
            grace_seconds = 0.0
            break
        tree.take(line)
    _end(tree, grace_seconds)


def _end(tree: ReapedTree, grace_seconds: float) -> None:
    deadline = time.monotonic() + grace_seconds
    if grace_seconds:
        tree.kill(signal.SIGTERM)
    while time.monotonic() < deadline and tree.is_alive():
        time.sleep(_POLL_SECONDS)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while tree.kill(signal.SIGKILL) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    tree.remove_group()


if __name__ == "__main__":
    main(sys.argv[1:])
