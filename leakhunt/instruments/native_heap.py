"""Python's heap and the native one together: memray, and the objects that grow.

memray tells each block that was allocated in a window of calls and still lives at its end, by the
stack of Python and C. Which block an object is, it does not tell: in a last, short window
tracemalloc says at which line the items of a growing container come into being.
"""

from __future__ import annotations

import gc
import shutil
import sys
import tracemalloc
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import dropwhile, islice
from pathlib import Path
from typing import Any

from leakhunt.errors import MissingRequirement
from leakhunt.instruments import Call, InstrumentedRun
from leakhunt.instruments.containers import object_traceback
from leakhunt.instruments.distributions import distribution_of, read_records
from leakhunt.instruments.free_lists import FreeLists
from leakhunt.instruments.growing_holders import Unowned
from leakhunt.instruments.lost_references import NO_CALLBACK, Lost, LostReferences
from leakhunt.instruments.native_frames import SharedObjects, is_python, shared_objects
from leakhunt.instruments.native_sites import (
    PYTHON,
    Lines,
    ShownStack,
    WholeStack,
    before_loop,
    heap_name,
    is_arena,
    records_in,
    shown_stacks,
    site_finding,
    sites_of,
    stack_of,
)
from leakhunt.instruments.objects import Objects
from leakhunt.instruments.python_heap import FRAMES
from leakhunt.model.attribution import (
    MEMRAY_WINDOWS,
    Finding,
    FindingKind,
    Frame,
    Instrument,
    Origin,
)
from leakhunt.text.message import Text, message

# memray itself stops when it cannot write, and says so in its log only.
_MIN_FREE_BYTES = 1 << 20
SUFFIX = ".memray.bin"
# Stacks of a peak: what is held at the top is mostly held by a few.
_MAX_AT_PEAK = 100
_MIN_SHARE_OF_PEAK = 0.002
# A C function, and name and version of its distribution.
_Owned = tuple[Frame, str]


def make(run: InstrumentedRun) -> BothHeaps:
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
    return BothHeaps(run)


