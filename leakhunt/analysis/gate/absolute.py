"""One run held against a budget by itself: growth per call, growth in a whole run, time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp

from leakhunt.amounts import format_amount, format_rate, format_seconds
from leakhunt.analysis.comparison.times import SPREAD_BETWEEN_RUNS
from leakhunt.analysis.student import student
from leakhunt.analysis.verdict.cost import cost
from leakhunt.analysis.verdict.series import FEWEST_FOR_CLEAN
from leakhunt.model.gate import Budget, BudgetResult, GateAnswer
from leakhunt.model.kinds import Kind
from leakhunt.model.plan import Work
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending, Run
from leakhunt.model.series import ANONYMOUS, Unit
from leakhunt.model.verdict import Status, Trend
from leakhunt.text.language import mark, tr

# Runs of the same work differ in time by a spread that is known with so many degrees of freedom
# (`comparison.times`): one run knows its own time up to that only.
_TIME_FREEDOM = 9
_IN_CALLS = {
    Work.CALL: mark("{amount} in {calls:,} calls"),
    Work.REQUEST: mark("{amount} in {calls:,} requests"),
}


def answer_between(low: float, high: float, limit: float) -> GateAnswer:
    """Over or within, where both bounds say so."""
    if low > limit:
        return GateAnswer.OVER
    return GateAnswer.WITHIN if high <= limit else GateAnswer.CANNOT_TELL


def unit_in(entry: JudgedRun, series: str) -> Unit:
    """The unit of a series in a run; bytes where the run does not have it."""
    return next((each.unit for each in entry.run.series if each.name == series), Unit.BYTES)


def _checked(
    budget: Budget, unit: Unit, answer: GateAnswer, reason: str, trend: Trend | None = None
) -> BudgetResult:
    if trend is None:
        return BudgetResult(budget, unit, answer, reason)
    return BudgetResult(
        budget, unit, answer, reason, trend.rate, trend.rate_low, _bound(trend), trend.detectable
    )


def _bound(trend: Trend) -> float | None:
    """What the rate is at most, at the stricter of the two levels."""
    known = [value for value in (trend.rate_high, trend.upper_bound) if value is not None]
    return max(known, default=None)


def rate(entry: JudgedRun, budget: Budget) -> BudgetResult:
    """Growth per call."""
    run, trend = entry.run, entry.verdict.trends.get(budget.series)
    if trend is None or not run.samples_done:
        return _unseen(entry, budget)
    high = _bound(trend)
    if trend.rate is None or trend.rate_low is None or high is None:
        told = with_ending(trend.reason, run)
        return _checked(budget, trend.unit, GateAnswer.CANNOT_TELL, told, trend)
    # What no instrument can tell from nothing is no growth, so a budget of nothing means that.
    limit = max(budget.amount, trend.tolerance)
    figures = {
        "rate": format_rate(trend.rate, trend.unit, run.plan.work),
        "low": format_rate(trend.rate_low, trend.unit, run.plan.work),
        "high": format_rate(max(high, 0.0), trend.unit, run.plan.work),
    }
    # The verdict may know more than these bounds: blocks that come to no bytes, say, are no growth.
    known_clean = trend.status is Status.NO_LEAK and budget.amount <= trend.tolerance
    if (high <= limit or known_clean) and trend.samples >= FEWEST_FOR_CLEAN:
        told = tr("at most {high}", **figures)
        if run.outcome.ending is Ending.OK:
            return _checked(budget, trend.unit, GateAnswer.WITHIN, told, trend)
        return _checked(budget, trend.unit, GateAnswer.CANNOT_TELL, with_ending(told, run), trend)
    grows = trend.status is Status.LEAK or entry.verdict.kind is Kind.KILLED
    if grows and trend.rate_low > limit:
        return _above(entry, budget, trend, figures)
    if high <= limit:
        told = tr(
            "at most {high} so far, of {samples} samples; {fewest} are needed",
            samples=trend.samples, fewest=FEWEST_FOR_CLEAN, **figures,
        )  # fmt: skip
    else:
        told = tr("{rate}, between {low} and {high}: {reason}", reason=trend.reason, **figures)
    return _checked(budget, trend.unit, GateAnswer.CANNOT_TELL, with_ending(told, run), trend)


def _above(
    entry: JudgedRun, budget: Budget, trend: Trend, figures: Mapping[str, str]
) -> BudgetResult:
    """Growth above the budget: over it, unless it is known to be that of caches that end."""
    told = tr("{rate}, at least {low}", **figures)
    is_bounded = entry.attribution is not None and entry.verdict.kind is Kind.BOUNDED_CACHE
    if is_bounded and trend.unit is Unit.BYTES:
        reason = tr("{told}, until bounded caches are full: {sentence}",
                    told=told, sentence=entry.verdict.sentence)  # fmt: skip
        return _checked(budget, trend.unit, GateAnswer.WITHIN, reason, trend)
    return _checked(budget, trend.unit, GateAnswer.OVER, with_ending(told, entry.run), trend)


def with_ending(told: str, run: Run) -> str:
    """A sentence with how the run ended, where it ended early."""
    if run.outcome.ending is Ending.OK:
        return told
    reason = run.outcome.reason or tr(run.outcome.ending)
    return tr("{told}; it ended early: {reason}", told=told, reason=reason)


def no_sample(run: Run) -> str:
    """That a run read nothing, and why."""
    return tr("no sample: {reason}", reason=run.outcome.reason or tr("empty run"))


def _unseen(entry: JudgedRun, budget: Budget) -> BudgetResult:
    """A series that was not read, or a run that read nothing."""
    run, series = entry.run, budget.series
    if not run.samples_done:
        reason = no_sample(run)
    elif series.startswith("cuda_") and run.plan.device != "cuda":
        reason = tr("the run was on the CPU; gate {series} on a machine with a GPU", series=series)
    elif series in run.unavailable:
        why = run.unavailable[series]
        reason = tr("{series} cannot be read here: {why}", series=series, why=why)
    else:
        reason = tr("the run has no series {series!r}", series=series)
        if run.plan.load is not None and ANONYMOUS in run.samples:
            reason += tr("; of a service seen from outside only, gate the series anonymous")
    return _checked(budget, unit_in(entry, series), GateAnswer.NOTHING_MEASURED, reason)


def total(entry: JudgedRun, budget: Budget) -> BudgetResult:
    """Growth over a whole run, from before the first call to after the last."""
    run = entry.run
    if not run.samples_done or budget.series not in run.samples:
        return _unseen(entry, budget)
    unit = unit_in(entry, budget.series)
    grown = _growth(run, budget.series)
    told = tr(_IN_CALLS[run.plan.work], amount=format_amount(grown, unit), calls=run.calls_done)
    if grown > budget.amount:
        answer, told = GateAnswer.OVER, with_ending(told, run)
    elif run.outcome.ending is Ending.OK:
        answer = GateAnswer.WITHIN
    else:
        answer, told = GateAnswer.CANNOT_TELL, with_ending(told, run)
    return BudgetResult(budget, unit, answer, told, grown, grown, grown)


def _growth(run: Run, series: str) -> int:
    start, end = run.reading("start"), run.reading("end")
    if start is not None and end is not None and series in start.values and series in end.values:
        return end.values[series] - start.values[series]
    readings = run.samples[series]
    return readings[run.samples_done - 1] - readings[0]


def seconds(entry: JudgedRun, budget: Budget) -> BudgetResult:
    """Time per call: the median, as far as one run knows it."""
    spent = cost(entry.run, None)
    if spent is None:
        reason = tr("no call was timed")
        return _checked(budget, Unit.NANOSECONDS, GateAnswer.NOTHING_MEASURED, reason)
    taken = spent.median_seconds
    margin = exp(student(_TIME_FREEDOM) * SPREAD_BETWEEN_RUNS)
    low, high = taken / margin, taken * margin
    told = tr(
        "{seconds} a call, between {low} and {high}", seconds=format_seconds(taken),
        low=format_seconds(low), high=format_seconds(high),
    )  # fmt: skip
    answer = answer_between(low, high, budget.amount)
    return BudgetResult(budget, Unit.NANOSECONDS, answer, with_ending(told, entry.run),
                   taken, low, high)  # fmt: skip
