"""Allocation sites in capture files of memray: what is alive at the end of each window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from leakhunt.instruments.distributions import distribution_of
from leakhunt.instruments.frames import Places, is_of_the_loop
from leakhunt.instruments.native_frames import (
    NativeFrame,
    SharedObjects,
    below_python,
    certain_of,
    has_python,
    is_python,
    tells_evaluation,
    whole_stack,
    with_objects,
)
from leakhunt.instruments.python_heap import FRAMES, is_own
from leakhunt.model.attribution import MEMRAY_WINDOWS, Finding, FindingKind, Frame, Instrument

MAX_SITES = 400
# Stacks of addresses that are looked up: many of them are the same functions.
_MAX_STACKS = 40_000
# Where pymalloc gets its arenas, of which it tells the blocks.
_ARENAS = ("_PyObject_Arena", "new_arena", "_PyMem_ArenaAlloc")
# And what else comes from there: the data stack of each thread and greenlet.
_DATA_STACK = ("_PyObject_VirtualAlloc", "allocate_chunk", "push_chunk")
# Its hooks stand innermost in some stacks.
_OWN = "memray"
_MAPPING, _MALLOC, PYTHON = "mapping", "malloc", "Python"
# File and line of each Python frame, the innermost first.
Lines = tuple[tuple[str, int], ...]
# The heap, the stack; and where that has no native frames, what is known of these apart.
StackKey = tuple[str, tuple[NativeFrame, ...], tuple[str | NativeFrame, ...]]
# A stack as memray tells it, each frame with its shared object.
WholeStack = tuple[tuple[NativeFrame, str], ...]


@dataclass
class StackSite:
    """What one stack left, by window: blocks and bytes."""

    lines: Lines
    counts: list[int] = field(default_factory=lambda: [0] * MEMRAY_WINDOWS)
    sizes: list[int] = field(default_factory=lambda: [0] * MEMRAY_WINDOWS)
    record: Any = None


@dataclass(frozen=True)
class ShownStack:
    """A stack as it is shown, and as memray tells it.

    `objects` are the shared objects of its `frames`, without folders. `distribution` is that of the
    innermost shared object below Python's innermost frame, `of_all` that of the innermost in the
    whole stack; empty: none is of a distribution. `block_bytes` is the size of a block, on average.
    """

    frames: tuple[Frame, ...]
    objects: tuple[str, ...]
    distribution: str
    whole: WholeStack
    of_all: str
    block_bytes: float


def records_in(capture: Path) -> list[Any]:
    """What a capture has that is alive at its end, the largest first; the stacks are not read."""
    import memray

    with memray.FileReader(capture) as reader:
        records = list(reader.get_leaked_allocation_records(merge_threads=True))
    records.sort(key=lambda record: -record.size)
    return records[:_MAX_STACKS]


def sites_of(windows: Iterable[Sequence[Any]]) -> Mapping[StackKey, StackSite]:
    """What stayed in every window, by the records of each; the largest first."""
    import memray

    found: dict[StackKey, StackSite] = {}
    count = 0
    for window, records in enumerate(windows):
        count = window + 1
        for record in records:
            native = record.native_stack_trace()
            stack = whole_stack(record.hybrid_stack_trace(), native)
            lines = tuple(_lines(stack))
            if is_arena(stack) or (lines and is_own(lines[0][0])):
                continue
            name = memray.AllocatorType(record.allocator).name
            apart = () if tells_evaluation(native) else (name, *native)
            site = found.setdefault((heap_name(name), stack, apart), StackSite(lines))
            site.counts[window] += record.n_allocations
            site.sizes[window] += record.size
            site.record = record
    grown = [key for key, site in found.items() if all(site.counts[:count])]
    grown.sort(key=lambda key: -sum(found[key].sizes))
    return {key: found[key] for key in grown[:MAX_SITES]}


def shown_stacks(
    sites: Mapping[StackKey, StackSite], objects: SharedObjects, places: Places
) -> Mapping[StackKey, ShownStack]:
    """The stacks, with the `objects` of the last window: all of them are in it."""
    stacks = {}
    for key, site in sites.items():
        native = site.record.native_stack_trace()
        named = objects.of_stack(site.record.native_stack_id, native)
        whole = stack_of(site.record, objects)
        # What calls Python code is not what allocates there.
        is_known = tells_evaluation(native) or not has_python(site.record.hybrid_stack_trace())
        below = below_python(native) if is_known else certain_of(native, named)
        along = list(objects.along(site.record.native_stack_id))
        shown = places.hybrid(whole)
        files = [where for _, where in shown]
        if native and whole[0] == (native[0], "") and places.hybrid(whole[:1]):
            # Not known by the frames: debug information is a file of its own.
            files[:1] = along[:1] or [""]
        stacks[key] = ShownStack(
            frames=tuple(frame for frame, _ in shown),
            objects=tuple(file.rpartition("/")[2] for file in files),
            distribution=_owner(along[: len(below)]),
            whole=whole,
            of_all=_owner(along),
            block_bytes=sum(site.sizes) / max(sum(site.counts), 1),
        )
    return stacks


def site_finding(
    key: str, heap: str, site: StackSite, shown: ShownStack, calls: Sequence[int], **facts: Any
) -> Finding:
    """What a site left between these calls, as a finding."""
    distribution = {"distribution": shown.distribution} if shown.distribution else {}
    windows = len(calls) - 1
    return Finding(
        instrument=Instrument.MEMRAY,
        sort=FindingKind.SITE,
        what=heap,
        calls=tuple(calls),
        counts=_added_up(site.counts[:windows]),
        sizes=_added_up(site.sizes[:windows]),
        stack=shown.frames,
        key=key,
        facts={"apart": True, **distribution, **facts},
    )


def stack_of(record: Any, objects: SharedObjects) -> WholeStack:
    """The stack of a record of memray, each frame with its shared object."""
    native = record.native_stack_trace()
    named = objects.of_stack(record.native_stack_id, native)
    stack = whole_stack(record.hybrid_stack_trace(), native, named)
    return tuple(with_objects(stack, native, named))


def before_loop(lines: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """The files and lines of a stack down to the loop that calls what is watched."""
    for file, line in lines:
        if is_of_the_loop(file):
            return
        yield file, line


def is_arena(stack: Sequence[NativeFrame]) -> bool:
    """Whether pymalloc gets memory for its blocks."""
    inner = [function for function, _, _ in stack[:8]]
    return any(each.startswith(_ARENAS) for each in inner) and not set(_DATA_STACK) & set(inner)


def _lines(stack: Sequence[NativeFrame]) -> Iterator[tuple[str, int]]:
    """Those of Python: memray's own Python stacks lack what is no deeper than its start."""
    python = ((file, line) for _, file, line in stack if is_python(file))
    return before_loop(islice(python, FRAMES))


def heap_name(allocator: str) -> str:
    """Whose memory it is that an allocator of memray's hands out."""
    if allocator.startswith("PYMALLOC"):
        return PYTHON
    return _MAPPING if allocator == "MMAP" else _MALLOC


def _owner(objects: Iterable[str]) -> str:
    """Name and version of the distribution of the innermost shared object that is of one."""
    found = (distribution_of(name) for name in objects if name)
    return next((" ".join(each) for each in found if each is not None and each[0] != _OWN), "")


def _added_up(amounts: Sequence[int]) -> tuple[int, ...]:
    total = [0]
    for amount in amounts:
        total.append(total[-1] + amount)
    return tuple(total)