class BothHeaps:
    """A tracker for each window, then a window under tracemalloc; objects at every mark."""

    def __init__(self, run: InstrumentedRun) -> None:
        self._places = run.places
        self._capture = run.capture
        self._objects = Objects(run)
        self._lost = LostReferences()
        self._free_lists = FreeLists()
        self._calls: list[int] = []
        self._tracker: Any = None
        self._is_over = False
        self._ends: list[int] = []
        self._failures: list[Text] = []

    @property
    def caveats(self) -> Sequence[Text]:
        """What could not be looked at."""
        return [*self._failures, *self._objects.caveats]

    def start(self, call: Call) -> Call:
        """Nothing to start: the first window begins at the first mark.

        The first tracker imports modules, and more as it starts where greenlets are: later, they
        would be growth of `sys.modules`.
        """
        read_records()
        if self._has_room():
            tracker = self._made(0)
            if "greenlet" in sys.modules:
                with tracker:
                    pass
        return self._free_lists.wrapped(self._lost.wrapped(call))

    def mark(self, calls: int) -> None:
        """End a window, look at the objects, and begin the next window.

        What a collection frees belongs to the window that ends.
        """
        self._free_lists.thaw()
        gc.collect()
        self._stop()
        if not self._is_over:
            self._calls.append(calls)
        self._objects.mark(calls, is_collected=True)
        if len(self._calls) > MEMRAY_WINDOWS:
            if not tracemalloc.is_tracing():
                tracemalloc.start(FRAMES)
            self._lost.is_on = self._ends == []
            self._ends.append(calls)
        elif not self._is_over:
            self._start(calls)

    def _start(self, calls: int) -> None:
        if not self._has_room():
            self._is_over = True
            why = message("instrument.disk-full", "the disk is full")
            self._failures.append(
                message(
                    "instrument.stopped-early",
                    "memray stopped after call {calls:,}: {why}",
                    calls=calls,
                    why=why,
                )
            )
            return
        self._tracker = self._made(len(self._calls) - 1)
        # Which all this has filled: they would feed the window.
        self._free_lists.empty()
        self._free_lists.is_on = True
        self._tracker.__enter__()

    def _has_room(self) -> bool:
        return shutil.disk_usage(self._capture.parent).free >= _MIN_FREE_BYTES

    def _made(self, window: int) -> Any:
        """The tracker of a window, which does not track yet."""
        import memray

        return memray.Tracker(
            destination=memray.FileDestination(
                self._file(window), overwrite=True, compress_on_exit=False
            ),
            native_traces=True,
            trace_python_allocators=True,
            file_format=memray.FileFormat.AGGREGATED_ALLOCATIONS,
        )

    def _stop(self) -> None:
        if self._tracker is not None:
            self._tracker.__exit__(None, None, None)
            self._tracker = None
            self._free_lists.is_on = False  # of frozen objects nobody can tell who refers to them

    def _file(self, window: int) -> Path:
        return self._capture.with_suffix(f".{window}{SUFFIX}")

    def findings(self) -> Iterator[Finding]:
        """Every stack that left blocks in each window, and the containers and types that grow."""
        self._free_lists.thaw()
        self._stop()
        marks = self._calls[: MEMRAY_WINDOWS + 1]
        if len(marks) < 2:
            return
        candidates = self._lost.candidates()
        traced = {id(each): object_traceback(each.example) for each in candidates}
        # What is older than the tracing may be referred to once more each time, but does not grow.
        new = [each for each in candidates if traced[id(each)] is not None]
        if tracemalloc.is_tracing():
            self._objects.end_tracing()
        lost = [
            (each, traced[id(each)], sys.getsizeof(each.example)) for each in self._lost.found(new)
        ]
        self._lost.forget_examples()  # which we hold: they would be owned by nobody else
        captures = [self._file(window) for window in range(len(marks) - 1)]
        sites = sites_of(map(records_in, captures))
        keys = {key: str(number) for number, key in enumerate(sites)}
        feeding = _Feeding({keys[each]: (each[0], site.lines) for each, site in sites.items()})
        yield from self._objects.findings(feeding.sites, self._lost.own)
        objects = shared_objects(captures[-1]) if sites else SharedObjects(())
        shown = shown_stacks(sites, objects, self._places)
        by_key = {keys[key]: each for key, each in shown.items()}
        for each, traceback, size in lost:
            keeps = tuple(feeding.sites(traceback)) if traceback else ()
            owned = self._of_lost(each, [by_key[key] for key in keeps])
            if owned is not None:
                yield self._lost_one(each, owned, size, keeps)
        for unowned in self._objects.unowned:
            if (found := self._unowned_one(unowned, feeding, by_key)) is not None:
                yield found
        for key, site in sites.items():
            yield site_finding(keys[key], key[0], site, shown[key], marks)

        yield from self._at_peak(len(marks) - 2, objects)

    def _at_peak(self, window: int, objects: SharedObjects) -> Iterator[Finding]:
        """What the calls of a window held when they held most, beside what was there before."""
        import memray

        with memray.FileReader(self._file(window)) as reader:
            records = list(reader.get_high_watermark_allocation_records(merge_threads=True))
        records.sort(key=lambda record: -record.size)
        whole = sum(record.size for record in records)
        for record in records[:_MAX_AT_PEAK]:
            if record.size < whole * _MIN_SHARE_OF_PEAK:
                return
            stack = stack_of(record, objects)
            if is_arena([frame for frame, _ in stack]):
                whole -= record.size  # the blocks in it count themselves
                continue
            yield Finding(
                instrument=Instrument.MEMRAY,
                sort=FindingKind.PEAK,
                what=heap_name(memray.AllocatorType(record.allocator).name),
                calls=(self._calls[window], self._calls[window + 1]),
                counts=(0, record.n_allocations),
                sizes=(0, record.size),
                stack=tuple(frame for frame, _ in self._places.hybrid(stack)),
                facts={"whole": whole},
            )

    def _of_lost(self, lost: Lost, stacks: Sequence[ShownStack]) -> _Owned | None:
        """The C function that lost it, and its distribution; None: it is not of an extension.

        Of what a callback returned, the stacks name the function that called the callback.
        """
        function, distribution = _c_function(lost.function, lost.module)
        if lost.callback == NO_CALLBACK:
            return function, distribution
        for each in stacks:
            caller = self._caller_of(lost.callback, each.whole)
            if caller is not None:
                return caller, distribution or each.of_all
        return (function, distribution) if distribution else None

    def _caller_of(self, callback: tuple[str, str], stack: WholeStack) -> Frame | None:
        """The function of an extension that called a Python function, by a stack with it."""
        outside = dropwhile(lambda each: (each[0][1], each[0][0]) != callback, stack)
        for (name, file, line), shared_object in islice(outside, 1, None):
            frame = self._places.frame(file, line, name, shared_object)
            if is_python(file):
                return None
            if frame is not None:
                return frame if frame.origin is Origin.LIBRARY else None
        return None

    def _unowned_one(
        self, unowned: Unowned, feeding: _Feeding, by_key: Mapping[str, ShownStack]
    ) -> Finding | None:
        """Objects that no object refers to: only C code can hold them.

        None: they are Python code's, which no function of an extension called.
        """
        keys = [key for key in feeding.sites(unowned.place) if by_key[key].frames]
        if not keys:
            return None
        # What one line makes has stacks alike: the block tells which one is the object's, and only
        # C code holds that. What a free list handed on has no stack here, but C code made more.
        stacks = [by_key[key] for key in keys]
        native = [each for each in stacks if not each.frames[0].is_python]
        of_its_size = [
            each for each in (*native, *stacks) if each.block_bytes == unowned.block_bytes
        ]
        made = (of_its_size or native or stacks)[0]
        stack, distribution = made.frames, made.distribution
        if stack[0].is_python:
            owned = self._calling(made)
            if owned is None:
                return None
            outside = stack[stack.index(owned[0]) + 1 :] if owned[0] in stack else stack[1:]
            stack, distribution = (owned[0], *outside), owned[1]
        places = (unowned.place, *unowned.places)
        return Finding(
            instrument=Instrument.MEMRAY,
            sort=FindingKind.LOST,
            what=unowned.kind,
            calls=unowned.calls,
            counts=unowned.counts,
            sizes=unowned.sizes,
            stack=stack,
            keeps=tuple(dict.fromkeys(key for each in places for key in feeding.sites(each))),
            facts={"distribution": distribution} if distribution else {},
        )

    def _calling(self, made: ShownStack) -> _Owned | None:
        """The function of an extension that called the innermost Python function, if one did."""
        python = ((file, name) for (name, file, _), _ in made.whole if is_python(file))
        callback = next(python, NO_CALLBACK)
        caller = self._caller_of(callback, made.whole)
        if caller is not None:
            return caller, made.of_all
        # Where a stack cannot be followed through the extension, it was seen at work.
        owned = _c_function(*self._lost.callers.get(callback, ("", "")))
        return owned if owned[1] else None

    def _lost_one(self, lost: Lost, owned: _Owned, size: int, keeps: tuple[str, ...]) -> Finding:
        """Objects of `size` bytes that a C function kept, in every call of the last window."""
        calls = lost.calls
        function, distribution = owned
        caller = self._places.frame(lost.file, lost.line, lost.caller)
        return Finding(
            instrument=Instrument.MEMRAY,
            sort=FindingKind.LOST,
            what=lost.kind,
            calls=(self._ends[0], self._ends[0] + calls),
            counts=(0, lost.number),
            sizes=(0, calls * size),
            stack=(function, caller) if caller is not None else (function,),
            keeps=keeps,
            facts={"distribution": distribution} if distribution else {},
        )


class _Feeding:
    """Which sites feed a container, by the lines at which its items were allocated.

    Python's blocks without a line are the loop's, which makes the number of a call.
    """

    def __init__(self, places: Mapping[str, tuple[str, Lines]]) -> None:
        self._whole: dict[Lines, list[str]] = defaultdict(list)
        self._innermost: dict[Lines, list[str]] = defaultdict(list)
        for key, (heap, lines) in places.items():
            if lines or heap == PYTHON:
                self._whole[lines].append(key)
            if lines:
                self._innermost[lines[:1]].append(key)

    def sites(self, traceback: tracemalloc.Traceback) -> Sequence[str]:
        """The sites of the same stack; where none is, those of the same line."""
        lines = tuple(before_loop((frame.filename, frame.lineno) for frame in reversed(traceback)))
        return self._whole.get(lines) or self._innermost.get(lines[:1]) or ()


def _c_function(name: str, module: str) -> _Owned:
    """A C function of a module, with its distribution."""
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    known = "" if is_python(file) else file.rpartition("/")[2]  # a package passes its parts' on
    frame = Frame(known, 0, name, "", Origin.LIBRARY)
    return frame, " ".join(distribution_of(file) or ())
