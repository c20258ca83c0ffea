"""The verdict on a run: its series judged one by one, then put together into a class.

No single series sees every leak, so several are judged, each at its part of alpha. RSS and CUDA
reserved are what the OOM killer and the driver see, but they also hold what is free; live heap,
Python blocks and CUDA allocated say what is in use. Where the two disagree, the sentence says so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from leakhunt.amounts import Amount, Count
from leakhunt.analysis.verdict.after_gc import (
    collected_points,
    garbage_matters,
    leaves_cycles,
    remains,
    without_garbage,
)
from leakhunt.analysis.verdict.container import with_container
from leakhunt.analysis.verdict.cross_checks import (
    calls_judged,
    contradictions,
    gain,
    growth_outside,
    heap_unread,
    is_outside,
    mapping_evidence,
)
from leakhunt.analysis.verdict.external import external_trends, external_verdict, is_external_only
from leakhunt.analysis.verdict.forecast import with_forecast
from leakhunt.analysis.verdict.lives import between_drops, lives_curve, slowing, unimportant
from leakhunt.analysis.verdict.load_summary import load_statements, load_summary, mostly_failed
from leakhunt.analysis.verdict.process_runs import runs_of_processes
from leakhunt.analysis.verdict.processes import with_processes, with_shares
from leakhunt.analysis.verdict.resampling import distance, resampled
from leakhunt.analysis.verdict.routes import judge_routes, with_routes
from leakhunt.analysis.verdict.series import default_tolerance, judge_series
from leakhunt.analysis.verdict.spike import spike_statements
from leakhunt.analysis.verdict.statements import (
    LEADS,
    bounds,
    ending,
    growth,
    growths,
    undecided,
)
from leakhunt.analysis.verdict.trend import ALPHA, Floats
from leakhunt.model.kinds import Kind
from leakhunt.model.plan import Work
from leakhunt.model.processes import JudgedProcess
from leakhunt.model.run import Ending, Run
from leakhunt.model.series import (
    ANONYMOUS,
    CGROUP,
    CUDA_RESERVED,
    LIVE_HEAP,
    PYTHON_BLOCKS,
    PYTHON_LIVE,
    RSS,
    SERIES,
    Series,
    SeriesRole,
    Unit,
    has_role,
    judged_series,
    leak_series,
    live_memory,
)
from leakhunt.model.verdict import Shape, Status, Trend, Verdict
from leakhunt.text.message import Text, message, sentences

# Live memory that grew by more than this since the start, and then stopped, is a cache.
_CACHE_BYTES = 256 << 10
# RSS that grew by more than this without live memory, and is given back by a trim, is retention.
_RETAINED_BYTES = 8 << 20
# What a memory limit counts, the most fitting first; a run that was killed for memory grew until
# then if it had filled so much of the room below its limit sample by sample.
_FILLING = (CGROUP, ANONYMOUS, RSS)
_FILLED_SHARE = 0.5
# A leak of malloc memory is Python's if about one block comes with each leaking call: one that
# adds as much as a call does in the mean...
_BLOCKS_PER_LEAK = 0.75
# ... in the segments between collections that grew by this share of the mean; in others, such as
# one before a leak starts, rises are noise.
_LEAKING_SEGMENT_SHARE = 0.5
# ... and they come as fast at the end as this share of their pace after the first samples: torch
# and funasr make ever fewer objects for hundreds of calls.
_LASTING_SHARE = 0.4
# The first looks leave so many blocks of their own, and no more.
BLOCKS_OF_LOOKING = 32


def judge(run: Run, power: bool = True) -> Verdict:
    """The verdict on a run; `power`: work out what each clean series would have shown.

    Of a soak all samples are judged, at one distance, and how the load landed is part of it; of a
    service with several processes, what each of them does.
    """
    even = resampled(run)
    verdict = _verdict(even, power)
    if run.processes:
        verdict = with_processes(even, verdict, _processes(even))
    verdict = with_container(even, verdict)
    return with_routes(run, verdict, judge_routes(run)) if run.routes else verdict


def judge_processes(run: Run) -> tuple[JudgedProcess, ...]:
    """What each process of a service does, in the order of their places; none of a single one."""
    return _processes(resampled(run))


def _processes(run: Run) -> tuple[JudgedProcess, ...]:
    parts = runs_of_processes(run)
    judged = [(process, _verdict(part, power=False, parts=len(parts))) for process, part in parts]
    return with_shares(
        [JudgedProcess(process, each.status, each.kind, each.trends) for process, each in judged]
    )


def _verdict(run: Run, power: bool, parts: int = 1) -> Verdict:
    """The verdict on what was read of a run, which is even; one of so many that are given."""
    judged = [series for series in run.series if series.name in judged_series()]
    alpha = ALPHA / max(len(judged) * parts, 1)
    trends = {series.name: _trend(run, series, alpha, power) for series in judged}
    if not run.samples_done:
        nothing = message("verdict.nothing_measured", "Not measured")
        spike = spike_statements(run, trends)
        verdict = _inconclusive(trends, [*(spike or [nothing]), *ending(run)])
        return replace(verdict, kind=Kind.SPIKE) if spike else verdict
    verdict = _leak(run, trends) or _not_a_leak(run, trends)
    statements = [verdict.sentence, *load_statements(run, load_summary(run)), *ending(run)]
    if run.outcome.ending is Ending.KILLED and (_was_growing(trends) or _filled_its_room(run)):
        also = tuple(
            kind for kind in (verdict.kind, *verdict.also) if kind is not Kind.INCONCLUSIVE
        )
        verdict = replace(verdict, kind=Kind.KILLED, also=also)
        statements.insert(0, message("verdict.killed_growing", "Killed while growing"))
    elif spike := spike_statements(run, trends):
        also = tuple(
            kind for kind in (verdict.kind, *verdict.also) if kind is not Kind.INCONCLUSIVE
        )
        verdict = replace(verdict, kind=Kind.SPIKE, also=also)
        statements = [*spike, *statements]
    return with_forecast(run, replace(verdict, sentence=sentences(statements)))


def _not_a_leak(run: Run, trends: Mapping[str, Trend]) -> Verdict:
    if mostly_failed(load_summary(run)):
        failed = message("verdict.mostly_failed", "Inconclusive: most requests failed")
        return _inconclusive(trends, [failed])
    if is_external_only(run, trends, live_memory()):
        return external_verdict(run, trends, judged_series(SeriesRole.RESOURCE))
    return _unclear(run, trends) or _clean(run, trends)


def _inconclusive(
    trends: Mapping[str, Trend], statements: Sequence[Text], needed: int | None = None
) -> Verdict:
    sentence = sentences(statements)
    return Verdict(Status.INCONCLUSIVE, Kind.INCONCLUSIVE, (), sentence, trends, needed)


def tolerance_of(series: str, unit: Unit, calls_per_sample: float) -> float:
    """Growth per call that is no leak, for a series of a run."""
    own = SERIES[series].tolerance if series in SERIES else None
    if own is not None:
        return own / calls_per_sample
    return default_tolerance(unit, calls_per_sample)


def _trend(run: Run, series: Series, alpha: float, power: bool) -> Trend:
    if run.plan.watch is not None:
        return _watched_trend(run, series, alpha, power)
    values = run.samples[series.name][run.judged_from : run.samples_done]
    return without_garbage(_judged(run, series, values, alpha, power), run)


def _judged(
    run: Run, series: Series, values: Sequence[float] | Floats, alpha: float, power: bool
) -> Trend:
    name, unit = series.name, series.unit
    return judge_series(
        values,
        unit=unit,
        tolerance=max(tolerance_of(name, unit, distance(run)), unimportant(run, name)),
        calls_per_sample=distance(run),
        alpha=alpha,
        name=name,
        power=power,
        work=run.plan.work,
    )


def _watched_trend(run: Run, series: Series, alpha: float, power: bool) -> Trend:
    """Of what is watched: processes that follow one another, through days and nights."""
    curve = lives_curve(run, series.name)
    trend = _judged(run, series, curve.heights, alpha, power)
    if curve.slows:
        return slowing(trend)
    if curve.if_restarts is None:
        return trend
    return between_drops(trend, _judged(run, series, curve.if_restarts, alpha, power=False))


def _leak(run: Run, trends: Mapping[str, Trend]) -> Verdict | None:
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
        statements.append(
            message(
                "verdict.horizon",
                "Growth outlasts {calls}; a cache of up to {entries:,} entries would have filled",
                calls=Count(run.calls_done, run.plan.work),
                entries=_rounded(horizon),
            )
        )
    sentence = sentences(statements)
    return Verdict(Status.LEAK, kinds[0], tuple(kinds[1:]), sentence, trends)


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


def _unclear(run: Run, trends: Mapping[str, Trend]) -> Verdict | None:
    """Inconclusive, if a series that shows live memory is, or if what RSS does is not yet clear."""
    memory = [trends[name] for name in live_memory() if name in trends]
    live = [trends[name] for name in leak_series() if name in trends]
    unsure = [trend for trend in live if trend.status is Status.INCONCLUSIVE]
    rss = trends.get(RSS)
    why = heap_unread(run)
    if rss is not None and rss.status is Status.LEAK and why is not None:
        return _live_or_retained(trends, rss, why, run.plan.work)
    if rss is not None and rss.status is not Status.NO_LEAK and not unsure:
        outside = growth_outside(run)
        if outside is None or outside > rss.tolerance * calls_judged(run):
            unsure = [rss]
    if memory and not unsure:
        return None
    if not memory:
        unreadable = message(
            "verdict.no_live_series", "No series of live memory can be read on this system"
        )
        return _inconclusive(trends, [unreadable])
    needed = max((trend.calls_needed or 0 for trend in unsure), default=0) or None
    return _inconclusive(trends, [undecided(unsure), *contradictions(run, trends)], needed)


def _live_or_retained(trends: Mapping[str, Trend], rss: Trend, why: Text, work: Work) -> Verdict:
    """RSS grows for certain, and nobody can say whether what it grows by is in use."""
    reason = message(
        "verdict.live_or_retained",
        "live or retained cannot be told: {why}",
        why=why,
    )
    sentence = message(
        "verdict.rss_grows_heap_unread",
        "Inconclusive: {growth}; {reason}",
        growth=growth(rss, work),
        reason=reason,
    )
    return _inconclusive(trends, [sentence])


def _clean(run: Run, trends: Mapping[str, Trend]) -> Verdict:
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
    if live <= _CACHE_BYTES or (after := level_after(trends)) is None:
        return []
    first = run.calls[run.judged_from - 1] if run.judged_from else 0
    return [
        message(
            "verdict.level_since",
            "Level since about {calls}, {size} above the start",
            calls=Count(first + after, run.plan.work),
            size=Amount(live),
        )
    ]


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
    if retained > _RETAINED_BYTES or (rss is not None and rss.status is Status.LEAK):
        yield Kind.ALLOCATOR_RETENTION
    if live > _CACHE_BYTES:
        yield Kind.BOUNDED_CACHE
    teeth = any(trends[name].shape is Shape.SAWTOOTH for name in live_memory() if name in trends)
    if (teeth or run.collects) and garbage_matters(run) and leaves_cycles(run) is not False:
        yield Kind.GARBAGE


def _filled_its_room(run: Run) -> bool:
    """Whether the kernel killed it for memory, of which most was taken sample by sample.

    Not in one gulp: one large input shows in no sample before the end.
    """
    limit = run.plan.memory_limit_bytes
    series = next((run.samples[name] for name in _FILLING if run.samples.get(name)), ())
    if run.outcome.kernel is None or limit is None or not series:
        return False
    room = limit - series[0]
    return series[-1] - series[0] >= max(_FILLED_SHARE * room, _RETAINED_BYTES)


def _was_growing(trends: Mapping[str, Trend]) -> bool:
    """Whether memory grew for certain up to the end, leak or not."""
    return any(
        trend.status is Status.LEAK or (trend.rate_low or 0.0) > trend.tolerance
        for trend in trends.values()
        if trend.unit is Unit.BYTES
    )
