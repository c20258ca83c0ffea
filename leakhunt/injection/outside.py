"""What the kernel says of a process that is visited, and what its files say of its libraries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import psutil
from packaging.utils import canonicalize_name

from leakhunt.injection.target import VisitTarget
from leakhunt.model.allocators import GLIBC
from leakhunt.model.libraries import DISTRIBUTIONS
from leakhunt.model.run import ADDRESS_SPACE, FREE_MEMORY, MEMORY_CGROUP
from leakhunt.model.series import RSS
from leakhunt.probes.allocator import mapped_allocator
from leakhunt.worker.address_space import (
    arenas_resident,
    generated_code_resident,
    merged_resident,
    regions,
    stacks_resident,
)

_KIB = 1024
_STATUS = {
    "VmRSS": RSS,
    "VmSwap": "swapped",
    "RssAnon": "rss_anonymous",
    "RssFile": "rss_file",
    "RssShmem": "rss_shared",
}
_GROUPS = Path("/sys/fs/cgroup")
# A cgroup v1 without a limit shows one of about 2**63 bytes.
_NO_LIMIT = 1 << 60
# What a cgroup counts of files, which the kernel can drop, by version: limit, use, cache, shared.
_VERSIONS = (
    ("memory.max", "memory.current", "file", "shmem"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache", "total_shmem"),
)


def outside_reading(pid: int) -> dict[str, int]:
    """Bytes by name, as a full reading has them; what cannot be told is absent."""
    values = dict(_of_status(pid))
    found = regions(pid)
    if found:
        has_threads = len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
        if (stacks := stacks_resident(found, has_threads)) is not None:
            values["thread_stacks"] = stacks
        values["generated_code"] = generated_code_resident(found)
        if mapped_allocator(pid).startswith(GLIBC):
            values["malloc_resident"] = arenas_resident(found) + merged_resident(found, pid)
    return values


def _of_status(pid: int) -> Iterator[tuple[str, int]]:
    with suppress(OSError):
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines():
            name, _, value = line.partition(":")
            if name in _STATUS:
                yield _STATUS[name], int(value.split()[0]) * _KIB


def memory_bounds_of(pid: int) -> dict[str, int]:
    """What may stop a process from growing, by what sets it: the most that it can have."""
    used = dict(_of_status(pid)).get(RSS, 0)
    bounds = {FREE_MEMORY: psutil.virtual_memory().available + used}
    room = [limit - counted for limit, counted in _limits_of_groups(pid)]
    if room:
        bounds[MEMORY_CGROUP] = min(room) + used
    with suppress(OSError):
        text = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
        if (found := re.search(r"^Max address space\s+(\d+)", text, re.MULTILINE)) is not None:
            bounds[ADDRESS_SPACE] = int(found[1])
    return bounds


def _limits_of_groups(pid: int) -> Iterator[tuple[int, int]]:
    """Limit and use, without what can be dropped, of each memory cgroup that a process is in."""
    with suppress(OSError):
        text = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
        for line in text.splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            root = _GROUPS / "memory" if controllers else _GROUPS
            folder = root / path.lstrip("/")
            for each in (folder, *folder.parents):
                if each != root.parent and each.is_relative_to(root):
                    yield from _limit_of(each)


def _limit_of(folder: Path) -> Iterator[tuple[int, int]]:
    for limit, use, cached, shared in _VERSIONS:
        with suppress(OSError, ValueError):
            size = int((folder / limit).read_text(encoding="ascii"))
            used = int((folder / use).read_text(encoding="ascii"))
            stat = dict(
                line.split(" ", 1)
                for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines()
            )
            if size < _NO_LIMIT:
                yield size, used - int(stat.get(cached, 0)) + int(stat.get(shared, 0))


def libraries(
    target: VisitTarget, path: Sequence[str], modules: Iterable[str], more: Iterable[str] = ()
) -> Mapping[str, str]:
    """Versions by name of the distributions that known causes name, as far as they are loaded.

    They are read from the files of the process, not by it.
    """
    loaded = set(modules)
    wanted = {canonicalize_name(name) for name in (*DISTRIBUTIONS, *more)}
    folders = [str(target.root / each.lstrip("/")) for each in path if each.startswith("/")]
    found: dict[str, str] = {}
    for each in metadata.distributions(path=folders):
        with suppress(Exception):  # metadata that is damaged
            name = canonicalize_name(each.metadata["Name"])
            if name in wanted and _tops(each, name) & loaded:
                found.setdefault(name, each.version)
    return dict(sorted(found.items()))


def _tops(distribution: metadata.Distribution, name: str) -> set[str]:
    """The names at the top of a distribution, by which it is imported."""
    lines = (distribution.read_text("RECORD") or "").splitlines()
    tops = {line.partition(",")[0].partition("/")[0].partition(".")[0] for line in lines}
    return tops or {name.replace("-", "_")}
