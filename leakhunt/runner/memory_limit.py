"""A memory limit for one worker: a memory cgroup where one may be made, else RLIMIT_AS.

A cgroup limits what is resident and the kernel kills at the limit, as a container does. RLIMIT_AS
limits address space: allocations fail with an error instead, and a CUDA build of torch needs many
GiB of it from the start. The two are not the same, so the run says which it was.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Protocol

import psutil

from leakhunt.amounts import Amount
from leakhunt.errors import MissingRequirement
from leakhunt.model.comparison import ADDRESS_SPACE_LIMIT, CGROUP_LIMIT
from leakhunt.model.run import ADDRESS_SPACE, FREE_MEMORY, MEMORY_CGROUP, MEMORY_LIMIT
from leakhunt.probes.cgroup import NO_LIMIT_BYTES
from leakhunt.probes.cgroup import own_cgroup as _own_cgroup
from leakhunt.text.message import Message, Text, message

# Workers of one process may run at the same time, those of equally named variants as well.
_NUMBERS = count(1)
_REMOVE_ATTEMPTS = 50
_REMOVE_PAUSE_SECONDS = 0.02


class MemoryLimit(Protocol):
    """A limit in force for one worker."""

    @property
    def name(self) -> Text:
        """What enforces it, for the report."""

    @property
    def size_bytes(self) -> int | None:
        """The most memory a worker may have; None without a limit."""

    @property
    def group(self) -> Path | None:
        """The cgroup made for the worker; None where the limit is none of a cgroup."""

    def enter(self, pid: int) -> None:
        """Put the worker under the limit, before it allocates."""

    def moved(self, size_bytes: int, pid: int) -> MemoryLimit:
        """The same limit at another height, for the process that entered it."""

    def kernel_words(self) -> Text | None:
        """What the kernel counted against the worker, once it has ended."""

    def remove(self) -> None:
        """Take the limit away."""


def memory_limit(size_bytes: int | None) -> MemoryLimit:
    """The strongest limit that this process may set, for one worker: each call makes another.

    Raises:
        MissingRequirement: a limit is asked for on a system where none can be set.
    """
    if size_bytes is None:
        return NoLimit()
    if sys.platform != "linux":
        raise MissingRequirement(
            message("limit.linux-only", "--memory-limit needs Linux. Remove it on this system")
        )
    for attempt in (_CgroupV2.make, _CgroupV1.make):
        made = attempt(size_bytes)
        if made is not None:
            return made
    return AddressSpaceLimit(size_bytes)


def memory_bounds(limit: MemoryLimit, used_bytes: int = 0) -> dict[str, int]:
    """What may stop a process from growing, by what sets it: the most that it can have, in bytes.

    `used_bytes`: its memory so far, which is part of what is free to it.
    """
    bounds = {FREE_MEMORY: psutil.virtual_memory().available + used_bytes}
    if limit.size_bytes is not None:
        named = ADDRESS_SPACE if isinstance(limit, AddressSpaceLimit) else MEMORY_LIMIT
        bounds[named] = limit.size_bytes
    for controller, names, dropped in (
        ("", ("memory.max", "memory.current"), ("file", "shmem")),
        (
            "memory",
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
            ("total_cache", "total_shmem"),
        ),
    ):
        own = _own_cgroup(controller)
        sizes = [_size(own / name) if own else None for name in names]
        if own and sizes[0] is not None and sizes[1] is not None and sizes[0] < NO_LIMIT_BYTES:
            cached, shared = (_count(own / "memory.stat", rf"^{name} (\d+)") for name in dropped)
            bounds[MEMORY_CGROUP] = sizes[0] - (sizes[1] - (cached - shared)) + used_bytes
    if sys.platform == "linux":
        import resource

        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        if soft != resource.RLIM_INFINITY:
            bounds[ADDRESS_SPACE] = min(soft, bounds.get(ADDRESS_SPACE, soft))
    return bounds


def _size(file: Path) -> int | None:
    """The number in a cgroup file; None without one (``max``)."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


class NoLimit:
    """No limit."""

    name = "none"
    size_bytes = None
    group = None

    def enter(self, pid: int) -> None:
        """Nothing to do."""

    def moved(self, size_bytes: int, pid: int) -> NoLimit:
        """There is none to move."""
        return self

    def kernel_words(self) -> Text | None:
        """The kernel counts nothing."""
        return None

    def remove(self) -> None:
        """Nothing to do."""


