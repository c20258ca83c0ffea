"""The verdict on a run: its series judged one by one, then put together into a class.

No single series sees every leak, so several are judged, each at its part of alpha. RSS and CUDA
reserved are what the OOM killer and the driver see, but they also hold what is free; live heap,
Python blocks and CUDA allocated say what is in use. Where the two disagree, the sentence says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from leakhunt.analysis.verdict.after_gc import (
    with_bytes,
    without_garbage,
)
from leakhunt.analysis.verdict.container import with_container
from leakhunt.analysis.verdict.cross_checks import (
    calls_judged,
    contradictions,
    growth_outside,
    heap_unread,
)
from leakhunt.analysis.verdict.external import external_verdict, is_external_only
from leakhunt.analysis.verdict.forecast import with_forecast
from leakhunt.analysis.verdict.leak import leak
from leakhunt.analysis.verdict.lives import between_drops, lives_curve, slowing, unimportant
from leakhunt.analysis.verdict.load_summary import load_statements, load_summary, mostly_failed
from leakhunt.analysis.verdict.no_leak import RETAINED_BYTES, no_leak
from leakhunt.analysis.verdict.process_runs import runs_of_processes
from leakhunt.analysis.verdict.processes import with_processes, with_shares
from leakhunt.analysis.verdict.resampling import distance, resampled
from leakhunt.analysis.verdict.routes import judge_routes, with_routes
from leakhunt.analysis.verdict.series import default_tolerance, judge_series
from leakhunt.analysis.verdict.spike import spike_statements
from leakhunt.analysis.verdict.statements import (
    ending,
    growth,
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
    RSS,
    SERIES,
    Series,
    SeriesRole,
    Unit,
    judged_series,
    leak_series,
    live_memory,
)
from leakhunt.model.verdict import Status, Trend, Verdict
from leakhunt.text.message import Text, message, sentences

# What a memory limit counts, the most fitting first; a run that was killed for memory grew until
# then if it had filled so much of the room below its limit sample by sample.
_FILLING = (CGROUP, ANONYMOUS, RSS)
_FILLED_SHARE = 0.5


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
    verdict = leak(run, trends) or _not_a_leak(run, trends)
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
    return _unclear(run, trends) or no_leak(run, trends)


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
    return with_bytes(without_garbage(_judged(run, series, values, alpha, power), run), run)


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


def _filled_its_room(run: Run) -> bool:
    """Whether the kernel killed it for memory, of which most was taken sample by sample.

    Not in one gulp: one large input shows in no sample before the end.
    """
    limit = run.plan.memory_limit_bytes
    series = next((run.samples[name] for name in _FILLING if run.samples.get(name)), ())
    if run.outcome.kernel is None or limit is None or not series:
        return False
    room = limit - series[0]
    return series[-1] - series[0] >= max(_FILLED_SHARE * room, RETAINED_BYTES)


def _was_growing(trends: Mapping[str, Trend]) -> bool:
    """Whether memory grew for certain up to the end, leak or not."""
    return any(
        trend.status is Status.LEAK or (trend.rate_low or 0.0) > trend.tolerance
        for trend in trends.values()
        if trend.unit is Unit.BYTES
    )
