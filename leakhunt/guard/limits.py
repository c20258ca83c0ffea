"""The limit that binds this process, and how much of it is used.

Of a cgroup (v1 or v2, and those above it), RLIMIT_AS and a given size the one with the least
headroom counts; without any, the memory of the machine. All that is read is read again: a limit
may be moved while the service runs.
"""

from __future__ import annotations

import contextlib
import os
import sys
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import psutil

from leakhunt.probes import cgroup
from leakhunt.probes.allocator import serving
from leakhunt.probes.peaks import PeakRssProbe
from leakhunt.probes.process import RssProbe

# Limits move seldom; which of them binds is looked up so often.
_LOOK_SECONDS = 1.0


class LimitSource(StrEnum):
    """What sets the limit."""

    GIVEN = "given"
    CGROUP_V2 = "cgroup v2"
    CGROUP_V1 = "cgroup v1"
    ADDRESS_SPACE = "RLIMIT_AS"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """How much of which limit is used, in bytes."""

    used_bytes: int
    limit_bytes: int
    source: LimitSource

    @property
    def headroom_bytes(self) -> int:
        """What is left."""
        return self.limit_bytes - self.used_bytes

    @property
    def share(self) -> float:
        """The used part of the limit."""
        return self.used_bytes / self.limit_bytes


class OwnMemory:
    """RSS of this process and its peak, read in microseconds; opened anew after a fork."""

    def __init__(self) -> None:
        self._pid = -1

    def rss_bytes(self) -> int:
        """Resident set size."""
        self._open()
        value = array("q", [0])  # of this call: threads read side by side
        self._rss.read(value, 0)
        return value[0]

    def peak_bytes(self) -> int | None:
        """The highest RSS since `reset_peak`; None where the kernel does not tell."""
        self._open()
        if self._peak is None:
            return None
        value = array("q", [0])
        self._peak.read(value, 0)
        return value[0]

    def live_bytes(self) -> int | None:
        """Bytes that malloc has handed out; None where the allocator does not tell."""
        read = serving().live_bytes
        return None if read is None else read()

    def started_seconds(self) -> float:
        """When the process started, in seconds since 1970."""
        return float(psutil.Process().create_time())

    def reset_peak(self) -> None:
        """Set the peak back to the present RSS."""
        self._open()
        if self._peak is not None:
            self._peak.reset()

    def _open(self) -> None:
        # /proc/self is that of the process which opened it.
        if self._pid == os.getpid():
            return
        self._rss = RssProbe()
        self._peak: PeakRssProbe | None = None
        if PeakRssProbe.unavailable() is None:
            with contextlib.suppress(OSError):  # not for this user: the process was forked by root
                self._peak = PeakRssProbe()
        self._pid = os.getpid()


class LimitReader:
    """Reads `MemoryUse`. `given_bytes`: a limit for this process's RSS."""

    def __init__(self, given_bytes: int | None, own: OwnMemory, clock: Callable[[], float]) -> None:
        self._given = given_bytes
        self._own = own
        self._clock = clock
        self._pid = -1
        self._levels: list[cgroup.CgroupLevel] = []
        self._binding: Callable[[], MemoryUse] | None = None
        self._look_at = 0.0

    def read(self) -> MemoryUse:
        """The use of the limit that binds.

        Raises:
            OSError, ValueError: the kernel's files cannot be read.
        """
        now = self._clock()
        if self._pid != os.getpid():
            self.close()
            self._levels, self._pid = cgroup.levels(), os.getpid()
        if self._binding is None or now >= self._look_at:
            self._look_at = now + _LOOK_SECONDS
            try:
                self._binding = self._tightest()
            except OSError:  # moved to another group, whose files are others
                self.close()
                self._levels = cgroup.levels()
                self._binding = self._tightest()
        return self._binding()

    def close(self) -> None:
        """Give the descriptors back."""
        for level in self._levels:
            level.close()
        self._levels, self._binding = [], None

    def _tightest(self) -> Callable[[], MemoryUse]:
        readers: list[Callable[[], MemoryUse]] = []
        if self._given is not None:
            readers.append(self._use_of_given)
        readers.extend(
            _use_of_group(level, limit)
            for level in self._levels
            if (limit := level.limit_bytes()) is not None
        )
        if (limit := _address_space()) is not None:
            readers.append(_use_of_addresses(limit))
        if not readers:
            return _use_of_host
        return min(readers, key=lambda read: read().headroom_bytes)

    def _use_of_given(self) -> MemoryUse:
        assert self._given is not None
        return MemoryUse(self._own.rss_bytes(), self._given, LimitSource.GIVEN)


def _use_of_group(level: cgroup.CgroupLevel, limit: int) -> Callable[[], MemoryUse]:
    source = LimitSource.CGROUP_V2 if level.files.version == 2 else LimitSource.CGROUP_V1
    return lambda: MemoryUse(level.used_bytes(), limit, source)


def _address_space() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def _use_of_addresses(limit: int) -> Callable[[], MemoryUse]:
    process = psutil.Process()
    return lambda: MemoryUse(process.memory_info().vms, limit, LimitSource.ADDRESS_SPACE)


def _use_of_host() -> MemoryUse:
    memory = psutil.virtual_memory()
    return MemoryUse(memory.total - memory.available, memory.total, LimitSource.HOST)
