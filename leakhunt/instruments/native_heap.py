"""The native heap: memray with native traces, and what of it is alive at each mark."""

from __future__ import annotations

import os
import shutil
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from leakhunt.errors import MissingRequirement
from leakhunt.instruments import Call, InstrumentedRun
from leakhunt.model.attribution import Finding, FindingKind, Frame, Instrument
from leakhunt.text.message import Text, message

# memray stamps its records so often; a mark waits a few of them, so that it lies between two.
INTERVAL_MS = 10
_PAUSE_SECONDS = 5 * INTERVAL_MS / 1000
# A capture of more than this ends the watch early; what was seen until then is told.
MOST_CAPTURE_BYTES = 1 << 30
# memray itself stops when it cannot write, and says so in its log only.
_LEAST_FREE_BYTES = 1 << 20
MOST_SITES = 400
# Stacks of addresses that are looked up: many of them are the same functions.
_MOST_STACKS = 40_000
SUFFIX = ".memray.bin"
# Where pymalloc gets its arenas: they are Python's heap, which is told by its own instrument.
_ARENAS = ("_PyObject_Arena", "new_arena", "_PyMem_ArenaAlloc")

# Blocks and bytes at each mark.
_Amounts = tuple[tuple[int, ...], tuple[int, ...]]


def make(run: InstrumentedRun) -> NativeHeap:
    """Memray at work.

    Raises:
        MissingRequirement: memray is not installed here (it works on Linux and macOS).
    """
    try:
        import memray  # noqa: F401
    except ImportError as error:
        raise MissingRequirement(
            message(
                "instrument.no-memray",
                "instrument memray: {error}. Install with: pip install memray (Linux and macOS)",
                error=str(error),
            )
        ) from error
    return NativeHeap(run)


class NativeHeap:
    """One tracker, read back by the times of the marks."""

    def __init__(self, run: InstrumentedRun) -> None:
        self._places = run.places
        self._file = run.capture.with_suffix(SUFFIX)
        self._calls: list[int] = []
        self._times_ms: list[float] = []
        self._tracker: Any = None
        self.caveats: list[Text] = []

    def start(self, call: Call) -> Call:
        """Track every allocation of the process from here on."""
        import memray

        self._tracker = memray.Tracker(
            destination=memray.FileDestination(self._file, overwrite=True, compress_on_exit=False),
            native_traces=True,
            memory_interval_ms=INTERVAL_MS,
        )
        self._tracker.__enter__()
        return call

    def mark(self, calls: int) -> None:
        """Note the time, in a silence that is longer than memray's stamps are apart."""
        if self._tracker is None:
            return
        time.sleep(_PAUSE_SECONDS)
        self._calls.append(calls)
        self._times_ms.append(time.time() * 1000)
        time.sleep(_PAUSE_SECONDS)
        if os.path.getsize(self._file) > MOST_CAPTURE_BYTES:  # noqa: PTH202
            self._stop_early(
                message(
                    "instrument.capture-size",
                    "the capture reached {most_capture_bytes} MiB",
                    most_capture_bytes=MOST_CAPTURE_BYTES >> 20,
                ),
                calls,
            )
        elif shutil.disk_usage(self._file.parent).free < _LEAST_FREE_BYTES:
            self._stop_early(message("instrument.disk-full", "the disk is full"), calls)

    def _stop_early(self, why: Text, calls: int) -> None:
        self._stop()
        self.caveats.append(
            message(
                "instrument.stopped-early",
                "memray stopped after call {calls:,}: {why}",
                calls=calls,
                why=why,
            )
        )

    def _stop(self) -> None:
        if self._tracker is not None:
            self._tracker.__exit__(None, None, None)
            self._tracker = None

    def findings(self) -> Iterator[Finding]:
        """Every stack with more blocks or bytes alive at the last mark than at the first."""
        self._stop()
        if len(self._calls) < 2:
            return
        grown: dict[tuple[str, tuple[Frame, ...]], list[_Amounts]] = defaultdict(list)
        for allocator, amounts, stack in self._grown(self._file):
            # memray tells the function first.
            frames = self._places.frames((file, line, name) for name, file, line in stack)
            if not any(frame.function.startswith(_ARENAS) for frame in frames):
                grown["mapping" if allocator == "MMAP" else "malloc", frames].append(amounts)
        sites = [(*key, *_summed(parts)) for key, parts in grown.items()]
        sites.sort(key=lambda site: site[3][0] - site[3][-1])
        for number, (what, frames, counts, sizes) in enumerate(sites[:MOST_SITES]):
            yield Finding(
                instrument=Instrument.MEMRAY,
                sort=FindingKind.SITE,
                what=what,
                calls=tuple(self._calls),
                counts=counts,
                sizes=sizes,
                stack=frames,
                key=str(number),
            )

    def _grown(self, file: Path) -> Iterator[tuple[str, _Amounts, Any]]:
        """The stacks that grew most: the allocator, blocks and bytes at each mark, the stack."""
        import memray

        with memray.FileReader(file) as reader:
            stamps = [snapshot.time for snapshot in reader.get_memory_snapshots()]
            marks = [bisect_right(stamps, time_ms) for time_ms in self._times_ms]
            # memray has a record for each block that is alive at the end of a stack.
            records: dict[tuple[int, ...], list[Any]] = defaultdict(list)
            for record in reader.get_temporal_allocation_records(merge_threads=True):
                stack = (record.stack_id, record.native_stack_id, record.native_segment_generation)
                records[(record.allocator, *stack)].append(record)
            counted = [
                (_summed([_alive(record, marks) for record in same]), same[0])
                for same in records.values()
            ]
            grown = [entry for entry in counted if entry[0][1][-1] > entry[0][1][0]]
            grown.sort(key=lambda entry: entry[0][1][0] - entry[0][1][-1])
            for amounts, record in grown[:_MOST_STACKS]:
                name = memray.AllocatorType(record.allocator).name
                yield name, amounts, record.hybrid_stack_trace()


def _alive(record: Any, marks: list[int]) -> _Amounts:
    """Blocks and bytes alive at each mark; a mark is the number of stamps before it."""
    counts, sizes = [0] * len(marks), [0] * len(marks)
    for interval in record.intervals:
        for number, at in enumerate(marks):
            ended = interval.deallocated_before_snapshot
            if interval.allocated_before_snapshot < at and (ended is None or ended >= at):
                counts[number] += interval.n_allocations
                sizes[number] += interval.n_bytes
    return tuple(counts), tuple(sizes)


def _summed(parts: Sequence[_Amounts]) -> _Amounts:
    """Blocks and bytes of all together, at each mark."""
    return (
        tuple(map(sum, zip(*(counts for counts, _ in parts), strict=True))),
        tuple(map(sum, zip(*(sizes for _, sizes in parts), strict=True))),
    )
