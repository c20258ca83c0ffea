"""A budget for memory growth, and whether a run keeps it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from leakhunt.language import mark, retold, tr
from leakhunt.model import Ending, Run
from leakhunt.units import format_rate
from leakhunt.verdict import judge


class Answer(IntEnum):
    """The gate's answers, which are also its exit codes."""

    WITHIN = 0
    OVER = 1
    CANNOT_TELL = 3
    NOTHING_MEASURED = 4


# The answers as words.
WORDS = {
    Answer.WITHIN: mark("within"),
    Answer.OVER: mark("over"),
    Answer.CANNOT_TELL: mark("cannot tell"),
    Answer.NOTHING_MEASURED: mark("nothing measured"),
}
# Which answer of several is the answer for all: a run over budget first, then what was not seen.
_GRAVEST_FIRST = (Answer.OVER, Answer.NOTHING_MEASURED, Answer.CANNOT_TELL, Answer.WITHIN)


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `rate` units of `series` per call."""

    series: str
    rate: float


@dataclass(frozen=True, slots=True)
class Finding:
    """The gate's answer on one run, with its reason."""

    variant: str
    answer: Answer
    reason: str


def check(run: Run, budget: Budget) -> Finding:
    """Whether `run` keeps `budget`.

    Over: the lower bound of the rate is above the budget. Within: the upper bound is not, and the
    run went to its end. An empty run never passes.
    """
    trend = judge(run, power=False).trends.get(budget.series)
    if not run.calls_done:
        answer, reason = (
            Answer.NOTHING_MEASURED,
            tr("no sample: {reason}", reason=retold(run.outcome.reason) or tr("empty run")),
        )
    elif trend is None:
        answer, reason = (
            Answer.NOTHING_MEASURED,
            tr("the run has no series {series!r}", series=budget.series),
        )
    elif trend.rate_low is None or trend.rate_high is None or trend.rate is None:
        answer, reason = Answer.CANNOT_TELL, trend.reason
    else:
        limit = format_rate(budget.rate, trend.unit)
        rate = format_rate(trend.rate, trend.unit)
        low, high = (
            format_rate(trend.rate_low, trend.unit),
            format_rate(trend.rate_high, trend.unit),
        )
        if trend.rate_low > budget.rate:
            answer, reason = (
                Answer.OVER,
                tr(
                    "{rate}, at least {low}; the budget is {limit}", rate=rate, low=low, limit=limit
                ),
            )
        elif trend.rate_high > budget.rate:
            answer = Answer.CANNOT_TELL
            reason = tr(
                "between {low} and {high}; the budget is {limit}: measure more calls",
                low=low,
                high=high,
                limit=limit,
            )
        elif run.outcome.ending is not Ending.OK:
            answer = Answer.CANNOT_TELL
            reason = tr(
                "at most {high} so far, but it ended early: {reason}",
                high=high,
                reason=retold(run.outcome.reason),
            )
        else:
            answer, reason = (
                Answer.WITHIN,
                tr("at most {high}; the budget is {limit}", high=high, limit=limit),
            )
    return Finding(run.plan.variant, answer, reason)


def overall(findings: Sequence[Finding]) -> Answer:
    """The answer for all of them; nothing measured if there are none."""
    answers = {finding.answer for finding in findings}
    return next((answer for answer in _GRAVEST_FIRST if answer in answers), Answer.NOTHING_MEASURED)
