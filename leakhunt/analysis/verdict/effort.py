"""What a run may cost: how long it goes on where something grows, and whether its calls are slow.

Pure, from the run so far and the budget of its plan.
"""

from __future__ import annotations

from statistics import median

from leakhunt.analysis.verdict.series import INTERIM_CHECKS
from leakhunt.model.run import Run
from leakhunt.model.series import DURATION, FAILURES, RSS, Unit

# The first samples of a run, of one call each, tell what a call takes.
FIRST_SAMPLES = 20
# Growth may take so much, or this part of what there is below the nearest limit, until it is
# judged as it is.
MAX_GROWTH_BYTES = 1 << 30
MAX_GROWTH_COUNT = 100
_MAX_GROWTH_SHARE = 0.25
# Calls that are too slow for a trend: those that are measured. Those that are counted exactly are
# in `attribution/windows.py`.
SLOW_CALLS = 29
# Counting exactly slows calls down several times: a trend may take this multiple of the budget.
TREND_BUDGETS = 3
_NANOSECONDS = 1e9


def affordable_samples(run: Run, budgets: int = 1) -> int:
    """How many more samples fit into `budgets` times the budget, and into memory."""
    budget, taken = run.plan.budget_seconds, elapsed_seconds(run)
    if budget is None or not run.samples_done or taken is None or has_grown_enough(run):
        return 0
    return max(int((budgets * budget - taken) * run.samples_done / max(taken, 1e-9)), 0)


def elapsed_seconds(run: Run) -> float | None:
    """From the first call to the last pause; None: its run file does not say."""
    times = [each.values["clock_ns"] for each in run.readings if "clock_ns" in each.values]
    return (times[-1] - times[0]) / _NANOSECONDS if times else None


def has_grown_enough(run: Run) -> bool:
    """Whether growth has taken as much memory, or as many descriptors or threads, as it may."""
    counts = [
        run.samples[each.name]
        for each in run.series
        if each.unit is Unit.COUNT and each.name != FAILURES
    ]
    if any(values[-1] - values[0] >= MAX_GROWTH_COUNT for values in counts if len(values)):
        return True
    rss = run.samples.get(RSS, ())
    if not rss:
        return False
    room = _MAX_GROWTH_SHARE * (min(run.limits.values(), default=rss[0]) - rss[0])
    most = min(room, MAX_GROWTH_BYTES) if run.limits else MAX_GROWTH_BYTES
    return rss[-1] - rss[0] >= most


def has_slow_calls(run: Run) -> bool:
    """Whether the fewest calls of a trend would take much longer than the budget."""
    plan, first = run.plan, run.samples.get(DURATION, ())[:FIRST_SAMPLES]
    if plan.budget_seconds is None or plan.calls is not None or plan.resolve:
        return False
    if len(first) < FIRST_SAMPLES or run.calls[FIRST_SAMPLES - 1] >= 2 * FIRST_SAMPLES:
        return False
    least = (FIRST_SAMPLES + INTERIM_CHECKS[1]) * median(first) / _NANOSECONDS
    return least > TREND_BUDGETS * plan.budget_seconds
