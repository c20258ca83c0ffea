"""A process tree that is followed for days: read, found again after a restart, told from others.

A process is known by its number and by the tick of the boot at which it started: a number that the
kernel gave to another process, or a clock that was set, changes nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil

from leakhunt.errors import UsageError
from leakhunt.model.series import CGROUP, PEAK_RSS, PSS, RSS, Series
from leakhunt.service.process_roles import Roles
from leakhunt.service.process_tree import Tree
from leakhunt.text.message import message

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_DEAD = ("Z", "X", "x")
_LONGEST_COMMAND = 200
# What counts against a limit of all of them, the most fitting first.
_COUNTED = (CGROUP, PSS, RSS)


@dataclass(frozen=True, slots=True)
class ProcessBirth:
    """A process, and the tick since the boot at which it started."""

    pid: int
    ticks: int


@dataclass(frozen=True, slots=True)
class WatchReading:
    """What is read at one moment: the first process, all of them together, and each by itself.

    `largest` is the process that takes most.
    """

    birth: ProcessBirth
    values: Mapping[str, int]
    rows: Sequence[Sequence[int | None]] = ()
    holders: Sequence[Mapping[str, object]] = ()
    largest: int = 0

    @property
    def counted_bytes(self) -> int:
        """What counts against a limit."""
        return next((self.values[name] for name in _COUNTED if self.values.get(name)), 0)


class WatchSource(Protocol):
    """What is watched."""

    @property
    def series(self) -> tuple[Series, ...]:
        """What `read` reads."""

    def read(self) -> WatchReading | None:
        """A reading; None: there is no such process now."""

    def ending(self) -> int | None:
        """The exit code of a process of ours that has ended; None: it lives, or is not ours."""


def boot_id() -> str:
    """What is another one after each boot; empty where the kernel does not tell."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def birth_of(pid: int) -> ProcessBirth | None:
    """The process of that number; None: there is none, or it has ended."""
    try:
        text = Path("/proc", str(pid), "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    words = text.rpartition(")")[2].split()
    return None if not words or words[0] in _DEAD else ProcessBirth(pid, int(words[19]))


class TreeSource:
    """A process and all below it; `find` says which it is when the one before has ended."""

    def __init__(
        self,
        birth: ProcessBirth,
        find: Callable[[], ProcessBirth | None],
        exit_code: Callable[[], int | None] = lambda: None,
    ) -> None:
        """Raises UsageError where there is no such process (any more)."""
        self._find = find
        self._exit_code = exit_code
        self._roles = Roles()
        self._tree: Tree | None = None
        self._birth = birth
        tree = self._enter(birth)
        if tree is None:
            raise UsageError(
                message(
                    "watch.no-process",
                    "process {pid}: not found. Check the PID",
                    pid=birth.pid,
                )
            )
        # Peaks would have to be set back in the process, which is left as it is.
        self._series = tuple(each for each in tree.series if each.name != PEAK_RSS)
        self.variables: Mapping[str, str] = tree.variables()

    @property
    def series(self) -> tuple[Series, ...]:
        """What `read` reads."""
        return self._series

    def _enter(self, birth: ProcessBirth) -> Tree | None:
        """That process from now on; None: it has gone meanwhile."""
        try:
            tree = Tree(birth.pid)
        except (psutil.Error, OSError):
            return None
        if birth_of(birth.pid) != birth:
            return None
        self._tree, self._birth = tree, birth
        return tree

    def read(self) -> WatchReading | None:
        """A reading; None: there is no such process now."""
        if self._tree is None or birth_of(self._birth.pid) != self._birth:
            self._tree = None
            found = self._find()
            if found is None or self._enter(found) is None:
                return None
        tree = self._tree
        assert tree is not None
        try:
            pids = tree.pids() or [self._birth.pid]
            each = tree.read_each(pids)
            values = tree.summed(pids, each)
        except (ProcessLookupError, psutil.Error):
            return None
        self._roles.update(pids)
        holders = self._roles.fresh()
        return WatchReading(
            birth=self._birth,
            values=values,
            rows=self._roles.rows(each),
            holders=holders,
            largest=max(each, key=lambda pid: each[pid].get(RSS, 0), default=self._birth.pid),
        )

    def ending(self) -> int | None:
        """The exit code of a process of ours that has ended."""
        return self._exit_code()


@dataclass(frozen=True, slots=True)
class _Listed:
    pid: int
    parent: int
    name: str
    command: str


@dataclass(frozen=True, slots=True)
class ProcessName:
    """A process by a part of its command line, or of another's with the same command line."""

    text: str
    whole: bool = False
    but: frozenset[int] = field(default_factory=lambda: frozenset({os.getpid(), os.getppid()}))

    def roots(self) -> list[ProcessBirth]:
        """The processes that fit and that no other one that fits has started."""
        fitting = [each for each in _listed() if self._fits(each)]
        named = [each for each in fitting if each.name == self.text]
        chosen = named or fitting
        pids = {each.pid for each in chosen}
        found = (birth_of(each.pid) for each in chosen if each.parent not in pids)
        return [birth for birth in found if birth is not None]

    def newest(self) -> ProcessBirth | None:
        """The one that started last; None: none fits."""
        return max(self.roots(), key=lambda birth: birth.ticks, default=None)

    def only(self) -> ProcessBirth:
        """The one that fits.

        Raises:
            UsageError: none does, or several do.
        """
        found = self.roots()
        if len(found) == 1:
            return found[0]
        if not found:
            raise UsageError(
                message(
                    "watch.no-such-name",
                    "{name}: no process has this in its command line. Give its PID",
                    name=self.text,
                )
            )
        listed = "; ".join(f"{each.pid}: {command_of(each.pid)[:80]}" for each in found[:10])
        raise UsageError(
            message(
                "watch.several",
                "{name}: {count} processes fit ({listed}). Give the PID of one",
                name=self.text,
                count=len(found),
                listed=listed,
            )
        )

    def _fits(self, each: _Listed) -> bool:
        if each.pid in self.but or "leakhunt watch" in each.command:
            return False
        return each.command == self.text if self.whole else self.text in each.command


def command_of(pid: int) -> str:
    """The command line of a process; empty where there is none."""
    with contextlib.suppress(OSError):
        words = Path("/proc", str(pid), "cmdline").read_bytes().decode("utf-8", "replace")
        return " ".join(word for word in words.split("\0") if word)[:_LONGEST_COMMAND]
    return ""


def _listed() -> list[_Listed]:
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        pid = int(folder.name)
        command = command_of(pid)
        if not command:
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            name = text[text.index("(") + 1 : text.rindex(")")]
            found.append(_Listed(pid, int(text.rpartition(")")[2].split()[1]), name, command))
    return found
