"""Blocks that free lists hand on in a service are no suspects beside the one holder of the growth.

The numbers are those of a service: a dict that keeps a quote of three requests in four, behind
uvicorn and FastAPI (`INFLIGHT`), watched by memray in windows of 84, 87 and 118 requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import pytest
from conftest import plan
from made_findings import MINE, watched

from leakhunt.analysis.attribution import attribute
from leakhunt.analysis.attribution.clusters import Cluster, clusters
from leakhunt.analysis.attribution.handed_on import with_handed_on
from leakhunt.analysis.verdict import judge
from leakhunt.model.attribution import Finding, FindingKind, Frame, Instrument, Origin
from leakhunt.model.plan import PlannedLoad
from leakhunt.model.run import Run

WINDOWS = (84, 87, 118)
GROWTH = 629.0
SEND = Frame("uvicorn/h11_impl.py", 471, "send", "headers = list(headers)", Origin.LIBRARY)
WAIT = Frame("anyio/_asyncio.py", 1113, "run", "item = self.queue.get()", Origin.LIBRARY)
ANSWER = replace(MINE, line=50, source="return {...}")


def site(counts: Sequence[int], sizes: Sequence[int], key: str, *stack: Frame) -> Finding:
    return Finding(
        instrument=Instrument.MEMRAY,
        sort=FindingKind.SITE,
        what="Python",
        calls=tuple(accumulate(WINDOWS, initial=933)),
        counts=tuple(accumulate(counts, initial=0)),
        sizes=tuple(accumulate(sizes, initial=0)),
        stack=stack,
        key=key,
        facts={"apart": True},
    )


def of(size: int, counts: Sequence[int], key: str, *stack: Frame) -> Finding:
    """Blocks of one size."""
    return site(counts, [size * count for count in counts], key, *stack)


QUOTES = site((62, 65, 88), (32_000, 33_000, 44_500), "0", MINE)
# 56 bytes: a list, or a tuple of two; the quotes hold tuples of two.
HEADERS = of(56, (180, 190, 250), "1", SEND)
# Four threads wait, whatever the window.
WAITING = of(1000, (4, 4, 4), "2", WAIT)
ANSWERS = site((15, 10, 17), (1176, 1272, 1752), "3", ANSWER)


def inflight(owns: float = 0.9957, **facts: Any) -> Finding:
    kept = of(0, (62, 65, 88), "", MINE)
    return replace(
        kept,
        sort=FindingKind.CONTAINER,
        what="dict",
        chain=("tariffs.INFLIGHT", "dict", "tariffs.Quote"),
        keeps=("0",),
        facts={"owns": owns, **facts},
    )


def found(*findings: Finding) -> list[Cluster]:
    return clusters(findings, False, [])


def test_what_free_lists_hand_on_is_the_holders_and_what_a_window_leaves_is_nobodys() -> None:
    made = found(inflight(), QUOTES, HEADERS, WAITING, ANSWERS)
    assert len(made) == 4
    (first,) = with_handed_on(made, GROWTH)
    assert first.lead.chain[0] == "tariffs.INFLIGHT"
    assert [each.lead.stack for each in first.elsewhere] == [(SEND,), (ANSWER,)]
    calls = sum(WINDOWS)
    handed = (56 * (180 + 190 + 250) + 1176 + 1272 + 1752) / calls
    assert first.bytes_per_call == pytest.approx(made[0].bytes_per_call + handed)


def test_small_sites_are_chance_only_as_long_as_they_are_little_together() -> None:
    frames = [replace(SEND, file=f"uvicorn/{one}.py", function=one) for one in "abcdef"]
    small = [of(512, (4, 5, 7), f"9{number}", frame) for number, frame in enumerate(frames)]
    left = with_handed_on(found(inflight(), QUOTES, *small), GROWTH)
    assert len(left) == 1 + 5  # 28 of 629 B/call is less than 5 %; 57 is more


def test_the_holder_never_gets_more_than_the_growth() -> None:
    (first,) = with_handed_on(found(inflight(), QUOTES, HEADERS), 400.0)
    assert first.bytes_per_call == 400.0


@pytest.mark.parametrize("other", [
    of(400, (60, 62, 84), "4", SEND),  # no free list has blocks of that size
    of(56, (840, 870, 1180), "4", SEND),  # exactly ten per request
    replace(HEADERS, what="malloc"),  # native memory, which no free list hands on
    site((180, 190, 250), (10_080, 11_000, 14_000), "4", SEND),  # of several sizes
    of(1000, (17, 18, 24), "4", WAIT),  # as many more as the window is longer
], ids=["large", "exact", "native", "of sizes", "by the request"])  # fmt: skip
def test_other_growth_beside_the_holder_stays_a_suspect(other: Finding) -> None:
    made = found(inflight(), QUOTES, other)
    assert with_handed_on(made, GROWTH) == made
    assert len(made) == 2


@pytest.mark.parametrize("holder", [inflight(0.9), inflight(keeps_nothing=1)])
def test_beside_a_holder_of_a_part_nothing_is_handed_on(holder: Finding) -> None:
    growth = GROWTH if holder.facts["owns"] < 0.95 else 3 * GROWTH
    made = found(holder, QUOTES, HEADERS, WAITING)
    assert with_handed_on(made, growth) == made


def test_only_in_soaks_since_elsewhere_free_lists_are_emptied(leaking_objects: Run) -> None:
    kept = replace(QUOTES, sizes=tuple(8 * size for size in QUOTES.sizes))
    load = PlannedLoad(target="http://a", service="a", requests_from="load.py", users=4)
    soak = replace(leaking_objects, plan=replace(plan(), load=load))
    told = [
        attribute(run, judge(leaking_objects), [watched(inflight(), kept, HEADERS)])
        for run in (leaking_objects, soak)
    ]
    assert [len(each.suspects) for each in told] == [2, 1]
    reused = "120 B/call of its memory is in blocks that were allocated at send"
    assert any(str(each).startswith(reused) for each in told[1].suspects[0].evidence)
