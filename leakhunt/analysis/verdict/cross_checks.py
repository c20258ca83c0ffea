"""What RSS says beside the live memory: growth outside of every heap, and where the two disagree.

No witness sees all: RSS also holds what is free, live memory only what its probe knows of. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from leakhunt.amounts import Amount, Rate
from leakhunt.analysis.verdict.resampling import distance
from leakhunt.model.plan import Work
from leakhunt.model.run import Run
from leakhunt.model.series import LIVE_HEAP, PYTHON_BLOCKS, RSS, live_memory
from leakhunt.model.verdict import Status, Trend
from leakhunt.text.message import Message, Text, message

# Growth in RSS of which no heap and no arena accounts for this share is mapped outside of both.
_OUTSIDE_SHARE = 0.5
# RSS that grows for certain by so many times as much as the live heap needs a word.
_FASTER = 1.5


def gain(run: Run, name: str, step: str) -> int:
    """Growth of a full reading since the start; 0 where it was not taken."""
    start, end = run.reading("start"), run.reading(step)
    if start is None or end is None:
        return 0
    return end.values.get(name, 0) - start.values.get(name, 0)


def growth_outside(run: Run) -> int | None:
    """Growth of RSS that a trim does not give back, and no heap and no arena accounts for.

    From the end of the warm-up to the end, in bytes; None without settling.
    """
    first = next((r for r in run.readings if r.step == "look_collected" and r.sample), None)
    before = first or run.reading("start")
    after = run.reading("trimmed")
    if before is None or after is None:
        return None
    grown = {
        name: after.values.get(name, 0) - before.values.get(name, 0)
        for name in (RSS, LIVE_HEAP, "python_arenas")
    }
    return grown[RSS] - max(grown[LIVE_HEAP], 0) - max(grown["python_arenas"], 0)


def heap_unread(run: Run) -> Text | None:
    """Why the process that was measured does not tell its live heap; None: it does.

    What RSS grows by cannot be set against it then: nothing follows from their difference. Of a
    service seen from outside nothing live is told, which is another matter.
    """
    is_external = run.plan.load is not None and PYTHON_BLOCKS not in run.samples
    return None if is_external else run.unavailable.get(LIVE_HEAP)


def is_outside(run: Run, trends: Mapping[str, Trend]) -> bool:
    """Whether most of RSS's growth is mapped outside of every heap that is known."""
    growth = growth_outside(run)
    rss = trends[RSS]
    if growth is None or rss.rate is None or heap_unread(run) is not None:
        return False
    return growth > _OUTSIDE_SHARE * rss.rate * calls_judged(run)


def calls_judged(run: Run) -> float:
    return (run.samples_done - run.judged_from) * distance(run)


def mapping_evidence(run: Run) -> list[Message]:
    """The mappings that grew most, as the worker compared them."""
    for note in run.notes:
        if note.get("kind") == "mappings" and note.get("growth"):
            name, count, size = note["growth"][0]
            return [
                message(
                    "verdict.mapping_evidence",
                    "Mostly in {name} mappings: {grown} more, {count:+d} mappings",
                    name=name,
                    grown=Amount(size),
                    count=count,
                )
            ]
    return []


def contradictions(run: Run, trends: Mapping[str, Trend]) -> list[Message]:
    """Where RSS and live memory disagree."""
    rss = trends.get(RSS)
    heap = trends.get(LIVE_HEAP)
    if rss is None or heap is None or rss.rate is None:
        return []
    if any(trends[name].status is Status.LEAK for name in live_memory() if name in trends):
        return _with_a_leak(rss, heap, run.plan.work)
    if rss.status is not Status.LEAK or is_outside(run, trends):
        return []
    rate = Rate(rss.rate, rss.unit, run.plan.work)
    if run.reading("trimmed") is None:
        return [
            message(
                "verdict.only_rss_seen_to_grow",
                "RSS grows by {rate}, without growth of live memory",
                rate=rate,
            )
        ]
    return [
        message(
            "verdict.only_rss_grows",
            "RSS grows by {rate}, live memory does not: freed memory retained by the allocators",
            rate=rate,
        )
    ]


def _with_a_leak(rss: Trend, heap: Trend, work: Work) -> list[Message]:
    """What RSS does while live memory leaks."""
    if heap.status is not Status.LEAK:
        return []
    if rss.status is Status.NO_LEAK:
        return [
            message(
                "verdict.rss_is_flat",
                "RSS is still flat: the leak so far reuses free pages",
            )
        ]
    if (rss.rate_low or 0.0) > _FASTER * (heap.rate_high or 0.0):
        return [
            message(
                "verdict.rss_grows_faster",
                "RSS grows faster, by {rate}: it also contains freed memory retained by the"
                " allocators",
                rate=Rate(rss.rate or 0.0, rss.unit, work),
            )
        ]
    return []
