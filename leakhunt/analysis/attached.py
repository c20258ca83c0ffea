"""From the runs of a visit to what is to be said of the process. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from leakhunt.amounts import Amount
from leakhunt.analysis.attribution.clusters import past_allocators
from leakhunt.analysis.attribution.known_causes import catalogue, concerns, title_of
from leakhunt.analysis.retained import retained_heap
from leakhunt.analysis.verdict.judge import judge
from leakhunt.model.allocators import ALLOCATOR, FREE_THREADED, PYTHON_ALLOCATOR
from leakhunt.model.attached import (
    AllocatedPlace,
    AttachReport,
    GivenBack,
    Grower,
    MemoryBound,
    PossibleCause,
    TraceStretch,
    VisitCost,
)
from leakhunt.model.attribution import Finding, FindingKind, Instrument
from leakhunt.model.libraries import library_versions
from leakhunt.model.report import LedgerLine
from leakhunt.model.run import GIVEN_LIMIT, Run
from leakhunt.model.series import LIVE_HEAP, PYTHON_LIVE, RSS
from leakhunt.text.message import Text, message, word

_NOTE = "visit"
# The facts of a traced stretch: what it cost, and by what it was traced and why.
TRACE_COST, TRACE_WHY = "trace cost", "trace"
_MAX_PLACES = 12
# Anonymous memory that is not live or retained by malloc.
_KNOWN_ANONYMOUS = ("python_arenas", "thread_stacks", "generated_code")
_LINES: Mapping[str, tuple[Text, Text]] = {
    "live_python": (
        message("attach.breakdown.live_python", "live Python heap"),
        message(
            "attach.breakdown.live_python.what",
            "Python objects up to 512 bytes that are referenced (pymalloc)",
        ),
    ),
    "live_native": (
        message("attach.breakdown.live_native", "live native heap"),
        message(
            "attach.breakdown.live_native.what",
            "malloc blocks in use: native code, and Python objects over 512 bytes",
        ),
    ),
    "garbage": (
        message("attach.breakdown.garbage", "cyclic garbage"),
        message("attach.breakdown.garbage.what", "freed by one gc.collect()"),
    ),
    "kept_by_malloc": (
        message("attach.breakdown.kept_by_malloc", "freed memory retained by malloc"),
        message(
            "attach.breakdown.kept_by_malloc.what", "resident in malloc's arenas, and not in use"
        ),
    ),
    "kept_by_python": (
        message("attach.breakdown.kept_by_python", "freed memory retained by Python"),
        message(
            "attach.breakdown.kept_by_python.what",
            "free space in pymalloc arenas that contain live objects",
        ),
    ),
    "held_unread": (
        message("attach.breakdown.held_unread", "anonymous memory"),
        message(
            "attach.breakdown.held_unread.what",
            "live or retained: this allocator does not report the bytes in use",
        ),
    ),
    "files": (
        message("attach.breakdown.files", "mapped files"),
        message("attach.breakdown.files.what", "pages of the program, libraries and data files"),
    ),
    "shared": (
        message("attach.breakdown.shared", "shared memory"),
        message("attach.breakdown.shared.what", "tmpfs files, memfd and shared anonymous mappings"),
    ),
    "thread_stacks": (
        message("attach.breakdown.thread_stacks", "thread stacks"),
        message("attach.breakdown.thread_stacks.what", "pages of the stacks of all threads"),
    ),
    "generated_code": (
        message("attach.breakdown.generated_code", "generated code"),
        message(
            "attach.breakdown.generated_code.what",
            "machine code that libraries made at run time (oneDNN, torch.compile, numba)",
        ),
    ),
    "unexplained": (
        message("attach.breakdown.unexplained", "not attributed"),
        message(
            "attach.breakdown.unexplained.what",
            "raw mmap of libraries, memory of malloc that was never touched, and double counting",
        ),
    ),
}


def attach_report(runs: Sequence[Run], generator: str) -> AttachReport:
    """What the runs of one visit say: the measured one, and those of its findings."""
    run = next(each for each in runs if each.plan.instrument is None)
    by_instrument = {each.plan.instrument: each for each in runs}
    visit = run.plan.visit
    assert visit is not None
    retained = by_instrument.get(Instrument.RETAINED)
    grown = by_instrument.get(Instrument.OBJGRAPH)
    traced = by_instrument.get(Instrument.MEMRAY) or by_instrument.get(Instrument.TRACEMALLOC)
    values = _values(run, "end") or _values(run, "start")
    allocators = (run.environment.get(name, "") for name in (ALLOCATOR, PYTHON_ALLOCATOR))
    return AttachReport(
        process=visit.process,
        pid=visit.pid,
        python=run.environment.get("python", ""),
        allocator=", ".join(filter(None, allocators)),
        generator=generator,
        rss_bytes=values.get(RSS),
        breakdown=tuple(breakdown(run)),
        given_back=tuple(_given_back(run)),
        bounds=tuple(_bounds(run, values.get(RSS, 0))),
        possible_causes=tuple(possible_causes(run.environment)),
        heap=retained_heap(retained) if retained is not None else None,
        seconds_watched=float(run.calls_done),
        verdict=judge(run) if visit.duration_seconds else None,
        growers=tuple(map(_grower, grown.findings)) if grown is not None else (),
        places=tuple(map(_place, traced.findings[:_MAX_PLACES])) if traced is not None else (),
        trace=_trace(traced),
        cost=_cost(run),
        caveats=(*_caveats(run, values), *_trace_facts(traced)),
    )


def _values(run: Run, step: str) -> Mapping[str, int]:
    reading = run.reading(step)
    return reading.values if reading is not None else {}


def breakdown(run: Run) -> Iterator[LedgerLine]:
    """Where RSS is: lines that add up to it, the last of which is the rest.

    Garbage is told apart where it was collected.
    """
    before = _values(run, "end") or _values(run, "start")
    if RSS not in before:
        return
    after = _values(run, "collected")
    sizes = dict(_sizes(before, after))
    yield from (_line(name, size) for name, size in sizes.items())
    yield _line("unexplained", before[RSS] - sum(sizes.values()))


def _sizes(before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    heap_garbage = max(before.get(LIVE_HEAP, 0) - after[LIVE_HEAP], 0) if LIVE_HEAP in after else 0
    garbage = heap_garbage
    if PYTHON_LIVE in after:
        garbage += max(before.get(PYTHON_LIVE, 0) - after[PYTHON_LIVE], 0)
    if PYTHON_LIVE in before:
        yield "live_python", before[PYTHON_LIVE] - (garbage - heap_garbage)
    if LIVE_HEAP in before:
        yield "live_native", before[LIVE_HEAP] - heap_garbage
        if "malloc_resident" in before:
            in_use = before[LIVE_HEAP] - before.get("malloc_mapped", 0)
            yield "kept_by_malloc", max(before["malloc_resident"] - in_use, 0)
    if after:
        yield "garbage", garbage
    if "python_arenas" in before:
        yield "kept_by_python", before["python_arenas"] - before.get(PYTHON_LIVE, 0)
    known = sum(before.get(name, 0) for name in _KNOWN_ANONYMOUS)
    if LIVE_HEAP not in before and "rss_anonymous" in before:
        yield "held_unread", max(before["rss_anonymous"] - known, 0)
    for name, series in (("files", "rss_file"), ("shared", "rss_shared"),
                         ("thread_stacks", "thread_stacks"),
                         ("generated_code", "generated_code")):  # fmt: skip
        if series in before:
            yield name, before[series]


def _line(name: str, size: int) -> LedgerLine:
    title, explanation = _LINES[name]
    return LedgerLine(name, title, size, explanation)


def _given_back(run: Run) -> Iterator[GivenBack]:
    """What a collection and a trim gave back."""
    steps = (
        ("end", "collected", "collect_ns", word("gc.collect()")),
        ("emptied", "trimmed", "trim_ns", word("malloc_trim")),
    )
    for first, second, cost, step in steps:
        before, after = _values(run, first), _values(run, second)
        if RSS in before and RSS in after:
            freed = sum(
                max(before[name] - after[name], 0)
                for name in (LIVE_HEAP, PYTHON_LIVE)
                if name in before and name in after
            )
            given = before[RSS] - after[RSS]
            yield GivenBack(step, given, freed, after.get(cost, 0) / 1e9)


def _bounds(run: Run, rss: int) -> Iterator[MemoryBound]:
    limits = dict(run.limits)
    if run.plan.limit_bytes is not None:
        limits[GIVEN_LIMIT] = run.plan.limit_bytes
    for name, size in sorted(limits.items(), key=lambda each: each[1]):
        yield MemoryBound(word(name), size, size - rss)


def possible_causes(environment: Mapping[str, str]) -> Iterator[PossibleCause]:
    """Known causes that concern a version of a library that is loaded."""
    versions: dict[str, str] = {
        canonicalize_name(name): version for name, version in library_versions(environment).items()
    }
    for cause in catalogue():
        names = [canonicalize_name(Requirement(each).name) for each in cause.distributions]
        known = [name for name in names if name in versions]
        if known and concerns(cause, versions):
            yield PossibleCause(
                id=cause.id,
                title=title_of(cause),
                remedy=word(cause.remedy.text),
                distributions=tuple(f"{name} {versions[name]}" for name in known),
            )


def _grower(found: Finding) -> Grower:
    seconds = max(found.calls[-1] - found.calls[0], 1)
    items = found.facts.get("items", ())
    return Grower(
        what=found.what,
        path=found.chain[0] if found.chain and found.sort is FindingKind.CONTAINER else "",
        counts=found.counts,
        per_second=(found.counts[-1] - found.counts[0]) / seconds,
        items=tuple(map(str, items)),
    )


def _place(found: Finding) -> AllocatedPlace:
    """What allocated, past functions that only hand memory out; of C code, what called it."""
    stack = past_allocators(found.stack)
    if not stack:
        return AllocatedPlace("?", found.sizes[-1], found.counts[-1])
    objects = found.facts.get("objects", ())[len(found.stack) - len(stack) :]
    is_native = not stack[0].is_python
    caller = next((frame for frame in stack if frame.is_python), None) if is_native else None
    return AllocatedPlace(
        place=str(stack[0]),
        size_bytes=found.sizes[-1],
        blocks=found.counts[-1],
        shared_object=str(objects[0]) if is_native and objects else "",
        called_from=str(caller) if caller is not None else "",
    )


def _cost(run: Run) -> VisitCost | None:
    note: Mapping[str, Any] | None = next(
        (each for each in run.notes if each.get("kind") == _NOTE), None
    )
    if note is None:
        return None
    return VisitCost(
        way=str(note["way"]),
        seconds_to_enter=float(note["seconds_to_enter"]),
        seconds=float(note["seconds"]),
        longest_pause_seconds=int(note["longest_pause_ns"]) / 1e9,
        objects=int(note["objects"]),
        lost_references=int(note["lost_references"]),
        left=note["text"],
    )


def _trace(traced: Run | None) -> TraceStretch | None:
    """By what allocations were traced; None: they were not, nor was that tried."""
    if traced is None or traced.plan.instrument is None:
        return None
    cost = traced.facts.get(TRACE_COST)
    tool = traced.plan.instrument.value if cost else ""
    return TraceStretch(tool, traced.facts.get(TRACE_WHY, ""), cost)


def _trace_facts(traced: Run | None) -> Iterator[Text]:
    """By what it was traced and why, and what that cost, as it was measured."""
    if traced is not None:
        yield from filter(None, map(traced.facts.get, (TRACE_WHY, TRACE_COST)))


def _caveats(run: Run, values: Mapping[str, int]) -> Iterator[Text]:
    if run.environment.get(PYTHON_ALLOCATOR) == FREE_THREADED:
        yield message(
            "attach.free-threaded",
            "Free-threaded build: its allocator does not report memory in use, so Python objects"
            " are not attributed.",
        )
    if values.get("swapped"):
        yield message(
            "attach.swapped",
            "{size} are swapped out, and not part of RSS.",
            size=Amount(values["swapped"]),
        )
    if any(each.get("walked") for each in run.notes if each.get("kind") == _NOTE):
        yield message(
            "attach.walked",
            "The objects were found from the roots, in slices: those that only C code refers to are"
            " missing. --deep lists all objects in one pause.",
        )
    if run.plan.visit is not None and not run.plan.visit.touches:
        yield message(
            "attach.not-touched",
            "Nothing was collected or trimmed (--no-touch): garbage counts as live memory.",
        )
