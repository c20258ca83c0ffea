"""What the kernel says of this process: resident memory, threads, descriptors, children.

On Linux from ``/proc/self`` through descriptors that stay open: opening the file on every reading
leaves blocks behind and costs ten times as much. Elsewhere through psutil.
"""

from __future__ import annotations

import os
from array import array
from pathlib import Path
from typing import ClassVar

import psutil

from leakhunt.model.series import CHILDREN, DESCRIPTORS, RSS, SERIES, THREADS, Series
from leakhunt.text.message import Text, message

_PROC = Path("/proc/self")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_READ_BYTES = 512
# Room for the numbers of some thousand children.
_CHILDREN_BYTES = 64 << 10


class RssProbe:
    """Resident set size: what the OOM killer sees."""

    series: ClassVar[tuple[Series, ...]] = (SERIES[RSS].series,)

    @classmethod
    def unavailable(cls) -> Text | None:
        """None: psutil reads it on every system."""
        return None

    def __init__(self) -> None:
        statm = _PROC / "statm"
        self._descriptor = os.open(statm, os.O_RDONLY | os.O_CLOEXEC) if statm.exists() else None
        self._process = psutil.Process()

    def read(self, into: array[int], at: int) -> None:
        """Bytes."""
        if self._descriptor is None:
            into[at] = self._process.memory_info().rss
            return
        into[at] = int(os.pread(self._descriptor, _READ_BYTES, 0).split()[1]) * _PAGE_BYTES


class ThreadsProbe:
    """Operating-system threads of this process."""

    series: ClassVar[tuple[Series, ...]] = (SERIES[THREADS].series,)

    @classmethod
    def unavailable(cls) -> Text | None:
        """None: psutil reads it on every system."""
        return None

    def __init__(self) -> None:
        stat = _PROC / "stat"
        self._descriptor = os.open(stat, os.O_RDONLY | os.O_CLOEXEC) if stat.exists() else None
        self._process = psutil.Process()

    def read(self, into: array[int], at: int) -> None:
        """A count."""
        if self._descriptor is None:
            into[at] = self._process.num_threads()
            return
        # Field 20 of proc(5) stat; the name in field 2 may hold spaces, so count from its ')'.
        text = os.pread(self._descriptor, _READ_BYTES, 0)
        into[at] = int(text[text.rindex(b")") + 2 :].split()[17])


class DescriptorsProbe:
    """Open file descriptors (handles on Windows)."""

    series: ClassVar[tuple[Series, ...]] = (SERIES[DESCRIPTORS].series,)

    @classmethod
    def unavailable(cls) -> Text | None:
        """None: psutil reads it on every system."""
        return None

    def __init__(self) -> None:
        folder = _PROC / "fd"
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC) if folder.exists() else None
        self._process = psutil.Process()

    def read(self, into: array[int], at: int) -> None:
        """A count."""
        if self._descriptor is not None:
            # Listing through a descriptor opens a copy of it for the while; it is not counted.
            into[at] = len(os.listdir(self._descriptor)) - 1  # noqa: PTH208 - a descriptor
        else:
            windows = not hasattr(self._process, "num_fds")
            into[at] = getattr(self._process, "num_handles" if windows else "num_fds")()


class ChildrenProbe:
    """Child processes that were not waited for, zombies among them. Linux only."""

    series: ClassVar[tuple[Series, ...]] = (SERIES[CHILDREN].series,)

    @classmethod
    def unavailable(cls) -> Text | None:
        """Why the kernel does not list the children here, or None."""
        # /proc/self is the process's own, and its first thread has its number.
        if (_PROC / "task" / str(os.getpid()) / "children").exists():
            return None
        return message(
            "probe.no-children",
            "the kernel does not list a thread's children (CONFIG_PROC_CHILDREN)",
        )

    def __init__(self) -> None:
        self._tasks = os.open(_PROC / "task", os.O_RDONLY | os.O_CLOEXEC)

    def read(self, into: array[int], at: int) -> None:
        """A count, over all threads: each lists the children it started."""
        found = 0
        for task in os.listdir(self._tasks):  # noqa: PTH208 - a descriptor
            try:
                listed = os.open(f"{task}/children", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._tasks)
            except FileNotFoundError:  # the thread has ended meanwhile
                continue
            found += os.read(listed, _CHILDREN_BYTES).count(b" ")
            os.close(listed)
        into[at] = found
