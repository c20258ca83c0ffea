"""The process tree of a service, read from outside: what the kernel says of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from leakhunt.errors import ScenarioFailed
from leakhunt.model.series import (
    ANONYMOUS,
    CGROUP,
    CHILDREN,
    CUDA_PROCESS,
    DESCRIPTORS,
    PEAK_RSS,
    PRIVATE_DIRTY,
    PSS,
    RSS,
    SERIES,
    THREADS,
    Series,
)
from leakhunt.service import gpu
from leakhunt.service.container import Container
from leakhunt.text.message import message

# What the kernel says of any process.
_OF_PROCESSES = (RSS, PSS, ANONYMOUS, PRIVATE_DIRTY, THREADS, DESCRIPTORS, CHILDREN)
_KIB = 1024
_CGROUP_ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that no later one with the same number can be taken for."""

    pid: int
    created: float


class Tree:
    """A service's first process and all below it.

    Raises:
        psutil.NoSuchProcess: there is no such process (any more).
    """

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self.identity = Identity(pid, self._root.create_time())
        self._cgroup = _own_group(pid)
        self.container = Container(pid, _memory_group(str(pid)))
        self._on_gpu = gpu.is_read()
        self._on_gpu_bytes = 0
        self._last_of_container = self.container.read()
        self._resets_peaks = os.access(Path("/proc", str(pid), "clear_refs"), os.W_OK)
        self._kernel_lists_children = Path("/proc", str(pid), "task", str(pid), "children").exists()

    @property
    def series(self) -> tuple[Series, ...]:
        """What `read` reads."""
        more = [CGROUP] if self._cgroup is not None else []
        more += [CUDA_PROCESS] if self._on_gpu else []
        more += [PEAK_RSS] if self._resets_peaks else []
        of_processes = (SERIES[name].series_of_tree for name in (*_OF_PROCESSES, *more))
        return (*of_processes, *self.container.series)

    def is_alive(self) -> bool:
        """Whether the first process lives, and is no zombie."""
        try:
            return self._root.is_running() and self._root.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def variables(self) -> dict[str, str]:
        """The environment that the first process was started with; empty where it is not told."""
        try:
            return self._root.environ()
        except (psutil.Error, OSError):
            return {}

    def is_our_interpreter(self) -> bool:
        """Whether the first process runs this interpreter, in the same virtual environment."""
        try:
            word = (self._root.cmdline() or [""])[0]
        except (psutil.Error, OSError):
            return False
        found = shutil.which(word, path=self.variables().get("PATH"))
        return found is not None and Path(found).absolute() == Path(sys.executable).absolute()

    def pids(self) -> list[int]:
        """The processes there are, the first one first; none if that is gone."""
        if not self.is_alive():
            return []
        if not self._kernel_lists_children:
            return [self._root.pid, *(each.pid for each in self._root.children(recursive=True))]
        found = [self._root.pid]
        for pid in found:  # it grows as their children are found
            found.extend(_children(pid))
        return found

    def read(self, pids: Sequence[int] | None = None) -> dict[str, int]:
        """The values of `series`, over all processes; `pids` are those if they were just asked for.

        Raises:
            ProcessLookupError: the first process is gone.
        """
        pids = self.pids() if pids is None else pids
        return self.summed(pids, self.read_each(pids))

    def read_each(self, pids: Sequence[int]) -> dict[int, dict[str, int]]:
        """What is read of each of these processes that is still there."""
        found: dict[int, dict[str, int]] = {}
        for pid in pids:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError), _readable(pid):
                found[pid] = dict(_process(Path("/proc", str(pid))))
        return found

    def summed(self, pids: Sequence[int], each: Mapping[int, Mapping[str, int]]) -> dict[str, int]:
        """The values of `series`, from what was read of `each` of the processes.

        Raises:
            ProcessLookupError: the first process is gone.
        """
        values = dict.fromkeys((*_OF_PROCESSES, PEAK_RSS), 0)
        for read in each.values():
            for name, value in read.items():
                values[name] += value
        if not pids or not values[RSS]:  # a zombie has none
            raise ProcessLookupError(self.identity.pid)
        values[CHILDREN] = len(pids) - 1
        if self._cgroup is not None:
            values[CGROUP] = self._of_the_group(self._cgroup)
        self._last_of_container |= self.container.read()
        values |= self._last_of_container
        if self._on_gpu:
            self._on_gpu_bytes = gpu.used_bytes(pids, self._on_gpu_bytes)
            values[CUDA_PROCESS] = self._on_gpu_bytes
        return values

    def reset_peaks(self, pids: Sequence[int]) -> None:
        """Set the highest RSS of these processes back to the present one."""
        if not self._resets_peaks:
            return
        for pid in pids:
            with contextlib.suppress(OSError):  # gone, or another user's
                Path("/proc", str(pid), "clear_refs").write_bytes(b"5")

    def _of_the_group(self, group: Path) -> int:
        try:
            return unreclaimable(group)
        except OSError:  # the group went with its last process
            raise ProcessLookupError(self.identity.pid) from None

    def address_space_bytes(self) -> int:
        """What RLIMIT_AS counts of the first process."""
        return int(self._root.memory_info().vms)


