"""What grows or takes longer than in the baseline, held against a budget. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, replace
from functools import partial

from leakhunt.analysis.comparison.statements import quantity
from leakhunt.analysis.gate.absolute import answer_between, no_sample, unit_in, with_ending
from leakhunt.analysis.gate.peak import more_peak
from leakhunt.model.comparison import RSS_TOTAL, TIME, Conclusion, Metric
from leakhunt.model.gate import SECONDS_PER_CALL, Budget, BudgetResult, Extent, GateAnswer
from leakhunt.model.plan import Work
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending
from leakhunt.model.series import (
    PEAK_RSS,
    PYTHON_BLOCKS,
    PYTHON_LIVE,
    RSS,
    Unit,
    leak_series,
    live_memory,
)
from leakhunt.model.verdict import Status
from leakhunt.text.message import Message, message

# A pass without an amount of its own is none where so many times what an instrument tolerates could
# be hidden in the noise: of live heap a kilobyte a call. So much then passes in one of 200, since
# the interval is of 99 % with two sides. `compare` finds no difference in wider noise: of simulated
# pairs with 1 KiB a call more in three of four.
_HIDDEN = 4
# The same of RSS in a whole run, where runs of nothing differ by up to a mebibyte.
_HIDDEN_BYTES = 4 << 20


def more(
    entries: Sequence[JudgedRun], budget: Budget, lines: Sequence[Metric] | None
) -> BudgetResult:
    """Growth or time on top of the baseline's."""
    unit = (
        Unit.NANOSECONDS
        if budget.series == SECONDS_PER_CALL
        else unit_in(entries[0], budget.series)
    )
    if lines is None:
        reason = message(
            "gate.no-baseline",
            "no baseline to compare with: create one with 'leakhunt baseline save', or measure"
            " one with --against REVISION",
        )
        return BudgetResult(budget, unit, GateAnswer.NOT_MEASURED, reason)
    name = _line_name(budget)
    line = next((each for each in lines if each.name == name), None)
    if line is None:
        reason = (
            message("gate.baseline-lacks", "the baseline has no {series}", series=budget.series)
            if name
            else message(
                "gate.only-rss-total",
                "only rss supports a total budget relative to a baseline. Write this budget"
                " per call",
            )
        )
        return BudgetResult(budget, unit, GateAnswer.NOT_MEASURED, reason)
    if budget.series == PEAK_RSS:
        return more_peak(entries, budget, line)
    return _by_line(entries, budget, unit, line)


def _line_name(budget: Budget) -> str:
    if budget.series == SECONDS_PER_CALL:
        return TIME
    if budget.series == PEAK_RSS:
        return PEAK_RSS
    if budget.extent is Extent.RUN:
        return RSS_TOTAL if budget.series == RSS else ""
    return budget.series


def _by_line(
    entries: Sequence[JudgedRun], budget: Budget, unit: Unit, line: Metric
) -> BudgetResult:
    """A figure held against the baseline's: by the bounds of what differs.

    What ended early may have grown by anything after.
    """
    empty = next((each for each in entries if not each.run.samples_done), None)
    if empty is not None:
        return BudgetResult(budget, unit, GateAnswer.NOT_MEASURED, no_sample(empty.run))
    result = _by_bounds(entries, budget, unit, line)
    early = next((each.run for each in entries if each.run.outcome.ending is not Ending.OK), None)
    if early is None:
        return result
    answer = GateAnswer.INCONCLUSIVE if result.answer is GateAnswer.WITHIN_BUDGET else result.answer
    return replace(result, answer=answer, reason=with_ending(result.reason, early))


