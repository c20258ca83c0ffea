"""Full readings at the two ends of a run, and what each step of letting go gives back.

Worker side. The differences between the steps say what kind of memory it was: cyclic garbage
(collected), a framework's cache (emptied), freed but kept by malloc (trimmed); the rest is live.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import psutil

from leakhunt.model.run import Reading
from leakhunt.model.series import (
    CUDA_ALLOCATED,
    CUDA_RESERVED,
    GARBAGE_OBJECTS,
    LIVE_HEAP,
    PYTHON_BLOCKS,
    PYTHON_LIVE,
    RSS,
)
from leakhunt.probes.allocator import serving
from leakhunt.probes.cuda import empty_framework_caches
from leakhunt.probes.peaks import highest_before_reset
from leakhunt.worker.address_space import made_of, regions

# The highest RSS of the process's life.
PEAK = "rss_peak"
_STATUS_NAMES = {
    "VmRSS": RSS,
    "VmHWM": PEAK,
    "VmSize": "address_space",
    "VmPTE": "page_tables",
    "RssAnon": "rss_anonymous",
    "RssFile": "rss_file",
    "RssShmem": "rss_shared",
}
_ROLLUP_NAMES = {"AnonHugePages": "huge_pages"}
_TEXT_BYTES = 64 << 10
_PYMALLOC_LINES = {
    PYTHON_LIVE: re.compile(r"# bytes in allocated blocks\s*=\s*([\d,]+)"),
    "python_arenas": re.compile(r"arenas \* \d+ bytes/arena\s*=\s*([\d,]+)"),
}


def start_reading() -> Reading:
    """Collect, trim, and read: what is there before the first call."""
    gc.collect()
    trim_malloc()
    return whole_reading("start")


def collected_reading() -> Reading:
    """Collect, and read; the reading says how long the collection took (ns)."""
    started = time.perf_counter_ns()
    gc.collect()
    taken = time.perf_counter_ns() - started
    after = full_reading("look_collected")
    return replace(after, values={**after.values, "collect_ns": taken})


def settle(last_reading: tuple[Reading, Reading]) -> Iterator[Reading]:
    """The readings after the last call, one a step, each taken just after its step.

    The last look has just read and collected: its readings are the first two.
    """
    before, after = last_reading
    yield replace(before, step="end")
    yield replace(after, step="collected")
    empty_framework_caches()
    yield full_reading("emptied")
    trim_malloc()
    yield whole_reading("trimmed")


def mappings() -> dict[str, tuple[int, int]]:
    """The process's mappings by what they map: how many, and their resident bytes. Linux only.

    Files go by their names without folders, anonymous memory by its permissions.
    """
    found: dict[str, tuple[int, int]] = {}
    for region in regions():
        kind = region.name.rpartition("/")[2] or f"anonymous {region.rights}"
        count, size = found.get(kind, (0, 0))
        found[kind] = (count + 1, size + region.resident)
    return found


def whole_reading(step: str) -> Reading:
    """A full reading, and what resident memory is made of: milliseconds where it is many pieces."""
    reading = full_reading(step)
    return replace(reading, values={**reading.values, **made_of()})


def full_reading(step: str) -> Reading:
    """Everything that costs too much to read at every call; what cannot be read is absent."""
    values = {"clock_ns": time.monotonic_ns(), **_kernel_values(), **_pymalloc_values()}
    if hasattr(sys, "getallocatedblocks") and (blocks := sys.getallocatedblocks()):
        values[PYTHON_BLOCKS] = blocks  # 0: pymalloc is switched off
    live_bytes = serving().live_bytes
    if live_bytes is not None:
        values[LIVE_HEAP] = live_bytes()
    values[GARBAGE_OBJECTS] = sum(each["collected"] for each in gc.get_stats())
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        values[CUDA_ALLOCATED] = torch.cuda.memory_allocated()
        values[CUDA_RESERVED] = torch.cuda.memory_reserved()
        free, total = torch.cuda.mem_get_info()
        values["cuda_device_used"] = total - free
        values["cuda_total"] = total
    return Reading(step, values)


def trim_malloc() -> None:
    """Let the allocator hand back what is free (glibc: ``malloc_trim(0)``, with all arenas)."""
    serving().trim()


def _kernel_values() -> dict[str, int]:
    values = _sizes_in("/proc/self/status", _STATUS_NAMES)
    if not values:
        return {RSS: psutil.Process().memory_info().rss}
    if PEAK in values:  # it may have been set back since
        values[PEAK] = max(values[PEAK], highest_before_reset())
    return values | _sizes_in("/proc/self/smaps_rollup", _ROLLUP_NAMES)


def _sizes_in(path: str, names: Mapping[str, str]) -> dict[str, int]:
    """The sizes in bytes of a file of ``Name:  123 kB``, under names of ours; none without it."""
    try:
        # Not open(): each call of it leaves a block behind, which the noise floor would show.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return {}
    try:
        text = os.read(descriptor, _TEXT_BYTES).decode("ascii", "replace")
    finally:
        os.close(descriptor)
    values = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name in names:
            values[names[name]] = int(rest.split()[0]) * 1024
    return values


def _pymalloc_values() -> dict[str, int]:
    """Live bytes and arena bytes of pymalloc, which CPython only prints, to the C stderr."""
    report = getattr(sys, "_debugmallocstats", None)
    if report is None or not hasattr(os, "pread"):  # Windows deletes no file that is open
        return {}
    catch = _nameless_file()
    try:
        with _standard_error_into(catch):
            report()
        # Its own length: a larger block would be cut to size, which glibc 2.43 counts wrongly.
        text = os.pread(catch, os.fstat(catch).st_size, 0).decode("ascii", "replace")
    finally:
        os.close(catch)
    return {
        name: int(match[1].replace(",", ""))
        for name, pattern in _PYMALLOC_LINES.items()
        if (match := pattern.search(text))
    }


@contextlib.contextmanager
def _standard_error_into(descriptor: int) -> Iterator[None]:
    """Let descriptor 2 lead elsewhere for a while; a scenario may have closed it."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stderr.flush()
    try:
        duplicate = os.dup(2)
    except OSError:
        duplicate = None
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        if duplicate is None:
            os.close(2)
        else:
            os.dup2(duplicate, 2)
            os.close(duplicate)


def _nameless_file() -> int:
    """A descriptor of a file that goes when it is closed; in memory where the system has that."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("leakhunt")
    descriptor, path = tempfile.mkstemp(prefix="leakhunt-")
    os.unlink(path)  # noqa: PTH108 - keep Path out of the instrument
    return descriptor
