"""What a variant costs in time, beside what it saves in memory."""

from __future__ import annotations

from itertools import pairwise
from statistics import median, quantiles

from leakhunt.analysis.verdict.resampling import resampled
from leakhunt.model.report import Cost
from leakhunt.model.run import Run
from leakhunt.model.series import DURATION

_NANOSECONDS = 1e9


def cost(run: Run, reference: Run | None) -> Cost | None:
    """Seconds per call after the warm-up, and their ratio to the reference's; None without any.

    A call of a soak is a request, whose seconds are those until its answer. What is only looked on
    makes no calls.
    """
    if not run.plan.work.is_timed:
        return None
    seconds = _seconds(run)
    if not seconds:
        return None
    lower, middle, upper = quantiles(seconds, n=4) if len(seconds) > 1 else seconds * 3
    base = _seconds(reference) if reference is not None else []
    ratio = middle / median(base) if base and median(base) > 0 else None
    return Cost(middle, lower, upper, ratio)


def median_seconds(run: Run) -> float:
    """Seconds per call after the warm-up; above 0, so that there are ratios of it."""
    spent = cost(run, None)
    return max(spent.median_seconds, 1e-9) if spent is not None else 1e-9


def _seconds(run: Run) -> list[float]:
    if run.plan.load is not None:
        return _seconds_of_requests(resampled(run))
    durations = run.samples.get(DURATION, ())
    measured = durations[run.judged_from :] or durations
    return [duration / run.calls_per_sample / _NANOSECONDS for duration in measured]


def _seconds_of_requests(run: Run) -> list[float]:
    """Sample by sample, the mean of its requests, of which it has about as many as the others."""
    requests = [later - sooner for sooner, later in pairwise((0, *run.calls))]
    spent = zip(run.samples.get(DURATION, ()), requests, strict=False)
    each = [duration / max(count, 1) / _NANOSECONDS for duration, count in spent]
    return each[run.judged_from :] or each
