"""How a run goes on: how long it warms up, how it samples, when it has seen enough. Pure.

The worker takes samples; at every pause the supervisor asks `next_phase` what to do, from what the
run file says so far. So a run that was forced to a number of calls, one that ends early and one
that goes on until it is resolved are the same loop.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import ceil
from statistics import median

from leakhunt.analysis.verdict.after_gc import garbage_matters
from leakhunt.analysis.verdict.effort import (
    FIRST_SAMPLES,
    SLOW_CALLS,
    TREND_BUDGETS,
    affordable_samples,
    elapsed_seconds,
    has_slow_calls,
)
from leakhunt.analysis.verdict.judge import judge
from leakhunt.analysis.verdict.series import INTERIM_CHECK_RATIO, INTERIM_CHECKS, default_tolerance
from leakhunt.model.options import WARM_UP_SHARE
from leakhunt.model.plan import Plan
from leakhunt.model.run import Phase, Purpose, Run
from leakhunt.model.series import DURATION, LIVE_HEAP, PYTHON_BLOCKS, RSS, Series, Unit
from leakhunt.model.verdict import Status

# Warm-up goes in steps until a step leaves nothing, or so many: a leak is never quiet. CPython's
# free lists take 80 to 160 calls to fill.
WARM_UP_STEP = FIRST_SAMPLES
MAX_WARM_UP_STEPS = 5
# Dear calls that grow evenly are warm: once warm-up has had its share of the budget, and each of
# its last two steps left so much of what the other left.
_EVEN_SHARE = 2 / 3
# A clean verdict is not given before this check: a leak may start late.
EARLIEST_CLEAN = INTERIM_CHECKS[2]
# `--resolve` gives up here.
MAX_SAMPLES = 20_000
# A sample stands for at least this much work, so that reading costs little beside it and a leak of
# 32 bytes a call adds up to more than a process creeps by.
SAMPLE_NANOSECONDS = 1_000_000
MAX_CALLS_PER_SAMPLE = 1000
# Growth that shows plainly in one sample; more calls would only fill the memory.
SAMPLE_GROWTH_BYTES = 64 << 10
# A collection before each reading may cost as much as the calls, or this much in any case.
CHEAP_COLLECTION_NANOSECONDS = 20_000_000
# Growth is called a leak after so many calls, if they fit into the budget: caches of half as many
# entries would have filled.
HORIZON_CALLS = 10_000
# In a run of a fixed number of calls: the check before the last one.
_FORCED_CHECK_SHARE = 1 / INTERIM_CHECK_RATIO


def next_phase(run: Run) -> Phase | None:
    """What the worker does next; None: it has seen enough and settles."""
    return _fixed_phase(run) if run.plan.calls is not None else _adaptive_phase(run)


def same_calls(run: Run) -> Plan:
    """The plan of `run` with the calls, warm-up and sampling that it came to."""
    each = run.calls_per_sample
    return replace(
        run.plan,
        calls=max(run.calls_done // each, 1) * each,
        warmup=(run.calls[run.judged_from - 1] if run.judged_from else 0) // each * each,
        calls_per_sample=each,
        collect="always" if run.collects else "never",
        resolve=False,
    )


def _fixed_phase(run: Run) -> Phase | None:
    plan = run.plan
    assert plan.calls is not None
    each = plan.calls_per_sample or 1
    total = plan.calls // each
    warm_up = min((plan.warmup or 0) // each, total - 1)
    half = warm_up + ceil((total - warm_up) * _FORCED_CHECK_SHARE)
    for end in (min(WARM_UP_STEP, warm_up), warm_up, half, total):
        if run.samples_done < end:
            purpose = Purpose.WARM_UP if end <= warm_up else Purpose.JUDGED
            remaining = end - run.samples_done
            return Phase(run.samples_done, remaining, purpose, each, plan.collect == "always")
    return _extension(run)


def _extension(run: Run) -> Phase | None:
    """More calls than a scenario has by default, where they leave it open and the budget lasts.

    The last time the budget may be good for half as many as are wanted, no fewer.
    """
    wanted = ceil((run.samples_done - run.judged_from) * (INTERIM_CHECK_RATIO - 1))
    more = min(wanted, affordable_samples(run))
    if 2 * more < wanted or run.samples_done >= MAX_SAMPLES:
        return None
    if judge(run, power=False).status is not Status.INCONCLUSIVE:
        return None
    last = run.phases[-1]
    return Phase(run.samples_done, more, last.purpose, last.calls_per_sample, last.collects)


def _adaptive_phase(run: Run) -> Phase | None:
    each = run.plan.calls_per_sample or _calls_per_sample(run)
    last = run.phases[-1] if run.phases else None
    if has_slow_calls(run):
        remaining = SLOW_CALLS - run.samples_done
        collects = run.plan.collect == "always"
        return (
            Phase(run.samples_done, remaining, Purpose.JUDGED, 1, collects)
            if remaining > 0
            else None
        )
    if last is None or (last.purpose is Purpose.WARM_UP and not _is_warm(run, each)):
        return Phase(
            run.samples_done, WARM_UP_STEP, Purpose.WARM_UP, each, run.plan.collect == "always"
        )
    if last.purpose is Purpose.WARM_UP:
        return Phase(run.samples_done, INTERIM_CHECKS[0], Purpose.JUDGED, each, _shall_collect(run))
    judged = run.samples_done - run.judged_from
    following = _following_check(run, judged)
    if following is None:
        return None
    return Phase(
        run.samples_done, following - judged, Purpose.JUDGED, last.calls_per_sample, last.collects
    )


def _following_check(run: Run, judged: int) -> int | None:
    """How many samples will be judged at the next interim check; None: it has seen enough.

    Growth is checked again until the horizon; what is open still as long as the budget lasts.
    """
    if judged < INTERIM_CHECKS[1]:
        return next(check for check in INTERIM_CHECKS if check > judged)
    status = judge(run, power=False).status
    further = min(ceil(judged * INTERIM_CHECK_RATIO), MAX_SAMPLES)
    if status is Status.NO_LEAK and judged >= EARLIEST_CLEAN:
        return None
    if status is Status.LEAK:
        calls = HORIZON_CALLS - run.calls_done
        horizon = judged + ceil(max(calls, 0) / run.calls_per_sample)
        further = min(further, horizon)
    elif judged < INTERIM_CHECKS[-1] and _takes_a_trend(run, judged):
        return next(check for check in INTERIM_CHECKS if check > judged)
    elif run.plan.resolve:
        return further if further > judged else None
    affordable = min(further, judged + affordable_samples(run))
    return affordable if affordable >= judged + WARM_UP_STEP else None


def _takes_a_trend(run: Run, judged: int) -> bool:
    """Whether the calls until the next interim check are not too dear for a trend."""
    more = next(check for check in INTERIM_CHECKS if check > judged) - judged
    return run.plan.budget_seconds is None or more <= affordable_samples(run, TREND_BUDGETS)


def decided(run: Run, judged: int) -> bool:
    """Whether the verdict is known, and may be given after so many judged samples."""
    status = judge(run, power=False).status
    return status is Status.LEAK or (status is Status.NO_LEAK and judged >= EARLIEST_CLEAN)


def _calls_per_sample(run: Run) -> int:
    """From the times and the growth of the first phase, which has one call a sample.

    Calls that plainly leak, or open and start things, are not taken by the thousand: they would
    meet a limit before they are judged.
    """
    first = run.samples.get(DURATION, ())[:WARM_UP_STEP]
    if len(first) < WARM_UP_STEP:
        return 1
    if any(typical_growth(run, series.name) > 0 for series in run.series if _counts(series)):
        return 1
    by_time = ceil(SAMPLE_NANOSECONDS / max(median(first), 1))
    growth = max(typical_growth(run, name) for name in (LIVE_HEAP, RSS))
    by_growth = ceil(SAMPLE_GROWTH_BYTES / growth) if growth > 0 else by_time
    return min(by_time, by_growth, MAX_CALLS_PER_SAMPLE)


def _counts(series: Series) -> bool:
    return series.unit is Unit.COUNT


def typical_growth(run: Run, name: str) -> float:
    """The median growth from call to call in the first phase; 0 where it was not read."""
    first = run.samples.get(name, (0, 0))[:WARM_UP_STEP]
    return median(later - earlier for earlier, later in pairwise(first))


def _is_warm(run: Run, calls_per_sample: int) -> bool:
    phases = run.phases
    if phases[-1].calls_per_sample != calls_per_sample:
        return False  # the way of sampling has only now been chosen
    if len(phases) >= MAX_WARM_UP_STEPS or is_quiet(run, phases[-1]):
        return True
    budget, taken = run.plan.budget_seconds, elapsed_seconds(run)
    is_spent = budget is not None and taken is not None and taken >= WARM_UP_SHARE * budget
    return is_spent and _grows_evenly(run)


def _grows_evenly(run: Run) -> bool:
    """Whether live memory grew in the last step of the warm-up about as in the one before."""
    heaps = [
        reading.values[LIVE_HEAP]
        for reading in run.readings
        if reading.step == "look_collected" and LIVE_HEAP in reading.values
    ]
    if len(heaps) < 3:
        return False
    before, last = (later - earlier for earlier, later in pairwise(heaps[-3:]))
    least = default_tolerance(Unit.BYTES, 1) * WARM_UP_STEP
    return min(before, last) > max(least, _EVEN_SHARE * max(before, last))


def is_quiet(run: Run, phase: Phase) -> bool:
    """Whether a warm-up step, the last, left nothing behind a collection, by the tolerances."""
    collected = [reading for reading in run.readings if reading.step == "look_collected"]
    if len(collected) < 2:
        return False
    before, after = collected[-2].values, collected[-1].values
    samples = run.samples_done - phase.first_sample
    return all(
        after[name] - before[name] <= default_tolerance(unit, 1) * samples
        for name, unit in ((LIVE_HEAP, Unit.BYTES), (PYTHON_BLOCKS, Unit.BLOCKS))
        if name in before and name in after
    )


def _shall_collect(run: Run) -> bool:
    """Whether to collect before each reading: on demand, or if garbage matters and it is cheap."""
    if run.plan.collect != "auto":
        return run.plan.collect == "always"
    collected = next(r for r in reversed(run.readings) if r.step == "look_collected")
    cost = collected.values.get("collect_ns", 0)
    sample = median(run.samples[DURATION][-WARM_UP_STEP:])
    return cost <= max(sample, CHEAP_COLLECTION_NANOSECONDS) and garbage_matters(run)
