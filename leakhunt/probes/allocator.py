"""Which allocator serves this process's malloc, and how many bytes it says are in use.

It is found where the symbol ``malloc`` leads, whatever the environment says: a library that was
preloaded or linked stands before the C library's own, and answers to functions of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import mmap
import os
import re
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from leakhunt.model.allocators import (
    C_LIBRARY,
    FREE_THREADED,
    GLIBC,
    JEMALLOC,
    LINKED,
    MIMALLOC,
    MUSL,
    PRELOADED,
    TCMALLOC,
    described,
)
from leakhunt.text.message import Text, message

# A function that only this allocator has, in the file that ``malloc`` is in.
_KNOWN_BY = {
    "mallctl": JEMALLOC,
    "je_mallctl": JEMALLOC,
    "tc_version": TCMALLOC,
    "MallocExtension_GetNumericProperty": TCMALLOC,
    "MallocExtension_Internal_GetNumericProperty": TCMALLOC,
    "mi_version": MIMALLOC,
    "gnu_get_libc_version": GLIBC,
}
# Any of these leads to the allocator; the first may be an entry of the executable's own table.
_ALLOCATING = ("malloc", "free", "calloc")
# Files by which an allocator is known from outside, where no symbol can be asked.
_FILES = (
    (re.compile(r"libjemalloc\b"), JEMALLOC),
    (re.compile(r"libtcmalloc"), TCMALLOC),
    (re.compile(r"libmimalloc"), MIMALLOC),
    (re.compile(r"ld-musl|libc\.musl"), MUSL),
    (re.compile(r"libc\.so\.6|libc-2\.\d+\.so"), GLIBC),
)
_PRELOAD_FILE = Path("/etc/ld.so.preload")
# MALLCTL_ARENAS_ALL of jemalloc.h.
_ALL_ARENAS = b"arena.4096.purge"
_LONGEST_MIB = 4


class _Found(ctypes.Structure):
    """``Dl_info`` of dladdr(3)."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("symbol", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


class _Mallinfo2(ctypes.Structure):
    """``struct mallinfo2`` of glibc's malloc.h."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


@dataclass(frozen=True, slots=True)
class Allocator:
    """What serves malloc in this process.

    `name` is one of `leakhunt.model.allocators`, or the file's of one that is not known there;
    `source` says how it got here. `live_bytes` reads the bytes in use; where it is None,
    `unavailable` says why. `trim` returns to the system what is free. `resident_bytes` reads its
    resident memory, in use or not; None: it does not report it.
    """

    name: str
    version: str
    source: str
    live_bytes: Callable[[], int] | None
    unavailable: Text | None
    trim: Callable[[], None]
    resident_bytes: Callable[[], int] | None = None

    def __str__(self) -> str:
        return described(self.name, self.version, self.source)


@functools.cache
def serving() -> Allocator:
    """The allocator of this process: it does not change while the process lives."""
    if sys.platform != "linux":
        return _system()
    library = ctypes.CDLL(None)
    file, name = _identified(library)
    source = _source(file, name)
    match name:
        case "jemalloc":
            return _jemalloc(library, source)
        case "tcmalloc":
            return _tcmalloc(library, source)
        case "mimalloc":
            return _mimalloc(library, source)
        case "glibc":
            return _glibc(library, source)
    return Allocator(name, "", source, None, _reports_nothing(name), _nothing)


def python_allocator() -> str:
    """What serves Python's small objects: ``pymalloc``, ``malloc``, or a mimalloc of its own."""
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return FREE_THREADED
    if not hasattr(sys, "getallocatedblocks"):
        return "unknown"
    return "pymalloc" if sys.getallocatedblocks() else "malloc"


def mapped_allocator(pid: int) -> str:
    """The allocator of another process by the files it has mapped; empty: it cannot be told."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    files = {line.rpartition("/")[2] for line in maps.splitlines() if "/" in line}
    for pattern, name in _FILES:
        if any(pattern.match(file) for file in files):
            return described(name, "", _source_of_mapped(pid, name, pattern))
    return ""


def _source_of_mapped(pid: int, name: str, pattern: re.Pattern[str]) -> str:
    if name in (GLIBC, MUSL):
        return C_LIBRARY
    return PRELOADED if pattern.search(_variables(pid)) else LINKED


def _identified(library: ctypes.CDLL) -> tuple[str, str]:
    """The file that malloc is in, and the allocator's name."""
    places = [place for name in _ALLOCATING if (place := _place(library, name)) is not None]
    executable = _base_of_executable()
    outside = [place for place in places if place[1] != executable]
    if not places:
        return "", "unknown"
    file, base = (outside or places)[0]
    for symbol, name in _KNOWN_BY.items():
        if _place(library, symbol) == (file, base):
            return file, name
    by_file = (name for pattern, name in _FILES if pattern.match(Path(file).name))
    return file, next(by_file, Path(file).name)


def _base_of_executable() -> int:
    """Where the program itself is mapped: the loader knows it as it was called, ``python``."""
    file = os.path.realpath("/proc/self/exe")
    lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    return next((int(line.split("-")[0], 16) for line in lines if line.endswith(f" {file}")), -1)


