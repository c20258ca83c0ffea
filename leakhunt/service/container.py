"""What the container of a service counts: its memory cgroup by kind of memory, and /dev/shm."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from leakhunt.amounts import Amount
from leakhunt.model.own_files import GUARD_SUFFIX
from leakhunt.model.series import (
    CGROUP_ANON,
    CGROUP_EVENTS,
    CGROUP_FILE,
    CGROUP_KERNEL,
    CGROUP_PEAK,
    CGROUP_SHMEM,
    CGROUP_SLAB,
    CGROUP_SWAP,
    PRESSURE,
    SERIES,
    SHARED_FILES,
    Series,
)
from leakhunt.text.message import Message, Text, message

_BLOCK_BYTES = 512
_MICROSECOND_NS = 1000
# What of memory.events is no event of its own: `low` is no pressure of this group.
_EVENTS = ("high", "max", "oom", "oom_kill")
_NAMES = (
    *(CGROUP_ANON, CGROUP_FILE, CGROUP_SHMEM, CGROUP_KERNEL, CGROUP_SLAB, CGROUP_SWAP),
    *(CGROUP_PEAK, CGROUP_EVENTS, PRESSURE),
)
_NO_GROUP = message("soak.no-cgroup", "no memory cgroup is mounted here")
_NOT_TOLD = message("soak.cgroup-does-not-tell", "this version of the cgroup does not report it")


class Container:
    """The memory cgroup that a process is in (`group`; None: none is mounted), and its /dev/shm."""

    def __init__(self, pid: int, group: Path | None) -> None:
        self._group = group
        self._shared = Path("/proc", str(pid), "root", "dev", "shm")
        self._sizes_before = {file.name: file.size_bytes for file in self._files()}
        self._names = tuple(self.read())

    @property
    def series(self) -> tuple[Series, ...]:
        """What `read` reads."""
        return tuple(SERIES[name].series_of_tree for name in self._names)

    @property
    def unavailable(self) -> dict[str, Message]:
        """Why the other series are not read."""
        why = _NO_GROUP if self._group is None else _NOT_TOLD
        return {name: why for name in _NAMES if name not in self._names}

    def read(self) -> dict[str, int]:
        """The values, by series; what is not told (any more) is left out."""
        values = dict(of_group(self._group)) if self._group is not None else {}
        with contextlib.suppress(OSError):
            values[SHARED_FILES] = sum(file.size_bytes for file in _files(self._shared))
        return values

    def grown(self, pids: Sequence[int], count: int = 5) -> list[SharedFile]:
        """The largest files of /dev/shm that are new, or larger than when this began to look.

        Each with those of these processes, the service's, that have it open or mapped. /dev/shm is
        the whole machine's: what only others have is theirs.
        """
        before = self._sizes_before
        grown = [file for file in self._files() if file.size_bytes > before.get(file.name, 0)]
        if not grown:
            return []
        files_of = {pid: _held_by(pid) for pid in pids}
        ours = set().union(*files_of.values())
        theirs = _held_by_others(frozenset(pids)) if {file.name for file in grown} - ours else set()
        told = [file for file in grown if file.name in ours or file.name not in theirs]
        return [
            replace(file, pids=tuple(pid for pid, held in files_of.items() if file.name in held))
            for file in sorted(told, key=lambda file: -file.size_bytes)[:count]
        ]

    def _files(self) -> Sequence[SharedFile]:
        try:
            return _files(self._shared)
        except OSError:
            return []


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A file of /dev/shm: its user, and the processes of the service that have it."""

    name: str
    size_bytes: int
    owner: str
    pids: tuple[int, ...] = ()

    def sentence(self, title_of: Callable[[int], Text | None]) -> Message:
        """Whose it is, in words."""
        values = {"name": self.name, "size": Amount(self.size_bytes), "owner": self.owner}
        titles = tuple(dict.fromkeys(title for pid in self.pids if (title := title_of(pid))))
        if not titles:
            return message(
                "soak.shared-file-left",
                "{name}: {size} (user {owner}, held by no process of the service)",
                **values,
            )
        return message(
            "soak.shared-file",
            "{name}: {size} (user {owner}, held by {titles})",
            titles=titles,
            **values,
        )


