"""Whether measured runs keep a budget. Pure.

A budget is kept or broken for certain, or nobody can tell: over where growth is a leak by the
verdict's rule and the lower bound of its rate is above the budget; within where the upper bound is
not, which is taken at the stricter level that looking several times asks for. What grows but may
yet be a warm-up is neither. Repeats must agree: a run over beside one within is no answer.

The bounds are the verdict's own (99 %, one-sided, a part of it for each series), so its error rates
hold: `reports/truth/`. A budget on a whole run is a plain comparison, and repeats are its only
margin; the reason says how many there were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from leakhunt.analysis.gate.absolute import rate, seconds, total
from leakhunt.analysis.gate.garbage import garbage
from leakhunt.analysis.gate.peak import highest
from leakhunt.analysis.gate.relative import by_the_baseline, more, without_line
from leakhunt.analysis.gate.small_objects import small_objects
from leakhunt.model.comparison import Metric
from leakhunt.model.gate import SECONDS_PER_CALL, Budget, BudgetResult, Extent, GateAnswer, gravest
from leakhunt.model.report import JudgedRun
from leakhunt.model.series import GARBAGE_OBJECTS, PEAK_RSS, PYTHON_LIVE, leak_series
from leakhunt.text.message import message


def check_all(
    entries: Sequence[JudgedRun], budgets: Sequence[Budget], lines: Sequence[Metric] | None = None
) -> tuple[BudgetResult, ...]:
    """The answers on a variant's repeats, one a budget, in their order.

    `lines` are what differs from the baseline; None: there is none. With them, the live series
    that no budget is about may not grow faster than there either; what the baseline has not read
    may not leak.
    """
    found = [_check(entries, budget, lines) for budget in budgets]
    if lines is not None:
        found += by_the_baseline(entries, budgets, lines)
        unread = map(_no_leak, without_line(entries, budgets, lines))
        found += [_check(entries, budget, lines) for budget in unread]
    return tuple(found)


def default_budgets(entries: Sequence[JudgedRun]) -> tuple[Budget, ...]:
    """Where nothing is said: no leak in any live series that all these runs have read."""
    return tuple(
        _no_leak(series)
        for series in leak_series()
        if all(series in entry.run.samples for entry in entries)
    )


def _no_leak(series: str) -> Budget:
    return Budget(series, 0.0, Extent.CALL, more=False, text="0")


def _check(
    entries: Sequence[JudgedRun], budget: Budget, lines: Sequence[Metric] | None
) -> BudgetResult:
    if budget.more:
        return more(entries, budget, lines)
    if budget.series == SECONDS_PER_CALL:
        return _agreed([seconds(entry, budget) for entry in entries])
    if budget.series == PEAK_RSS:
        return _agreed([highest(entry, budget) for entry in entries])
    if budget.series == GARBAGE_OBJECTS:
        return _agreed([garbage(entry, budget) for entry in entries])
    if budget.extent is Extent.RUN:
        return _agreed([total(entry, budget) for entry in entries])
    one = small_objects if budget.series == PYTHON_LIVE else rate
    return _agreed([one(entry, budget) for entry in entries])


def _agreed(repeats: Sequence[BudgetResult]) -> BudgetResult:
    """The answer that all repeats give, with the bounds of all of them; else nobody can tell."""
    answers = [each.answer for each in repeats]
    gravest_answer = gravest(answers)
    result = next(each for each in repeats if each.answer is gravest_answer)
    if len(repeats) == 1:
        return result
    lows, highs, limits = (
        [value for each in repeats if (value := getattr(each, name)) is not None]
        for name in ("low", "high", "detection_limit")
    )
    result = replace(
        result,
        low=min(lows, default=None),
        high=max(highs, default=None),
        detection_limit=max(limits, default=None) if len(limits) == len(repeats) else None,
    )
    count = answers.count(gravest_answer)
    if count == len(repeats):
        agreed = message(
            "gate.agreed", "{reason} ({count} of {count} runs)", reason=result.reason, count=count
        )
        return replace(result, reason=agreed)
    answer = GateAnswer.INCONCLUSIVE if gravest_answer is GateAnswer.OVER_BUDGET else gravest_answer
    reason = message(
        "gate.disagreed",
        "{reason}, in {count} of {repeats} runs",
        reason=result.reason,
        count=count,
        repeats=len(repeats),
    )
    return replace(result, answer=answer, reason=reason)
