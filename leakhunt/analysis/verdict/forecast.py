"""When a leak meets the limit it runs under."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from statistics import median

from leakhunt.model.run import Run
from leakhunt.model.series import ANONYMOUS, CGROUP, DURATION, ELAPSED, LIVE_HEAP, PSS, RSS
from leakhunt.model.verdict import Forecast, Status, Trend

_NANOSECONDS = 1e9


def forecast(run: Run, trends: Mapping[str, Trend]) -> Forecast | None:
    """Calls until the nearest limit, from the growth of RSS, or of the live heap if RSS hides it.

    None without a limit, or where neither grows. Of a soak, a limit is met by what all processes
    take together: shared pages count once, and seconds are those that passed.
    """
    growing = [
        trend
        for name in (RSS, ANONYMOUS, LIVE_HEAP)
        if (trend := trends.get(name)) is not None and trend.status is Status.LEAK
    ]
    taken = _taken(run)
    if not growing or not taken or not run.limits:
        return None
    trend = growing[0]
    if trend.rate is None or trend.rate_low is None or trend.rate_high is None:
        return None
    name, limit = min(run.limits.items(), key=lambda item: item[1])
    room = max(limit - taken[run.samples_done - 1], 0)
    calls = ceil(room / trend.rate)
    each = _seconds_per_call(run)
    return Forecast(
        limit=name,
        limit_bytes=limit,
        calls=calls,
        calls_soonest=ceil(room / max(trend.rate_high, trend.rate)),
        calls_latest=ceil(room / trend.rate_low) if trend.rate_low > 0 else None,
        seconds=None if each is None else calls * each,
    )


def _taken(run: Run) -> Sequence[int]:
    """What is set against a limit, sample by sample."""
    names = (RSS,) if run.plan.load is None else (CGROUP, PSS, RSS)
    return next((run.samples[name] for name in names if len(run.samples.get(name, ()))), ())


def _seconds_per_call(run: Run) -> float | None:
    if run.plan.load is not None:
        spent = sum(run.samples.get(ELAPSED, ())[run.judged_from + 1 :])
        return spent / max(_calls_between(run), 1) / _NANOSECONDS if spent else None
    times = run.samples.get(DURATION, ())[run.judged_from :]
    return median(times) / run.calls_per_sample / _NANOSECONDS if times else None


def _calls_between(run: Run) -> int:
    """From the first judged sample to the last."""
    return run.calls[run.samples_done - 1] - run.calls[run.judged_from]
