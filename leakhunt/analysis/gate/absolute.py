"""One run held against a budget by itself: growth per call, growth in a whole run, time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp

from leakhunt.amounts import Amount, Count, Rate, Seconds
from leakhunt.analysis.comparison.times import SPREAD_BETWEEN_RUNS
from leakhunt.analysis.student import student
from leakhunt.analysis.verdict.cost import cost
from leakhunt.analysis.verdict.series import MIN_FOR_CLEAN
from leakhunt.model.gate import Budget, BudgetResult, GateAnswer
from leakhunt.model.kinds import Kind
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending, Run
from leakhunt.model.series import ANONYMOUS, Unit
from leakhunt.model.verdict import Status, Trend
from leakhunt.text.message import Text, message

# Runs of the same work differ in time by a spread that is known with so many degrees of freedom
# (`comparison.times`): one run knows its own time up to that only.
_TIME_FREEDOM = 9


def answer_between(low: float, high: float, limit: float) -> GateAnswer:
    """Over or within, where both bounds say so."""
    if low > limit:
        return GateAnswer.OVER_BUDGET
    return GateAnswer.WITHIN_BUDGET if high <= limit else GateAnswer.INCONCLUSIVE


def unit_in(entry: JudgedRun, series: str) -> Unit:
    """The unit of a series in a run; bytes where the run does not have it."""
    return next((each.unit for each in entry.run.series if each.name == series), Unit.BYTES)


def _checked(
    budget: Budget, unit: Unit, answer: GateAnswer, reason: Text, trend: Trend | None = None
) -> BudgetResult:
    if trend is None:
        return BudgetResult(budget, unit, answer, reason)
    return BudgetResult(
        budget,
        unit,
        answer,
        reason,
        trend.rate,
        trend.rate_low,
        _bound(trend),
        trend.detection_limit,
    )


def _bound(trend: Trend) -> float | None:
    """What the rate is at most, at the stricter of the two levels."""
    known = [value for value in (trend.rate_high, trend.upper_bound) if value is not None]
    return max(known, default=None)


def rate(entry: JudgedRun, budget: Budget) -> BudgetResult:
    """Growth per call."""
    run, trend = entry.run, entry.verdict.trends.get(budget.series)
    if trend is None or not run.samples_done:
        return unseen(entry, budget)
    high = _bound(trend)
    if trend.rate is None or trend.rate_low is None or high is None:
        reason = with_ending(str(trend.reason), run)
        return _checked(budget, trend.unit, GateAnswer.INCONCLUSIVE, reason, trend)
    # What no instrument can tell from nothing is no growth, so a budget of nothing means that.
    limit = max(budget.amount, trend.tolerance)
    figures = {
        "rate": Rate(trend.rate, trend.unit, run.plan.work),
        "low": Rate(trend.rate_low, trend.unit, run.plan.work),
        "high": Rate(max(high, 0.0), trend.unit, run.plan.work),
    }
    # The verdict may know more than these bounds: blocks that come to no bytes, say, are no growth.
    known_clean = trend.status is Status.NO_LEAK and budget.amount <= trend.tolerance
    if (high <= limit or known_clean) and trend.samples >= MIN_FOR_CLEAN:
        reason = message("gate.at-most", "at most {high}", high=figures["high"])
        if run.outcome.ending is Ending.OK:
            return _checked(budget, trend.unit, GateAnswer.WITHIN_BUDGET, reason, trend)
        return _checked(
            budget, trend.unit, GateAnswer.INCONCLUSIVE, with_ending(reason, run), trend
        )
    grows = trend.status is Status.LEAK or entry.verdict.kind is Kind.KILLED
    if grows and trend.rate_low > limit:
        return _above(entry, budget, trend, figures)
    if high <= limit:
        reason = message(
            "gate.few-samples",
            "at most {high} so far ({samples} samples; needs {fewest})",
            high=figures["high"], samples=trend.samples, fewest=MIN_FOR_CLEAN,
        )  # fmt: skip
    else:
        reason = message(
            "gate.undecided",
            "{rate} ({low} to {high}): {reason}",
            reason=trend.reason,
            **figures,
        )
    return _checked(budget, trend.unit, GateAnswer.INCONCLUSIVE, with_ending(reason, run), trend)


def _above(
    entry: JudgedRun, budget: Budget, trend: Trend, figures: Mapping[str, Rate]
) -> BudgetResult:
    """Growth above the budget: over it, unless it is known to be that of caches that end."""
    sentence = message(
        "gate.at-least", "{rate}, lower bound {low}", rate=figures["rate"], low=figures["low"]
    )
    if trend.unit is Unit.BYTES and (reason := until_full(entry, sentence)) is not None:
        return _checked(budget, trend.unit, GateAnswer.WITHIN_BUDGET, reason, trend)
    return _checked(
        budget, trend.unit, GateAnswer.OVER_BUDGET, with_ending(sentence, entry.run), trend
    )


def until_full(entry: JudgedRun, told: Text) -> Text | None:
    """What is told of growth that is known to be that of caches that end; None: it is not."""
    if entry.attribution is None or entry.verdict.kind is not Kind.BOUNDED_CACHE:
        return None
    return message(
        "gate.bounded",
        "{told}, until bounded caches are full: {sentence}",
        told=told,
        sentence=entry.verdict.sentence,
    )


def with_ending(reason: Text, run: Run) -> Text:
    """A sentence with how the run ended, where it ended early."""
    if run.outcome.ending is Ending.OK:
        return reason
    ending = run.outcome.reason or run.outcome.ending
    return message("gate.ended-early", "{told}; ended early: {reason}", told=reason, reason=ending)


def no_sample(run: Run) -> Text:
    """That a run read nothing, and why."""
    if not run.outcome.reason:
        return message("gate.empty-run", "no sample: empty run")
    return message("gate.no-sample", "no sample: {reason}", reason=run.outcome.reason)


def unseen(entry: JudgedRun, budget: Budget) -> BudgetResult:
    """A series that was not read, or a run that read nothing."""
    run, series = entry.run, budget.series
    if not run.samples_done:
        reason = no_sample(run)
    elif series.startswith("cuda_") and run.plan.device != "cuda":
        reason = message(
            "gate.needs-gpu",
            "run on the CPU: {series} needs a machine with a GPU",
            series=series,
        )
    elif series in run.unavailable:
        reason = message(
            "gate.unavailable",
            "{series} cannot be read: {why}",
            series=series,
            why=run.unavailable[series],
        )
    elif run.plan.load is not None and ANONYMOUS in run.samples:
        reason = message(
            "gate.no-series-from-outside",
            "the run has no series {series!r}; for a service without the agent, use the series"
            " anonymous",
            series=series,
        )
    else:
        reason = message("gate.no-series", "the run has no series {series!r}", series=series)
    return _checked(budget, unit_in(entry, series), GateAnswer.NOT_MEASURED, reason)


def total(entry: JudgedRun, budget: Budget) -> BudgetResult:
    """Growth over a whole run, from before the first call to after the last."""
    run = entry.run
    grown = _growth(run, budget.series) if run.samples_done else None
    if grown is None:
        return unseen(entry, budget)
    unit = unit_in(entry, budget.series)
    reason: Text = message(
        "gate.grown-in-run",
        "{amount} in {calls}",
        amount=Amount(grown, unit),
        calls=Count(run.calls_done, run.plan.work),
    )
    if grown > budget.amount:
        answer, reason = GateAnswer.OVER_BUDGET, with_ending(reason, run)
    elif run.outcome.ending is Ending.OK:
        answer = GateAnswer.WITHIN_BUDGET
    else:
        answer, reason = GateAnswer.INCONCLUSIVE, with_ending(reason, run)
    return BudgetResult(budget, unit, answer, reason, grown, grown, grown)


def _growth(run: Run, series: str) -> int | None:
    """From the first reading to the last; None: it was not read."""
    start, end = run.reading("start"), run.reading("end")
    if start is not None and end is not None and series in start.values and series in end.values:
        return end.values[series] - start.values[series]
    readings = run.samples.get(series, ())
    return readings[run.samples_done - 1] - readings[0] if readings else None


def seconds(entry: JudgedRun, budget: Budget) -> BudgetResult:
    """Time per call: the median, as far as one run knows it."""
    spent = cost(entry.run, None)
    if spent is None:
        reason = message("gate.no-time", "no call times recorded")
        return _checked(budget, Unit.NANOSECONDS, GateAnswer.NOT_MEASURED, reason)
    taken = spent.median_seconds
    margin = exp(student(_TIME_FREEDOM) * SPREAD_BETWEEN_RUNS)
    low, high = taken / margin, taken * margin
    sentence = message(
        "gate.time",
        "{seconds} per call ({low} to {high})",
        seconds=Seconds(taken), low=Seconds(low), high=Seconds(high),
    )  # fmt: skip
    answer = answer_between(low, high, budget.amount)
    return BudgetResult(budget, Unit.NANOSECONDS, answer, with_ending(sentence, entry.run),
                   taken, low, high)  # fmt: skip
