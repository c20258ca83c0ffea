"""The workers behind one port: each has a small file that the others read when they are scraped.

A scrape reaches one of several workers; it answers for all. Which ones belong together is told by
the listening sockets, which workers inherit from the one that started them; or they share a folder
that was given. The files are in memory (``/dev/shm``) where there is such a place. What is read of
a worker is what it has counted (`counts.py`) and, by the kernel, its RSS of this moment: one that
hangs is told like any other. The file of a worker that has ended is removed by whoever sees it.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import mmap
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from leakhunt.guard.counts import CELLS, FORMAT, Counts
from leakhunt.guard.sockets import server_sockets
from leakhunt.model.own_files import GUARD_SUFFIX

_LOG = logging.getLogger("leakhunt.guard")
# prometheus_client's own variable for the same: its files and these do not meet.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_HEADER_BYTES = 2048
_FILE_BYTES = _HEADER_BYTES + 8 * CELLS
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it


@dataclass(frozen=True, slots=True)
class PeerWorker:
    """What the file of another worker says. `points_are_whole`: they were not being written."""

    pid: int
    parent_pid: int
    counts: Counts
    steps: tuple[str, ...]
    points_are_whole: bool
    rss_bytes: int
    address_space_bytes: int
    started_seconds: float


class WorkerFiles:
    """The file of a guard, and those of its peers. `number`: of the guards of a process."""

    def __init__(self, number: int, folder: Path | str | None = None) -> None:
        self._number = number
        self._given = folder
        self._file: Path | None = None
        self._pid = self._user = -1
        self._leaves: tuple[Path, int] | None = None
        self._sockets: frozenset[int] | None = None

    @property
    def are_shared(self) -> bool:
        """Whether this process has a file."""
        return self._file is not None and self._pid == os.getpid()

    @property
    def is_lost(self) -> bool:
        """Whether this process had a file that the others no longer see.

        Somebody has removed it, or the process was forked by root and is another user's now.
        """
        if self._file is None or not self.are_shared:
            return False
        try:
            self._file.stat()
        except OSError:
            return True
        return os.geteuid() != self._user

    def join(self, steps: Sequence[str], counted: bytes) -> memoryview[float] | None:
        """Make the file of this process; its cells. None: it is no worker of several.

        `counted` is what they hold. Where the file cannot be made, the log says so, and each worker
        tells of itself.
        """
        self._file = None
        given = self._given or os.environ.get(FOLDER_VARIABLE)
        try:
            sockets = server_sockets()
            if sys.platform == "win32" or not (given or sockets):
                return None
            folder = Path(given) if given else _own_folder()
            folder.mkdir(parents=True, exist_ok=True)
            for left in (
                *folder.glob(f"{_space()}-*{GUARD_SUFFIX}"),
                *folder.glob(f"{_space()}-*.new"),
            ):
                with contextlib.suppress(OSError, ValueError):  # of another user, or of no worker
                    _removed_if_over(left)
            born = birth(os.getpid())
            header = {
                "format": FORMAT,
                "pid": os.getpid(),
                "born": born,
                "parent": os.getppid(),
                "stack": _stack(os.getpid()),
                "sockets": sorted(sockets),
                "steps": list(steps),
            }
            file = folder / f"{_space()}-{os.getpid()}-{born}-{self._number}{GUARD_SUFFIX}"
            cells = _made(file, json.dumps(header).encode(), counted)
        except (OSError, ValueError, psutil.Error) as error:
            _LOG.warning("leakhunt.guard: no file for the figures of this worker (%s)", error)
            return None
        # In a folder that was given all are peers.
        self._file, self._pid, self._sockets = file, os.getpid(), None if given else sockets
        self._user = os.geteuid()
        if self._leaves != (file, os.getpid()):
            self._leaves = file, os.getpid()
            atexit.register(self._leave, *self._leaves)
        return cells

    def _leave(self, file: Path, pid: int) -> None:
        if pid == os.getpid():  # and no child that inherited the call
            with contextlib.suppress(OSError):  # it is of the user who has started this process
                file.unlink()

    def others(self) -> Iterator[PeerWorker]:
        """The other workers that live. One that only starts workers is none of them."""
        if self._file is None or not self.are_shared:
            return
        files = sorted(self._file.parent.glob(f"{_space()}-*-{self._number}{GUARD_SUFFIX}"))
        read = (self._read(file) for file in files if file != self._file)
        found = [each for each in read if each is not None]
        starters = {os.getppid(), *(each.parent_pid for each in found)}
        yield from (each for each in found if each.pid not in starters or each.counts.has_worked)

    def _read(self, file: Path) -> PeerWorker | None:
        """What a file says; None, and it is removed, where its process has ended."""
        try:
            pid = _removed_if_over(file)
            if pid is None:
                return None
            data = file.read_bytes()
            header = json.loads(data[:_HEADER_BYTES])
            if header["format"] != FORMAT or len(data) != _FILE_BYTES:
                return None
            if _stack(pid) not in (0, header["stack"]):  # a child that went on as another program
                file.unlink(missing_ok=True)
                return None
            if self._sockets is not None and self._sockets.isdisjoint(header["sockets"]):
                return None
            counts = _counts(data)
            version, version_after = counts.points()[0], _counts(file.read_bytes()).points()[0]
            process = psutil.Process(pid)
            memory = process.memory_info()
            return PeerWorker(
                pid=pid,
                parent_pid=header["parent"],
                counts=counts,
                steps=tuple(header["steps"]),
                points_are_whole=version == version_after and not version % 2,
                rss_bytes=memory.rss,
                address_space_bytes=memory.vms,
                started_seconds=process.create_time(),
            )
        except (OSError, ValueError, LookupError, TypeError, psutil.Error):
            return None  # it has just ended, or is no file of ours


def _removed_if_over(file: Path) -> int | None:
    """The process of a file; None, and the file is removed, where it has ended.

    Raises:
        OSError, ValueError: the file may not be removed, or is none of these.
    """
    pid, born = map(int, file.name.split("-")[1:3])
    if birth(pid) == born:
        return pid
    file.unlink(missing_ok=True)
    return None


def _own_folder() -> Path:
    """A folder that nobody else may write to.

    Raises:
        OSError: somebody else has made it.
    """
    is_there = _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK)
    base = _SHARED_MEMORY if is_there else Path(tempfile.gettempdir())
    folder = base / f"leakhunt-guard-{os.geteuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(f"{folder} is not ours")
    return folder


def _made(file: Path, header: bytes, counted: bytes) -> memoryview[float]:
    """A new file, there as a whole or not at all; its cells, as `counted`.

    Raises:
        OSError, ValueError: it cannot be made.
    """
    if len(header) > _HEADER_BYTES:
        raise ValueError("too many sockets or steps")
    whole = file.with_suffix(".new")
    whole.unlink(missing_ok=True)
    descriptor = os.open(whole, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        # Written, not only made longer: a full disk says so now, and not by SIGBUS at a request.
        os.write(descriptor, header.ljust(_HEADER_BYTES) + counted)
        mapped = mmap.mmap(descriptor, _FILE_BYTES)
        whole.replace(file)
    except (OSError, ValueError):
        whole.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    return memoryview(mapped)[_HEADER_BYTES:].cast("d")


def _counts(data: bytes) -> Counts:
    return Counts(memoryview(data)[_HEADER_BYTES:].cast("d"))


def _space() -> int:
    """The numbers of processes that this one sees: containers may share a folder."""
    with contextlib.suppress(OSError):
        return Path("/proc/self/ns/pid").stat().st_ino
    return 0


def _stack(pid: int) -> int:
    """Where the stack of a process starts: elsewhere in the program that it runs next.

    0: not known, or not for us to know.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(_stat_fields(pid)[25])  # field 28 of proc(5) stat
    return 0


def _stat_fields(pid: int) -> list[str]:
    """The fields of proc(5) stat from the third on; the name in the second may hold spaces."""
    text = Path("/proc", str(pid), "stat").read_text(encoding="latin-1")
    return text.rpartition(")")[2].split()


def birth(pid: int) -> int:
    """When a process started, in units that differ by system; -1: it has ended.

    A clock that is set meanwhile makes no difference.
    """
    try:
        if Path("/proc/self").exists():
            fields = _stat_fields(pid)
            return -1 if fields[0] in "ZX" else int(fields[19])  # fields 3 and 22
        process = psutil.Process(pid)
        is_over = process.status() == psutil.STATUS_ZOMBIE
        return -1 if is_over else round(process.create_time() * 100)
    except (OSError, psutil.Error):
        return -1