@contextlib.contextmanager
def _readable(pid: int) -> Iterator[None]:
    """What may not be read is told, not counted as nothing."""
    try:
        yield
    except PermissionError:
        raise ScenarioFailed(
            message(
                "soak.process-unreadable",
                "process {pid} of the service: permission denied. Run leakhunt as its user",
                pid=pid,
            )
        ) from None


def _children(pid: int) -> list[int]:
    """The children of a process, from those of its threads; none if it is gone.

    psutil would look at every process of the machine.
    """
    tasks = Path("/proc", str(pid), "task")
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in tasks.iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found.extend(map(int, (task / "children").read_text(encoding="ascii").split()))
    return found


def _process(folder: Path) -> Iterator[tuple[str, int]]:
    status = dict(_lines(folder / "status"))
    yield RSS, _kib(status, "VmRSS")
    yield ANONYMOUS, _kib(status, "RssAnon")
    yield PEAK_RSS, _kib(status, "VmHWM")
    yield THREADS, int(status.get("Threads", 0))
    rollup = dict(_lines(folder / "smaps_rollup"))
    yield PSS, _kib(rollup, "Pss")
    yield PRIVATE_DIRTY, _kib(rollup, "Private_Dirty")
    yield DESCRIPTORS, sum(1 for _ in (folder / "fd").iterdir())


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        yield name, value


def _kib(values: Mapping[str, str], name: str) -> int:
    return int(values[name].split()[0]) * _KIB if name in values else 0


def _own_group(pid: int) -> Path | None:
    """The memory cgroup of a process, if it is not the one that we are in ourselves."""
    theirs, ours = (_memory_group(which) for which in (str(pid), "self"))
    return theirs if theirs != ours else None


def _memory_group(which: str) -> Path | None:
    try:
        lines = Path("/proc", which, "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    places = {controllers: path for _, controllers, path in (line.split(":", 2) for line in lines)}
    for controllers, path in places.items():
        if "memory" in controllers.split(","):
            folder = _CGROUP_ROOT / "memory" / path.lstrip("/")
            return folder if (folder / "memory.stat").exists() else None
    folder = _CGROUP_ROOT / places.get("", "").lstrip("/")
    return folder if (folder / "memory.stat").exists() else None


def unreclaimable(group: Path) -> int:
    """Bytes of a memory cgroup that are no cache of files: what meets the limit."""
    stat = {
        name: int(value)
        for name, _, value in (
            line.partition(" ")
            for line in (group / "memory.stat").read_text(encoding="utf-8").splitlines()
        )
    }
    if "anon" in stat:  # version 2
        return stat["anon"] + stat.get("kernel_stack", 0) + stat.get("shmem", 0)
    return stat.get("total_rss", 0) + stat.get("total_shmem", 0)
