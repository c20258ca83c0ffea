"""The highest RSS of a run held against a budget: absolute, or over the baseline's. Pure.

As for what grows in a whole run, it is a plain comparison: repeats are its only margin.
"""

from __future__ import annotations

from collections.abc import Sequence

from leakhunt.amounts import Amount
from leakhunt.analysis.gate.absolute import no_sample, unseen, with_ending
from leakhunt.model.comparison import Metric
from leakhunt.model.gate import Budget, BudgetResult, Extent, GateAnswer
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending
from leakhunt.model.series import Unit
from leakhunt.text.message import Text, message


def highest(entry: JudgedRun, budget: Budget) -> BudgetResult:
    """The highest RSS of a run; of one that was killed, also what was seen of its last call."""
    run = entry.run
    if not run.samples_done or entry.peak is None:
        return unseen(entry, budget)
    reached = float(max(entry.peak.highest_bytes, run.outcome.last_rss_bytes or 0))
    reason: Text = message("gate.highest-rss", "highest RSS {amount}", amount=Amount(reached))
    if reached > budget.amount:
        answer = GateAnswer.OVER_BUDGET
    elif run.outcome.ending is Ending.OK:
        answer = GateAnswer.WITHIN_BUDGET
    else:
        answer = GateAnswer.INCONCLUSIVE
    reason = with_ending(reason, run)
    return BudgetResult(budget, Unit.BYTES, answer, reason, reached, reached, reached)


def more_peak(entries: Sequence[JudgedRun], budget: Budget, line: Metric) -> BudgetResult:
    """The highest RSS over the baseline's, in bytes or as a share of that."""
    empty = next((each for each in entries if not each.run.samples_done), None)
    if empty is not None:
        return BudgetResult(budget, Unit.BYTES, GateAnswer.NOT_MEASURED, no_sample(empty.run))
    if line.before is None or line.after is None or line.before <= 0:
        return BudgetResult(budget, Unit.BYTES, GateAnswer.NOT_MEASURED, line.reason)
    scale = line.before if budget.extent is Extent.SHARE else 1.0
    estimate = (line.after - line.before) / scale
    low = high = estimate
    if line.difference is not None:
        low, high = line.difference.low / scale, line.difference.high / scale
    early = next((each.run for each in entries if each.run.outcome.ending is not Ending.OK), None)
    if low > budget.amount:
        answer = GateAnswer.OVER_BUDGET
    elif high <= budget.amount and early is None:
        answer = GateAnswer.WITHIN_BUDGET
    else:
        answer = GateAnswer.INCONCLUSIVE
    reason: Text = message(
        "gate.more-peak",
        "highest RSS {after}, baseline {before}",
        after=Amount(line.after),
        before=Amount(line.before),
    )
    reason = with_ending(reason, early) if early is not None else reason
    return BudgetResult(budget, Unit.BYTES, answer, reason, estimate, low, high)