@dataclass(frozen=True, slots=True)
class AddressSpaceLimit:
    """RLIMIT_AS: allocations beyond it fail with MemoryError or std::bad_alloc."""

    size_bytes: int

    @property
    def name(self) -> Text:
        """What enforces it."""
        return Message(*ADDRESS_SPACE_LIMIT, {"size_bytes": Amount(self.size_bytes)})

    @property
    def group(self) -> None:
        """None."""

    def enter(self, pid: int) -> None:
        """Set the limit of another process."""
        import resource

        resource.prlimit(pid, resource.RLIMIT_AS, (self.size_bytes, self.size_bytes))

    def moved(self, size_bytes: int, pid: int) -> AddressSpaceLimit:
        """Set it anew; what the process has started since keeps the former one."""
        other = replace(self, size_bytes=size_bytes)
        other.enter(pid)
        return other

    def kernel_words(self) -> Text | None:
        """The kernel counts nothing for RLIMIT_AS."""
        return None

    def remove(self) -> None:
        """It ends with the process."""


@dataclass(frozen=True, slots=True)
class _Cgroup:
    """A memory cgroup of one worker; `kills` reads its count of OOM kills.

    `files` hold its limits: memory, then memory and swap together.
    """

    folder: Path
    size_bytes: int
    version: int
    files: tuple[str, ...]
    kills: Callable[[Path], int]

    @property
    def name(self) -> Text:
        """What enforces it."""
        size = Amount(self.size_bytes)
        return Message(*CGROUP_LIMIT, {"version": self.version, "size_bytes": size})

    @property
    def group(self) -> Path:
        """Where it is."""
        return self.folder

    def enter(self, pid: int) -> None:
        """Move the worker into the group."""
        (self.folder / "cgroup.procs").write_text(str(pid))

    def moved(self, size_bytes: int, pid: int) -> _Cgroup:
        """The group with another limit; the process stays in it."""
        del pid
        # Memory and swap together may never be below memory alone: lower it first, raise it last.
        names = self.files if size_bytes < self.size_bytes else self.files[::-1]
        for name in names:
            if (self.folder / name).exists():  # swap accounting may be off
                (self.folder / name).write_text(str(size_bytes))
        return replace(self, size_bytes=size_bytes)

    def kernel_words(self) -> Text | None:
        """The group's own count of OOM kills."""
        kills = self.kills(self.folder)
        if not kills:
            return None
        return message(
            "run.oom-killer",
            "killed by the kernel's OOM killer: {kills:d} kill in the memory cgroup, limit"
            " {size_bytes}",
            kills=kills,
            size_bytes=Amount(self.size_bytes),
        )

    def remove(self) -> None:
        """Remove the group; the kernel takes a moment to see that its last process is gone."""
        for _ in range(_REMOVE_ATTEMPTS):
            try:
                self.folder.rmdir()
                return
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(_REMOVE_PAUSE_SECONDS)


class _CgroupV2:
    @staticmethod
    def make(size_bytes: int) -> _Cgroup | None:
        own = _own_cgroup("")
        if own is None:
            return None
        # A group with processes may not hand controllers to children: go beside it, then above.
        for parent in (own, own.parent):
            settings = {"memory.max": size_bytes, "memory.swap.max": 0, "memory.oom.group": 1}
            folder = _make_group(parent, settings, needed="memory.max")
            if folder is not None:
                return _Cgroup(folder, size_bytes, 2, ("memory.max",), _CgroupV2.kills)
        return None

    @staticmethod
    def kills(folder: Path) -> int:
        return _count(folder / "memory.events", r"^oom_kill (\d+)")


class _CgroupV1:
    @staticmethod
    def make(size_bytes: int) -> _Cgroup | None:
        own = _own_cgroup("memory")
        if own is None:
            return None
        files = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
        settings = dict.fromkeys(files, size_bytes)
        folder = _make_group(own, settings, needed=files[0])
        return _Cgroup(folder, size_bytes, 1, files, _CgroupV1.kills) if folder else None

    @staticmethod
    def kills(folder: Path) -> int:
        return _count(folder / "memory.oom_control", r"^oom_kill (\d+)")


def _make_group(parent: Path, settings: dict[str, int], needed: str) -> Path | None:
    folder = parent / f"leakhunt-{os.getpid()}-{next(_NUMBERS)}"
    with contextlib.suppress(OSError):  # left by a supervisor that was killed
        folder.rmdir()
    try:
        folder.mkdir()
    except OSError:
        return None
    if not (folder / needed).exists():
        folder.rmdir()
        return None
    for name, value in settings.items():
        try:
            (folder / name).write_text(str(value))
        except OSError:  # swap accounting may be off; the limit itself may not
            if name == needed:
                folder.rmdir()
                return None
    return folder


def _count(file: Path, pattern: str) -> int:
    try:
        match = re.search(pattern, file.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) if match else 0