def _place(library: ctypes.CDLL, symbol: str) -> tuple[str, int] | None:
    """The file that a symbol leads to, and where it is mapped."""
    try:
        function = getattr(library, symbol)
    except AttributeError:
        return None
    found = _Found()
    library.dladdr.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    address = ctypes.cast(function, ctypes.c_void_p)
    if not library.dladdr(address, ctypes.byref(found)) or not found.file:
        return None
    return os.fsdecode(found.file), found.base or 0


def _source(file: str, name: str) -> str:
    if name in (GLIBC, MUSL):
        return C_LIBRARY
    stem = Path(file).name.partition(".so")[0]
    return PRELOADED if stem and stem in _variables(os.getpid()) else LINKED


def _variables(pid: int) -> str:
    """What the loader was told to preload when the process started."""
    variables = ""
    with contextlib.suppress(OSError):
        started_with = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        variables = " ".join(os.fsdecode(v) for v in started_with if v.startswith(b"LD_PRELOAD="))
    with contextlib.suppress(OSError):
        variables += _PRELOAD_FILE.read_text(encoding="utf-8", errors="replace")
    return variables


def _nothing() -> None:
    """What an allocator that knows no way to trim does."""


def _reports_nothing(name: str) -> Text:
    return message(
        "probe.allocator-tells-nothing",
        "malloc is served by {name}, which does not report the bytes in use",
        name=name,
    )


def _system() -> Allocator:
    """Other systems than Linux: psutil asks the C library."""
    live = _heap_in_use if hasattr(psutil, "heap_info") else None
    why = None if live else _reports_nothing(sys.platform)
    return Allocator(sys.platform, "", C_LIBRARY, live, why, _nothing)


def _heap_in_use() -> int:
    return sum(_in_use_by_psutil())


class HeapOfGlibc:
    """Bytes in use by mallinfo2, without an error of glibc 2.43.

    It counts 16 bytes too much whenever realloc resizes a block with a mapping of its own, and
    never takes them back. Such mappings are whole pages, so what is no whole page is the error:
    it only grows, and is followed from one reading to the next (255 resizings of such blocks).
    """

    def __init__(self, in_use: Callable[[], tuple[int, int]]) -> None:
        self._in_use = in_use
        self._excess = 0

    def __call__(self) -> int:
        """Bytes in use, in the heaps and in mappings of their own."""
        heaps, mappings = self._in_use()
        self._excess += (mappings - self._excess) % mmap.PAGESIZE
        return heaps + mappings - self._excess


def glibc_in_use(library: ctypes.CDLL) -> Callable[[], tuple[int, int]] | None:
    """What reads the bytes in use in glibc's heaps and in mappings of their own.

    psutil opens the C library anew for each reading, and whatever follows the opening of
    libraries (memray: 0.5 s with torch) looks at all of them: it serves before glibc 2.33 only.
    """
    read = getattr(library, "mallinfo2", None)
    if read is None:
        return _in_use_by_psutil if hasattr(psutil, "heap_info") else None
    read.restype = _Mallinfo2

    def in_use() -> tuple[int, int]:
        info = read()
        return info.uordblks, info.hblkhd

    return in_use


def _in_use_by_psutil() -> tuple[int, int]:
    info = psutil.heap_info()
    return info.heap_used, info.mmap_used


def _glibc(library: ctypes.CDLL, source: str) -> Allocator:
    library.gnu_get_libc_version.restype = ctypes.c_char_p
    version = os.fsdecode(library.gnu_get_libc_version())
    trim = getattr(library, "malloc_trim", None)
    in_use = glibc_in_use(library)
    live = None if in_use is None else HeapOfGlibc(in_use)
    why = message(
        "probe.no-mallinfo2", "the C library does not report malloc in use (no mallinfo2)"
    )
    why_not = None if live else why
    return Allocator(GLIBC, version, source, live, why_not, lambda: trim(0) if trim else None)


def _jemalloc(library: ctypes.CDLL, source: str) -> Allocator:
    """``stats.allocated``, after the statistics are brought up to date and our cache is emptied.

    What is in a thread's cache counts as allocated: without emptying the reading lags behind by
    what was freed last. Other threads' caches stay as they are.
    """
    control = _Control(library)
    version = control.text(b"version").partition("-")[0]
    if not control.flag(b"config.stats"):
        why = message(
            "probe.jemalloc-without-statistics",
            "malloc is served by jemalloc, built without statistics (--disable-stats)",
        )
        return Allocator(JEMALLOC, version, source, None, why, control.purge)
    read = _StatisticOfJemalloc(control, b"stats.allocated")
    resident = _StatisticOfJemalloc(control, b"stats.resident")
    return Allocator(JEMALLOC, version, source, read, None, control.purge, resident)


