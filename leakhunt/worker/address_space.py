"""What the process's resident memory is made of, region by region. Linux only; elsewhere nothing.

Malloc's own arenas, thread stacks and the pools of libraries, so that what is freed and pinned
(free blocks between live ones, which no trim gives back) can be told from what nobody accounts for.
"""

from __future__ import annotations

import ctypes
import os
import re
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from leakhunt.model.allocators import GLIBC
from leakhunt.probes.allocator import serving

# glibc's heaps of further arenas begin at multiples of this (HEAP_MAX_SIZE of 64-bit systems), and
# what is not in use of one is mapped without any right.
_HEAP_BYTES = 64 << 20
_WRITABLE, _NO_RIGHT = "rw-p", "---p"
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
# ar_ptr, prev, size, mprotect_size.
_HEAD = struct.Struct("QQQQ")
# The totals of all arenas come last in what malloc_info writes.
_TOTAL = re.compile(r'<total type="(?:fast|rest)" count="\d+" size="(\d+)"/>')
_ARENA = re.compile(r"<heap nr=")


@dataclass(slots=True)
class Region:
    """A mapping of this process: from `start` to `end`, with the resident bytes of it.

    `has_guard`: some pages of it may not be touched; the kernel says that from 6.18 on.
    """

    start: int
    end: int
    rights: str
    name: str
    resident: int = 0
    has_guard: bool = False


def regions(pid: int | str = "self") -> list[Region]:
    """The mappings of a process in order; none where the system does not list them."""
    found: list[Region] = []
    try:
        lines = open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace")  # noqa: SIM115
    except OSError:
        return found
    with lines:
        for line in lines:
            words = line.split(maxsplit=5)
            if not words[0].endswith(":"):
                start, _, end = words[0].partition("-")
                name = words[5].strip() if len(words) > 5 else ""
                found.append(Region(int(start, 16), int(end, 16), words[1], name))
            elif words[0] == "Rss:":
                found[-1].resident = int(words[1]) * 1024
            elif words[0] == "VmFlags:":
                found[-1].has_guard = " gu" in line
    return found


def made_of() -> dict[str, int]:
    """Values for a full reading, in bytes (arenas: a count); what cannot be told is absent."""
    values = dict(_of_allocator(regions_now := regions()))
    if regions_now and (stacks := stacks_resident(regions_now, has_threads())) is not None:
        values["thread_stacks"] = stacks
    if regions_now:
        values["generated_code"] = generated_code_resident(regions_now)
    return values | _pools()


def _of_allocator(regions_now: Sequence[Region]) -> Iterator[tuple[str, int]]:
    """What malloc holds of resident memory, and in which state."""
    allocator = serving()
    if allocator.resident_bytes is not None:
        yield "malloc_resident", allocator.resident_bytes()
        return
    if allocator.name != GLIBC or not regions_now:
        return
    yield "malloc_resident", arenas_resident(regions_now) + merged_resident(regions_now)
    if hasattr(psutil, "heap_info"):
        yield "malloc_mapped", psutil.heap_info().mmap_used
    facts = _malloc_info()
    if facts:
        yield "malloc_free", sum(map(int, _TOTAL.findall(facts)[-2:]))
        yield "malloc_arenas", len(_ARENA.findall(facts))


def arenas_resident(regions_now: Sequence[Region]) -> int:
    """Resident bytes of glibc's arenas: the heap that brk moves, and the heaps of the others."""
    resident = 0
    for region, after in zip(regions_now, (*regions_now[1:], None), strict=True):
        if region.name == "[heap]":
            resident += region.resident
        elif region.rights == _WRITABLE and not region.name:
            resident += _of_heap(region, after)
    return resident


def _of_heap(region: Region, after: Region | None) -> int:
    """Resident bytes of the heap of an arena that this region ends with; 0: it is none.

    Another mapping right before it may have been merged with it; so may the guard of a stack with
    what is not in use of it.
    """
    start = (region.end - 1) // _HEAP_BYTES * _HEAP_BYTES
    is_whole = region.end == start + _HEAP_BYTES
    is_heap = (
        after is not None
        and after.rights == _NO_RIGHT
        and after.start == region.end
        and after.end >= start + _HEAP_BYTES
    )
    if start < region.start or not (is_heap or (is_whole and start == region.start)):
        return 0
    return min(region.resident, region.end - start)


