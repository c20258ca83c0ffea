"""The verdict on a run that leaks: what kind of memory, and since when. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from leakhunt.amounts import Count
from leakhunt.analysis.verdict.after_gc import (
    collected_points,
    remains,
)
from leakhunt.analysis.verdict.cross_checks import (
    contradictions,
    is_outside,
    mapping_evidence,
)
from leakhunt.analysis.verdict.external import external_trends, is_external_only
from leakhunt.analysis.verdict.resampling import distance
from leakhunt.analysis.verdict.statements import LEADS, growths
from leakhunt.model.kinds import Kind
from leakhunt.model.plan import Work
from leakhunt.model.run import Run
from leakhunt.model.series import (
    LIVE_HEAP,
    PYTHON_BLOCKS,
    RSS,
    SERIES,
    SeriesRole,
    has_role,
    judged_series,
    leak_series,
    live_memory,
)
from leakhunt.model.verdict import Status, Trend, Verdict
from leakhunt.text.message import Message, Text, message, sentences

# A leak of malloc memory is Python's if about one block comes with each leaking call: one that
# adds as much as a call does in the mean...
_BLOCKS_PER_LEAK = 0.75
# ... in the segments between collections that grew by this share of the mean; in others, such as
# one before a leak starts, rises are noise.
_LEAKING_SEGMENT_SHARE = 0.5
# ... and they come as fast at the end as this share of their pace after the first samples: torch
# and funasr make ever fewer objects for hundreds of calls.
_LASTING_SHARE = 0.4
# The most blocks that the interim checks themselves leave.
BLOCKS_OF_LOOKING = 32


def leak(run: Run, trends: Mapping[str, Trend]) -> Verdict | None:
    """The verdict on a run in which something leaks; None: nothing does, for certain."""
    leaking = [trend for trend in trends.values() if trend.status is Status.LEAK]
    live = [trend for trend in leaking if trend.series in leak_series()]
    kinds = list(_leak_kinds(run, trends, {trend.series for trend in live}))
    statements: list[Text] = []
    if kinds:
        statements += [LEADS[kinds[0]], growths(live, run.plan.work)]
    if not kinds and trends.get(RSS) in leaking and is_outside(run, trends):
        kinds = [Kind.MAPPING_GROWTH]
        growing = growths([trends[RSS]], run.plan.work)
        statements += [LEADS[Kind.MAPPING_GROWTH], growing, *mapping_evidence(run)]
    if not kinds:
        return None
    statements += contradictions(run, trends)
    if outside := _grows_outside(run, trends):
        kinds.append(Kind.OUTSIDE_GROWTH)
        statements.append(growths(outside, run.plan.work))
    horizon = max((trend.slowest_warm_up or 0 for trend in live), default=0)
    if horizon:
        statements.append(_horizon(run, _rounded(horizon)))
    sentence = sentences(statements)
    return Verdict(Status.LEAK, kinds[0], tuple(kinds[1:]), sentence, trends)


def _horizon(run: Run, horizon: int) -> Message:
    """How long it was followed: over time, nobody knows how many entries a cache got meanwhile."""
    work = run.plan.work
    watched = Count(run.calls_done, work)
    if work is Work.SECOND:
        return message(
            "verdict.horizon-in-time",
            "Growth outlasts {watched}; a cache that fills in more than {horizon} would look the"
            " same",
            watched=watched,
            horizon=Count(horizon, work),
        )
    return message(
        "verdict.horizon",
        "Growth outlasts {calls}; a cache of up to {entries:,} entries would have filled",
        calls=watched,
        entries=horizon,
    )


def _rounded(number: float) -> int:
    """To two digits: a horizon is no more exact."""
    digits = max(len(str(int(number))) - 2, 0)
    least: int = 10**digits
    return int(number / least) * least


def _grows_outside(run: Run, trends: Mapping[str, Trend]) -> list[Trend]:
    """What the processes of a service take, where it grows and only that is seen of its memory."""
    if not is_external_only(run, trends, live_memory()):
        return []
    return [trend for trend in external_trends(trends) if trend.status is Status.LEAK]


def _leak_kinds(run: Run, trends: Mapping[str, Trend], live: set[str]) -> Iterator[Kind]:
    """The gravest first: what holds memory before the memory it holds."""
    if live & set(judged_series(SeriesRole.RESOURCE)):
        yield Kind.RESOURCE_GROWTH
    memory = [SERIES[name] for name in live if has_role(name, SeriesRole.LIVE)]
    if any(facts.is_on_gpu for facts in memory):
        yield Kind.CUDA_LEAK
    if PYTHON_BLOCKS in live or (LIVE_HEAP in live and _blocks_follow(run, trends)):
        yield Kind.PYTHON_LEAK
    elif any(not facts.is_on_gpu for facts in memory):
        yield Kind.NATIVE_LEAK


def _blocks_follow(run: Run, trends: Mapping[str, Trend]) -> bool:
    """Whether Python objects come with the leaking calls, though less than one a call.

    A leak of a megabyte in one call of ten adds a tenth of a block a call: far below the tolerance
    of blocks, but as many as there are leaking calls.
    """
    if PYTHON_BLOCKS not in trends:
        return False
    heap = run.samples[LIVE_HEAP]
    each = distance(run)
    leaking = (trends[LIVE_HEAP].rate or 0.0) * each
    remaining = remains(run, PYTHON_BLOCKS)
    if remaining is not None:
        ever = remains(run, PYTHON_BLOCKS, first_sample=1) or remaining
        early = ever.pieces[0] - BLOCKS_OF_LOOKING / ever.spans[0]
        lasts = remaining.pieces[-1] >= _LASTING_SHARE * early
        leaks = list(_leaking_segments(run, leaking))
        rises, blocks = (sum(column) for column in zip(*leaks, strict=True)) if leaks else (0, 0)
        follow = blocks >= _BLOCKS_PER_LEAK * rises > 0
        throughout = all(came >= _BLOCKS_PER_LEAK * rose / 2 for rose, came in leaks)
        return lasts and follow and throughout
    judged = heap[run.judged_from : run.samples_done]
    rises_a_call = _rises(judged, leaking) / (max(len(judged) - 1, 1) * each)
    low = trends[PYTHON_BLOCKS].rate_low
    return low is not None and low >= _BLOCKS_PER_LEAK * rises_a_call > 0


def _leaking_segments(run: Run, amount: float) -> Iterator[tuple[int, int]]:
    """Between two collections each: the calls that leaked, and the blocks that came.

    One by one: nearly all of a leak that starts late may be in the last.
    """
    for (before, had), (after, has) in pairwise(collected_points(run, PYTHON_BLOCKS)):
        first, end = (bisect_right(run.calls, calls) for calls in (before, after))
        heights = run.samples[LIVE_HEAP][max(first - 1, 0) : end]
        least = _LEAKING_SEGMENT_SHARE * amount * (len(heights) - 1)
        if len(heights) > 1 and heights[-1] - heights[0] >= least:
            yield _rises(heights, amount), has - had


def _rises(heights: Sequence[int], amount: float) -> int:
    """How many times more often it rose by so much from sample to sample than it fell by so much.

    What only comes and goes does both as often.
    """
    moves = [later - earlier for earlier, later in pairwise(heights)]
    return sum(move >= amount for move in moves) - sum(move <= -amount for move in moves)