class _Control:
    """jemalloc's ``mallctl``, by numbers once a name is looked up: nothing is allocated then."""

    def __init__(self, library: ctypes.CDLL) -> None:
        prefix = "" if hasattr(library, "mallctl") else "je_"
        size, pointer = ctypes.c_size_t, ctypes.c_void_p
        self._by_name = getattr(library, f"{prefix}mallctl")
        self._by_name.argtypes = [ctypes.c_char_p, pointer, pointer, pointer, size]
        self._by_mib = getattr(library, f"{prefix}mallctlbymib")
        self._by_mib.argtypes = [pointer, size, pointer, pointer, pointer, size]
        self._to_mib = getattr(library, f"{prefix}mallctlnametomib")
        self._to_mib.argtypes = [ctypes.c_char_p, pointer, pointer]

    def text(self, name: bytes) -> str:
        value, size = ctypes.c_char_p(), ctypes.c_size_t(ctypes.sizeof(ctypes.c_char_p))
        self._by_name(name, ctypes.byref(value), ctypes.byref(size), None, 0)
        return os.fsdecode(value.value or b"")

    def flag(self, name: bytes) -> bool:
        value, size = ctypes.c_bool(False), ctypes.c_size_t(1)
        self._by_name(name, ctypes.byref(value), ctypes.byref(size), None, 0)
        return value.value

    def purge(self) -> None:
        """Empty our cache, and hand the free pages of all arenas back."""
        self._by_name(b"thread.tcache.flush", None, None, None, 0)
        self._by_name(_ALL_ARENAS, None, None, None, 0)

    def call(self, mib: ctypes.Array[ctypes.c_size_t], *places: int | None) -> None:
        """Read or write by numbers: where the old value and its size go, and the new one is."""
        old, size, new, length = places
        self._by_mib(ctypes.addressof(mib), len(mib), old, size, new, length or 0)

    def mib(self, name: bytes) -> ctypes.Array[ctypes.c_size_t]:
        """The numbers of a name."""
        found, length = (ctypes.c_size_t * _LONGEST_MIB)(), ctypes.c_size_t(_LONGEST_MIB)
        self._to_mib(name, ctypes.byref(found), ctypes.byref(length))
        return (ctypes.c_size_t * length.value)(*found[: length.value])


class _StatisticOfJemalloc:
    """Reads a number of bytes. All it needs is made once: a reading leaves nothing behind."""

    def __init__(self, control: _Control, name: bytes) -> None:
        self._call = control.call
        self._flush, self._epoch, self._statistic = map(
            control.mib, (b"thread.tcache.flush", b"epoch", name)
        )
        self._one, self._size = ctypes.c_uint64(1), ctypes.c_size_t(8)
        self._value = ctypes.c_size_t()
        self._one_at, self._size_at, self._value_at = map(
            ctypes.addressof, (self._one, self._size, self._value)
        )

    def __call__(self) -> int:
        self._call(self._flush, None, None, None, 0)
        self._call(self._epoch, None, None, self._one_at, 8)
        self._call(self._statistic, self._value_at, self._size_at, None, 0)
        return self._value.value


def _tcmalloc(library: ctypes.CDLL, source: str) -> Allocator:
    """``generic.current_allocated_bytes``: without what the threads' caches hold."""
    version = ""
    with contextlib.suppress(AttributeError):
        library.tc_version.restype = ctypes.c_char_p
        version = os.fsdecode(library.tc_version(None, None, None) or b"").rpartition(" ")[2]
    trim = getattr(library, "MallocExtension_ReleaseFreeMemory", None)
    hand_back = trim or _nothing
    ask = getattr(library, "MallocExtension_GetNumericProperty", None)
    if ask is None:
        return Allocator(TCMALLOC, version, source, None, _reports_nothing(TCMALLOC), hand_back)
    ask.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    value = ctypes.c_size_t()
    at = ctypes.addressof(value)

    def read(name: bytes = b"generic.current_allocated_bytes") -> int:
        ask(name, at)
        return value.value

    def held() -> int:
        return read(b"generic.heap_size") - read(b"tcmalloc.pageheap_unmapped_bytes")

    return Allocator(TCMALLOC, version, source, read, None, hand_back, held)


def _mimalloc(library: ctypes.CDLL, source: str) -> Allocator:
    """Nothing to be read: its counters of blocks are compiled out of a release (MI_STAT is 0).

    What is left says something else: `mi_process_info` what is committed, which is not what is in
    use, and `mi_heap_visit_blocks` what one thread's heap has, without those of other threads.
    """
    number = str(library.mi_version())
    library.mi_collect.argtypes = [ctypes.c_bool]
    library.mi_process_info.argtypes = [ctypes.c_void_p] * 8
    commit = ctypes.c_size_t()
    places = (*[None] * 5, ctypes.addressof(commit), None, None)

    def held() -> int:
        library.mi_process_info(*places)
        return commit.value

    why = message(
        "probe.mimalloc-counts-nothing",
        "malloc is served by mimalloc, whose release builds do not count the bytes in use",
    )
    trim = functools.partial(library.mi_collect, True)
    return Allocator(MIMALLOC, ".".join(number), source, None, why, trim, held)
