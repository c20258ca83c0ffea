"""Whether a variant grows by what another grows by, call by call on the same inputs. Pure."""

from __future__ import annotations

import numpy as np

from leakhunt.analysis.verdict.judge import tolerance_of
from leakhunt.analysis.verdict.series import judge_series
from leakhunt.analysis.verdict.trend import Floats
from leakhunt.model.plan import Plan
from leakhunt.model.run import Run
from leakhunt.model.series import SERIES, Unit, leak_series
from leakhunt.model.verdict import Status

# The difference may grow by this part of what the other grows by.
_MIN_SHARE = 0.05


def same_work(one: Plan, other: Plan) -> bool:
    """Whether two plans make the same calls, of one variant in one environment."""
    return (one.variant, one.environment) == (other.variant, other.environment) and same_inputs(
        one, other
    )


def same_inputs(one: Plan, other: Plan) -> bool:
    """Whether the calls of two plans get the same inputs."""
    return (one.scenario, one.seed, one.options) == (other.scenario, other.seed, other.options)


def growth_difference(run: Run, other: Run) -> float | None:
    """By how many bytes per call two runs grow apart at most; None: not certainly alike.

    Both are of the same inputs in the same order, so that what an input leaves is the same, and
    only what differs is left of the difference.
    """
    if not same_inputs(run.plan, other.plan) or run.calls_per_sample != other.calls_per_sample:
        return None
    bounds = []
    for name in leak_series():
        if (name in run.samples) != (name in other.samples):
            return None
        if name in run.samples:
            bounds.append(_bound(run, other, name))
    return None if None in bounds else max((each for each in bounds if each is not None), default=0)


def _bound(run: Run, other: Run, name: str) -> float | None:
    """What the difference of a series grows by at most, either way; None: they may be apart.

    Bytes have to be alike for certain; what else is counted must not be apart for certain, and its
    bound is 0.
    """
    first = max(run.judged_from, other.judged_from)
    end = min(run.samples_done, other.samples_done)
    if end <= first or list(run.calls[first:end]) != list(other.calls[first:end]):
        return None
    unit = SERIES[name].unit
    theirs = np.asarray(other.samples[name][first:end], dtype=float)
    apart: Floats = np.asarray(run.samples[name][first:end], dtype=float) - theirs
    each = run.calls_per_sample
    rate = abs(float(theirs[-1] - theirs[0])) / ((end - first) * each)
    tolerance = max(tolerance_of(name, unit, each), _MIN_SHARE * rate)
    trends = [
        judge_series(sign, unit=unit, tolerance=tolerance, calls_per_sample=each, power=False)
        for sign in (apart, -apart)
    ]
    if unit is not Unit.BYTES:
        return None if any(trend.status is Status.LEAK for trend in trends) else 0.0
    if any(trend.status is not Status.NO_LEAK for trend in trends):
        return None
    return max(trend.upper_bound or 0.0 for trend in trends)
