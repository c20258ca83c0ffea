"""What a series is: its name, unit and titles, what it cannot see, and where it is shown.

The one place that knows them: a table, and so a long file. To add a series: a probe that reads it,
and a row in `SERIES`; every format of every report has it then. A series that stands in a run file
of another version and not here goes by what that file says of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from leakhunt.text.language import mark
from leakhunt.text.message import Message, Text

LIVE_HEAP: Final = "live_heap"
PYTHON_LIVE: Final = "python_live"
ANONYMOUS: Final = "anonymous"
RSS: Final = "rss"
PSS: Final = "pss"
PRIVATE_DIRTY: Final = "private_dirty"
MEMORY: Final = "memory_use"
CGROUP: Final = "cgroup"
CGROUP_ANON: Final = "cgroup_anon"
CGROUP_FILE: Final = "cgroup_file"
CGROUP_SHMEM: Final = "cgroup_shmem"
CGROUP_KERNEL: Final = "cgroup_kernel"
CGROUP_SLAB: Final = "cgroup_slab"
CGROUP_SWAP: Final = "cgroup_swap"
CGROUP_PEAK: Final = "cgroup_peak"
CGROUP_EVENTS: Final = "cgroup_events"
PRESSURE: Final = "memory_pressure"
SHARED_FILES: Final = "shared_files"
PYTHON_BLOCKS: Final = "python_blocks"
CUDA_ALLOCATED: Final = "cuda_allocated"
CUDA_RESERVED: Final = "cuda_reserved"
CUDA_ACTIVE: Final = "cuda_active"
CUDA_PROCESS: Final = "cuda_process"
PEAK_RSS: Final = "peak_rss"
PEAK_CUDA: Final = "peak_cuda"
INPUT: Final = "call_input"
AUDIO: Final = "audio"
DURATION: Final = "duration"
P50: Final = "p50"
P95: Final = "p95"
P99: Final = "p99"
ELAPSED: Final = "elapsed"
FAILURES: Final = "failures"
THREADS: Final = "threads"
DESCRIPTORS: Final = "descriptors"
CHILDREN: Final = "children"
GARBAGE_OBJECTS: Final = "garbage_objects"


class Unit(StrEnum):
    """What one number of a series counts."""

    BYTES = mark("bytes")
    BLOCKS = mark("blocks")
    COUNT = mark("count")
    NANOSECONDS = mark("ns")


@dataclass(frozen=True, slots=True)
class Series:
    """One column of the samples: a name, a unit, what it means and what it cannot see."""

    name: str
    unit: Unit
    title: str
    blind_to: str


class SeriesRole(StrEnum):
    """What growth of a series says."""

    # What is in use: growth is a leak.
    LIVE = "live"
    # What is held, in use or not.
    RETAINED = "retained"
    # Handles that the system counts: growth is a leak.
    RESOURCE = "resource"
    # How high it went within a sample: no growth, but what a limit must allow.
    PEAK = "peak"
    # What the calls were given, what they took, and how the load on a service went.
    INPUT = "input"
    TIME = "time"
    LOAD = "load"
    # What the collector has to free: no growth, but work.
    GARBAGE = "garbage"


class SeriesDisplay(StrEnum):
    """A place in which a series is shown, where it was read."""

    # The page's plot, the figure of all curves, and that of a comparison.
    PAGE = "page"
    FIGURE = "figure"
    COMPARISON = "comparison"
    # The tables of a report, and the narrower one of the terminal.
    TABLE = "table"
    SUMMARY = "summary"
    # The one rate that stands for a run.
    HEADLINE = "headline"
    # The curves on a terminal, and the line of a run that goes on.
    LIVE = "live"
    PROGRESS = "progress"


# Of memory, and of what is counted beside it.
_REPORTS = frozenset(
    {
        SeriesDisplay.PAGE,
        SeriesDisplay.FIGURE,
        SeriesDisplay.COMPARISON,
        SeriesDisplay.TABLE,
        SeriesDisplay.HEADLINE,
    }
)
_CHARTS = frozenset({SeriesDisplay.PAGE, SeriesDisplay.FIGURE})
_PAGE = frozenset({SeriesDisplay.PAGE})
# Held memory moves in pages, and holds what malloc holds: a quarter of a page a sample.
_RETAINED_TOLERANCE_BYTES = 1024.0


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """Whatever is to be known of one series.

    `title` is for a heading or an axis, `short_title` for a sentence or a cell, `narrow_title` for
    a column of the terminal (empty: the short one). `blind_to` is what it cannot see, and
    `blind_to_in_tree` what it cannot where it is summed over the processes of a service (empty:
    the same).

    `tolerance` is growth a sample that is no leak; None: that of the unit. `least_garbage` is what
    a collection must free so that garbage matters; None: it frees none. `in_bytes` names the series
    of full readings that has the same in bytes.

    `is_judged`: it has a verdict, and can have a budget. `is_sampled`: it is read at every sample,
    not in full readings only. `is_summed`: a sample has what came since the one before.
    `is_on_gpu`: only a run on a GPU has it. `is_expected`: a run that has not read it says so.
    `is_plural`: its title is one. `only_if_moving`: drawn where it ever changed.
    """

    name: str
    unit: Unit
    role: SeriesRole
    title: str
    short_title: str
    blind_to: str
    blind_to_in_tree: str = ""
    narrow_title: str = ""
    tolerance: float | None = None
    least_garbage: int | None = None
    in_bytes: str = ""
    displays: frozenset[SeriesDisplay] = _REPORTS
    is_judged: bool = False
    is_sampled: bool = True
    is_summed: bool = False
    is_on_gpu: bool = False
    is_expected: bool = False
    is_plural: bool = False
    only_if_moving: bool = False

    @property
    def is_compared(self) -> bool:
        """Whether its growth is compared between runs, and kept in a baseline."""
        return self.is_judged or not self.is_sampled

    @property
    def is_absolute(self) -> bool:
        """Whether it is drawn as it is; of others the change since the warm-up is what matters."""
        return self.role in (SeriesRole.TIME, SeriesRole.LOAD)

    @property
    def series(self) -> Series:
        """As the header of a run file has it."""
        return Series(self.name, self.unit, self.title, self.blind_to)

    @property
    def series_of_tree(self) -> Series:
        """As the header has it, where it is summed over the processes of a service."""
        blind_to = self.blind_to_in_tree or self.blind_to
        return Series(self.name, self.unit, self.title, blind_to)


_IN_USE_OR_FREE = mark("cannot separate live memory from freed memory that malloc retains")
_WHOSE = mark("which process it belongs to; includes leakhunt where it is in the same cgroup")
_OTHER_CUDA = mark(
    "GPUs other than the default device; the CUDA context (200 to 1000 MB), NCCL and libraries with"
    " allocators of their own"
)
_QUANTILE = mark("5 % accuracy")

_ROWS = (
    SeriesFacts(
        LIVE_HEAP,
        Unit.BYTES,
        SeriesRole.LIVE,
        mark("live heap (malloc in use)"),
        mark("live heap"),
        mark(
            "pymalloc's arenas (small Python objects), raw mmap, pools of libraries with an"
            " allocator of their own, CUDA memory"
        ),
        narrow_title=mark("heap"),
        least_garbage=64 << 10,
        displays=_REPORTS | {SeriesDisplay.SUMMARY, SeriesDisplay.LIVE, SeriesDisplay.PROGRESS},
        is_judged=True,
        is_expected=True,
    ),
    SeriesFacts(
        PYTHON_LIVE,
        Unit.BYTES,
        SeriesRole.LIVE,
        mark("Python bytes"),
        mark("Python bytes"),
        mark("anything over 512 bytes, native code; never moves with PYTHONMALLOC=malloc"),
        displays=frozenset(),
        is_sampled=False,
        is_plural=True,
    ),
    SeriesFacts(
        ANONYMOUS,
        Unit.BYTES,
        SeriesRole.RETAINED,
        mark("anonymous memory"),
        mark("anonymous memory"),
        _IN_USE_OR_FREE,
        narrow_title=mark("private"),
        tolerance=_RETAINED_TOLERANCE_BYTES,
        displays=(_REPORTS - {SeriesDisplay.COMPARISON}) | {SeriesDisplay.SUMMARY},
        is_judged=True,
    ),
    SeriesFacts(
        RSS,
        Unit.BYTES,
        SeriesRole.RETAINED,
        mark("resident memory (RSS)"),
        mark("RSS"),
        _IN_USE_OR_FREE,
        blind_to_in_tree=mark(
            "counts shared pages in each process; cannot separate live from retained memory"
        ),
        tolerance=_RETAINED_TOLERANCE_BYTES,
        displays=_REPORTS | {SeriesDisplay.SUMMARY, SeriesDisplay.LIVE, SeriesDisplay.PROGRESS},
        is_judged=True,
        is_expected=True,
    ),
    SeriesFacts(
        PSS,
        Unit.BYTES,
        SeriesRole.RETAINED,
        mark("proportional memory (PSS)"),
        mark("PSS"),
        _IN_USE_OR_FREE,
        displays=_PAGE,
    ),
    SeriesFacts(
        PRIVATE_DIRTY,
        Unit.BYTES,
        SeriesRole.RETAINED,
        mark("private memory that was written (private dirty)"),
        mark("private dirty memory"),
        mark(
            "cannot separate new memory from pages of the parent that are copied as they are"
            " written"
        ),
        displays=_PAGE,
        only_if_moving=True,
    ),
    SeriesFacts(
        MEMORY,
        Unit.BYTES,
        SeriesRole.RETAINED,
        mark("memory use, as it was measured elsewhere"),
        mark("memory use"),
        mark("what it counts is up to its source; cannot separate live from retained memory"),
        tolerance=_RETAINED_TOLERANCE_BYTES,
        is_judged=True,
    ),
    SeriesFacts(
        CGROUP,
        Unit.BYTES,
        SeriesRole.RETAINED,
        mark("memory of the cgroup that cannot be reclaimed"),
        mark("memory of the cgroup"),
        mark("which process it belongs to"),
        displays=_PAGE,
    ),
    SeriesFacts(
        CGROUP_ANON,
        Unit.BYTES,
        SeriesRole.RETAINED,
        mark("cgroup: anonymous memory"),
        mark("cgroup anonymous"),
        _WHOSE,
        displays=_PAGE,
        only_if_moving=True,
    ),
    SeriesFacts(
        CGROUP_FILE,
        Unit.BYTES,
        SeriesRole.RETAINED,
        mark("cgroup: page cache of files"),
        mark("page cache"),
        _WHOSE,
        displays=_PAGE,
        only_if_moving=True,
    ),
    SeriesFacts(
        CGROUP_SHMEM,
        Unit.BYTES,
        SeriesRole.RETAINED,
        mark("cgroup: shared memory (shmem)"),
        mark("cgroup shmem"),
        _WHOSE,
        displays=_PAGE,
        only_if_moving=True,
    ),
    SeriesFacts(
        CGROUP_KERNEL,
        Unit.BYTES,
        SeriesRole.RETAINED,
        mark("cgroup: kernel memory"),
        mark("kernel memory"),
        _WHOSE,
        displays=_PAGE,
        only_if_moving=True,
    ),
    SeriesFacts(
        CGROUP_SLAB,
        Unit.BYTES,
        SeriesRole.RETAINED,
        mark("cgroup: slab of the kernel"),
        mark("slab"),
        _WHOSE,
        displays=_PAGE,
        only_if_moving=True,
    ),
    SeriesFacts(
        CGROUP_SWAP,
        Unit.BYTES,
        SeriesRole.RETAINED,
        mark("cgroup: swap"),
        mark("swap"),
        _WHOSE,
        displays=_PAGE,
        only_if_moving=True,
    ),
    SeriesFacts(
        CGROUP_PEAK,
        Unit.BYTES,
        SeriesRole.PEAK,
        mark("cgroup: peak since it began (memory.peak)"),
        mark("cgroup peak"),
        _WHOSE,
        displays=_PAGE,
        only_if_moving=True,
    ),
    SeriesFacts(
        CGROUP_EVENTS,
        Unit.COUNT,
        SeriesRole.LOAD,
        mark("cgroup: times that a limit was met (memory.events)"),
        mark("limit events"),
        mark("which process met the limit"),
        displays=_PAGE,
        only_if_moving=True,
        is_plural=True,
    ),
    SeriesFacts(
        PRESSURE,
        Unit.NANOSECONDS,
        SeriesRole.LOAD,
        mark("cgroup: time stalled for memory (PSI, some)"),
        mark("memory pressure"),
        mark("which process waited"),
        displays=_PAGE,
        only_if_moving=True,
    ),
    SeriesFacts(
        SHARED_FILES,
        Unit.BYTES,
        SeriesRole.RETAINED,
        mark("files in /dev/shm"),
        mark("/dev/shm"),  # noqa: S108 - a title
        mark("segments that no file names, such as those of shmget and memfd"),
        displays=_PAGE,
        only_if_moving=True,
        is_plural=True,
    ),
    SeriesFacts(
        PYTHON_BLOCKS,
        Unit.BLOCKS,
        SeriesRole.LIVE,
        mark("Python blocks"),
        mark("Python blocks"),
        mark("anything over 512 bytes, native code; never moves with PYTHONMALLOC=malloc"),
        # A collection also empties the interpreter's free lists, of some hundred blocks: that is no
        # garbage.
        least_garbage=1000,
        # Blocks are counted at every sample, their bytes only in full readings.
        in_bytes=PYTHON_LIVE,
        is_judged=True,
        is_expected=True,
        is_plural=True,
    ),
    SeriesFacts(
        CUDA_ALLOCATED,
        Unit.BYTES,
        SeriesRole.LIVE,
        mark("CUDA allocated (tensors)"),
        mark("CUDA allocated"),
        _OTHER_CUDA,
        narrow_title="CUDA",
        displays=_REPORTS | {SeriesDisplay.SUMMARY, SeriesDisplay.LIVE},
        is_judged=True,
        is_on_gpu=True,
    ),
    SeriesFacts(
        CUDA_RESERVED,
        Unit.BYTES,
        SeriesRole.RETAINED,
        mark("CUDA reserved (held from the driver)"),
        mark("CUDA reserved"),
        _OTHER_CUDA,
        narrow_title=mark("retained"),
        tolerance=_RETAINED_TOLERANCE_BYTES,
        displays=(_REPORTS - {SeriesDisplay.HEADLINE})
        | {SeriesDisplay.SUMMARY, SeriesDisplay.PROGRESS},
        is_judged=True,
        is_on_gpu=True,
    ),
    SeriesFacts(
        CUDA_ACTIVE,
        Unit.BYTES,
        SeriesRole.RETAINED,
        mark("CUDA active (tensors and pending frees)"),
        mark("CUDA active"),
        _OTHER_CUDA,
        displays=frozenset(),
        is_on_gpu=True,
    ),
    SeriesFacts(
        CUDA_PROCESS,
        Unit.BYTES,
        SeriesRole.RETAINED,
        mark("GPU memory of the processes"),
        mark("GPU memory"),
        mark("cannot separate tensors from memory that the allocator and the CUDA context retain"),
        tolerance=_RETAINED_TOLERANCE_BYTES,
        displays=_REPORTS - {SeriesDisplay.COMPARISON},
        is_judged=True,
        is_on_gpu=True,
    ),
    # The marks are set back before the first call of a sample.
    SeriesFacts(
        PEAK_RSS,
        Unit.BYTES,
        SeriesRole.PEAK,
        mark("peak RSS"),
        mark("peak RSS"),
        mark(
            "which call of a sample; child processes; less than about 256 KiB (the kernel counts"
            " pages in batches)"
        ),
        blind_to_in_tree=mark(
            "counts shared pages in each process; the peaks of several processes need not meet"
        ),
        displays=_PAGE,
    ),
    SeriesFacts(
        PEAK_CUDA,
        Unit.BYTES,
        SeriesRole.PEAK,
        mark("peak of CUDA allocated"),
        mark("peak CUDA"),
        _OTHER_CUDA,
        displays=_PAGE,
        is_on_gpu=True,
    ),
    # Told by the scenario, or the size of what a call is given; before the time.
    SeriesFacts(
        INPUT,
        Unit.COUNT,
        SeriesRole.INPUT,
        mark("input size"),
        mark("input"),
        mark("none: reported by the scenario"),
        displays=frozenset(),
    ),
    # Told by the scenario, where it works on audio; before the time.
    SeriesFacts(
        AUDIO,
        Unit.NANOSECONDS,
        SeriesRole.INPUT,
        mark("audio per call"),
        mark("audio"),
        mark("none: reported by the scenario"),
        displays=frozenset(),
        is_summed=True,
    ),
    # Read by the worker's loop itself, around the call; always the last value of a sample.
    SeriesFacts(
        DURATION,
        Unit.NANOSECONDS,
        SeriesRole.TIME,
        mark("time per call"),
        mark("time"),
        mark("work between calls, such as making the input"),
        displays=_CHARTS | {SeriesDisplay.PROGRESS},
        is_summed=True,
    ),
    SeriesFacts(
        P50,
        Unit.NANOSECONDS,
        SeriesRole.TIME,
        mark("response time, median"),
        mark("response time, median"),
        _QUANTILE,
        displays=frozenset(),
    ),
    SeriesFacts(
        P95,
        Unit.NANOSECONDS,
        SeriesRole.TIME,
        mark("response time, 95th percentile"),
        mark("response time, 95th percentile"),
        _QUANTILE,
        displays=_PAGE,
    ),
    SeriesFacts(
        P99,
        Unit.NANOSECONDS,
        SeriesRole.TIME,
        mark("response time, 99th percentile"),
        mark("response time, 99th percentile"),
        _QUANTILE,
        displays=frozenset(),
    ),
    SeriesFacts(
        ELAPSED,
        Unit.NANOSECONDS,
        SeriesRole.LOAD,
        mark("time since the last sample"),
        mark("time since the last sample"),
        mark("pauses of the load (excluded)"),
        displays=_CHARTS,
        is_summed=True,
    ),
    SeriesFacts(
        FAILURES,
        Unit.COUNT,
        SeriesRole.LOAD,
        mark("failed requests"),
        mark("failed requests"),
        mark("reason: see the notes"),
        displays=_CHARTS,
        is_summed=True,
        is_plural=True,
        only_if_moving=True,
    ),
    SeriesFacts(
        THREADS,
        Unit.COUNT,
        SeriesRole.RESOURCE,
        mark("threads"),
        mark("threads"),
        mark("threads of child processes"),
        blind_to_in_tree=mark("what the requests do"),
        displays=frozenset({SeriesDisplay.PAGE, SeriesDisplay.HEADLINE}),
        is_judged=True,
        is_plural=True,
        only_if_moving=True,
    ),
    SeriesFacts(
        DESCRIPTORS,
        Unit.COUNT,
        SeriesRole.RESOURCE,
        mark("open descriptors"),
        mark("descriptors"),
        mark("which file: descriptors are only counted"),
        displays=frozenset({SeriesDisplay.PAGE, SeriesDisplay.HEADLINE}),
        is_judged=True,
        is_plural=True,
        only_if_moving=True,
    ),
    SeriesFacts(
        CHILDREN,
        Unit.COUNT,
        SeriesRole.RESOURCE,
        mark("child processes"),
        mark("children"),
        mark("grandchildren; their memory"),
        blind_to_in_tree=mark("the memory they use"),
        displays=frozenset({SeriesDisplay.PAGE, SeriesDisplay.HEADLINE}),
        is_judged=True,
        is_plural=True,
        only_if_moving=True,
    ),
    # The objects that all collections have freed since the process started.
    SeriesFacts(
        GARBAGE_OBJECTS,
        Unit.COUNT,
        SeriesRole.GARBAGE,
        mark("objects of cyclic garbage"),
        mark("garbage objects"),
        mark("what hangs on these objects without being tracked by the collector"),
        displays=frozenset(),
        is_sampled=False,
        is_plural=True,
    ),
)
# In the order in which they are shown.
SERIES: Mapping[str, SeriesFacts] = {row.name: row for row in _ROWS}


def judged_series(*roles: SeriesRole) -> tuple[str, ...]:
    """The names of the series that have a verdict: of these roles, else of all, live ones first."""
    return tuple(
        row.name
        for role in roles or (SeriesRole.LIVE, SeriesRole.RESOURCE, SeriesRole.RETAINED)
        for row in SERIES.values()
        if row.is_judged and row.role is role
    )


def live_memory() -> tuple[str, ...]:
    """The judged series of memory that is in use."""
    return judged_series(SeriesRole.LIVE)


def leak_series() -> tuple[str, ...]:
    """The judged series of which growth is a leak: live memory, and what holds it."""
    return judged_series(SeriesRole.LIVE, SeriesRole.RESOURCE)


def live_bytes() -> tuple[SeriesFacts, ...]:
    """Memory that is in use, in bytes: what is sampled, then what full readings alone have."""
    rows = (row for row in SERIES.values() if row.role is SeriesRole.LIVE)
    in_bytes = (row for row in rows if row.unit is Unit.BYTES)
    return tuple(sorted(in_bytes, key=lambda row: not row.is_sampled))


def compared_series() -> tuple[SeriesFacts, ...]:
    """Those whose growth is compared between runs: live memory, retained memory, resources."""
    roles = (SeriesRole.LIVE, SeriesRole.RETAINED, SeriesRole.RESOURCE)
    rows = (row for role in roles for row in SERIES.values() if row.role is role)
    return tuple(row for row in rows if row.is_compared)


def displayed(display: SeriesDisplay) -> tuple[SeriesFacts, ...]:
    """The series that are shown there, in order."""
    return tuple(row for row in SERIES.values() if display in row.displays)


def has_role(name: str, *roles: SeriesRole) -> bool:
    """Whether a series is known, and has one of these roles."""
    return name in SERIES and SERIES[name].role in roles


def full_title(series: Series) -> Text:
    """A series in a heading or at an axis; of one that is not known what its file says."""
    if series.name not in SERIES:
        return series.title
    return Message(f"series.{series.name}.title", SERIES[series.name].title)


def short_title(name: str) -> Text:
    """A series in a sentence or a cell; of one that is not known its name, as words."""
    if name not in SERIES:
        return name.replace("_", " ")
    return Message(f"series.{name}", SERIES[name].short_title)
