"""The budget on cyclic garbage: objects per call that collections freed. Pure.

The collector counts exactly; what differs from call to call is the work. So the bounds are the
lowest and the highest rate between two collections of the judged calls.
"""

from __future__ import annotations

from leakhunt.amounts import Rate
from leakhunt.analysis.gate.absolute import answer_between, no_sample, with_ending
from leakhunt.analysis.verdict.after_gc import garbage_objects
from leakhunt.model.gate import Budget, BudgetResult, GateAnswer
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending
from leakhunt.model.series import Unit
from leakhunt.text.message import message


def garbage(entry: JudgedRun, budget: Budget) -> BudgetResult:
    """Objects of cyclic garbage per call."""
    run = entry.run
    objects = garbage_objects(run)
    if objects is None:
        reason = no_sample(run) if not run.samples_done else message(
            "gate.no-garbage-counts",
            "fewer than three collections with a count of their objects; measure again",
        )  # fmt: skip
        return BudgetResult(budget, Unit.COUNT, GateAnswer.NOT_MEASURED, reason)
    low, high = min(objects.pieces), max(objects.pieces)
    answer = answer_between(low, high, budget.amount)
    text = message(
        "gate.garbage",
        "objects of cyclic garbage: {rate} ({low} to {high} between collections)",
        rate=Rate(objects.rate, Unit.COUNT, run.plan.work),
        low=Rate(low, Unit.COUNT, run.plan.work),
        high=Rate(high, Unit.COUNT, run.plan.work),
    )
    if run.outcome.ending is not Ending.OK and answer is GateAnswer.WITHIN_BUDGET:
        answer = GateAnswer.INCONCLUSIVE
    return BudgetResult(budget, Unit.COUNT, answer, with_ending(text, run), objects.rate, low, high)