def merged_resident(regions_now: Sequence[Region], pid: int | str = "self") -> int:
    """Resident bytes of heaps that are within a mapping: full ones, merged with what is above.

    They are known by their head (heap_info of glibc's arena.c), and counted page by page.
    """
    resident = 0
    try:
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        for region in regions_now:
            if region.rights != _WRITABLE or region.name:
                continue
            first = -(-region.start // _HEAP_BYTES) * _HEAP_BYTES
            for at in range(first, region.end - _HEAP_BYTES + 1, _HEAP_BYTES):
                whole = (region.start, region.end) == (at, at + _HEAP_BYTES)
                if not whole and _is_heap(memory, at):
                    resident += _present(at, at + _HEAP_BYTES, pid)
    finally:
        os.close(memory)
    return resident


def _is_heap(memory: int, at: int) -> bool:
    """Whether the heap of an arena begins there, all of it mapped, though it may have shrunk since.

    Its head has its arena, the heap before it, its size and how much of it was ever made usable.
    """
    try:
        arena, before, size, usable = _HEAD.unpack(os.pread(memory, _HEAD.size, at))
    except (OSError, struct.error):
        return False
    in_a_heap: bool = 0 < arena % _HEAP_BYTES < _PAGE_BYTES
    is_mapped: bool = before % _HEAP_BYTES == 0 and 0 < size <= usable == _HEAP_BYTES
    return in_a_heap and is_mapped


def _present(start: int, end: int, pid: int | str) -> int:
    """Resident bytes between two addresses, by the top bit of each page's entry."""
    try:
        table = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        pages = os.pread(table, (end - start) // _PAGE_BYTES * 8, start // _PAGE_BYTES * 8)
    finally:
        os.close(table)
    return len(pages[7::8].translate(None, bytes(range(128)))) * _PAGE_BYTES


def stacks_resident(regions_now: Sequence[Region], with_threads: bool = False) -> int | None:
    """Resident bytes of the threads' stacks; None: they cannot be told from other memory.

    A stack lies right above a guard of one page. From glibc 2.42 on its guard is a part of it, and
    before Linux 6.18 nothing says so: threads without a stack are such.
    """
    main = resident = 0
    for before, region in zip((None, *regions_now[:-1]), regions_now, strict=True):
        if region.name == "[stack]":
            main = region.resident
        elif before is not None and _is_stack(before, region):
            resident += region.resident
    return None if with_threads and not resident else main + resident


def generated_code_resident(regions_now: Sequence[Region]) -> int:
    """Resident bytes of code that is no file's: what compilers at run time have made."""
    return sum(
        region.resident
        for region in regions_now
        if "x" in region.rights and (not region.name or region.name.startswith("[anon"))
    )


def has_threads() -> bool:
    """Whether this process has other threads than its first."""
    try:
        return os.stat("/proc/self/task").st_nlink > 3  # noqa: PTH116 - one link for each folder
    except OSError:
        return False


def _is_stack(before: Region, region: Region) -> bool:
    """Whether there is a guard of one page right below; it may be merged with the end of a heap."""
    if region.rights != _WRITABLE or region.name:
        return False
    if region.has_guard or before.rights != _NO_RIGHT:
        return region.has_guard
    is_guard = before.end - before.start == _PAGE_BYTES or before.end % _HEAP_BYTES == _PAGE_BYTES
    return is_guard and before.end == region.start


def _malloc_info() -> str:
    """What ``malloc_info`` writes of all arenas, written into memory; empty without it."""
    library = ctypes.CDLL(None)
    if not all(hasattr(library, name) for name in ("malloc_info", "open_memstream")):
        return ""
    library.open_memstream.restype = ctypes.c_void_p
    library.open_memstream.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
    library.fclose.argtypes = [ctypes.c_void_p]
    library.free.argtypes = [ctypes.c_void_p]
    text, size = ctypes.c_void_p(), ctypes.c_size_t()
    stream = library.open_memstream(ctypes.byref(text), ctypes.byref(size))
    if not stream:
        return ""
    library.malloc_info(0, stream)
    library.fclose(stream)
    try:
        return ctypes.string_at(text, size.value).decode("ascii", "replace")
    finally:
        library.free(text)


def _pools() -> dict[str, int]:
    """Bytes in use of libraries that have an allocator of their own, if they are loaded."""
    arrow: Any = sys.modules.get("pyarrow")
    pool = getattr(arrow, "default_memory_pool", None)
    if pool is None or pool().backend_name == "system":  # then malloc has it
        return {}
    return {"library_pools": pool().bytes_allocated()}