def of_group(group: Path) -> Mapping[str, int]:
    """What a memory cgroup of version 2 or 1 tells, by series."""
    try:
        stat = _table(group / "memory.stat")
    except (OSError, ValueError):
        return {}
    if "anon" in stat:
        values = {
            CGROUP_ANON: stat["anon"],
            CGROUP_FILE: stat.get("file", 0) - stat.get("shmem", 0),
            CGROUP_SHMEM: stat.get("shmem", 0),
            **{name: stat[key] for name, key in _OF_STAT if key in stat},
        }
        files = {CGROUP_SWAP: "memory.swap.current", CGROUP_PEAK: "memory.peak"}
    else:
        shmem = stat.get("total_shmem", 0)
        values = {
            CGROUP_ANON: stat.get("total_rss", 0),
            CGROUP_FILE: max(stat.get("total_cache", 0) - shmem, 0),
            CGROUP_SHMEM: shmem,
            **({CGROUP_SWAP: stat["total_swap"]} if "total_swap" in stat else {}),
        }
        files = {
            CGROUP_KERNEL: "memory.kmem.usage_in_bytes",
            CGROUP_PEAK: "memory.max_usage_in_bytes",
            CGROUP_EVENTS: "memory.failcnt",
        }
    for name, file in files.items():
        with contextlib.suppress(OSError, ValueError):
            values[name] = int((group / file).read_text(encoding="ascii"))
    with contextlib.suppress(OSError, ValueError):
        events = _table(group / "memory.events")
        values[CGROUP_EVENTS] = sum(events.get(name, 0) for name in _EVENTS)
    with contextlib.suppress(OSError, ValueError, IndexError):
        some = (group / "memory.pressure").read_text(encoding="ascii").splitlines()[0]
        values[PRESSURE] = int(some.rpartition("total=")[2]) * _MICROSECOND_NS
    return values


_OF_STAT = ((CGROUP_KERNEL, "kernel"), (CGROUP_SLAB, "slab"))


def _table(file: Path) -> dict[str, int]:
    lines = (line.split() for line in file.read_text(encoding="ascii").splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) == 2}


def _files(folder: Path) -> Sequence[SharedFile]:
    """The files below a folder, and what they take; without those of our own guard."""
    found = []
    for where, _, names in os.walk(folder):
        for name in names:
            if name.endswith(GUARD_SUFFIX):
                continue
            with contextlib.suppress(OSError):
                file = Path(where, name)
                facts = file.lstat()
                size = facts.st_blocks * _BLOCK_BYTES
                found.append(SharedFile(str(file.relative_to(folder)), size, _user(facts)))
    return found


def _user(facts: os.stat_result) -> str:
    try:
        return pwd.getpwuid(facts.st_uid).pw_name
    except KeyError:
        return str(facts.st_uid)


def _held_by_others(pids: frozenset[int]) -> set[str]:
    """The files of /dev/shm that any other process has which may be looked at."""
    others = (int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal())
    return set().union(*(_held_by(pid) for pid in others if pid not in pids))


def _held_by(pid: int) -> set[str]:
    """The files of /dev/shm that a process has mapped or open."""
    prefix = "/dev/shm/"  # noqa: S108 - what the kernel writes
    files: set[str] = set()
    with contextlib.suppress(OSError):
        for line in Path("/proc", str(pid), "maps").read_text(errors="replace").splitlines():
            _, found, name = line.partition(prefix)
            if found and not name.endswith(" (deleted)"):
                files.add(name)
    with contextlib.suppress(OSError):
        for link in Path("/proc", str(pid), "fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(link.readlink())
                if target.startswith(prefix):
                    files.add(target.removeprefix(prefix))
    return files
