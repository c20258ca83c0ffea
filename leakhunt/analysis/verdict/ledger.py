"""Where the growth in RSS went, from the full readings at the two ends of a run.

RSS at the end less RSS at the start is split by what let it go (collect, empty, trim) and by what
is still live. Every line is measured on its own, so they need not add up; the last line is what is
missing or counted twice, and it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping

from leakhunt.model.report import Ledger, LedgerLine
from leakhunt.model.run import Run
from leakhunt.model.series import CUDA_RESERVED, LIVE_HEAP, PYTHON_LIVE, RSS
from leakhunt.text.message import Text, message

# Title and explanation of each line.
_LINES: Mapping[str, tuple[Text, Text]] = {
    "live_python": (
        message("verdict.ledger.live_python", "live Python heap"),
        message(
            "verdict.ledger.live_python.what",
            "Python objects up to 512 bytes that are still referenced (pymalloc)",
        ),
    ),
    "live_native": (
        message("verdict.ledger.live_native", "live native heap"),
        message(
            "verdict.ledger.live_native.what",
            "malloc blocks still in use: native code, and Python objects over 512 bytes",
        ),
    ),
    "live_or_garbage": (
        message("verdict.ledger.live_or_garbage", "live heap or garbage"),
        message(
            "verdict.ledger.live_or_garbage.what",
            "malloc blocks in use at the last sample; no gc.collect()",
        ),
    ),
    "garbage": (
        message("verdict.ledger.garbage", "cyclic garbage"),
        message("verdict.ledger.garbage.what", "freed by one gc.collect() after the last call"),
    ),
    "kept_by_malloc": (
        message("verdict.ledger.kept_by_malloc", "freed memory retained by malloc"),
        message("verdict.ledger.kept_by_malloc.what", "returned to the system by malloc_trim"),
    ),
    "pinned": (
        message("verdict.ledger.pinned", "freed memory pinned by live blocks"),
        message(
            "verdict.ledger.pinned.what",
            "free blocks in malloc's arenas that malloc_trim cannot return: live blocks share their"
            " pages",
        ),
    ),
    "held_unread": (
        message("verdict.ledger.held_unread", "memory of malloc"),
        message(
            "verdict.ledger.held_unread.what",
            "live or retained: this allocator does not report the bytes in use",
        ),
    ),
    "library_pools": (
        message("verdict.ledger.library_pools", "pools of libraries"),
        message(
            "verdict.ledger.library_pools.what",
            "in use in libraries with an allocator of their own (pyarrow)",
        ),
    ),
    "thread_stacks": (
        message("verdict.ledger.thread_stacks", "thread stacks"),
        message("verdict.ledger.thread_stacks.what", "pages of the stacks of all threads"),
    ),
    "generated_code": (
        message("verdict.ledger.generated_code", "generated code"),
        message(
            "verdict.ledger.generated_code.what",
            "machine code that libraries made at run time (oneDNN, torch.compile, numba)",
        ),
    ),
    "kept_by_python": (
        message("verdict.ledger.kept_by_python", "freed memory retained by Python"),
        message(
            "verdict.ledger.kept_by_python.what",
            "free space in pymalloc arenas that contain live objects",
        ),
    ),
    "anonymous": (
        message("verdict.ledger.anonymous", "anonymous memory"),
        message(
            "verdict.ledger.anonymous.what",
            "private memory of the processes: live or retained; external metrics cannot"
            " separate them",
        ),
    ),
    "file_backed": (
        message("verdict.ledger.file_backed", "file-backed"),
        message(
            "verdict.ledger.file_backed.what",
            "pages of libraries, mapped files and shared memory touched since the start",
        ),
    ),
    "framework_cache": (
        message("verdict.ledger.framework_cache", "framework cache"),
        message(
            "verdict.ledger.framework_cache.what",
            "host memory returned by emptying the CUDA allocator's cache",
        ),
    ),
    "unexplained": (
        message("verdict.ledger.unexplained", "unattributed growth"),
        message(
            "verdict.ledger.unexplained.what",
            "raw mmap, memory of malloc that was never touched, and double counting",
        ),
    ),
}


def ledger(run: Run) -> Ledger | None:
    """The ledger of a run, or None if it has no sample or no reading before the first call."""
    start = run.reading("start")
    rss = run.samples.get(RSS, ())
    if start is None or RSS not in start.values or not rss:
        return None
    if run.plan.load is not None and (outside := _from_outside(run, start.values)) is not None:
        return outside
    steps = {step: run.reading(step) for step in ("end", "collected", "emptied", "trimmed")}
    readings = {step: reading.values for step, reading in steps.items() if reading is not None}
    if len(readings) < len(steps) or not all(RSS in values for values in readings.values()):
        return _from_samples(run, start.values)
    growth = readings["end"][RSS] - start.values[RSS]
    lines = _settled_lines(start.values, readings)
    ends = (start.values.get("rss_anonymous"), readings["end"].get("rss_anonymous"))
    return Ledger(
        growth,
        _with_rest(lines, growth),
        complete=True,
        peak_bytes=readings["end"].get("rss_peak"),
        anonymous_bytes=(ends[0], ends[1]) if ends[0] is not None and ends[1] is not None else None,
    )


def _from_outside(run: Run, start: Mapping[str, int]) -> Ledger | None:
    """The ledger of a service that told nothing of its inside; None: it did, or did not end.

    By the kernel's own sums, RSS is anonymous memory and pages that a file or others share.
    """
    reading = run.reading("end")
    if reading is None or run.reading("collected") is not None:
        return None
    end, names = reading.values, (RSS, "rss_anonymous")
    if not all(name in values for name in names for values in (start, end)):
        return None
    growth, own = _gain(start, end, RSS), _gain(start, end, "rss_anonymous")
    lines = [
        _line("anonymous", own),
        _line("file_backed", growth - own),
    ]
    ends = (start["rss_anonymous"], end["rss_anonymous"])
    return Ledger(
        growth, _with_rest(lines, growth), complete=True, peak_bytes=None, anonymous_bytes=ends
    )


def _settled_lines(
    start: Mapping[str, int], readings: Mapping[str, Mapping[str, int]]
) -> list[LedgerLine]:
    end, collected = readings["end"], readings["collected"]
    emptied, trimmed = readings["emptied"], readings["trimmed"]
    heap_garbage = _drop(end, collected, LIVE_HEAP)
    python_garbage = _drop(end, collected, PYTHON_LIVE)
    framework = max(_drop(collected, emptied, RSS), 0)
    # RSS given back by collecting and trimming, less what was garbage and not kept by malloc.
    retained = _drop(end, collected, RSS) + _drop(emptied, trimmed, RSS) - heap_garbage
    lines = [
        _line("live_python", _gain(start, trimmed, PYTHON_LIVE)),
        _line("live_native", _gain(start, trimmed, LIVE_HEAP)),
        _line("garbage", heap_garbage + python_garbage),
        _line("kept_by_malloc", retained),
        _line(
            "kept_by_python",
            _gain(start, trimmed, "python_arenas")
            - _gain(start, trimmed, PYTHON_LIVE)
            - python_garbage,
        ),
        _line("file_backed", _gain(start, end, "rss_file") + _gain(start, end, "rss_shared")),
        *_by_region(start, trimmed),
    ]
    if CUDA_RESERVED in end:
        lines.append(_line("framework_cache", framework))
    return lines


def _by_region(start: Mapping[str, int], trimmed: Mapping[str, int]) -> list[LedgerLine]:
    """What malloc holds though it is free, what libraries have, and stacks; as far as it was read.

    Where malloc tells what is in use, the rest of its resident memory after a trim is pinned.
    """
    lines = []
    ends = (start, trimmed)
    if all("malloc_resident" in values for values in ends):
        if all(LIVE_HEAP in values for values in ends):
            lines.append(_line("pinned", _pinned(trimmed) - _pinned(start)))
        else:
            lines.append(_line("held_unread", _gain(start, trimmed, "malloc_resident")))
    for name in ("library_pools", "thread_stacks", "generated_code"):
        if name in trimmed:
            lines.append(_line(name, _gain(start, trimmed, name)))
    return lines


def _pinned(values: Mapping[str, int]) -> int:
    """Resident bytes of malloc that are not in use; not more than it says are free."""
    in_use = values[LIVE_HEAP] - values.get("malloc_mapped", 0)
    free = max(values["malloc_resident"] - in_use, 0)
    return min(free, values.get("malloc_free", free))


def _from_samples(run: Run, start: Mapping[str, int]) -> Ledger:
    growth = run.samples[RSS][-1] - start[RSS]
    lines = []
    if LIVE_HEAP in run.samples and LIVE_HEAP in start:
        lines.append(_line("live_or_garbage", run.samples[LIVE_HEAP][-1] - start[LIVE_HEAP]))
    return Ledger(growth, _with_rest(lines, growth), complete=False, peak_bytes=None)


def _line(name: str, size_bytes: int) -> LedgerLine:
    title, explanation = _LINES[name]
    return LedgerLine(name, title, size_bytes, explanation)


def _with_rest(lines: list[LedgerLine], growth: int) -> tuple[LedgerLine, ...]:
    rest = growth - sum(line.size_bytes for line in lines)
    return (*lines, _line("unexplained", rest))


def _gain(before: Mapping[str, int], after: Mapping[str, int], name: str) -> int:
    return after.get(name, 0) - before.get(name, 0)


def _drop(before: Mapping[str, int], after: Mapping[str, int], name: str) -> int:
    return before.get(name, 0) - after.get(name, 0)
