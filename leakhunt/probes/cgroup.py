"""The memory cgroup of this process: its folder, and what its files say of limit and use."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")
# A cgroup v1 without a limit shows one of about 2**63 bytes.
NO_LIMIT_BYTES = 1 << 60
_TEXT_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class MemoryFiles:
    """What the files of a version of cgroups are called; `dropped` is what the kernel can drop.

    Page cache is dropped under pressure and kills nobody; shared memory counts as cache, and stays.
    """

    version: int
    controller: str
    limit: str
    usage: str
    cached: bytes
    shared: bytes


MEMORY_FILES = (
    MemoryFiles(2, "", "memory.max", "memory.current", b"file ", b"shmem "),
    MemoryFiles(
        1,
        "memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        b"total_cache ",
        b"total_shmem ",
    ),
)


def own_cgroup(controller: str) -> Path | None:
    """Folder of our own group for a v1 `controller`, or with ``""`` in the v2 hierarchy."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controller not in controllers.split(","):
            continue
        base = CGROUP_ROOT / controller if controller else CGROUP_ROOT
        for folder in (base / path.lstrip("/"), base):
            if (folder / "cgroup.procs").exists():
                return folder
    return None


class CgroupLevel:
    """A group that may have a limit, read through descriptors that stay open.

    A reading is some microseconds, and may be taken for each request.

    Raises:
        OSError: the group has no such files.
    """

    def __init__(self, folder: Path, files: MemoryFiles) -> None:
        self.folder = folder
        self.files = files
        self._descriptors: list[int] = []
        try:
            for name in (files.limit, files.usage, "memory.stat"):
                self._descriptors.append(os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            self.close()
            raise

    def limit_bytes(self) -> int | None:
        """The limit; None without one."""
        text = os.pread(self._descriptors[0], _TEXT_BYTES, 0).strip()
        size = int(text) if text.isdigit() else NO_LIMIT_BYTES
        return size if size < NO_LIMIT_BYTES else None

    def charged_bytes(self) -> int:
        """All that is charged to the group, page cache included."""
        return int(os.pread(self._descriptors[1], _TEXT_BYTES, 0))

    def used_bytes(self) -> int:
        """What counts against the limit and cannot be dropped: without the page cache of files."""
        stat = b"\n" + os.pread(self._descriptors[2], _TEXT_BYTES, 0)
        cached = _number(stat, self.files.cached) - _number(stat, self.files.shared)
        return max(self.charged_bytes() - max(cached, 0), 0)

    def close(self) -> None:
        """Give the descriptors back."""
        for descriptor in self._descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._descriptors.clear()


def _number(stat: bytes, name: bytes) -> int:
    start = stat.find(b"\n" + name)
    if start < 0:
        return 0
    start += len(name) + 1
    end = stat.find(b"\n", start)
    return int(stat[start : end if end >= 0 else None])


def levels() -> list[CgroupLevel]:
    """The groups from this process's own up to the root of what is mounted, the own one first.

    A limit of any of them binds. Empty: there is no memory cgroup here.
    """
    for files in MEMORY_FILES:
        folder = own_cgroup(files.controller)
        found: list[CgroupLevel] = []
        root = CGROUP_ROOT / files.controller if files.controller else CGROUP_ROOT
        while folder is not None and folder.is_relative_to(root):
            with contextlib.suppress(OSError):  # the root of v2 has no limit
                found.append(CgroupLevel(folder, files))
            folder = folder.parent
        if found:
            return found
    return []