def _by_bounds(
    entries: Sequence[JudgedRun], budget: Budget, unit: Unit, line: Metric
) -> BudgetResult:
    if line.conclusion is Conclusion.NOT_COMPARABLE:
        return BudgetResult(budget, unit, GateAnswer.NOT_MEASURED, line.reason)
    if line.difference is None:
        return BudgetResult(budget, unit, GateAnswer.INCONCLUSIVE, line.reason)
    scale = _more_time(budget, line) if line.name == TIME else float
    estimate, low, high = (scale(each) for each in astuple(line.difference))
    detection_limit = scale(line.would_show) if line.would_show is not None else None
    answer = answer_between(low, high, budget.amount)
    reason = _summary(line, entries[0].run.plan.work)
    if line.name != TIME and budget.amount == 0.0:
        answer = _without_amount(entries, line, high)
        if answer is GateAnswer.INCONCLUSIVE:
            reason = message(
                "gate.repeats-would-tell",
                "{told}; use repeats, or a larger budget",
                told=reason,
            )
    return BudgetResult(budget, unit, answer, reason, estimate, low, high, detection_limit)


def _without_amount(entries: Sequence[JudgedRun], line: Metric, high: float) -> GateAnswer:
    """Over where `compare` finds more; within where no more than what matters can be hidden.

    What is known not to leak at all grows no more than before, however noisy both are.
    """
    if line.conclusion is Conclusion.INCREASE:
        return GateAnswer.OVER_BUDGET
    found = [entry.verdict.trends.get(line.name) for entry in entries]
    trends = [trend for trend in found if trend is not None]
    if not trends:
        return GateAnswer.WITHIN_BUDGET if high <= _HIDDEN_BYTES else GateAnswer.INCONCLUSIVE
    if all(trend.status is Status.NO_LEAK for trend in trends):
        return GateAnswer.WITHIN_BUDGET
    hidden = _HIDDEN * max(trend.tolerance for trend in trends)
    return GateAnswer.WITHIN_BUDGET if high <= hidden else GateAnswer.INCONCLUSIVE


def _more_time(budget: Budget, line: Metric) -> Callable[[float], float]:
    """From how many times the baseline's time to what it is more: a share of it, or seconds."""
    before = 1.0 if budget.extent is Extent.SHARE else line.before or 0.0
    return lambda ratio: before * (ratio - 1.0)


def _summary(line: Metric, work: Work) -> Message:
    difference = line.difference
    assert difference is not None
    if line.name == TIME:
        return message(
            "gate.more-time",
            "{estimate:.2f} × the baseline time (99 %: {low:.2f} to {high:.2f})",
            estimate=difference.estimate,
            low=difference.low,
            high=difference.high,
        )
    return message(
        "gate.more",
        "{estimate} more than the baseline (99 %: {low} to {high})",
        estimate=quantity(line, difference.estimate, work),
        low=quantity(line, difference.low, work),
        high=quantity(line, difference.high, work),
    )


def by_the_baseline(
    entries: Sequence[JudgedRun], budgets: Sequence[Budget], lines: Sequence[Metric]
) -> Iterator[BudgetResult]:
    """The live series that no budget holds against the baseline: they may not have got worse."""
    compared = {_line_name(budget) for budget in budgets if budget.more}
    if PYTHON_LIVE in compared:
        compared.add(PYTHON_BLOCKS)  # the same objects
    for line in lines:
        if line.name in leak_series() and line.name not in compared:
            budget = Budget(line.name, 0.0, Extent.CALL, more=True, text="+0")
            yield _by_line(entries, budget, unit_in(entries[0], line.name), line)


def without_line(
    entries: Sequence[JudgedRun], budgets: Sequence[Budget], lines: Sequence[Metric]
) -> tuple[str, ...]:
    """The live series that nothing is said of, since the baseline has not read them.

    Of threads, descriptors and children there is no line either where they do not leak.
    """
    checked = {line.name for line in lines} | {budget.series for budget in budgets}
    return tuple(
        series
        for series in leak_series()
        if series not in checked
        and all(series in entry.run.samples for entry in entries)
        and (series in live_memory() or any(map(partial(_leaks, series), entries)))
    )


def _leaks(series: str, entry: JudgedRun) -> bool:
    trend = entry.verdict.trends.get(series)
    return trend is not None and trend.status is Status.LEAK
