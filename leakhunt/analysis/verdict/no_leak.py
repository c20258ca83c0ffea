"""The verdict on a run that does not leak: caches, garbage, retention. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from leakhunt.amounts import Amount, Count
from leakhunt.analysis.verdict.after_gc import (
    garbage_matters,
    leaves_cycles,
)
from leakhunt.analysis.verdict.cross_checks import (
    contradictions,
    gain,
    heap_unread,
)
from leakhunt.analysis.verdict.statements import bounds
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Run
from leakhunt.model.series import (
    CUDA_RESERVED,
    LIVE_HEAP,
    PYTHON_LIVE,
    RSS,
    live_memory,
)
from leakhunt.model.verdict import Shape, Status, Trend, Verdict
from leakhunt.text.message import Text, message, sentences

# Live memory that grew by more than this since the start, and then stopped, is a cache.
_CACHE_BYTES = 256 << 10
# RSS that grew by more than this without live memory, and is given back by a trim, is retention.
RETAINED_BYTES = 8 << 20


def no_leak(run: Run, trends: Mapping[str, Trend]) -> Verdict:
    """The verdict on a run in which nothing leaks, and what else its memory does."""
    kinds = list(_clean_kinds(run, trends)) or [Kind.CLEAN]
    why = heap_unread(run)
    # Where the live heap is not read, RSS is what bounds it.
    bounding = (*live_memory(), *((RSS,) if why else ()))
    most = bounds([trends[name] for name in bounding if name in trends], run.plan.work)
    unread = (
        [message("verdict.heap_unread", "Live heap not measured: {why}", why=why)] if why else []
    )
    lead = (
        message("verdict.no_leak", "No leak")
        if kinds[0] is Kind.CLEAN
        else message("verdict.no_leak_but", "No leak ({kinds})", kinds=tuple(kinds))
    )
    sentence = sentences(
        [
            lead,
            *_level(run, trends),
            most,
            *unread,
            *(contradictions(run, trends) or _retained(run, kinds)),
        ]
    )
    retained = {RSS: Kind.ALLOCATOR_RETENTION, CUDA_RESERVED: Kind.CUDA_RETENTION}
    shown = {
        name: replace(trend, shape=Shape.RETENTION) if retained.get(name) in kinds else trend
        for name, trend in trends.items()
    }
    return Verdict(Status.NO_LEAK, kinds[0], tuple(kinds[1:]), sentence, shown)


def _level(run: Run, trends: Mapping[str, Trend]) -> list[Text]:
    """Since when it is level, where live memory rose by as much as a cache is."""
    live = live_growth(run)
    if live <= _CACHE_BYTES:
        return []
    first = run.calls[run.judged_from - 1] if run.judged_from else 0
    if (after := level_after(trends)) is None:
        if not _rose_in_warm_up(run, live):
            return []
        return [
            message(
                "verdict.level_since_warm_up",
                "Level since the warm-up ({calls}), {size} above the start",
                calls=Count(first, run.plan.work),
                size=Amount(live),
            )
        ]
    return [
        message(
            "verdict.level_since",
            "Level since about {calls}, {size} above the start",
            calls=Count(first + after, run.plan.work),
            size=Amount(live),
        )
    ]


def _rose_in_warm_up(run: Run, live: int) -> bool:
    """Whether most of what live memory rose by came before the judged part."""
    start, heap = run.reading("start"), run.samples.get(LIVE_HEAP, ())
    if start is None or LIVE_HEAP not in start.values or not 0 < run.judged_from < len(heap):
        return False
    return heap[run.judged_from] - start.values[LIVE_HEAP] > live / 2


def level_after(trends: Mapping[str, Trend]) -> float | None:
    """Calls of the judged part until all live memory was level; None: none of it rose."""
    live = (trends[name] for name in live_memory() if name in trends)
    return max((each.level_after for each in live if each.level_after is not None), default=None)


def live_growth(run: Run) -> int:
    """Live bytes above the start, after a collection at the end; 0 where that was not read."""
    return gain(run, LIVE_HEAP, "trimmed") + gain(run, PYTHON_LIVE, "trimmed")


def _retained(run: Run, kinds: Sequence[Kind]) -> list[Text]:
    """How much of RSS is kept though it is free, where that is what there is to say."""
    if Kind.ALLOCATOR_RETENTION not in kinds or heap_unread(run) is not None:
        return []
    live = live_growth(run)
    grown = gain(run, RSS, "end")
    return [
        message(
            "verdict.retained",
            "RSS grew by {grown}; {retained} of that is freed memory not returned to the system",
            grown=Amount(grown),
            retained=Amount(grown - live),
        )
    ]


def _clean_kinds(run: Run, trends: Mapping[str, Trend]) -> Iterator[Kind]:
    reserved = trends.get(CUDA_RESERVED)
    if reserved is not None and reserved.status is not Status.NO_LEAK:
        yield Kind.CUDA_RETENTION
    live = live_growth(run)
    retained = gain(run, RSS, "emptied") - gain(run, RSS, "trimmed")
    rss = trends.get(RSS)
    if heap_unread(run) is None:  # else what is retained is what a trim gives back, no more
        retained = max(retained, gain(run, RSS, "end") - live)
    if retained > RETAINED_BYTES or (rss is not None and rss.status is Status.LEAK):
        yield Kind.ALLOCATOR_RETENTION
    if live > _CACHE_BYTES:
        yield Kind.BOUNDED_CACHE
    teeth = any(trends[name].shape is Shape.SAWTOOTH for name in live_memory() if name in trends)
    if (teeth or run.collects) and garbage_matters(run) and leaves_cycles(run) is not False:
        yield Kind.GARBAGE
